use super::*;

#[test]
fn registration_writes_a_record_in_the_format_of_confluent_and_answers_with_the_schema() {
    let mut driven = Driven::new();
    let (status, body) = driven.call("POST /subjects/s-value/versions", r#"{"schema":" { \"type\" : \"string\" } "}"#);
    assert_eq!(status, 200);
    assert_eq!(
        body,
        r#"{"id":1,"version":1,"guid":"8f8d3bb4-fa13-b1c7-5ea2-f0d07a1ab6bb","schemaType":"AVRO","schema":"\"string\""}"#
            .replace("8f8d3bb4-fa13-b1c7-5ea2-f0d07a1ab6bb", &guid_of("\"string\""))
    );
    assert_eq!(
        driven.texts(0),
        [(
            r#"{"keytype":"SCHEMA","subject":"s-value","version":1,"magic":1}"#.to_owned(),
            Some(
                r#"{"subject":"s-value","version":1,"id":1,"schemaType":"AVRO","schema":"\"string\"","deleted":false}"#
                    .to_owned()
            )
        )]
    );
}

fn guid_of(schema: &str) -> String {
    crate::entity::Content { schema: schema.to_owned(), ..Default::default() }.guid().to_string()
}

#[test]
fn registering_again_appends_nothing() {
    let mut driven = Driven::new();
    assert_eq!(driven.register("s", "\"string\""), 1);
    assert_eq!(driven.register("s", "{\"type\":\"string\"}"), 1);
    assert_eq!(driven.log.len(), 1);
    // The same schema under another subject has the same id.
    assert_eq!(driven.register("t", "\"string\""), 1);
    assert_eq!(driven.register("t", "[\"string\",\"int\"]"), 2);
    assert_eq!(driven.log.len(), 3);
    driven.expect("GET /schemas/ids/1/versions", 200, r#"[{"subject":"s","version":1},{"subject":"t","version":1}]"#);
}

#[test]
fn incompatible_schema_is_refused_with_the_reasons() {
    let mut driven = Driven::new();
    driven.register("s", &record(&["a"]));
    let message = driven.expect_error("POST /subjects/s/versions", &with_schema(&record(&["a", "b"])), 40901);
    let old = record(&["a"]);
    assert_eq!(
        message,
        format!(
            "Schema being registered is incompatible with an earlier schema for subject \"s\", details: \
             [{{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'The field 'b' at path '/fields/1' in the new \
             schema has no default value and is missing in the old schema', additionalInfo:'b'}}, {{oldSchemaVersion: 1}}, \
             {{oldSchema: '{old}'}}, {{validateFields: 'false', compatibility: 'BACKWARD'}}]"
        )
    );
    assert_eq!(driven.register("s", &record(&["a", "b*"])), 2);
    // `force` leaves out the check.
    let (status, _) = driven.call("POST /subjects/s/versions?force=true", &with_schema("\"int\""));
    assert_eq!(status, 200);
}

#[test]
fn invalid_schemas_are_refused_with_the_message_of_avro() {
    let mut driven = Driven::new();
    let message = driven.expect_error("POST /subjects/s/versions", &with_schema("\"Unknown\""), 42201);
    assert_eq!(
        message,
        format!(
            "Invalid schema of type AVRO, details: Invalid schema {{subject=s,version=null,id=null,guid={},schemaType=AVRO,\
             references=[],metadata=null,ruleSet=null,schema=\"Unknown\",schemaTags=null,ts=null,deleted=null}} with refs [] \
             of type AVRO, details: Undefined schema: Unknown",
            guid_of("\"Unknown\"")
        )
    );
    driven.expect_error("POST /subjects/s/versions", "{}", 42201);
    driven.expect_error("POST /subjects/s/versions", &with_schema(" "), 42201);
    driven.expect_error("POST /subjects/s/versions", r#"{"schema":"x","schemaType":"XML"}"#, 42201);
    driven.expect_error("POST /subjects/s/versions", r#"{"schema":{"type":"string"}}"#, 400);
    driven.expect_error("POST /subjects/a%0Ab/versions", &with_schema("\"int\""), 42208);
    driven.expect_error("POST /subjects/__GLOBAL/versions", &with_schema("\"int\""), 42208);
    // Nothing was registered.
    assert!(driven.log.is_empty());
    driven.expect("GET /subjects", 200, "[]");
}

#[test]
fn too_large_schema_is_refused() {
    let mut driven = Driven::with(RegistrySettings { max_record_bytes: 300, ..RegistrySettings::default() });
    let fields: Vec<String> = (0..50).map(|at| format!("f{at}")).collect();
    let schema = record(&fields.iter().map(String::as_str).collect::<Vec<_>>());
    driven.expect_error("POST /subjects/s/versions", &with_schema(&schema), 42209);
}

#[test]
fn version_can_be_asked_for() {
    let mut driven = Driven::new();
    driven.register("s", "\"int\"");
    let ask = |version: i32| format!(r#"{{"schema":"[\"int\",\"string\"]","version":{version}}}"#);
    driven.expect_error("POST /subjects/s/versions", &ask(3), 42201);
    let (status, body) = driven.call("POST /subjects/s/versions", &ask(2));
    assert_eq!(status, 200, "{body}");
    // The version becomes part of the metadata.
    assert!(body.contains(r#""metadata":{"properties":{"confluent:version":"2"}}"#), "{body}");
}

#[test]
fn normalization_gives_one_id_for_different_texts() {
    let schema = |namespace: &str, name: &str| {
        format!(
            r#"{{"type":"record","namespace":"{namespace}","name":"{name}","fields":[{{"name":"a","type":{{"type":"int","z":1,"a":2}}}}]}}"#
        )
    };
    let mut driven = Driven::new();
    let (_, first) = driven.call("POST /subjects/s/versions?normalize=true", &with_schema(&schema("n", "R")));
    let other = r#"{"name":"n.R","type":"record","fields":[{"type":{"a":2,"z":1,"type":"int"},"name":"a"}]}"#;
    let (_, second) = driven.call("POST /subjects/s/versions?normalize=true", &with_schema(other));
    assert_eq!(first, second);
    assert!(first.contains(r#"{\"type\":\"int\",\"a\":2,\"z\":1}"#), "{first}");
    // By the settings of the subject.
    let mut driven = Driven::new();
    driven.call("PUT /config/s", r#"{"normalize":true}"#);
    let (_, third) = driven.call("POST /subjects/s/versions", &with_schema(&schema("n", "R")));
    assert_eq!(first, third);
}

const REFERENCE: &str = r#"{"type":"record","name":"Other","namespace":"n","fields":[{"name":"x","type":"int"}]}"#;

fn with_reference(version: i32) -> String {
    format!(
        r#"{{"schema":"{{\"type\":\"record\",\"name\":\"R\",\"fields\":[{{\"name\":\"o\",\"type\":\"n.Other\"}}]}}",
            "references":[{{"name":"n.Other","subject":"other","version":{version}}}]}}"#
    )
}

#[test]
fn references_are_resolved() {
    let mut driven = Driven::new();
    let message = driven.expect_error("POST /subjects/s/versions", &with_reference(1), 42201);
    assert!(message.ends_with("details: No schema reference found for subject \"other\" and version 1"), "{message}");
    driven.register("other", REFERENCE);
    let (status, body) = driven.call("POST /subjects/s/versions", &with_reference(-1));
    assert_eq!(status, 200, "{body}");
    // The latest version is stored with its number.
    assert!(body.contains(r#""references":[{"name":"n.Other","subject":"other","version":1}]"#), "{body}");
    let (_, again) = driven.call("POST /subjects/s/versions", &with_reference(1));
    assert_eq!(again, body);
    driven.expect("GET /subjects/other/versions/1/referencedby", 200, "[2]");
    driven.expect("GET /subjects/s/versions/1/referencedby", 200, "[]");
    let (_, resolved) = driven.ask("GET /subjects/s/versions/1/schema?format=resolved");
    assert!(resolved.contains(r#""name":"Other","namespace":"n""#), "{resolved}");
    // A schema with all definitions in its own text is the same one.
    let (_, found) = driven.call("POST /subjects/s", &with_schema(&resolved));
    assert!(found.contains(r#""id":2"#), "{found}");
}

#[test]
fn reference_keeps_what_it_means_from_deletion() {
    let mut driven = Driven::new();
    driven.register("other", REFERENCE);
    driven.call("POST /subjects/s/versions", &with_reference(1));
    let message = driven.expect_error("DELETE /subjects/other/versions/1", "", 42206);
    assert_eq!(message, "One or more references exist to the schema {magic=1,keytype=SCHEMA,subject=other,version=1}.");
    driven.expect_error("DELETE /subjects/other", "", 42206);
    driven.expect("DELETE /subjects/s", 200, "[1]");
    driven.expect("GET /subjects/other/versions/1/referencedby", 200, "[]");
    driven.expect("GET /subjects/other/versions/1/referencedby?deleted=true", 200, "[2]");
    driven.expect("DELETE /subjects/other", 200, "[1]");
    // A deleted schema could be registered again, so what it refers to stays.
    driven.expect_error("DELETE /subjects/other?permanent=true", "", 42206);
    driven.expect("DELETE /subjects/s?permanent=true", 200, "[1]");
    driven.expect("DELETE /subjects/other?permanent=true", 200, "[1]");
}

#[test]
fn incomplete_references_are_refused() {
    let mut driven = Driven::new();
    let body = r#"{"schema":"\"int\"","references":[{"name":"a","subject":"b"}]}"#;
    let message = driven.expect_error("POST /subjects/s/versions", body, 42201);
    assert!(message.ends_with("details: Invalid reference: {name='a', subject='b', version=null}"), "{message}");
}

#[test]
fn cycle_of_references_ends() {
    let mut driven = Driven::new();
    driven.call("PUT /mode", r#"{"mode":"IMPORT"}"#);
    // In IMPORT mode a schema can get a reference to a later one.
    let record = |subject: &str, other: &str, id: i32| {
        let value = format!(
            r#"{{"subject":"{subject}","version":1,"id":{id},"schema":"\"int\"","references":[{{"name":"{other}","subject":"{other}","version":1}}],"deleted":false}}"#
        );
        let key = format!(r#"{{"keytype":"SCHEMA","subject":"{subject}","version":1,"magic":1}}"#);
        Record { key: key.into_bytes(), value: Some(value.into_bytes()) }
    };
    driven.append(record("a", "b", 1));
    driven.append(record("b", "a", 1));
    let (status, _) = driven.ask("GET /subjects/a/versions/1/schema?format=resolved");
    assert_eq!(status, 200);
}

#[test]
fn number_of_references_is_bounded() {
    let mut driven = Driven::new();
    for at in 0..600 {
        let schema = format!(r#"{{"type":"record","name":"R{at}","fields":[]}}"#);
        driven.register(&format!("r{at}"), &schema);
    }
    let references: Vec<String> =
        (0..600).map(|at| format!(r#"{{"name":"R{at}","subject":"r{at}","version":1}}"#)).collect();
    let body = format!(r#"{{"schema":"\"int\"","references":[{}]}}"#, references.join(","));
    let message = driven.expect_error("POST /subjects/s/versions", &body, 42201);
    assert!(message.contains("refers to more than"), "{message}");
}

#[test]
fn many_registrations_get_ids_without_gaps() {
    let mut driven = Driven::new();
    for id in 1..=200 {
        let schema = format!(r#"{{"type":"record","name":"R{id}","fields":[]}}"#);
        assert_eq!(driven.register(&format!("s{id}"), &schema), id);
        assert_eq!(driven.register(&format!("t{id}"), &schema), id);
    }
}

#[test]
fn records_that_are_not_appended_leave_no_trace() {
    let mut driven = Driven::new();
    let body = with_schema("\"int\"");
    let request = Request { method: "POST", path: "/subjects/s/versions", body: body.as_bytes(), ..Request::default() };
    let Decision::Append { response, .. } = handle(&mut driven.registry, &request) else { panic!("no records") };
    assert!(response.body.contains(r#""id":1"#));
    // The append failed: the next schema gets the id.
    driven.expect("GET /subjects", 200, "[]");
    assert_eq!(driven.register("t", "\"string\""), 1);
}
