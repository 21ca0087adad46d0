//! A table of pairs of schemas with what Confluent's classes for JSON Schema say about them.

use std::collections::BTreeSet;

use super::super::*;
use crate::json::parse as parse_json;

/// Each line has the reader's schema (`new`), the writer's (`old`), whether the lenient policy holds, and the messages.
const COMPATIBILITY: &str = include_str!("compat.jsonl");

fn text<'a>(case: &'a Json, name: &str) -> Option<&'a str> {
    case.get(name).and_then(Json::as_str)
}

fn compare(case: &Json) -> Result<Vec<String>, JsonSchemaError> {
    let references: Vec<ResolvedReference> = case
        .get("refs")
        .and_then(Json::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(name, text)| Some(ResolvedReference { name: name.clone(), text: text.as_str()?.to_owned() }))
        .collect();
    let parse = |name: &str| JsonSchema::parse(text(case, name).unwrap_or_default(), &references);
    let is_lenient = case.get("lenient") == Some(&true.into());
    let found = parse("new")?.differences(&parse("old")?, is_lenient)?;
    Ok(found.iter().map(|difference| difference.describe("%s", "%s")).collect())
}

fn kinds(messages: &[String]) -> BTreeSet<&str> {
    messages.iter().filter_map(|message| message.split('"').nth(1)).collect()
}

#[test]
fn comparisons_are_those_of_confluent() {
    let mut wrong = Vec::new();
    for line in COMPATIBILITY.lines() {
        let case = parse_json(line).unwrap();
        let expected: Option<Vec<String>> = case
            .get("messages")
            .and_then(Json::as_array)
            .map(|messages| messages.iter().filter_map(Json::as_str).map(str::to_owned).collect());
        let found = compare(&case);
        let same = |found: &[String], expected: &[String]| match line.contains("$ref") {
            // How often a recursive schema is repeated in paths may differ.
            true => kinds(found) == kinds(expected),
            false => found == expected,
        };
        let is_right = match (&found, &expected) {
            (Ok(found), Some(expected)) => same(found, expected),
            (found, expected) => found.is_err() && expected.is_none(),
        };
        if !is_right {
            wrong.push(format!("{line}\n  expected {expected:?}\n  got      {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn schemas_are_compatible_with_themselves_and_normalized_once() {
    for line in COMPATIBILITY.lines() {
        let case = parse_json(line).unwrap();
        let schema = JsonSchema::parse(text(&case, "new").unwrap(), &[]);
        let Some(schema) = schema.ok().filter(|schema| schema.check(false).is_ok()) else { continue };
        let normalized = schema.normalized();
        assert_eq!(normalized.normalized().canonical(), normalized.canonical(), "{line}");
        for is_lenient in [false, true] {
            for (writer, reader) in [(&schema, &schema), (&schema, &normalized), (&normalized, &schema)] {
                assert_eq!(reader.differences(writer, is_lenient), Ok(Vec::new()), "{line}");
            }
        }
    }
}

/// Each line has a schema, and its canonical and normalized text or that it is invalid.
const CANONICAL: &str = include_str!("canonical.jsonl");

#[test]
fn texts_are_those_of_confluent() {
    let mut wrong = Vec::new();
    for line in CANONICAL.lines() {
        let case = parse_json(line).unwrap();
        let found = JsonSchema::parse(text(&case, "schema").unwrap(), &[]);
        let Some(canonical) = text(&case, "canonical") else {
            if found.is_ok_and(|schema| schema.check(false).is_ok()) {
                wrong.push(format!("{line}\n  expected an error"));
            }
            continue;
        };
        let schema = match found {
            Ok(schema) => schema,
            Err(error) => {
                wrong.push(format!("{line}\n  got {error}"));
                continue;
            }
        };
        let normalized = schema.normalized();
        let expected = text(&case, "normalized").unwrap_or(canonical);
        let is_valid = case.get("invalid").is_none();
        if schema.canonical() != canonical
            || normalized.canonical() != expected
            || schema.check(false).is_ok() != is_valid
        {
            let (check, canonical, normalized) = (schema.check(false), schema.canonical(), normalized.canonical());
            wrong.push(format!("{line}\n  got {canonical}\n  got {normalized}\n  got {check:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
}
