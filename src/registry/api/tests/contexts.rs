use super::*;

#[test]
fn context_has_ids_of_its_own() {
    let mut driven = Driven::new();
    assert_eq!(driven.register("s", "\"int\""), 1);
    assert_eq!(driven.register(":.c:s", "\"string\""), 1);
    assert_eq!(
        driven.texts(1)[0],
        (
            r#"{"keytype":"CONTEXT","tenant":"default","context":".c","magic":0}"#.to_owned(),
            Some(r#"{"tenant":"default","context":".c"}"#.to_owned())
        )
    );
    driven.expect("GET /contexts", 200, r#"[".",".c"]"#);
    driven.expect("GET /contexts?contextPrefix=.c", 200, r#"[".c"]"#);
    driven.expect("GET /subjects", 200, r#"[":.c:s","s"]"#);
    driven.expect("GET /subjects?subjectPrefix=", 200, r#"["s"]"#);
    driven.expect("GET /subjects?subjectPrefix=:.c:", 200, r#"[":.c:s"]"#);
    driven.expect("GET /schemas/ids/1/schema", 200, "\"int\"");
    driven.expect("GET /schemas/ids/1/schema?subject=:.c:", 200, "\"string\"");
    driven.expect("GET /schemas/ids/1/schema?subject=:.c:s", 200, "\"string\"");
    driven.expect_error("GET /schemas/ids/1/schema?subject=:.c:t", "", 40403);
}

#[test]
fn context_can_be_part_of_the_path() {
    let mut driven = Driven::new();
    driven.register("s", "\"int\"");
    let (status, body) = driven.call("POST /contexts/.c/subjects/s/versions", &with_schema("\"string\""));
    assert_eq!(status, 200, "{body}");
    driven.expect("GET /contexts/c/subjects", 200, r#"[":.c:s"]"#);
    driven.expect("GET /contexts/:.c:/subjects/s/versions/1/schema", 200, "\"string\"");
    driven.expect("GET /contexts/.c/schemas/ids/1/schema", 200, "\"string\"");
    driven.expect("GET /contexts/.c/schemas/types", 200, r#"["JSON","PROTOBUF","AVRO"]"#);
    driven.expect("GET /contexts/./subjects", 200, r#"["s"]"#);
    let (_, body) = driven.ask("GET /contexts/.c/schemas");
    assert!(body.starts_with(r#"[{"subject":":.c:s","version":1,"#), "{body}");
    assert_eq!(driven.call("PUT /contexts/.c/config", r#"{"compatibility":"FULL"}"#).0, 200);
    driven.expect("GET /config/:.c:", 200, r#"{"compatibilityLevel":"FULL"}"#);
    driven.expect("GET /config/:.c:s?defaultToGlobal=true", 200, r#"{"compatibilityLevel":"FULL"}"#);
    driven.expect("GET /config/s?defaultToGlobal=true", 200, r#"{"compatibilityLevel":"BACKWARD"}"#);
    assert_eq!(driven.call("PUT /contexts/.c/mode/s", r#"{"mode":"READONLY"}"#).0, 200);
    driven.expect("GET /mode/:.c:s", 200, r#"{"mode":"READONLY"}"#);
    driven.expect_error("GET /contexts/a:b/subjects", "", 400);
}

#[test]
fn version_is_found_in_other_contexts_if_the_default_one_has_none() {
    let mut driven = Driven::new();
    driven.register(":.c:s", "\"string\"");
    let (status, body) = driven.ask("GET /subjects/s/versions/1");
    assert_eq!(status, 200);
    assert!(body.contains(r#""subject":":.c:s""#), "{body}");
    assert_eq!(driven.call("POST /subjects/s", &with_schema("\"string\"")).0, 200);
    driven.expect("GET /schemas/ids/1/schema?subject=s", 200, "\"string\"");
    driven.expect_error("GET /schemas/ids/1/schema", "", 40403);
}

#[test]
fn global_context_is_for_settings_only() {
    let mut driven = Driven::new();
    driven.expect_error("POST /subjects/:.__GLOBAL:s/versions", &with_schema("\"int\""), 42208);
    assert_eq!(driven.call("PUT /config/:.__GLOBAL:", r#"{"compatibility":"NONE"}"#).0, 200);
    driven.expect("GET /config/:.c:s?defaultToGlobal=true", 200, r#"{"compatibilityLevel":"NONE"}"#);
    assert_eq!(driven.call("PUT /mode/:.__GLOBAL:", r#"{"mode":"FORWARD"}"#).0, 200);
    driven.expect("GET /mode/s?defaultToGlobal=true", 200, r#"{"mode":"FORWARD"}"#);
}

#[test]
fn empty_context_is_deleted() {
    let mut driven = Driven::new();
    driven.register(":.c:s", "\"string\"");
    let message = driven.expect_error("DELETE /contexts/.c", "", 42211);
    assert_eq!(message, "The specified context ':.c:' is not empty.");
    driven.expect("DELETE /contexts/.c/subjects/s", 200, "[1]");
    driven.expect("DELETE /contexts/.c/subjects/s?permanent=true", 200, "[1]");
    driven.expect("DELETE /contexts/.c", 204, "");
    driven.expect("GET /contexts", 200, r#"["."]"#);
}

#[test]
fn references_are_in_the_context_of_their_schema() {
    let mut driven = Driven::new();
    driven.register(":.c:other", r#"{"type":"record","name":"O","fields":[]}"#);
    let body = r#"{"schema":"\"O\"","references":[{"name":"O","subject":"other","version":1}]}"#;
    driven.expect_error("POST /subjects/s/versions", body, 42201);
    let (status, body) = driven.call("POST /subjects/:.c:s/versions", body);
    assert_eq!(status, 200, "{body}");
    driven.expect("GET /subjects/:.c:other/versions/1/referencedby", 200, "[2]");
    let (_, body) = driven.ask("GET /subjects/:.c:s/versions/1?referenceFormat=qualified");
    assert!(body.contains(r#""subject":":.c:other""#), "{body}");
}

#[test]
fn alias_means_another_subject() {
    let mut driven = Driven::new();
    driven.register("real", "\"int\"");
    assert_eq!(driven.call("PUT /config/nick", r#"{"alias":"real"}"#).0, 200);
    driven.expect("GET /subjects/nick/versions/1/schema", 200, "\"int\"");
    driven.expect("GET /schemas/ids/1/schema?subject=nick", 200, "\"int\"");
    assert_eq!(driven.call("POST /compatibility/subjects/nick/versions/1", &with_schema("\"int\"")).0, 200);
    let (_, body) = driven.ask("GET /schemas?aliases=true");
    assert!(body.contains(r#""aliases":["nick"]"#), "{body}");
    driven.expect("GET /config/nick", 200, r#"{"alias":"real","compatibilityLevel":"BACKWARD"}"#);
}
