//! Schemas made to take long or to overflow the stack.

use super::*;
use crate::json::MAX_DEPTH;
use crate::schema::nesting::{MAX_DIFFERENCES, MAX_NODES};

fn try_parse(text: &str) -> Result<AvroSchema, AvroError> {
    AvroSchema::parse(text, &[], Validation::New)
}

fn record(name: &str, fields: &[(&str, &str)]) -> String {
    let fields: Vec<String> =
        fields.iter().map(|(name, schema)| format!(r#"{{"name":"{name}","type":{schema}}}"#)).collect();
    format!(r#"{{"type":"record","name":"{name}","fields":[{}]}}"#, fields.join(","))
}

#[test]
fn nested_types_are_bounded() {
    let nested = |depth: usize| format!("{}\"int\"{}", r#"{"type":"array","items":"#.repeat(depth), "}".repeat(depth));
    let deepest = try_parse(&nested(MAX_DEPTH - 1)).unwrap();
    assert!(deepest.normalized(&[], Validation::New).is_ok());
    assert!(deepest.differences(&deepest).unwrap().is_empty());
    assert!(try_parse(&nested(MAX_DEPTH + 1)).is_err());
    assert!(try_parse(&nested(100_000)).is_err());
}

/// Records that use each other in a chain: the text is flat, the canonical text would not be.
#[test]
fn chain_of_forward_names_is_refused_when_its_text_would_be_too_deep() {
    let chain = |length: usize| {
        let records: Vec<String> = (0..length)
            .map(|at| match at + 1 < length {
                true => record(&format!("R{at}"), &[("next", &format!("\"R{}\"", at + 1))]),
                false => record(&format!("R{at}"), &[]),
            })
            .collect();
        format!("[{}]", records.join(","))
    };
    assert!(try_parse(&chain(90)).is_ok());
    assert_eq!(try_parse(&chain(5_000)).unwrap_err().to_string(), "types are nested deeper than 300 levels of JSON");
}

/// Records that use those before them: the canonical text is flat, a comparison that begins with the last goes deep.
#[test]
fn comparison_of_a_long_chain_ends_with_an_error() {
    let chain = |length: usize| {
        let link = |at: usize| match at {
            0 => record("R0", &[("end", "\"int\"")]),
            _ => record(&format!("R{at}"), &[("next", &format!("\"R{}\"", at - 1))]),
        };
        (0..length).map(link).collect::<Vec<_>>().join(",")
    };
    let schema = |field: &str, length: usize| {
        let all = format!("{{\"name\":\"{field}\",\"type\":[\"null\",{}],\"default\":null}}", chain(length));
        let last = format!("{{\"name\":\"q\",\"type\":\"R{}\"}}", length - 1);
        try_parse(&format!("{{\"type\":\"record\",\"name\":\"M\",\"fields\":[{all},{last}]}}")).unwrap()
    };
    assert!(schema("z", 300).differences(&schema("p", 300)).unwrap().is_empty());
    let error = schema("z", 2_000).differences(&schema("p", 2_000)).unwrap_err();
    assert_eq!(error.to_string(), "the schemas are too large or too deep to be compared");
    // One record after the other: those before are known.
    assert!(schema("p", 900).differences(&schema("p", 900)).unwrap().is_empty());
}

#[test]
fn differences_are_bounded() {
    let twice = |name: &str, of: &str| record(name, &[("a", of), ("b", &format!("\"{}\"", &of[1..of.len() - 1]))]);
    let build = |end: &str| {
        let mut records = vec![record("R0", &[("a", end), ("b", end)])];
        records.extend((1..40).map(|at| twice(&format!("R{at}"), &format!("\"R{}\"", at - 1))));
        records.push(record("Main", &[("x", "\"R39\"")]));
        try_parse(&format!("[{}]", records.join(","))).unwrap()
    };
    // Two paths at each level: 2⁴⁰ places of the difference.
    let found = build("\"int\"").differences(&build("\"string\"")).unwrap();
    assert!(!found.is_empty() && found.len() <= MAX_DIFFERENCES, "{}", found.len());
}

#[test]
fn comparison_of_large_unions_ends() {
    let union = |prefix: &str| {
        let records: Vec<String> = (0..1_500).map(|at| record(&format!("{prefix}{at}"), &[])).collect();
        try_parse(&format!("[{}]", records.join(","))).unwrap()
    };
    // Every pair of branches would have to be compared.
    assert!(union("A").differences(&union("B")).is_err());
}

#[test]
fn number_of_types_is_bounded() {
    let fields: Vec<String> = (0..=MAX_NODES).map(|at| format!(r#"{{"name":"f{at}","type":"int"}}"#)).collect();
    let text = format!(r#"{{"type":"record","name":"R","fields":[{}]}}"#, fields.join(","));
    assert!(try_parse(&text).unwrap_err().to_string().contains("more than"));
}

#[test]
fn default_that_needs_itself_is_refused() {
    let text = r#"{"type":"record","name":"A","fields":[{"name":"a","type":"A","default":{}}]}"#;
    assert!(try_parse(text).is_err());
    let registered = AvroSchema::parse(text, &[], Validation::Registered).unwrap();
    assert_eq!(registered.canonical(), text);
}

#[test]
fn defaults_that_use_each_other_are_bounded() {
    // The default of each record looks at two defaults of the record before.
    let mut records = vec![record("R0", &[])];
    records.extend((1..60).map(|at| {
        let field = |name: &str| format!(r#"{{"name":"{name}","type":"R{}","default":{{}}}}"#, at - 1);
        format!(r#"{{"type":"record","name":"R{at}","fields":[{},{}]}}"#, field("a"), field("b"))
    }));
    let text = format!("[{}]", records.join(","));
    assert!(try_parse(&text).unwrap_err().to_string().contains("too large"));
}
