//! Data contracts: metadata, rules and tags.

use super::*;

const RULES: &str = r#"{"domainRules":[{"name":"check","kind":"CONDITION","type":"CEL","expr":"true"}]}"#;

#[test]
fn metadata_and_rules_are_part_of_the_schema() {
    let mut driven = Driven::new();
    let body = |owner: &str| {
        format!(r#"{{"schema":"\"int\"","metadata":{{"properties":{{"owner":"{owner}"}}}},"ruleSet":{RULES}}}"#)
    };
    let (status, first) = driven.call("POST /subjects/s/versions", &body("a"));
    assert_eq!(status, 200, "{first}");
    assert!(first.contains(
        r#""metadata":{"properties":{"owner":"a"}},"ruleSet":{"domainRules":[{"name":"check","kind":"CONDITION","mode":"WRITEREAD","type":"CEL","expr":"true","disabled":false}]}"#
    ), "{first}");
    let (_, second) = driven.call("POST /subjects/s/versions", &body("b"));
    assert!(second.contains(r#""id":2,"version":2"#), "{second}");
    // A schema without metadata gets those of the version before.
    let (_, third) = driven.call("POST /subjects/s/versions", &with_schema("\"int\""));
    assert!(third.contains(r#""id":2,"version":2"#), "{third}");
    let (_, found) = driven.ask("GET /subjects/s/metadata?key=owner&value=a");
    assert!(found.contains(r#""version":1"#), "{found}");
    driven.expect_error("GET /subjects/s/metadata?key=owner&value=c", "", 40403);
    driven.expect_error("GET /subjects/t/metadata?key=owner&value=c", "", 40401);
    let (_, listed) = driven.ask("GET /schemas?ruleType=CEL");
    assert_eq!(parse(&listed).unwrap().as_array().unwrap().len(), 2);
}

#[test]
fn rules_are_checked() {
    let mut driven = Driven::new();
    for (rules, message) in [
        (r#"{"domainRules":[{"type":"CEL"}]}"#, "Missing rule name"),
        (r#"{"domainRules":[{"name":"","type":"CEL"}]}"#, "Empty rule name"),
        (r#"{"domainRules":[{"name":"1","type":"CEL"}]}"#, "Illegal initial character in rule name: 1"),
        (r#"{"domainRules":[{"name":"a b","type":"CEL"}]}"#, "Illegal character in rule name: a b"),
        (r#"{"domainRules":[{"name":"a"}]}"#, "Missing rule type"),
        (
            r#"{"domainRules":[{"name":"a","type":"CEL"},{"name":"a","type":"CEL"}]}"#,
            "Found rule with duplicate name 'a'",
        ),
        (
            r#"{"domainRules":[{"name":"a","type":"CEL","mode":"UPGRADE"}]}"#,
            "Domain rules can only be WRITE, READ, WRITEREAD",
        ),
        (r#"{"migrationRules":[{"name":"a","type":"CEL"}]}"#, "Migration rules can only be UPGRADE, DOWNGRADE, UPDOWN"),
        (
            r#"{"domainRules":[{"name":"a","type":"CEL","mode":"READ","onFailure":"A,B"}]}"#,
            "Multiple actions only valid with WRITEREAD and UPDOWN",
        ),
    ] {
        let body = format!(r#"{{"schema":"\"int\"","ruleSet":{rules}}}"#);
        assert_eq!(driven.expect_error("POST /subjects/s/versions", &body, 42210), message);
        let body = format!(r#"{{"defaultRuleSet":{rules}}}"#);
        assert_eq!(driven.expect_error("PUT /config/s", &body, 42210), message);
    }
    let unknown = r#"{"schema":"\"int\"","ruleSet":{"domainRules":[{"name":"a","type":"CEL","mode":"FLY"}]}}"#;
    driven.expect_error("POST /subjects/s/versions", unknown, 400);
}

#[test]
fn defaults_and_overrides_complete_the_metadata() {
    let mut driven = Driven::new();
    let config = r#"{"defaultMetadata":{"properties":{"a":"default","b":"default"}},
        "overrideMetadata":{"properties":{"c":"override"}}}"#;
    assert_eq!(driven.call("PUT /config/s", config).0, 200);
    let body = r#"{"schema":"\"int\"","metadata":{"properties":{"b":"own","c":"own"}}}"#;
    let (_, body) = driven.call("POST /subjects/s/versions", body);
    assert!(body.contains(r#""properties":{"a":"default","b":"own","c":"override"}"#), "{body}");
    // A lookup completes the schema in the same way.
    assert_eq!(driven.call("POST /subjects/s", &with_schema("\"int\"")).0, 200);
}

#[test]
fn only_versions_of_one_group_are_compared() {
    let mut driven = Driven::new();
    assert_eq!(driven.call("PUT /config/s", r#"{"compatibilityGroup":"major"}"#).0, 200);
    let body = |major: &str, schema: &str| {
        let metadata = parse(&format!(r#"{{"properties":{{"major":"{major}"}}}}"#)).unwrap();
        Json::object([("schema", schema.into()), ("metadata", metadata)]).to_string()
    };
    assert_eq!(driven.call("POST /subjects/s/versions", &body("1", "\"int\"")).0, 200);
    driven.expect_error("POST /subjects/s/versions", &body("1", "\"string\""), 40901);
    assert_eq!(driven.call("POST /subjects/s/versions", &body("2", "\"string\"")).0, 200);
    driven.expect_error("POST /subjects/s/versions", &body("2", "\"int\""), 40901);
    assert_eq!(driven.call("POST /subjects/s/versions", &body("1", "\"long\"")).0, 200);
}

#[test]
fn reserved_fields_are_checked_if_asked_for() {
    let mut driven = Driven::new();
    assert_eq!(driven.call("PUT /config/s", r#"{"validateFields":true}"#).0, 200);
    let body = |reserved: &str, fields: &[&str]| {
        let metadata = parse(&format!(r#"{{"properties":{{"confluent:reserved":"{reserved}"}}}}"#)).unwrap();
        Json::object([("schema", record(fields).into()), ("metadata", metadata)]).to_string()
    };
    let message = driven.expect_error("POST /subjects/s/versions", &body("a, b", &["a"]), 40901);
    assert!(message.contains("The new schema has field that conflicts with the reserved field a."), "{message}");
    assert_eq!(driven.call("POST /subjects/s/versions", &body("b", &["a"])).0, 200);
    let message = driven.expect_error("POST /subjects/s/versions", &body("c", &["a", "d*"]), 40901);
    assert!(message.contains("The new schema has reserved field b removed from its metadata"), "{message}");
    assert!(message.contains("{validateFields: 'true', compatibility: 'BACKWARD'}"), "{message}");
}

#[test]
fn tags_are_added_found_and_removed() {
    let mut driven = Driven::new();
    driven.register("s", &record(&["a", "b"]));
    let tags = |list: &str, path: &str, entity: &str| {
        format!(r#"{{"{list}":[{{"schemaEntity":{{"entityPath":"{path}","entityType":"{entity}"}},"tags":["PII"]}}]}}"#)
    };
    let (status, body) = driven.call("POST /subjects/s/versions/1/tags", &tags("tagsToAdd", "R.a", "sr_field"));
    assert_eq!(status, 200, "{body}");
    assert!(body.contains(r#"{\"name\":\"a\",\"type\":\"int\",\"confluent:tags\":[\"PII\"]}"#), "{body}");
    assert!(body.contains(r#""confluent:version":"2""#), "{body}");
    let (_, found) = driven.ask("GET /subjects/s/versions/2?findTags=PII");
    let expected = r#""schemaTags":[{"schemaEntity":{"entityPath":"R.a","entityType":"sr_field"},"tags":["PII"]}]"#;
    assert!(found.contains(expected), "{found}");
    let (_, found) = driven.ask("GET /schemas/ids/2?findTags=*");
    assert!(found.contains(expected), "{found}");
    assert!(!driven.ask("GET /schemas/ids/2?findTags=other").1.contains("schemaTags"));
    let (_, body) = driven.call("POST /subjects/s/versions/latest/tags", &tags("tagsToRemove", "R.a", "sr_field"));
    assert!(!body.contains("PII"), "{body}");
    let (_, body) = driven.call("POST /subjects/s/versions/latest/tags", &tags("tagsToAdd", "R", "sr_record"));
    assert!(body.contains(r#"],\"confluent:tags\":[\"PII\"]}"#), "{body}");
    let message = driven.expect_error("POST /subjects/s/versions/1/tags", &tags("tagsToAdd", "R.z", "sr_field"), 42201);
    assert_eq!(message, "No matching path 'R.z' found in the schema");
    driven.expect_error("POST /subjects/t/versions/1/tags", &tags("tagsToAdd", "R", "sr_record"), 40401);
}

#[test]
fn tags_are_propagated_to_the_next_version() {
    let mut driven = Driven::new();
    let tagged = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int","confluent:tags":["PII"]}]}"#;
    driven.register("s", tagged);
    let body = Json::object([("schema", record(&["a", "b*"]).into()), ("propagateSchemaTags", true.into())]);
    let (status, body) = driven.call("POST /subjects/s/versions", &body.to_string());
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("PII"), "{body}");
}

#[test]
fn rules_are_merged_with_those_before() {
    let mut driven = Driven::new();
    let body = format!(r#"{{"schema":"\"int\"","ruleSet":{RULES}}}"#);
    assert_eq!(driven.call("POST /subjects/s/versions", &body).0, 200);
    let merge = r#"{"rulesToMerge":{"domainRules":[{"name":"other","type":"CEL"}]}}"#;
    let (status, body) = driven.call("POST /subjects/s/versions/latest/tags", merge);
    assert_eq!(status, 200, "{body}");
    assert!(body.contains(r#""name":"check""#) && body.contains(r#""name":"other""#), "{body}");
    let (_, body) = driven.call("POST /subjects/s/versions/latest/tags", r#"{"rulesToRemove":["check"]}"#);
    assert!(!body.contains(r#""name":"check""#) && body.contains(r#""name":"other""#), "{body}");
    let both = format!(r#"{{"ruleSet":{RULES},"rulesToRemove":["check"]}}"#);
    driven.expect_error("POST /subjects/s/versions/latest/tags", &both, 42210);
}

#[test]
fn tags_of_json_schemas_are_added_found_and_removed() {
    let mut driven = Driven::new();
    let schema = r#"{"type":"object","properties":{"a":{"type":"string"},"b":{"type":["null","object"],"properties":{"c":{}}},
        "d":{"oneOf":[{"type":"string"},{"type":"object","properties":{"e":{"type":"array","items":{"type":"object",
        "properties":{"f":true,"g.h":{}}}}}}]}},"definitions":{"x":{"type":"object"}}}"#;
    let json = |schema: &str| Json::object([("schemaType", "JSON".into()), ("schema", schema.into())]).to_string();
    assert_eq!(driven.call("POST /subjects/j/versions", &json(schema)).0, 200);
    let tags = |list: &str, path: &str, entity: &str| {
        format!(r#"{{"{list}":[{{"schemaEntity":{{"entityPath":"{path}","entityType":"{entity}"}},"tags":["PII"]}}]}}"#)
    };
    for (path, entity) in [
        ("object.a", "sr_field"),
        ("object", "sr_record"),
        ("object.b.anyof.1.object.c", "sr_field"),
        ("object.d.oneof.0.object.e.array.object.g.h", "sr_field"),
        ("object.d.oneof.0.object", "sr_record"),
        ("object.definitions.x.object", "sr_record"),
    ] {
        let (status, body) = driven.call("POST /subjects/j/versions/latest/tags", &tags("tagsToAdd", path, entity));
        assert_eq!(status, 200, "{path}: {body}");
        let (_, found) = driven.ask("GET /subjects/j/versions/latest?findTags=PII");
        assert!(found.contains(&format!(r#""entityPath":"{path}","entityType":"{entity}""#)), "{path}: {found}");
    }
    let (_, body) = driven.call("POST /subjects/j/versions/latest/tags", &tags("tagsToRemove", "object.a", "sr_field"));
    assert!(body.contains(r#"{\"a\":{\"type\":\"string\"}"#), "{body}");
    for path in ["object.z", "object.properties", "array.object", "object.d.oneof.7.object", "object.d.oneof.x", ""] {
        let message =
            driven.expect_error("POST /subjects/j/versions/1/tags", &tags("tagsToAdd", path, "sr_field"), 42201);
        assert_eq!(message, format!("No matching path '{path}' found in the schema"));
    }
}

#[test]
fn tags_of_protobuf_schemas_are_added_found_and_removed() {
    let mut driven = Driven::new();
    let schema =
        "syntax = \"proto3\"; package p; message M { string a = 1 [deprecated = true]; oneof o { int32 b = 2; }
        message N { int64 c = 1 [(confluent.field_meta).tags = \"OLD\"]; } }";
    let body = Json::object([("schemaType", "PROTOBUF".into()), ("schema", schema.into())]).to_string();
    assert_eq!(driven.call("POST /subjects/p/versions", &body).0, 200);
    let tags = |list: &str, path: &str, entity: &str| {
        format!(r#"{{"{list}":[{{"schemaEntity":{{"entityPath":"{path}","entityType":"{entity}"}},"tags":["PII"]}}]}}"#)
    };
    for (path, listed, entity) in [
        ("M.a", "M.a", "sr_field"),
        (".M.o.b", "M.b", "sr_field"),
        ("M.N.c", "M.N.c", "sr_field"),
        ("M.N", "M.N", "sr_record"),
    ] {
        let (status, body) = driven.call("POST /subjects/p/versions/latest/tags", &tags("tagsToAdd", path, entity));
        assert_eq!(status, 200, "{path}: {body}");
        let (_, found) = driven.ask("GET /subjects/p/versions/latest?findTags=PII");
        assert!(found.contains(&format!(r#""entityPath":"{listed}","entityType":"{entity}""#)), "{path}: {found}");
    }
    let (_, found) = driven.ask("GET /subjects/p/versions/latest?findTags=PII");
    assert!(found.contains(r#""tags":["OLD","PII"]"#), "{found}");
    let (_, body) = driven.call("POST /subjects/p/versions/latest/tags", &tags("tagsToRemove", "M.N", "sr_record"));
    assert!(!body.contains("message_meta"), "{body}");
    for (path, entity, expected) in [
        ("M.z", "sr_field", "No matching Field with name 'z' found in the schema"),
        ("M.Q", "sr_record", "No matching Message with name 'Q' found in the schema"),
        ("Q.a", "sr_field", "No matching Message with name 'Q' found in the schema"),
        ("a", "sr_field", "No matching Field with name 'a' found in the schema"),
    ] {
        let message = driven.expect_error("POST /subjects/p/versions/1/tags", &tags("tagsToAdd", path, entity), 42201);
        assert_eq!(message, expected);
    }
}
