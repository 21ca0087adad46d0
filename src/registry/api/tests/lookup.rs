use super::*;

#[test]
fn schemas_are_found_by_id() {
    let mut driven = Driven::new();
    driven.register("s", "\"string\"");
    let guid = crate::entity::Content { schema: "\"string\"".to_owned(), ..Default::default() }.guid();
    driven.expect(
        "GET /schemas/ids/1",
        200,
        &format!(
            r#"{{"subject":"s","version":1,"guid":"{guid}","schemaType":"AVRO","schema":"\"string\"","ts":1000,"deleted":false}}"#
        ),
    );
    driven.expect("GET /schemas/ids/1/schema", 200, "\"string\"");
    driven.expect("GET /schemas/ids/1/subjects", 200, r#"["s"]"#);
    driven.expect("GET /schemas/ids/1/versions", 200, r#"[{"subject":"s","version":1}]"#);
    let (_, body) = driven.ask("GET /schemas/ids/1?fetchMaxId=true");
    assert!(body.contains(r#""maxId":1"#), "{body}");
    driven.expect(
        &format!("GET /schemas/guids/{guid}"),
        200,
        &format!(r#"{{"guid":"{guid}","schemaType":"AVRO","schema":"\"string\"","ts":1000,"deleted":false}}"#),
    );
    driven.expect(&format!("GET /schemas/guids/{guid}/ids"), 200, r#"[{"context":".","id":1}]"#);
    for line in [
        "GET /schemas/ids/2",
        "GET /schemas/ids/2/schema",
        "GET /schemas/ids/2/subjects",
        "GET /schemas/ids/2/versions",
        "GET /schemas/guids/0",
    ] {
        driven.expect_error(line, "", 40403);
    }
    assert_eq!(driven.expect_error("GET /schemas/ids/2", "", 40403), "Schema 2 not found");
    driven.expect("GET /schemas/guids/0/ids", 200, "[]");
    driven.expect_error("GET /schemas/ids/x", "", 404);
}

#[test]
fn schema_is_looked_up_under_a_subject() {
    let mut driven = Driven::new();
    driven.expect_error("POST /subjects/s", &with_schema("\"string\""), 40401);
    driven.register("s", "\"string\"");
    driven.register("s", "[\"string\",\"int\"]");
    let (status, body) = driven.call("POST /subjects/s", &with_schema("{\"type\":\"string\"}"));
    assert_eq!(status, 200);
    assert!(body.starts_with(r#"{"subject":"s","version":1,"id":1,"#), "{body}");
    driven.expect_error("POST /subjects/s", &with_schema("\"int\""), 40403);
    driven.expect_error("POST /subjects/s", &with_schema("int"), 42201);
    driven.expect("DELETE /subjects/s/versions/1", 200, "1");
    driven.expect_error("POST /subjects/s", &with_schema("\"string\""), 40403);
    assert_eq!(driven.call("POST /subjects/s?deleted=true", &with_schema("\"string\"")).0, 200);
}

#[test]
fn versions_are_got() {
    let mut driven = Driven::new();
    driven.register("s", &record(&["a"]));
    driven.register("s", &record(&["a", "b*"]));
    for version in ["2", "latest", "-1", "%20LATEST"] {
        let (status, body) = driven.ask(&format!("GET /subjects/s/versions/{version}"));
        assert_eq!(status, 200);
        assert!(body.starts_with(r#"{"subject":"s","version":2,"id":2,"#), "{body}");
    }
    driven.expect("GET /subjects/s/versions/1/schema", 200, &record(&["a"]));
    driven.expect_error("GET /subjects/s/versions/3", "", 40402);
    driven.expect_error("GET /subjects/t/versions/1", "", 40401);
    let message = driven.expect_error("GET /subjects/s/versions/0", "", 42202);
    assert_eq!(
        message,
        "The specified version '0' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \
         \"latest\""
    );
    driven.expect_error("GET /subjects/s/versions/99999999999", "", 42202);
    // The subject is any text.
    driven.register("a%2Fb%20%C3%A9+c", "\"int\"");
    driven.expect("GET /subjects?subjectPrefix=a/b", 200, "[\"a/b é+c\"]");
}

#[test]
fn lists_are_paged() {
    let mut driven = Driven::new();
    for name in ["c", "a", "b"] {
        driven.register(name, "\"int\"");
    }
    driven.expect("GET /subjects", 200, r#"["a","b","c"]"#);
    driven.expect("GET /subjects?offset=1&limit=1", 200, r#"["b"]"#);
    driven.expect("GET /subjects?offset=5", 200, "[]");
    driven.expect("GET /subjects?limit=0", 200, r#"["a","b","c"]"#);
    driven.expect("GET /subjects?limit=-1", 200, r#"["a","b","c"]"#);
    driven.expect_error("GET /subjects?limit=x", "", 404);
    driven.expect("GET /schemas/ids/1/subjects?limit=2", 200, r#"["a","b"]"#);
}

#[test]
fn schemas_are_listed() {
    let mut driven = Driven::new();
    driven.register("b", "\"int\"");
    driven.register("a1", &record(&["a"]));
    driven.register("a1", &record(&["a", "b*"]));
    driven.register("a2", "\"string\"");
    driven.expect("DELETE /subjects/a2", 200, "[1]");
    let mut places = |line: &str| -> Vec<String> {
        let (status, body) = driven.ask(line);
        assert_eq!(status, 200);
        let json = parse(&body).unwrap();
        let items = json.as_array().unwrap().iter();
        items.map(|item| format!("{} {}", item.get("subject").unwrap(), item.get("version").unwrap())).collect()
    };
    assert_eq!(places("GET /schemas"), ["\"a1\" 1", "\"a1\" 2", "\"b\" 1"]);
    assert_eq!(places("GET /schemas?latestOnly=true"), ["\"a1\" 2", "\"b\" 1"]);
    assert_eq!(places("GET /schemas?deleted=true&subjectPrefix=a"), ["\"a1\" 1", "\"a1\" 2", "\"a2\" 1"]);
    assert_eq!(places("GET /schemas?offset=1&limit=1"), ["\"a1\" 2"]);
    assert_eq!(places("GET /schemas?ruleType=CEL"), Vec::<String>::new());
    assert_eq!(places("GET /schemas?lifecycle=NONE&latestOnly=true"), ["\"a1\" 2", "\"b\" 1"]);
    assert_eq!(places("GET /schemas?lifecycle=STRONG"), Vec::<String>::new());
}

#[test]
fn compatibility_is_tested_without_registration() {
    let mut driven = Driven::new();
    driven.register("s", &record(&["a"]));
    driven.register("s", &record(&["a", "b*"]));
    let mut test = |line: &str, fields: &[&str]| driven.call(line, &with_schema(&record(fields)));
    let compatible = (200, r#"{"is_compatible":true}"#.to_owned());
    assert_eq!(test("POST /compatibility/subjects/s/versions/latest", &["a", "c*"]), compatible);
    assert_eq!(test("POST /compatibility/subjects/s/versions/1", &["a", "c*"]), compatible);
    assert_eq!(test("POST /compatibility/subjects/s/versions", &["a", "c*"]), compatible);
    assert_eq!(test("POST /compatibility/subjects/unknown/versions/latest", &["a"]), compatible);
    let (_, body) = test("POST /compatibility/subjects/s/versions/latest", &["a", "c"]);
    assert_eq!(body, r#"{"is_compatible":false}"#);
    let (_, body) = test("POST /compatibility/subjects/s/versions/latest?verbose=true", &["a", "c"]);
    let messages = parse(&body).unwrap();
    let messages = messages.get("messages").unwrap().as_array().unwrap().to_vec();
    assert_eq!(messages.len(), 4, "{body}");
    assert_eq!(messages[3], "{validateFields: 'false', compatibility: 'BACKWARD'}".into());
    let (_, body) = test("POST /compatibility/subjects/s/versions/latest?verbose=true", &["a"]);
    assert_eq!(body, r#"{"is_compatible":true,"messages":[]}"#);
    driven.expect_error("POST /compatibility/subjects/s/versions/7", &with_schema("\"int\""), 40402);
    driven.expect_error("POST /compatibility/subjects/s/versions/x", &with_schema("\"int\""), 42202);
    driven.expect_error("POST /compatibility/subjects/s/versions/1", &with_schema("int"), 42201);
    let (status, body) = driven.call("POST /compatibility/subjects/s/versions/1?verbose=true", &with_schema("int"));
    assert_eq!(status, 200);
    assert!(body.starts_with(r#"{"is_compatible":false,"messages":["Invalid schema of type AVRO"#), "{body}");
}
