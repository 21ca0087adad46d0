//! Values in the binary encoding and in JSON.

use proptest::prelude::*;

use super::super::model::{Body, Kind, NodeId, Primitive};
use super::properties::schema_text;
use super::*;
use crate::json::{Json, Number, Object, parse as parse_json};

/// Each line has a schema, bytes that fastavro wrote, and the JSON that Java's Avro prints for them.
const VALUES: &str = include_str!("values.jsonl");

fn bytes_of(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn schema(text: &str) -> AvroSchema {
    AvroSchema::parse(text, &[], Validation::Registered).unwrap()
}

fn json(text: &str) -> Json {
    parse_json(text).unwrap()
}

#[test]
fn values_written_by_fastavro_are_decoded_as_java_prints_them_and_encoded_to_the_same_bytes() {
    let mut count = 0;
    for line in VALUES.lines() {
        let case = json(line);
        let schema = schema(&case.get("schema").unwrap().to_string());
        let bytes = bytes_of(case.get("bytes").unwrap().as_str().unwrap());
        let expected = case.get("json").unwrap().as_str().unwrap();
        let value = schema.decode(&bytes).unwrap_or_else(|error| panic!("{line}: {error}"));
        // Java escapes characters beyond the basic plane.
        if expected.contains("\\uD8") {
            assert_eq!(value, json(expected), "{line}");
        } else {
            assert_eq!(value.to_string(), expected, "{line}");
        }
        assert_eq!(schema.decodes(&bytes), Ok(()), "{line}");
        let is_union = matches!(schema.nodes.kind(schema.root), Kind::Union(_));
        let has_sizes_of_blocks = matches!(bytes.first(), Some(1 | 3)) && bytes.len() > 5 && bytes.len() < 8;
        if !is_union && !has_sizes_of_blocks {
            assert_eq!(schema.encode(&value).as_deref(), Ok(bytes.as_slice()), "{line}");
        }
        count += 1;
    }
    assert_eq!(count, 69);
}

#[test]
fn json_that_is_no_value_of_the_schema_is_refused_with_its_place() {
    let record = r#"{"type":"record","name":"R","fields":[{"name":"a","type":["null","int"],"default":null},
        {"name":"b","type":{"type":"array","items":{"type":"enum","name":"n.E","symbols":["X"]}}}]}"#;
    let fixed = r#"{"type":"fixed","name":"F","size":2}"#;
    for (text, value, expected) in [
        (record, r#"{"b":[]}"#, "the field a is missing"),
        (record, r#"{"a":1,"b":[]}"#, "expected null or an object with the type in a union, found a number (in a)"),
        (record, r#"{"a":{"long":1},"b":[]}"#, "unknown type long of a union (in a)"),
        (record, r#"{"a":{"int":1},"b":["X","Y"]}"#, "unknown symbol Y of an enum (in b[1])"),
        (record, r#"{"a":null,"b":[],"c":1}"#, "unknown field c"),
        (record, "[]", "expected an object, found an array"),
        (r#""int""#, "2147483648", "the number is not a 32-bit integer"),
        (r#""int""#, "1.5", "the number is not a 32-bit integer"),
        (r#""long""#, "9223372036854775808", "the number is not a 64-bit integer"),
        (r#""double""#, r#""1""#, "expected a number, found a string"),
        (r#""bytes""#, r#""Ā""#, "the text of bytes has a character beyond U+00FF"),
        (fixed, r#""abc""#, "expected 2 bytes, found 3"),
        (r#""null""#, "1", "expected null, found a number"),
        (r#""boolean""#, "null", "expected boolean, found null"),
    ] {
        let error = schema(text).encode(&json(value)).map(|_| ()).map_err(|error| error.to_string());
        assert_eq!(error, Err(expected.to_owned()), "{text} {value}");
    }
}

#[test]
fn bytes_that_are_no_value_of_the_schema_are_refused_with_their_place() {
    let record = r#"{"type":"record","name":"R","fields":[{"name":"a","type":["null","int"]},
        {"name":"b","type":{"type":"map","values":"string"}}]}"#;
    for (text, bytes, expected) in [
        (record, &[4][..], "the union has no type 2 (in a)"),
        (record, &[2], "the value ends too early (in a)"),
        (record, &[0, 2, 2, b'k', 4, b'x'], "the value ends too early (in b.k)"),
        (record, &[0, 2, 2, b'k', 2, 0xff, 0], "a string is not UTF-8 (in b.k)"),
        (record, &[0, 0, 0], "1 bytes follow the value"),
        (r#""string""#, &[1], "a length is negative"),
        (r#""string""#, &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], "the value ends too early"),
        (r#""long""#, &[0xff; 11], "a number does not fit 64 bits"),
        (r#""int""#, &[0xff, 0xff, 0xff, 0xff, 0x7f], "a number does not fit 32 bits"),
        (r#""boolean""#, &[2], "a boolean is neither 0 nor 1"),
        (r#"{"type":"enum","name":"E","symbols":["A"]}"#, &[2], "the enum has no symbol 1"),
        (r#"{"type":"enum","name":"E","symbols":["A"]}"#, &[1], "the enum has no symbol -1"),
    ] {
        let schema = schema(text);
        let error = schema.decodes(bytes).map_err(|error| error.to_string());
        assert_eq!(error, Err(expected.to_owned()), "{text} {bytes:?}");
        assert_eq!(schema.decode(bytes).map(|_| ()).map_err(|error| error.to_string()), error, "{text} {bytes:?}");
    }
}

/// A payload of a few bytes that claims many items, each of which takes none.
#[test]
fn counts_of_items_without_bytes_are_bounded() {
    let huge = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
    let empty = r#"{"type":"array","items":{"type":"record","name":"E","fields":[]}}"#;
    for text in [r#"{"type":"array","items":"null"}"#, empty] {
        let schema = schema(text);
        assert!(schema.decodes(&huge).unwrap_err().to_string().contains("too many parts"));
        assert!(schema.decode(&huge).is_err());
    }
    let zeros = vec![0; (1 << 20) + 1];
    let nested = schema(r#"{"type":"array","items":{"type":"array","items":"null"}}"#);
    let mut bytes = vec![0x80, 0x80, 0x80, 0x01];
    bytes.extend(&zeros);
    assert!(nested.decodes(&bytes).is_ok());
    let name = "n".repeat(100_000);
    let wide = schema(&format!(
        r#"{{"type":"array","items":{{"type":"record","name":"R","fields":[{{"name":"{name}","type":"boolean"}}]}}}}"#
    ));
    assert!(wide.decodes(&bytes).is_ok());
    assert!(wide.decode(&bytes).unwrap_err().to_string().contains("in memory"));
}

#[test]
fn values_that_are_nested_too_deeply_are_refused() {
    let list = schema(r#"{"type":"record","name":"L","fields":[{"name":"next","type":["null","L"]}]}"#);
    for (depth, is_good) in [(140, true), (100_000, false)] {
        let mut bytes = vec![2; depth];
        bytes.push(0);
        assert_eq!(list.decodes(&bytes).is_ok(), is_good);
        assert_eq!(list.decode(&bytes).is_ok(), is_good);
    }
    // A value of this schema has no end.
    let endless = schema(r#"{"type":"record","name":"A","fields":[{"name":"a","type":"A"}]}"#);
    assert!(endless.decodes(&[]).unwrap_err().to_string().contains("nested deeper"));
}

/// Builds a value of a schema from numbers; `None` if it gets too deep.
fn value_of(nodes: &Nodes, id: NodeId, numbers: &mut impl Iterator<Item = u64>, depth: usize) -> Option<Json> {
    if depth > 12 {
        return None;
    }
    let number = numbers.next()?;
    let text = |number: u64| number.to_le_bytes().iter().map(|byte| char::from(*byte)).collect::<String>();
    Some(match nodes.kind(id) {
        Kind::Primitive(Primitive::Null) => Json::Null,
        Kind::Primitive(Primitive::Boolean) => Json::Bool(number % 2 == 0),
        Kind::Primitive(Primitive::Int) => (number as i32).into(),
        Kind::Primitive(Primitive::Long) => number.cast_signed().into(),
        Kind::Primitive(Primitive::Float) => Json::Number(Number::Double(f64::from(number as i32 as f32 / 8.0))),
        Kind::Primitive(Primitive::Double) => {
            let number = f64::from_bits(number);
            if number.is_finite() { Json::Number(Number::Double(number)) } else { "NaN".into() }
        }
        Kind::Primitive(Primitive::Bytes | Primitive::String) => text(number).into(),
        Kind::Array(items) => {
            let items = (0..number % 3).map(|_| value_of(nodes, *items, numbers, depth + 1));
            Json::Array(items.collect::<Option<_>>()?)
        }
        Kind::Map(values) => {
            let entries =
                (0..number % 3).map(|at| Some((at.to_string(), value_of(nodes, *values, numbers, depth + 1)?)));
            Json::Object(entries.collect::<Option<_>>()?)
        }
        Kind::Union(branches) => {
            let branch = branches[number as usize % branches.len()];
            let value = value_of(nodes, branch, numbers, depth + 1)?;
            if value.is_null() {
                value
            } else {
                Json::Object(Object::from_iter([(nodes.full_name(branch).to_owned(), value)]))
            }
        }
        Kind::Named(named) => match &named.body {
            Body::Enum { symbols, .. } => symbols[number as usize % symbols.len()].as_str().into(),
            Body::Fixed { size } => text(number).chars().cycle().take(*size as usize).collect::<String>().into(),
            Body::Record { fields, .. } => {
                let values = fields
                    .iter()
                    .map(|field| Some((field.name.clone(), value_of(nodes, field.schema, numbers, depth + 1)?)));
                Json::Object(values.collect::<Option<_>>()?)
            }
        },
        Kind::Unresolved(_) => return None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn encoded_values_are_decoded_to_the_same_and_bytes_of_others_never_panic(
        text in schema_text(),
        numbers in prop::collection::vec(any::<u64>(), 64),
        bytes in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let Ok(schema) = AvroSchema::parse(&text, &[], Validation::Registered) else { return Ok(()) };
        prop_assert_eq!(schema.decode(&bytes).is_ok(), schema.decodes(&bytes).is_ok());
        let is_union = matches!(schema.nodes.kind(schema.root), Kind::Union(_));
        let value = value_of(&schema.nodes, schema.root, &mut numbers.into_iter(), 0);
        let Some(value) = value.filter(|_| !is_union) else { return Ok(()) };
        let encoded = schema.encode(&value).map_err(|error| TestCaseError::fail(format!("{value}: {error}")))?;
        prop_assert_eq!(schema.decodes(&encoded), Ok(()));
        prop_assert_eq!(schema.decode(&encoded).map(|value| value.to_string()), Ok(value.to_string()));
        // Half of a value is a value only if nothing is missing.
        let half = &encoded[..encoded.len() / 2];
        prop_assert_eq!(schema.decode(half).is_ok(), schema.decodes(half).is_ok());
    }
}
