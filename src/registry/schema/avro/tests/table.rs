//! Tables of schemas with what Apache Avro 1.12.1 says about them.

use super::super::*;
use crate::json::{Json, parse as parse_json};

/// Each line has a schema, whether it is new, its references, and the canonical text or the error. Further texts are there
/// if they differ from the canonical one.
const CANONICAL: &str = include_str!("canonical.jsonl");
/// Each line has the name of a case, the reader's and the writer's schema, and the differences.
const COMPATIBILITY: &str = include_str!("compat.jsonl");

fn text<'a>(case: &'a Json, name: &str) -> Option<&'a str> {
    case.get(name).and_then(Json::as_str)
}

/// Messages that come from Java's libraries rather than from Avro: only that there is an error counts.
fn is_of_java(message: &str) -> bool {
    [
        "com.fasterxml",
        "Unknown schema: org.apache.avro.compiler.Unresolved",
        "Schema fields not set yet",
        "dangling content",
        "org.apache.avro.compiler",
        "Duplicate field",
        "Cannot invoke",
        "Cannot parse <null>",
        "null",
    ]
    .iter()
    .any(|part| message.contains(part))
}

fn check_canonical(case: &Json) -> Result<(), String> {
    let schema = text(case, "schema").unwrap();
    let validation = if case.get("new") == Some(&true.into()) { Validation::New } else { Validation::Registered };
    let references: Vec<&str> =
        case.get("refs").and_then(Json::as_array).unwrap_or_default().iter().filter_map(Json::as_str).collect();
    let parsed = AvroSchema::parse(schema, &references, validation);
    let parsed = match (parsed, text(case, "error")) {
        (Ok(parsed), None) => parsed,
        (Err(error), Some(expected)) if is_of_java(expected) || error.to_string() == expected => return Ok(()),
        // If several names are unknown, another one may be named.
        (Err(error), Some(expected))
            if expected.starts_with("Undefined schema") && error.to_string().starts_with("Undefined schema") =>
        {
            return Ok(());
        }
        (Ok(parsed), Some(expected)) => return Err(format!("expected {expected}, got {}", parsed.canonical())),
        (Err(error), expected) => return Err(format!("expected {expected:?}, got error {error}")),
    };
    let canonical = text(case, "canonical").unwrap();
    if parsed.canonical() != canonical {
        return Err(format!("canonical\n  expected {canonical}\n  got      {}", parsed.canonical()));
    }
    let resolved = text(case, "resolved").unwrap_or(canonical);
    if parsed.resolved() != resolved {
        return Err(format!("resolved\n  expected {resolved}\n  got      {}", parsed.resolved()));
    }
    let normalized = parsed.normalized(&references, validation).map(|schema| schema.canonical().to_owned());
    match (normalized, text(case, "normalizeError")) {
        // Errors of Java's conversions, which are not repeated.
        (_, Some(_)) => {}
        (Ok(normalized), None) if normalized == text(case, "normalized").unwrap_or(canonical) => {}
        (normalized, error) => {
            return Err(format!(
                "normalized: expected {:?} or error {error:?}, got {normalized:?}",
                text(case, "normalized")
            ));
        }
    }
    let mut tags = crate::json::Object::new();
    for (entity, names) in parsed.tagged_entities() {
        tags.insert(format!("{} {}", entity.entity_type.name(), entity.path), names.into());
    }
    let expected = case.get("tags").and_then(Json::as_object).cloned().unwrap_or_default();
    if tags == expected { Ok(()) } else { Err(format!("tags: expected {expected:?}, got {tags:?}")) }
}

#[test]
fn texts_of_schemas_are_those_of_avro() {
    let mut wrong = Vec::new();
    for line in CANONICAL.lines() {
        let case = parse_json(line).unwrap();
        if let Err(problem) = check_canonical(&case) {
            wrong.push(format!("{case}\n{problem}\n"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
}

fn compact(difference: &Difference) -> String {
    format!("{} {} {}", difference.kind.name(), difference.path, difference.message)
}

#[test]
fn differences_of_schemas_are_those_of_avro() {
    let mut wrong = Vec::new();
    for line in COMPATIBILITY.lines() {
        let case = parse_json(line).unwrap();
        let schema =
            |name: &str| AvroSchema::parse(&case.get(name).unwrap().to_string(), &[], Validation::Registered).unwrap();
        let found: Vec<String> = match schema("reader").differences(&schema("writer")) {
            Ok(found) => found.iter().map(compact).collect(),
            Err(error) => vec![format!("Unexpected exception during compatibility check: {error}")],
        };
        let expected: Vec<&str> =
            case.get("differences").and_then(Json::as_array).unwrap().iter().filter_map(Json::as_str).collect();
        // Java's message also prints its objects.
        let same = found.len() == expected.len()
            && found.iter().zip(&expected).all(|(found, expected)| {
                found == expected || (expected.starts_with("Unexpected") && found.starts_with("Unexpected"))
            });
        if !same {
            wrong.push(format!("{case}\n  got {found:?}\n"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn differences_are_described_as_confluent_does() {
    let describe = |reader: &str, writer: &str| {
        let parse = |text: &str| AvroSchema::parse(text, &[], Validation::New).unwrap();
        let found = parse(reader).differences(&parse(writer)).unwrap();
        found.iter().map(|difference| difference.describe("new", "old")).collect::<Vec<_>>().join("\n")
    };
    let record = |field: &str| format!(r#"{{"type":"record","name":"R","fields":[{field}]}}"#);
    for (reader, writer, expected) in [
        (
            r#"{"type":"fixed","name":"F","size":2}"#.to_owned(),
            r#"{"type":"fixed","name":"F","size":1}"#.to_owned(),
            "{errorType:'FIXED_SIZE_MISMATCH', description:'The size of FIXED type field at path '/size' in the new \
             schema does not match with the old schema', additionalInfo:'expected: 1, found: 2'}",
        ),
        (
            "\"int\"".to_owned(),
            "\"long\"".to_owned(),
            "{errorType:'TYPE_MISMATCH', description:'The type (path '/') of a field in the new schema does not match \
             with the old schema', additionalInfo:'reader type: INT not compatible with writer type: LONG'}",
        ),
        (
            r#"{"type":"enum","name":"G","symbols":["A"]}"#.to_owned(),
            r#"{"type":"enum","name":"E","symbols":["A"]}"#.to_owned(),
            "{errorType:'NAME_MISMATCH', description:'The name of the schema has changed (path '/name')', \
             additionalInfo:'expected: E'}",
        ),
        (
            r#"{"type":"enum","name":"E","symbols":["A"]}"#.to_owned(),
            r#"{"type":"enum","name":"E","symbols":["A","B"]}"#.to_owned(),
            "{errorType:'MISSING_ENUM_SYMBOLS', description:'The new schema is missing enum symbols '[B]' at path \
             '/symbols' in the old schema', additionalInfo:'[B]'}",
        ),
        (
            "[\"int\"]".to_owned(),
            "\"string\"".to_owned(),
            "{errorType:'MISSING_UNION_BRANCH', description:'The new schema is missing a type inside a union field at \
             path '/' in the old schema', additionalInfo:'reader union lacking writer type: STRING'}",
        ),
        (
            record(r#"{"name":"a","type":"int"}"#),
            record(""),
            "{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'The field 'a' at path '/fields/0' in the new \
             schema has no default value and is missing in the old schema', additionalInfo:'a'}",
        ),
    ] {
        assert_eq!(describe(&reader, &writer), expected);
    }
}
