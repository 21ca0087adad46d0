use super::*;

fn body(schema: &str, references: &str) -> String {
    format!(r#"{{"schemaType":"PROTOBUF","schema":{},"references":[{references}]}}"#, Json::from(schema))
}

const TEXT: &str = "syntax = \"proto3\";\npackage p;\n// a comment\nmessage M { string b = 2; int32 a = 1; }";
const CANONICAL: &str = "syntax = \"proto3\";\npackage p;\n\nmessage M {\n  string b = 2;\n  int32 a = 1;\n}\n";
/// The descriptor of the same file.
const SERIALIZED: &str = "CgdkZWZhdWx0EgFwIhUKAU0SBwoBYhgCKAkSBwoBYRgBKAViBnByb3RvMw==";

#[test]
fn protobuf_schema_is_registered_with_its_canonical_text() {
    let mut driven = Driven::new();
    let (status, response) = driven.call("POST /subjects/s/versions", &body(TEXT, ""));
    assert_eq!(status, 200, "{response}");
    let response = parse(&response).unwrap();
    assert_eq!(response.get("schemaType"), Some(&"PROTOBUF".into()));
    let (key, value) = driven.texts(0).remove(0);
    assert_eq!(key, r#"{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}"#);
    let value = parse(&value.unwrap()).unwrap();
    assert_eq!(value.get("schemaType"), Some(&"PROTOBUF".into()));
    assert_eq!(value.get("schema"), Some(&CANONICAL.into()));
    // Another spelling of the same schema, and its descriptor, have the same id.
    let records = driven.log.len();
    for text in [CANONICAL, &TEXT.replace("// a comment", ""), SERIALIZED] {
        let (status, response) = driven.call("POST /subjects/s/versions", &body(text, ""));
        assert_eq!(status, 200, "{response}");
        assert!(response.contains(r#""id":1,"version":1"#), "{response}");
    }
    assert_eq!(driven.log.len(), records);
}

#[test]
fn protobuf_schema_is_returned_as_a_descriptor_and_without_extensions() {
    let mut driven = Driven::new();
    driven.call("POST /subjects/s/versions", &body(TEXT, ""));
    driven.expect("GET /schemas/ids/1/schema", 200, CANONICAL);
    driven.expect("GET /schemas/ids/1/schema?format=serialized", 200, SERIALIZED);
    driven.expect("GET /schemas/ids/1/schema?format=ignore_extensions", 200, CANONICAL);
    driven.expect("GET /schemas/ids/1/schema?format=unknown", 200, CANONICAL);
    let (_, response) = driven.ask("GET /subjects/s/versions/1?format=serialized");
    assert!(response.contains(SERIALIZED), "{response}");
}

#[test]
fn normalized_protobuf_schema_has_one_id_for_every_order_of_its_fields() {
    let mut driven = Driven::new();
    let reordered = TEXT.replace("string b = 2; int32 a = 1;", "int32 a = 1; string b = 2;");
    let (_, first) = driven.call("POST /subjects/s/versions?normalize=true", &body(TEXT, ""));
    let (_, second) = driven.call("POST /subjects/s/versions?normalize=true", &body(&reordered, ""));
    assert!(first.contains(r#""id":1,"version":1"#), "{first}");
    assert_eq!(second, first);
}

#[test]
fn protobuf_schema_imports_what_it_refers_to() {
    let mut driven = Driven::new();
    driven.call("POST /subjects/other/versions", &body(TEXT, ""));
    let main = "syntax = \"proto3\";\nimport \"other.proto\";\nimport \"google/protobuf/timestamp.proto\";\nmessage N { p.M m = 1; \
                google.protobuf.Timestamp t = 2; }";
    let message = driven.expect_error("POST /subjects/s/versions", &body(main, ""), 42201);
    assert!(message.contains("details: Could not resolve type: p.M"), "{message}");
    let reference = r#"{"name":"other.proto","subject":"other","version":1}"#;
    let (status, response) = driven.call("POST /subjects/s/versions", &body(main, reference));
    assert_eq!(status, 200, "{response}");
    driven.expect("GET /subjects/other/versions/1/referencedby", 200, "[2]");
    // A further version of the other schema that is not compatible.
    driven.call("PUT /config/other", r#"{"compatibility":"NONE"}"#);
    driven.call("POST /subjects/other/versions", &body(&TEXT.replace("int32", "double"), ""));
    let message =
        driven.expect_error("POST /subjects/s/versions", &body(main, &reference.replace(":1}", ":2}")), 40901);
    assert!(message.contains("FIELD_SCALAR_KIND_CHANGED"), "{message}");
    assert!(message.contains("path '#/M/1'"), "{message}");
}

#[test]
fn incompatible_protobuf_schema_is_refused_with_the_reasons() {
    let mut driven = Driven::new();
    driven.call("POST /subjects/s/versions", &body(TEXT, ""));
    let message = driven.expect_error("POST /subjects/s/versions", &body(&TEXT.replace("int32", "string"), ""), 40901);
    assert!(
        message.contains(
            "details: [{errorType:\"FIELD_SCALAR_KIND_CHANGED\", description:\"The kind of a SCALAR field at path '#/M/1' in \
             the new schema does not match its kind in the old schema\"}, {oldSchemaVersion: 1}"
        ),
        "{message}"
    );
    let (status, _) = driven.call("POST /subjects/s/versions", &body(&TEXT.replace("int32", "int64"), ""));
    assert_eq!(status, 200);
    let message = driven.expect_error("POST /subjects/s/versions", &with_schema("\"int\""), 40901);
    assert!(message.contains("Incompatible because of different schema type"), "{message}");
}

#[test]
fn what_is_no_protobuf_schema_is_refused() {
    let mut driven = Driven::new();
    for text in ["x", "message", "message M { string a = 1; }", "message M { optional X a = 1; }", "aGVsbG8="] {
        driven.expect_error("POST /subjects/s/versions", &body(text, ""), 42201);
    }
    let message = driven.expect_error("POST /subjects/s/versions", &body("x", ""), 42201);
    let expected = "details: Could not parse Protobuf - Syntax error in :1:1: unexpected label: x";
    assert!(message.contains(expected), "{message}");
    // An importing registry takes what another one has taken.
    driven.call("PUT /mode/s", r#"{"mode":"IMPORT"}"#);
    let imported = r#"{"schemaType":"PROTOBUF","schema":"message M { optional X a = 1; }","id":7,"version":1}"#;
    let (status, response) = driven.call("POST /subjects/s/versions", imported);
    assert_eq!(status, 200, "{response}");
}

#[test]
fn types_of_files_that_are_not_imported_are_refused_if_fields_are_validated() {
    let mut driven = Driven::new();
    let line = "syntax = \"proto3\"; package shop; message Line { int32 n = 1; }";
    assert_eq!(driven.call("POST /subjects/line/versions", &body(line, "")).0, 200);
    let order = |import: &str| {
        let text = format!("syntax = \"proto3\"; {import} message Order {{ map<string, shop.Line> lines = 1; }}");
        body(&text, r#"{"name":"line.proto","subject":"line","version":1}"#)
    };
    assert_eq!(driven.call("POST /subjects/s/versions", &order("")).0, 200);
    assert_eq!(driven.call("PUT /config/t", r#"{"validateFields":true}"#).0, 200);
    let message = driven.expect_error("POST /subjects/t/versions", &order(""), 42201);
    let expected = "details: Invalid protobuf schema definition: Order.linesEntry.value: \"shop.Line\" is not defined.";
    assert!(message.ends_with(expected), "{message}");
    assert_eq!(driven.call("POST /subjects/t/versions", &order("import \"line.proto\";")).0, 200);
}
