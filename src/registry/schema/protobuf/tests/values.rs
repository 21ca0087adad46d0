//! Values in the wire format and in JSON.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::*;
use super::properties::schema;
use crate::json::{Json, parse as parse_json};
use crate::schema::value::ValueError;

/// Each line has a message, bytes that Python's protobuf wrote (or bytes made by hand), the JSON that Google's printer for
/// Java prints for them with defaults, and the bytes that its parser makes of that, if they are others.
const VALUES: &str = include_str!("values.jsonl");
const PROTO2: &str = include_str!("values2.proto");
const PROTO3: &str = include_str!("values3.proto");

fn bytes_of(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn schema_of(text: &str) -> ProtobufSchema {
    ProtobufSchema::parse(text, &[]).unwrap()
}

fn json(text: &str) -> Json {
    parse_json(text).unwrap()
}

fn text<T>(result: Result<T, ValueError>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}

#[test]
fn messages_written_by_python_are_decoded_as_java_prints_them_and_encoded_as_java_writes_them() {
    let (proto2, proto3) = (schema_of(PROTO2), schema_of(PROTO3));
    let mut count = 0;
    for line in VALUES.lines() {
        let case = json(line);
        let get = |name: &str| case.get(name).and_then(Json::as_str);
        let (name, bytes) = (get("message").unwrap(), bytes_of(get("bytes").unwrap()));
        let schema = if name.starts_with("t.p3") { &proto3 } else { &proto2 };
        let indexes = schema.message_indexes(name).unwrap();
        assert_eq!(schema.message_name(&indexes).as_deref(), Some(name));
        let value = schema.decode(&indexes, &bytes).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!(value.to_string(), get("json").unwrap(), "{line}");
        assert_eq!(schema.decodes(&indexes, &bytes), Ok(()), "{line}");
        let again = get("again").map_or(bytes, bytes_of);
        assert_eq!(schema.encode(&indexes, &value), Ok(again), "{line}");
        count += 1;
    }
    assert_eq!(count, 49);
}

#[test]
fn json_that_is_no_message_of_the_schema_is_refused_with_its_place() {
    let (proto2, proto3) = (schema_of(PROTO2), schema_of(PROTO3));
    for (schema, name, value, expected) in [
        (&proto3, "t.p3.All", r#"{"nope":1}"#, "Cannot find field: nope in message t.p3.All"),
        (&proto3, "t.p3.All", r#"{"fInt32":2147483648}"#, "Not an int32 value: 2147483648 (in fInt32)"),
        (&proto3, "t.p3.All", r#"{"fUint64":-1}"#, "Not a uint64 value: -1 (in fUint64)"),
        (&proto3, "t.p3.All", r#"{"fInt32":1,"f_int32":1}"#, "Field f_int32 has already been set."),
        (
            &proto3,
            "t.p3.All",
            r#"{"cString":"a","cInt":1}"#,
            "Cannot set field cInt because another field of its oneof is set",
        ),
        (&proto3, "t.p3.All", r#"{"rOther":[{"kind":"C"}]}"#, "Invalid enum value: \"C\" (in rOther[0].kind)"),
        (&proto3, "t.p3.All", r#"{"fBytes":"*"}"#, "Not a Base64 value: \"*\" (in fBytes)"),
        (&proto3, "t.p3.All", r#"{"fFloat":1e39}"#, "Out of range float value: 1.0E39 (in fFloat)"),
        (&proto3, "t.p3.All", r#"{"mInt":{"x":{}}}"#, "Not an int32 value: \"x\" (in mInt)"),
        (&proto3, "t.p3.Known", r#"{"ts":"today"}"#, "Failed to parse timestamp: \"today\" (in ts)"),
        (&proto3, "t.p3.Known", r#"{"a":{"@type":"x/y.Z"}}"#, "Cannot resolve type: x/y.Z (in a)"),
        (&proto2, "t.p2.Two", "{}", "the required field id is missing"),
        (&proto2, "t.p2.Two", r#"{"id":1,"t":{}}"#, "the required field id is missing (in t)"),
        (&proto2, "t.p2.Two", r#"{"id":1,"e":"Q"}"#, "Invalid enum value: \"Q\" (in e)"),
    ] {
        let indexes = schema.message_indexes(name).unwrap();
        assert_eq!(text(schema.encode(&indexes, &json(value))), Err(expected.to_owned()), "{value}");
    }
}

#[test]
fn json_may_use_names_of_fields_texts_of_numbers_and_nulls() {
    let schema = schema_of(PROTO3);
    let given = r#"{"f_int32":"5","f_double":"1.5","fInt64":7,"fEnum":1,"fString":null,"rInt32":[1e2],"fBytes":"_-8",
        "fUint32":3.0,"mBool":{"true":0}}"#;
    let bytes = schema.encode(&[1], &json(given)).unwrap();
    let value = schema.decode(&[1], &bytes).unwrap();
    for (name, expected) in [
        ("fInt32", "5"),
        ("fDouble", "1.5"),
        ("fInt64", "\"7\""),
        ("fEnum", "\"A\""),
        ("rInt32", "[100]"),
        ("fBytes", "\"/+8=\""),
        ("fUint32", "3"),
        ("mBool", r#"{"true":"UNKNOWN"}"#),
    ] {
        assert_eq!(value.get(name).unwrap().to_string(), expected);
    }
}

#[test]
fn any_holds_messages_of_the_schema_and_of_its_imports() {
    let schema = schema_of(PROTO3);
    for value in [
        r#"{"@type":"type.googleapis.com/t.p3.Other","otherId":5,"kind":"A"}"#,
        r#"{"@type":"type.googleapis.com/google.protobuf.Duration","value":"5s"}"#,
        "{}",
    ] {
        let bytes = schema.encode(&[2], &json(&format!(r#"{{"a":{value}}}"#))).unwrap();
        assert_eq!(schema.decode(&[2], &bytes).unwrap().get("a").unwrap().to_string(), value);
    }
    let unknown = [0x82, 0x01, 5, 0x0a, 3, b'x', b'/', b'y'];
    assert_eq!(text(schema.decode(&[2], &unknown)).unwrap_err(), "Cannot find type for url: x/y (in a)");
    assert_eq!(schema.decodes(&[2], &unknown), Ok(()));
}

#[test]
fn bytes_that_are_no_message_of_the_schema_are_refused_with_their_place() {
    let (proto2, proto3) = (schema_of(PROTO2), schema_of(PROTO3));
    for (schema, indexes, bytes, expected) in [
        (&proto3, &[0][..], &[0x08][..], "the value ends too early (in other_id)"),
        (&proto3, &[1], &[0x72, 1, 0xff], "a string is not UTF-8 (in f_string)"),
        (&proto3, &[1], &[0x8a, 1, 5, 8], "the value ends too early (in f_other)"),
        (&proto3, &[0], &[0x00, 1], "the number or the type of a field is invalid"),
        (&proto3, &[0], &[0x0f, 1], "the number or the type of a field is invalid"),
        (&proto3, &[0], &[0x0c], "a group ends that did not begin"),
        (&proto3, &[0], &[0x1b, 0x08, 0x01], "the value ends too early"),
        (&proto3, &[9], &[], "Invalid message indexes: [9]"),
        (&proto3, &[], &[], "Invalid message indexes: []"),
        (&proto3, &[0, -1], &[], "Invalid message indexes: [0, -1]"),
        (&proto2, &[0], &[], "the required field id is missing"),
        (&proto2, &[0], &[0x08, 1, 0x62, 0], "the required field id is missing (in t)"),
    ] {
        let error = text(schema.decodes(indexes, bytes));
        assert_eq!(error, Err(expected.to_owned()), "{bytes:?}");
        assert_eq!(text(schema.decode(indexes, bytes).map(|_| ())), error, "{bytes:?}");
    }
}

#[test]
fn a_message_that_is_nested_too_deeply_or_takes_too_much_memory_is_refused() {
    let list = schema_of("syntax = \"proto3\"; message L { L next = 1; }");
    let nested = |depth: usize| {
        let mut bytes = Vec::new();
        for _ in 0..depth {
            let mut outer = vec![0x0a];
            let mut length = bytes.len();
            while length >= 0x80 {
                outer.push(length as u8 | 0x80);
                length >>= 7;
            }
            outer.push(length as u8);
            outer.extend(bytes);
            bytes = outer;
        }
        bytes
    };
    for (depth, is_good) in [(100, true), (101, false), (2_000, false)] {
        assert_eq!(list.decodes(&[0], &nested(depth)).is_ok(), is_good);
        assert_eq!(list.decode(&[0], &nested(depth)).is_ok(), is_good);
    }
    assert!(list.decodes(&[0], &[0x1b; 100_000]).is_err());
    let fields: String = (1..200).map(|number| format!("int32 {}_{number} = {number};", "f".repeat(1_000))).collect();
    let wide = schema_of(&format!("syntax = \"proto3\"; message W {{ {fields} }} message R {{ repeated W w = 1; }}"));
    let bytes = [0x0a, 0].repeat(100_000);
    assert_eq!(wide.decodes(&[1], &bytes), Ok(()));
    assert!(text(wide.decode(&[1], &bytes)).unwrap_err().contains("in memory"));
}

#[test]
fn types_of_references_and_of_compiled_descriptors_are_found() {
    let references = [ResolvedReference {
        name: "o.proto".to_owned(),
        text: "syntax = \"proto3\"; package o; message Out { message In { int32 n = 1; } map<string, In> m = 1; }"
            .to_owned(),
    }];
    let own = "syntax = \"proto3\"; package p; import \"o.proto\"; message M { o.Out out = 1; o.Out.In inner = 2; }";
    let schema = ProtobufSchema::parse(own, &references).unwrap();
    let value = json(r#"{"out":{"m":{"k":{"n":5}}},"inner":{"n":6}}"#);
    let bytes = schema.encode(&[0], &value).unwrap();
    assert_eq!(schema.decode(&[0], &bytes).as_ref(), Ok(&value));
    let compiled = ProtobufSchema::parse(&schema.formatted("serialized"), &references).unwrap();
    assert_eq!(compiled.decode(&[0], &bytes).as_ref(), Ok(&value));
    let entries =
        ProtobufSchema::parse(&ProtobufSchema::parse(&references[0].text, &[]).unwrap().formatted("serialized"), &[]);
    assert_eq!(
        entries.unwrap().decode(&[0], &[0x0a, 7, 0x0a, 1, b'k', 0x12, 2, 8, 5]).unwrap(),
        json(r#"{"m":{"k":{"n":5}}}"#)
    );
    let public = schema_of("syntax = \"proto3\"; import public \"google/protobuf/timestamp.proto\";");
    assert_eq!(public.decode(&[0], &[8, 1]).unwrap(), "1970-01-01T00:00:01Z".into());
    let unknown = schema_of("syntax = \"proto3\"; message M { Nope n = 1; }");
    assert_eq!(text(unknown.decode(&[0], &[])), Err("the schema does not define the type Nope".to_owned()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn decoded_messages_are_encoded_to_ones_with_the_same_json_and_bytes_never_panic(
        text in schema(),
        numbers in vec((0..60u32, 0..6u32, any::<u16>()), 0..12),
        bytes in vec(any::<u8>(), 0..40),
    ) {
        // Two fields cannot have one name in JSON.
        let schema = ProtobufSchema::parse(&text.replace(", json_name = \"j\"", ""), &[]).unwrap();
        let mut fields = Vec::new();
        for (number, wire_type, value) in numbers {
            fields.push(((number & 15) << 3 | wire_type) as u8);
            fields.extend(&value.to_le_bytes());
        }
        for bytes in [&bytes, &fields] {
            let decoded = schema.decode(&[0], bytes);
            prop_assert_eq!(decoded.is_ok(), schema.decodes(&[0], bytes).is_ok());
            let Ok(value) = decoded else { continue };
            let encoded = schema.encode(&[0], &value);
            let encoded = encoded.map_err(|error| TestCaseError::fail(format!("{value}: {error}")))?;
            prop_assert_eq!(schema.decode(&[0], &encoded).map(|value| value.to_string()), Ok(value.to_string()));
        }
    }
}
