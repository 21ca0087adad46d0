use super::*;

fn body(schema: &str, references: &str) -> String {
    format!(r#"{{"schemaType":"JSON","schema":{},"references":[{references}]}}"#, Json::from(schema))
}

const OTHER: &str = r#"{"type":"object","properties":{"n":{"type":"integer"}},"additionalProperties":false}"#;

#[test]
fn json_schema_is_registered_with_its_text() {
    let mut driven = Driven::new();
    let text = r#"{"type":"object", "properties":{"b":{"type":"number","minimum":1.50},"a":{}}}"#;
    let (status, response) = driven.call("POST /subjects/s/versions", &body(text, ""));
    assert_eq!(status, 200, "{response}");
    let response = parse(&response).unwrap();
    assert_eq!(response.get("schemaType"), Some(&"JSON".into()));
    let canonical = text.replace(", ", ",");
    assert_eq!(response.get("schema"), Some(&canonical.as_str().into()));
    let (key, value) = driven.texts(0).remove(0);
    assert_eq!(key, r#"{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}"#);
    let value = parse(&value.unwrap()).unwrap();
    assert_eq!(value.get("schemaType"), Some(&"JSON".into()));
    assert_eq!(value.get("schema"), Some(&canonical.as_str().into()));
    driven.expect("GET /schemas/ids/1/schema", 200, &canonical);
    // The order of properties does not count with normalization.
    let reordered = r#"{"properties":{"a":{},"b":{"minimum":1.50,"type":"number"}},"type":"object"}"#;
    driven.expect_error("POST /subjects/s", &body(reordered, ""), 40403);
    let (_, first) = driven.call("POST /subjects/t/versions?normalize=true", &body(reordered, ""));
    let (_, second) = driven.call("POST /subjects/t/versions?normalize=true", &body(text, ""));
    assert!(first.contains(r#""id":2,"version":1"#), "{first}");
    assert_eq!(second, first);
}

#[test]
fn incompatible_json_schema_is_refused_with_the_reasons() {
    let mut driven = Driven::new();
    driven.call("POST /subjects/s/versions", &body(OTHER, ""));
    let message =
        driven.expect_error("POST /subjects/s/versions", &body(&OTHER.replace("integer", "string"), ""), 40901);
    assert!(
        message.contains(
            "details: [{errorType:\"TYPE_CHANGED\", description:\"A type at path '#/properties/n' is different between the \
             new schema and the old schema'}, {oldSchemaVersion: 1}"
        ),
        "{message}"
    );
    let (status, _) = driven.call("POST /subjects/s/versions", &body(&OTHER.replace("integer", "number"), ""));
    assert_eq!(status, 200);
    // A subject with schemas of another format.
    let message = driven.expect_error("POST /subjects/s/versions", &with_schema("\"int\""), 40901);
    assert!(message.contains("Incompatible because of different schema type"), "{message}");
}

/// A closed object can get a property under the strict policy. One that is open can under the lenient policy only.
#[test]
fn policy_decides_on_properties_of_open_objects() {
    let mut driven = Driven::new();
    driven.call("POST /subjects/s/versions", &body(r#"{"type":"object"}"#, ""));
    let next = body(r#"{"type":"object","properties":{"a":{"type":"string"}}}"#, "");
    driven.expect_error("POST /subjects/s/versions", &next, 40901);
    let (status, response) = driven.call("PUT /config/s", r#"{"compatibilityPolicy":"LENIENT"}"#);
    assert_eq!(status, 200, "{response}");
    let (status, response) = driven.call("POST /subjects/s/versions", &next);
    assert_eq!(status, 200, "{response}");
}

#[test]
fn references_of_json_schemas_are_resolved() {
    let mut driven = Driven::new();
    let text = r#"{"type":"object","properties":{"o":{"$ref":"other.json"}}}"#;
    driven.expect_error("POST /subjects/s/versions", &body(text, ""), 42201);
    driven.call("POST /subjects/other/versions", &body(OTHER, ""));
    let reference = r#"{"name":"other.json","subject":"other","version":1}"#;
    let (status, response) = driven.call("POST /subjects/s/versions", &body(text, reference));
    assert_eq!(status, 200, "{response}");
    driven.expect("GET /subjects/other/versions/1/referencedby", 200, "[2]");
    // What a reference means is compared.
    driven.call("PUT /config/other", r#"{"compatibility":"NONE"}"#);
    driven.call("POST /subjects/other/versions", &body(&OTHER.replace("integer", "string"), ""));
    let second = reference.replace(":1}", ":2}");
    let message = driven.expect_error("POST /subjects/s/versions", &body(text, &second), 40901);
    assert!(message.contains("'#/properties/o/properties/n'"), "{message}");
}

#[test]
fn what_is_no_json_schema_is_refused() {
    let mut driven = Driven::new();
    let external = r#"{"$ref":"http://example.com/a.json"}"#;
    for text in ["{", "1", "[]", r#"{"type":"text"}"#, r#"{"minLength":"1"}"#, external] {
        driven.expect_error("POST /subjects/s/versions", &body(text, ""), 42201);
    }
    // An importing registry takes what another one has taken.
    driven.call("PUT /mode/s", r#"{"mode":"IMPORT"}"#);
    let imported = r#"{"schemaType":"JSON","schema":"{\"type\":\"text\"}","id":7,"version":1}"#;
    let (status, response) = driven.call("POST /subjects/s/versions", imported);
    assert_eq!(status, 200, "{response}");
}

#[test]
fn names_that_begin_with_two_dollars_are_refused_where_fields_are_validated() {
    let mut driven = Driven::new();
    let schema = |name: &str| {
        let schema = format!(r#"{{"type":"object","properties":{{"{name}":{{}}}}}}"#);
        Json::object([("schemaType", "JSON".into()), ("schema", schema.into())]).to_string()
    };
    assert_eq!(driven.call("POST /subjects/s/versions", &schema("$$a")).0, 200);
    assert_eq!(driven.call("PUT /config/t", r#"{"validateFields":true}"#).0, 200);
    assert_eq!(driven.call("POST /subjects/t/versions", &schema("$a")).0, 200);
    let message = driven.expect_error("POST /subjects/t/versions", &schema("$$a"), 42201);
    assert!(message.starts_with("Invalid schema {subject=t,"), "{message}");
    assert!(message.ends_with(", details: #: Field names cannot start with $$ prefix"), "{message}");
}

#[test]
fn what_is_no_json_is_refused_without_the_schema_in_the_message() {
    let mut driven = Driven::new();
    let body = Json::object([("schemaType", "JSON".into()), ("schema", "{".into())]).to_string();
    let message = driven.expect_error("POST /subjects/s/versions", &body, 42201);
    let expected = "Invalid schema of type JSON, details: Invalid schema of type JSON, details: Invalid JSON schema: ";
    assert!(message.starts_with(expected), "{message}");
}
