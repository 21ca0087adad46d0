//! Records of other registries.

mod index;

use super::record::{Key, Record, Value};
use super::state::State;
use crate::json::{Json, parse};

fn key(subject: &str, version: i32, magic: i32) -> String {
    format!(r#"{{"magic":{magic},"keytype":"SCHEMA","subject":"{subject}","version":{version}}}"#)
}

/// Each line has a record as the classes of a release of Confluent's registry write it, and what those of today make of it if
/// that is different.
const RECORDS: &str = include_str!("records.jsonl");

#[test]
fn records_of_every_release_are_read_and_written_as_confluents_registry_does() {
    for line in RECORDS.lines() {
        let case = parse(line).unwrap();
        let text = |name: &str| case.get(name).and_then(Json::as_str);
        let key = Key::parse(text("key").unwrap().as_bytes()).unwrap();
        let value = text("value").map(|value| Value::parse(&key, value.as_bytes()).unwrap().unwrap());
        let written = Record::new(&key, value.as_ref());
        let as_text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        assert_eq!(as_text(written.key), text("todaysKey").or(text("key")).unwrap(), "{line}");
        let expected = text("todaysValue").or(text("value"));
        assert_eq!(written.value.map(as_text).as_deref(), expected, "{line}");
    }
}

/// Records as releases before 8 write them: without the type of the schema, with offset and time.
#[test]
fn records_of_older_releases_are_read() {
    let mut state = State::default();
    let value = r#"{"subject":"s","version":1,"id":5,"schema":"\"int\"","deleted":false,"offset":3,"ts":4,"more":[]}"#;
    state.replay(key("s", 1, 0).as_bytes(), Some(value.as_bytes()), 77).unwrap();
    let subject = crate::subject::Subject::parse("s");
    let schema = state.version(&subject, 1).unwrap();
    assert_eq!((schema.id, schema.schema_type.as_str(), schema.timestamp), (5, "AVRO", Some(77)));
    assert_eq!(state.max_id("."), 5);
    // A change of the global level, as the first releases write it.
    let config = r#"{"compatibilityLevel":"NONE"}"#;
    state.replay(br#"{"magic":0,"keytype":"CONFIG","subject":null}"#, Some(config.as_bytes()), 0).unwrap();
    assert!(state.configs.contains_key(&None));
}

#[test]
fn records_without_a_meaning_change_nothing() {
    let mut state = State::default();
    for (key, value) in [
        (r#"{"keytype":"NOOP","magic":0}"#, None),
        (r#"{"keytype":"NOOP","magic":0}"#, Some("x")),
        (r#"{"keytype":"ASSOC","tenant":"default","resourceName":"r","magic":0}"#, Some(r#"{"guid":"g"}"#)),
        (r#"{"keytype":"FUTURE","magic":9}"#, Some("{}")),
        (
            r#"{"keytype":"CONTEXT","tenant":"other","context":".c","magic":0}"#,
            Some(r#"{"tenant":"other","context":".c"}"#),
        ),
        (r#"{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}"#, None),
    ] {
        state.replay(key.as_bytes(), value.map(str::as_bytes), 0).unwrap();
    }
    assert_eq!(state, State::default());
}

#[test]
fn malformed_records_are_refused() {
    let mut state = State::default();
    for (key, value) in [
        ("", "{}"),
        ("{}", "{}"),
        (r#"{"keytype":"SCHEMA","subject":"s","version":1,"magic":2}"#, "{}"),
        (r#"{"keytype":"SCHEMA","subject":"s","magic":1}"#, "{}"),
        (r#"{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}"#, "{}"),
        (r#"{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}"#, "x"),
        (r#"{"keytype":"MODE","magic":0}"#, r#"{"mode":"FAST"}"#),
        (r#"{"keytype":"CONFIG","magic":0}"#, r#"{"compatibilityLevel":"SIDEWAYS"}"#),
    ] {
        assert!(state.replay(key.as_bytes(), Some(value.as_bytes()), 0).is_err(), "{key} {value}");
    }
    assert_eq!(state, State::default());
}

#[test]
fn second_schema_with_an_id_is_refused() {
    let mut state = State::default();
    let value = |subject: &str, schema: &str| {
        format!(r#"{{"subject":"{subject}","version":1,"id":1,"schema":"{schema}","deleted":false}}"#)
    };
    state.replay(key("s", 1, 1).as_bytes(), Some(value("s", "a").as_bytes()), 0).unwrap();
    let error = state.replay(key("t", 1, 1).as_bytes(), Some(value("t", "b").as_bytes()), 0).unwrap_err();
    assert_eq!(error.to_string(), "the id 1 of the schema t version 1 is that of another schema");
    state.replay(key("t", 1, 1).as_bytes(), Some(value("t", "a").as_bytes()), 0).unwrap();
    // In another context the id is free.
    state.replay(key(":.c:t", 1, 1).as_bytes(), Some(value(":.c:t", "b").as_bytes()), 0).unwrap();
}
