//! Paths, methods and media types.

use super::*;

#[test]
fn requests_that_compare_or_write_are_told_from_those_that_read() {
    use crate::api::{Request, Work};
    let work = |line: &str| {
        let (method, path) = line.split_once(' ').unwrap();
        Request { method, path, ..Request::default() }.work()
    };
    for line in
        ["GET /schemas/ids/1", "HEAD /subjects", "GET /subjects/s/versions", "GET /config/s", "POST /", "FOO /x"]
    {
        assert_eq!(work(line), Work::Read, "{line}");
    }
    for line in ["POST /subjects/s", "POST //subjects/s/", "POST /contexts/c/subjects/s"] {
        assert_eq!(work(line), Work::LookUp, "{line}");
    }
    for line in [
        "POST /subjects/s/versions",
        "POST /contexts/c/subjects/s/versions",
        "POST /compatibility/subjects/s/versions/1",
        "PUT /config",
        "DELETE /subjects/s",
        "POST /x",
    ] {
        assert_eq!(work(line), Work::CompareOrWrite, "{line}");
    }
}

#[test]
fn unknown_paths_and_methods_are_refused() {
    let mut driven = Driven::new();
    for line in [
        "GET /unknown",
        "GET /subjects/s/unknown",
        "GET /exporters",
        "GET /dek-registry/v1/keks",
        "GET /associations/x",
        "GET /schemas/unknown",
        "GET /v1/metadata/unknown",
    ] {
        assert_eq!(driven.expect_error(line, "", 404), "HTTP 404 Not Found");
    }
    for line in [
        "PATCH /subjects",
        "POST /subjects",
        "PUT /subjects/s",
        "DELETE /schemas/ids/1",
        "GET /compatibility/subjects/s/versions",
        "POST /config",
    ] {
        assert_eq!(driven.expect_error(line, "", 405), "HTTP 405 Method Not Allowed");
    }
    driven.expect_error("GET /subjects/%zz/versions", "", 400);
    driven.expect_error("GET /subjects/%ff/versions", "", 400);
}

#[test]
fn root_and_metadata_answer() {
    let settings = RegistrySettings {
        kafka_cluster_id: "abc".to_owned(),
        version: "8.1.0".to_owned(),
        commit_id: "c".to_owned(),
        ..RegistrySettings::default()
    };
    let mut driven = Driven::with(settings);
    driven.expect("GET /", 200, "{}");
    driven.expect("HEAD /", 200, "{}");
    driven.expect("GET /schemas/types", 200, r#"["JSON","PROTOBUF","AVRO"]"#);
    driven.expect("GET /schemas/types/", 200, r#"["JSON","PROTOBUF","AVRO"]"#);
    driven.expect(
        "GET /v1/metadata/id",
        200,
        r#"{"scope":{"path":[],"clusters":{"kafka-cluster":"abc","schema-registry-cluster":"schema-registry"}}}"#,
    );
    driven.expect("GET /v1/metadata/version", 200, r#"{"version":"8.1.0","commitId":"c"}"#);
    driven.expect("GET /v1/metadata/deployment", 200, r#"{"attributes":[]}"#);
}

#[test]
fn media_types_are_negotiated() {
    let mut driven = Driven::new();
    let mut accepted = |accept: Option<&str>| {
        let response = driven.send(&Request { method: "GET", path: "/subjects", accept, ..Request::default() });
        (response.status, response.content_type)
    };
    assert_eq!(accepted(None), (200, MEDIA_TYPE));
    assert_eq!(accepted(Some("*/*")), (200, MEDIA_TYPE));
    assert_eq!(accepted(Some("text/html, */*;q=0.8")), (200, MEDIA_TYPE));
    assert_eq!(accepted(Some("application/json")), (200, "application/json"));
    assert_eq!(
        accepted(Some("application/vnd.schemaregistry+json; q=0.9, application/json; q=0.5")),
        (200, "application/vnd.schemaregistry+json")
    );
    assert_eq!(accepted(Some("text/html")), (406, MEDIA_TYPE));
    let mut consumed = |content_type: Option<&str>| {
        let body = with_schema("\"int\"");
        let request = Request {
            method: "POST",
            path: "/subjects/s/versions",
            content_type,
            body: body.as_bytes(),
            ..Request::default()
        };
        driven.send(&request).status
    };
    for content_type in
        [None, Some("application/json; charset=utf-8"), Some(MEDIA_TYPE), Some("application/octet-stream")]
    {
        assert_eq!(consumed(content_type), 200, "{content_type:?}");
    }
    assert_eq!(consumed(Some("text/plain")), 415);
}

#[test]
fn bodies_that_are_not_json_are_refused() {
    let mut driven = Driven::new();
    driven.expect_error("POST /subjects/s/versions", "", 422);
    driven.expect_error("POST /subjects/s/versions", "null", 422);
    driven.expect_error("POST /subjects/s/versions", "{", 400);
    driven.expect_error("POST /subjects/s/versions", "[]", 400);
    driven.expect_error("POST /subjects/s/versions", &"[".repeat(100_000), 400);
    driven.expect_error("POST /subjects/s/versions", r#"{"schema":"\"int\"","version":"x"}"#, 400);
    // Conversions that Jackson makes, and fields that are not known.
    let body = r#"{"schema":"\"int\"","version":"1","more":{}}"#;
    assert_eq!(driven.call("POST /subjects/s/versions", body).0, 200);
}
