//! Values against schemas.

use proptest::prelude::*;

use super::super::*;
use crate::json::Json;

/// Each line has a schema, and values that Python's jsonschema 4.26 finds valid and invalid. It
/// computes with doubles; that 4.02 is a multiple of 0.01 was corrected.
const VALUES: &str = include_str!("values.jsonl");

fn schema(text: &str) -> JsonSchema {
    JsonSchema::parse(text, &[]).unwrap()
}

fn error(text: &str, value: &str) -> String {
    schema(text).decode(value.as_bytes()).unwrap_err().to_string()
}

#[test]
fn values_are_valid_that_pythons_jsonschema_finds_valid() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in VALUES.lines() {
        let case = parse_exact(line).unwrap();
        let schema = schema(&case.get("schema").unwrap().to_string());
        for (name, expected) in [("valid", true), ("invalid", false)] {
            for value in case.get(name).and_then(Json::as_array).unwrap() {
                let result = schema.validate(value);
                if result.is_ok() != expected {
                    wrong.push(format!("{} {value}: {result:?}", schema.canonical()));
                }
                count += 1;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 1_000, "{count}");
}

#[test]
fn an_invalid_value_is_refused_with_its_place() {
    let text = r#"{"properties":{"a":{"items":{"type":"integer","maximum":5}},"b":{"pattern":"^x"}},"required":["b"]}"#;
    for (value, expected) in [
        (r#"{"a":[1,"2"],"b":"x"}"#, "expected type integer, found a string (in a[1])"),
        (r#"{"a":[1,7],"b":"x"}"#, "the number is greater than the maximum (in a[1])"),
        (r#"{"b":"y"}"#, "the text does not match the pattern ^x (in b)"),
        ("{}", "the required property b is missing"),
        ("{", "not JSON: expected a property name in double quotes at line 1, column 2"),
    ] {
        assert_eq!(error(text, value), expected);
    }
    assert!(schema("{}").decode(&[0xff]).is_err());
    let schema = schema(text);
    assert_eq!(schema.encode(r#" { "b" : "x1", "c": 1.50 } "#), Ok(br#"{"b":"x1","c":1.50}"#.to_vec()));
}

#[test]
fn values_of_schemas_with_references_to_other_schemas_are_checked() {
    let references = [ResolvedReference { name: "n.json".to_owned(), text: r#"{"type":"integer"}"#.to_owned() }];
    let schema = JsonSchema::parse(r#"{"items":{"$ref":"n.json"}}"#, &references).unwrap();
    assert!(schema.decodes(b"[1]").is_ok());
    assert!(schema.decodes(b"[\"a\"]").is_err());
    // Nothing is fetched.
    let remote = r#"{"$ref":"http://example.com/s.json"}"#;
    assert!(error(remote, "1").contains("disabled"));
}

#[test]
fn checks_that_take_exponential_time_or_have_no_end_are_refused() {
    let endless = r##"{"$ref":"#"}"##;
    assert!(error(endless, "1").contains("nested deeper"));
    let branches = r##"{"$ref":"#/definitions/n"}"##;
    let exponential = format!(
        r##"{{"definitions":{{"n":{{"properties":{{"a":{{"oneOf":[{branches},{branches},{branches}]}}}}}}}},
        "allOf":[{branches}]}}"##
    );
    let value = format!("{}1{}", r#"{"a":"#.repeat(60), "}".repeat(60));
    assert!(error(&exponential, &value).contains("oneOf") || error(&exponential, &value).contains("too long"));
    let any = exponential.replace("\"oneOf\"", "\"not\":{},\"anyOf\"");
    assert!(schema(&any).decodes(value.as_bytes()).is_err());
    let deep = format!("{}{}", "[".repeat(299), "]".repeat(299));
    assert!(schema(r##"{"items":{"$ref":"#"}}"##).decodes(deep.as_bytes()).is_err());
    assert!(schema(r##"{"items":{"$ref":"#"}}"##).decodes(b"[[[[[[]]]]]]").is_ok());
    let long = format!("\"{}\"", "a".repeat(100_000));
    assert!(error(r#"{"pattern":"^(a|aa)+\\1(?=b)$"}"#, &long).contains("pattern"));
    let patterns: Vec<String> = (0..1_000).map(|at| format!(r#""^\\w{{20}}{at}":{{}}"#)).collect();
    let many = format!(r#"{{"patternProperties":{{{}}}}}"#, patterns.join(","));
    assert!(error(&many, "{}").contains("patterns of the schema take more than"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Schemas and values are drawn from the table, so that most pairs are of different cases.
    #[test]
    fn any_value_is_valid_or_refused_and_written_as_it_was(schema_at in any::<usize>(), value_at in any::<usize>()) {
        let lines: Vec<&str> = VALUES.lines().collect();
        let case = |at: usize| parse_exact(lines[at % lines.len()]).unwrap();
        let schema = schema(&case(schema_at).get("schema").unwrap().to_string());
        for value in case(value_at).get("valid").and_then(Json::as_array).unwrap() {
            let text = value.to_string();
            let encoded = schema.encode(&text);
            prop_assert_eq!(encoded.is_ok(), schema.decodes(text.as_bytes()).is_ok());
            if let Ok(encoded) = encoded {
                prop_assert_eq!(String::from_utf8(encoded).unwrap(), text);
            }
        }
    }
}
