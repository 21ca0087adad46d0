//! Schemas made to take long, to use much memory, or to overflow the stack, and what is refused.

use super::super::*;
use crate::json::MAX_DEPTH;

fn schema(text: &str) -> JsonSchema {
    JsonSchema::parse(text, &[]).unwrap()
}

fn is_compatible(old: &str, new: &str) -> bool {
    schema(new).differences(&schema(old), false).unwrap().is_empty()
}

#[test]
fn nested_schemas_are_bounded() {
    let nested = |depth: usize| format!("{}{{}}{}", r#"{"items":"#.repeat(depth), "}".repeat(depth));
    let deepest = schema(&nested(MAX_DEPTH - 1));
    assert!(deepest.check(false).is_ok());
    assert!(deepest.differences(&deepest, false).unwrap().is_empty());
    assert!(JsonSchema::parse(&nested(100_000), &[]).is_err());
}

/// A chain of references: the text is flat, the comparison is deep.
#[test]
fn chain_of_references_is_bounded() {
    let chain = |length: usize, end: &str| {
        let link = |at: usize| format!(r##""d{at}":{{"items":{{"$ref":"#/definitions/d{}"}}}}"##, at + 1);
        let links: Vec<String> = (0..length).map(link).collect();
        let definitions = format!(r#"{},"d{length}":{{"type":"{end}"}}"#, links.join(","));
        format!(r##"{{"$ref":"#/definitions/d0","definitions":{{{definitions}}}}}"##)
    };
    assert!(is_compatible(&chain(300, "integer"), &chain(300, "number")));
    assert!(!is_compatible(&chain(300, "number"), &chain(300, "integer")));
    let deep = schema(&chain(5_000, "number"));
    assert!(deep.check(false).is_ok());
    let error = deep.differences(&deep, false).unwrap_err();
    assert_eq!(error.to_string(), "the schemas are too large or too deep to be compared");
}

/// Each definition uses the next one twice, so the schema that it stands for is exponentially large.
#[test]
fn shared_definitions_are_compared_once() {
    let shared = |end: &str| {
        let link = |at: usize| {
            let next = at + 1;
            format!(
                r##""d{at}":{{"properties":{{"a":{{"$ref":"#/definitions/d{next}"}},"b":{{"$ref":"#/definitions/d{next}"}}}}}}"##
            )
        };
        let links: Vec<String> = (0..100).map(link).collect();
        let definitions = format!(r#"{},"d100":{{"type":"{end}"}}"#, links.join(","));
        format!(r##"{{"$ref":"#/definitions/d0","definitions":{{{definitions}}}}}"##)
    };
    assert!(is_compatible(&shared("string"), &shared("string")));
    // Each path to a difference is listed, so here their size is the bound.
    assert!(schema(&shared("string")).differences(&schema(&shared("integer")), false).is_err());
}

#[test]
fn recursive_schemas_are_compared() {
    let tree = |value: &str| {
        format!(
            r##"{{"properties":{{"v":{{"type":"{value}"}},"next":{{"$ref":"#"}},"not":{{"not":{{"$ref":"#"}}}}}}}}"##
        )
    };
    assert!(is_compatible(&tree("string"), &tree("string")));
    assert!(!is_compatible(&tree("string"), &tree("integer")));
    assert!(is_compatible(r##"{"$ref":"#"}"##, r##"{"$ref":"#"}"##));
}

#[test]
fn large_combinations_are_bounded() {
    let any = |count: usize, from: usize| {
        let parts: Vec<String> = (from..from + count).map(|at| format!(r#"{{"const":{at}}}"#)).collect();
        format!(r#"{{"oneOf":[{}]}}"#, parts.join(","))
    };
    assert!(is_compatible(&any(200, 0), &any(201, 0)));
    assert!(!is_compatible(&any(200, 0), &any(200, 1)));
    let large = schema(&any(20_000, 0));
    assert!(large.differences(&schema(&any(20_000, 1)), false).is_err());
}

#[test]
fn patterns_are_bounded() {
    let object =
        |pattern: &str| format!(r#"{{"patternProperties":{{"{pattern}":{{}}}},"additionalProperties":false}}"#);
    let with_property = |pattern: &str| {
        format!(
            r#"{{"properties":{{"aaa":{{}}}},"patternProperties":{{"{pattern}":{{}}}},"additionalProperties":false}}"#
        )
    };
    let kinds = |pattern: &str| {
        let found = schema(&object(pattern)).differences(&schema(&with_property(pattern)), false).unwrap();
        found.iter().map(|difference| difference.kind).collect::<Vec<_>>()
    };
    assert_eq!(kinds("^a"), []);
    assert_eq!(kinds("^(?=a)"), []);
    // Patterns that are too large, or that are wrong.
    for pattern in ["((a{100}){100}){100}", "("] {
        assert_eq!(kinds(pattern), [DifferenceKind::PropertyRemovedFromClosedContentModel], "{pattern}");
    }
    assert_eq!(kinds("(a*)*$"), []);
    let many: Vec<String> = (0..1_000).map(|at| format!(r#""x{at}":{{}}"#)).collect();
    let many =
        |rest: &str| format!(r#"{{{rest}"patternProperties":{{{}}},"additionalProperties":false}}"#, many.join(","));
    let with_property = schema(&many(r#""properties":{"a":{}},"#));
    assert!(schema(&many("")).differences(&with_property, false).is_err());
}

#[test]
fn long_names_and_identifiers_are_bounded() {
    let long = "n".repeat(1 << 20);
    // The name is in the path of each difference.
    let properties: Vec<String> = (0..200).map(|at| format!(r#""p{at}":{{"maxLength":1}}"#)).collect();
    let wide = format!(r#"{{"properties":{{"{long}":{{"properties":{{{}}}}}}}}}"#, properties.join(","));
    assert!(is_compatible(&wide, &wide));
    assert!(schema(&wide.replace("maxLength", "format")).differences(&schema(&wide), false).is_err());
    let error = schema(&format!(r#"{{"items":{{"$id":"http://{long}"}}}}"#)).check(false).unwrap_err();
    assert_eq!(error.to_string(), "an identifier or a reference has more than 4096 bytes");
    assert!(schema(&format!(r##"{{"$ref":"#/{long}"}}"##)).check(false).is_err());
    assert!(schema(&format!(r#"{{"properties":{{"{long}":{{"$id":"a"}}}}}}"#)).check(false).is_err());
}

#[test]
fn schemas_of_other_hosts_are_not_fetched() {
    let external = schema(r#"{"$ref":"http://localhost:1/a.json"}"#);
    let error = external.check(false).unwrap_err();
    assert_eq!(error, JsonSchemaError::External("http://localhost:1/a.json".to_owned()));
    for reference in ["file:///etc/passwd", "a.json", "#/definitions/a", "#a"] {
        assert!(schema(&format!(r#"{{"$ref":"{reference}"}}"#)).check(false).is_err(), "{reference}");
    }
    assert!(schema(r#"{"$ref":"http://json-schema.org/draft-07/schema#"}"#).check(false).is_ok());
}

#[test]
fn property_that_a_pattern_with_lookahead_covers_is_found() {
    let parse = |text: &str| JsonSchema::parse(text, &[]).unwrap();
    let writer = parse(
        r#"{"type":"object","properties":{"ab":{"type":"integer"}},"patternProperties":{"^(?!x)a":{"type":"integer"}},"additionalProperties":false}"#,
    );
    let reader =
        parse(r#"{"type":"object","patternProperties":{"^(?!x)a":{"type":"integer"}},"additionalProperties":false}"#);
    assert_eq!(reader.differences(&writer, false), Ok(Vec::new()));
}
