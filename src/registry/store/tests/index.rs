//! The index of registered schemas.

use std::sync::Arc;

use crate::codec::SchemaIdentifier;
use crate::store::{Registry, RegistrySettings, SchemaIndex};

fn registry() -> Registry {
    Registry::new(RegistrySettings::default())
}

fn put(registry: &mut Registry, subject: &str, version: i32, id: i32, schema: &str, deleted: bool) {
    let key = super::key(subject, version, 1);
    let schema = crate::json::quote(schema);
    let value =
        format!(r#"{{"subject":"{subject}","version":{version},"id":{id},"schema":{schema},"deleted":{deleted}}}"#);
    registry.replay(key.as_bytes(), Some(value.as_bytes()), 0).unwrap();
}

fn remove(registry: &mut Registry, subject: &str, version: i32) {
    registry.replay(super::key(subject, version, 1).as_bytes(), None, 0).unwrap();
}

fn ids(index: &SchemaIndex, subject: &str) -> Vec<i32> {
    (1..10).filter(|id| index.is_valid_id(subject, *id)).collect()
}

#[test]
fn ids_are_valid_under_their_subjects_while_a_version_is_not_deleted() {
    let mut registry = registry();
    let index = registry.index();
    put(&mut registry, "a", 1, 1, "\"int\"", false);
    put(&mut registry, "a", 2, 2, "\"long\"", false);
    put(&mut registry, "b", 1, 1, "\"int\"", false);
    // The same record again, as after a restart of the one who wrote it.
    put(&mut registry, "a", 2, 2, "\"long\"", false);
    assert_eq!((ids(&index, "a"), ids(&index, "b"), ids(&index, "c")), (vec![1, 2], vec![1], vec![]));
    assert!(registry.valid_id("a", 2) && !registry.valid_id("b", 2));
    // Deleted, and registered again as another version.
    put(&mut registry, "a", 2, 2, "\"long\"", true);
    assert_eq!(ids(&index, "a"), [1]);
    put(&mut registry, "a", 3, 2, "\"long\"", false);
    assert_eq!(ids(&index, "a"), [1, 2]);
    remove(&mut registry, "a", 2);
    assert_eq!(ids(&index, "a"), [1, 2]);
    remove(&mut registry, "a", 3);
    assert_eq!((ids(&index, "a"), index.len()), (vec![1], 2));
}

#[test]
fn ids_of_deleted_subjects_are_not_valid() {
    let mut registry = registry();
    let index = registry.index();
    for (version, id) in [(1, 1), (2, 2), (3, 1)] {
        put(&mut registry, "a", version, id, &format!("\"{}\"", ["", "int", "long"][id as usize]), false);
    }
    let delete = |registry: &mut Registry, version: i32| {
        let key = r#"{"keytype":"DELETE_SUBJECT","subject":"a","magic":0}"#;
        let value = format!(r#"{{"subject":"a","version":{version}}}"#);
        registry.replay(key.as_bytes(), Some(value.as_bytes()), 0).unwrap();
    };
    delete(&mut registry, 2);
    assert_eq!(ids(&index, "a"), [1]);
    delete(&mut registry, 3);
    assert_eq!((ids(&index, "a"), index.is_empty()), (vec![], true));
    let clear = r#"{"keytype":"CLEAR_SUBJECT","subject":"a","magic":0}"#;
    registry.replay(clear.as_bytes(), Some(br#"{"subject":"a"}"#), 0).unwrap();
    put(&mut registry, "a", 1, 1, "\"int\"", false);
    assert_eq!(ids(&index, "a"), [1]);
}

#[test]
fn schemas_are_found_by_guid_and_in_contexts_and_their_parsed_forms_are_kept() {
    let mut registry = registry();
    let index = registry.index();
    put(&mut registry, ":.c:a", 1, 1, "\"string\"", false);
    put(&mut registry, "a", 1, 1, "\"int\"", false);
    let found = index.find("a", SchemaIdentifier::Id(1)).unwrap();
    assert_eq!(found.content.schema, "\"int\"");
    let guid = found.guid();
    assert_eq!(index.find("a", SchemaIdentifier::Guid(guid)), Some(Arc::clone(&found)));
    assert_eq!(index.find(":.c:a", SchemaIdentifier::Guid(guid)), None);
    let other = index.find(":.c:a", SchemaIdentifier::Id(1)).unwrap();
    assert_eq!(other.content.schema, "\"string\"");
    assert!(index.parsed(&found).is_none());
    let parsed = registry.parsed_schema(&found).unwrap();
    assert!(Arc::ptr_eq(&index.parsed(&found).unwrap(), &parsed));
    assert_eq!(parsed.decodes(&[], &[2]), Ok(()));
    assert_eq!(registry.parsed_schema(&other).unwrap().canonical(), "\"string\"");
    // A deletion can change what references mean.
    remove(&mut registry, ":.c:a", 1);
    assert!(index.parsed(&found).is_none());
    assert!(index.find(":.c:a", SchemaIdentifier::Id(1)).is_none());
}

#[test]
fn snapshot_does_not_see_later_records_and_its_parsed_schemas_are_not_those_of_later_ones() {
    let mut registry = registry();
    let index = registry.index();
    put(&mut registry, "a", 1, 1, "\"int\"", false);
    let found = index.find("a", SchemaIdentifier::Id(1)).unwrap();
    let mut snapshot = registry.clone();
    put(&mut registry, "b", 1, 2, "\"long\"", false);
    assert_eq!((snapshot.state().max_id("."), registry.state().max_id(".")), (1, 2));
    // A deletion can change what references mean.
    remove(&mut registry, "b", 1);
    snapshot.parsed_schema(&found).unwrap();
    assert!(index.parsed(&found).is_none());
    let parsed = registry.clone().parsed_schema(&found).unwrap();
    assert!(Arc::ptr_eq(&index.parsed(&found).unwrap(), &parsed));
    assert!(Arc::ptr_eq(&index.parsed_by_id(".", 1).unwrap(), &parsed));
}

#[test]
fn a_request_that_would_compare_too_many_versions_is_refused() {
    let mut registry = registry();
    registry.max_parsed_bytes = 64 << 10;
    for version in 1..=150 {
        put(
            &mut registry,
            "many",
            version,
            version,
            &format!(r#"{{"type":"fixed","name":"F","size":{version}}}"#),
            false,
        );
    }
    let mut ask = |path: &str, body: &[u8]| {
        let content_type = Some("application/json");
        let request = crate::api::Request { method: "POST", path, query: "", accept: None, content_type, body };
        match crate::api::handle(&mut registry, &request) {
            crate::api::Decision::Respond(response) | crate::api::Decision::Append { response, .. } => response,
        }
    };
    let body = br#"{"schema":"\"int\""}"#;
    let response = ask("/subjects/many", body);
    assert_eq!(response.status, 500);
    assert!(response.body.contains("\"error_code\":50002"), "{}", response.body);
    // The next request has a bound of its own.
    assert_eq!(ask("/subjects/few/versions", body).status, 200);
    assert_eq!(ask("/subjects/many", br#"{"schema":"{\"type\":\"fixed\",\"name\":\"F\",\"size\":1}"}"#).status, 200);
}

#[test]
fn index_is_shared_between_threads() {
    fn is_shared<T: Send + Sync>(_: &T) {}
    let registry = registry();
    is_shared(&registry.index());
    is_shared(&registry);
}
