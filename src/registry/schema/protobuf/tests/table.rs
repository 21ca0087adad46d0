//! Tables of schemas with what Confluent's classes for Protobuf say about them.

use super::super::*;
use crate::json::{Json, parse as parse_json};

/// Each line has a schema, its references, and the canonical text or the error. The normalized text, the one without
/// extensions and the descriptor are there if they can be made; the texts only if they differ from the canonical one.
const CANONICAL: &str = include_str!("canonical.jsonl");

fn text<'a>(case: &'a Json, name: &str) -> Option<&'a str> {
    case.get(name).and_then(Json::as_str)
}

fn references(case: &Json, name: &str) -> Vec<ResolvedReference> {
    let references = case.get(name).and_then(Json::as_object).into_iter().flatten();
    let references = references.filter_map(|(name, text)| Some((name.clone(), text.as_str()?.to_owned())));
    references.map(|(name, text)| ResolvedReference { name, text }).collect()
}

/// The message of an error without the name of its class. Positions and kinds of parts are not compared where Java prints
/// its objects.
fn message(error: &str) -> &str {
    error.split_once(": ").map_or(error, |(_, message)| message)
}

fn check_canonical(case: &Json) -> Result<(), String> {
    let references = references(case, "refs");
    let parsed = ProtobufSchema::parse(text(case, "schema").unwrap(), &references);
    let schema = match (parsed, text(case, "error")) {
        (Ok(schema), None) => schema,
        (Err(error), Some(expected)) if is_same_error(&error.to_string(), message(expected)) => return Ok(()),
        (Ok(schema), Some(expected)) => return Err(format!("expected {expected}, got {}", schema.canonical())),
        (Err(error), expected) => return Err(format!("expected {expected:?}, got error {error}")),
    };
    let canonical = text(case, "canonical").unwrap();
    if schema.canonical() != canonical {
        return Err(format!("canonical\n  expected {canonical}\n  got      {}", schema.canonical()));
    }
    match (schema.normalized(&references), text(case, "normalizeError")) {
        (Ok(normalized), None) => {
            let expected = text(case, "normalized").unwrap_or(canonical);
            if normalized.canonical() != expected {
                return Err(format!("normalized\n  expected {expected}\n  got      {}", normalized.canonical()));
            }
        }
        (Err(error), Some(expected)) if error.to_string() == message(expected) => {}
        (found, expected) => {
            let found = found.map(|schema| schema.canonical);
            return Err(format!("normalized: expected error {expected:?}, got {found:?}"));
        }
    }
    if schema.check(false).is_ok() != text(case, "normalizeError").is_none() {
        return Err(format!("got {:?}", schema.check(false)));
    }
    check_strictly(case, &schema)?;
    let (ignored, expected) = (schema.formatted("ignore_extensions"), text(case, "ignored").unwrap_or(canonical));
    if ignored != expected {
        return Err(format!("ignored\n  expected {expected}\n  got      {ignored}"));
    }
    match text(case, "serialized") {
        Some(expected) if schema.formatted("serialized") != expected => {
            Err(format!("serialized\n  expected {expected}\n  got      {}", schema.formatted("serialized")))
        }
        _ => Ok(()),
    }
}

/// Compares what `validateFields` refuses. Of several errors, one about the value of an option is Confluent's first.
fn check_strictly(case: &Json, schema: &ProtobufSchema) -> Result<(), String> {
    let expected = text(case, "normalizeError").map(message).or(text(case, "strictError"));
    match (schema.check(true), expected) {
        (Ok(()), None) => Ok(()),
        (Err(error), Some(expected)) if error.to_string() == expected => Ok(()),
        (Err(_), Some(expected)) if expected.starts_with("No enum constant") => Ok(()),
        (found, expected) => Err(format!("strict: expected {expected:?}, got {found:?}")),
    }
}

fn is_same_error(found: &str, expected: &str) -> bool {
    // Where a type was defined before is not kept, and values of a default that have parts have no text.
    let kinds = ["is already defined", "expected a value without parts"];
    found == expected || kinds.iter().any(|kind| found.contains(kind) && expected.contains(kind))
}

#[test]
fn texts_of_schemas_are_those_of_confluent() {
    let mut wrong = Vec::new();
    for line in CANONICAL.lines() {
        let case = parse_json(line).unwrap();
        if let Err(problem) = check_canonical(&case) {
            wrong.push(format!("{case}\n{problem}\n"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
}

/// Each line has a schema, its references, and the error with `validateFields` if there is one.
const STRICT: &str = include_str!("strict.jsonl");

#[test]
fn strict_checks_are_those_of_confluent() {
    let mut wrong = Vec::new();
    for line in STRICT.lines() {
        let case = parse_json(line).unwrap();
        let schema = ProtobufSchema::parse(text(&case, "schema").unwrap(), &references(&case, "refs")).unwrap();
        assert_eq!(schema.check(false), Ok(()), "{line}");
        if let Err(problem) = check_strictly(&case, &schema) {
            wrong.push(format!("{line}\n{problem}\n"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
}

/// Each line has the reader's schema (`new`), the writer's (`old`), their references, and the messages.
const COMPATIBILITY: &str = include_str!("compat.jsonl");

#[test]
fn comparisons_are_those_of_confluent() {
    let mut wrong = Vec::new();
    for line in COMPATIBILITY.lines() {
        let case = parse_json(line).unwrap();
        let new = ProtobufSchema::parse(text(&case, "new").unwrap(), &references(&case, "refs")).unwrap();
        let old = if case.get("refsOld").is_some() { "refsOld" } else { "refs" };
        let old = ProtobufSchema::parse(text(&case, "old").unwrap(), &references(&case, old)).unwrap();
        let found = new.differences(&old).unwrap();
        let found: Vec<String> = found.iter().map(|found| found.describe("%s", "%s")).collect();
        let expected: Vec<&str> =
            case.get("messages").and_then(Json::as_array).unwrap().iter().filter_map(Json::as_str).collect();
        if found != expected {
            wrong.push(format!("{line}\n  got {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn schemas_are_compatible_with_themselves_and_normalized_once() {
    for line in CANONICAL.lines() {
        let case = parse_json(line).unwrap();
        let references = references(&case, "refs");
        let Ok(schema) = ProtobufSchema::parse(text(&case, "schema").unwrap(), &references) else { continue };
        assert_eq!(schema.differences(&schema), Ok(Vec::new()), "{line}");
        let Ok(normalized) = schema.normalized(&references) else { continue };
        if line.contains("oneof e {}") {
            // Confluent's first text has an empty line for an empty oneof.
            continue;
        }
        let again = normalized.normalized(&references).unwrap();
        assert_eq!(again.canonical(), normalized.canonical(), "{line}");
        assert_eq!(schema.differences(&normalized), Ok(Vec::new()), "{line}");
        assert_eq!(normalized.differences(&schema), Ok(Vec::new()), "{line}");
    }
}
