use super::*;

#[test]
fn settings_are_read_and_changed() {
    let mut driven = Driven::new();
    driven.expect("GET /config", 200, r#"{"compatibilityLevel":"BACKWARD"}"#);
    driven.expect_error("GET /config/s", "", 40408);
    driven.expect("GET /config/s?defaultToGlobal=true", 200, r#"{"compatibilityLevel":"BACKWARD"}"#);
    assert_eq!(
        driven.call("PUT /config", r#"{"compatibility":"full"}"#),
        (200, r#"{"compatibility":"FULL"}"#.to_owned())
    );
    assert_eq!(
        driven.call("PUT /config/s", r#"{"normalize":true,"compatibilityGroup":"g"}"#),
        (200, r#"{"normalize":true,"compatibilityGroup":"g"}"#.to_owned())
    );
    driven.expect(
        "GET /config/s",
        200,
        r#"{"normalize":true,"compatibilityLevel":"BACKWARD","compatibilityGroup":"g"}"#,
    );
    // What is not part of a change stays.
    assert_eq!(
        driven.call("PUT /config/s", r#"{"compatibility":"NONE","compatibilityGroup":null}"#),
        (200, r#"{"normalize":true,"compatibility":"NONE"}"#.to_owned())
    );
    driven.expect_error("PUT /config/s", r#"{"compatibility":"sideways"}"#, 42203);
    driven.expect_error("PUT /config/__GLOBAL", r#"{"compatibility":"NONE"}"#, 42208);
    driven.expect("DELETE /config/s", 200, r#"{"normalize":true,"compatibilityLevel":"NONE"}"#);
    driven.expect_error("DELETE /config/s", "", 40401);
    driven.expect("DELETE /config", 200, r#"{"compatibilityLevel":"FULL"}"#);
    driven.expect("GET /config", 200, r#"{"compatibilityLevel":"BACKWARD"}"#);
    let texts = driven.texts(0);
    assert_eq!(
        texts[0],
        (r#"{"keytype":"CONFIG","magic":0}"#.to_owned(), Some(r#"{"compatibilityLevel":"FULL"}"#.to_owned()))
    );
    assert_eq!(
        texts[1],
        (
            r#"{"keytype":"CONFIG","subject":"s","magic":0}"#.to_owned(),
            Some(r#"{"subject":"s","normalize":true,"compatibilityGroup":"g"}"#.to_owned())
        )
    );
}

#[test]
fn all_levels_are_kept() {
    for level in crate::compatibility::CompatibilityLevel::ALL {
        let mut driven = Driven::new();
        let body = format!(r#"{{"compatibility":"{}"}}"#, level.name());
        assert_eq!(driven.call("PUT /config/s", &body), (200, body.clone()));
        driven.expect("GET /config/s", 200, &format!(r#"{{"compatibilityLevel":"{}"}}"#, level.name()));
        // A schema is compatible with itself under every level.
        let schema = record(&["a", "b*"]);
        driven.register("s", &schema);
        let (_, body) = driven.call("POST /compatibility/subjects/s/versions", &with_schema(&schema));
        assert_eq!(body, r#"{"is_compatible":true}"#);
    }
}

#[test]
fn modes_allow_and_forbid() {
    let mut driven = Driven::new();
    driven.expect("GET /mode", 200, r#"{"mode":"READWRITE"}"#);
    driven.expect_error("GET /mode/s", "", 40409);
    driven.expect("GET /mode/s?defaultToGlobal=true", 200, r#"{"mode":"READWRITE"}"#);
    driven.register("s", "\"int\"");
    assert_eq!(driven.call("PUT /mode/s", r#"{"mode":"READONLY"}"#), (200, r#"{"mode":"READONLY"}"#.to_owned()));
    let message = driven.expect_error("POST /subjects/s/versions", &with_schema("\"string\""), 42205);
    assert_eq!(message, "Subject s in context  is in read-only mode");
    // What is registered is found.
    assert_eq!(driven.register("s", "\"int\""), 1);
    driven.expect_error("DELETE /subjects/s", "", 42205);
    driven.expect_error("DELETE /subjects/s/versions/1", "", 42205);
    driven.expect_error("PUT /config/s", r#"{"compatibility":"NONE"}"#, 42205);
    driven.expect("DELETE /mode/s", 200, r#"{"mode":"READONLY"}"#);
    driven.expect_error("DELETE /mode/s", "", 40401);
    driven.expect_error("PUT /mode/s", r#"{"mode":"FAST"}"#, 42204);
    driven.expect_error("PUT /mode/s", r#"{"mode":"FORWARD"}"#, 42204);
    assert_eq!(driven.call("PUT /mode", r#"{"mode":"READONLY"}"#).0, 200);
    driven.expect_error("POST /subjects/t/versions", &with_schema("\"string\""), 42205);
    let mut fixed = Driven::with(RegistrySettings { mode_mutability: false, ..RegistrySettings::default() });
    fixed.expect_error("PUT /mode", r#"{"mode":"READONLY"}"#, 42205);
}

#[test]
fn import_takes_ids_and_versions_from_the_client() {
    let mut driven = Driven::new();
    let import = |id: i32, version: i32, schema: &str| {
        Json::object([("id", id.into()), ("version", version.into()), ("schema", schema.into())]).to_string()
    };
    driven.expect_error("POST /subjects/s/versions", &import(7, 3, "\"int\""), 42205);
    driven.register("other", "\"int\"");
    assert_eq!(
        driven.expect_error("PUT /mode", r#"{"mode":"IMPORT"}"#, 42205),
        "Cannot import since found existing subjects"
    );
    assert_eq!(driven.call("PUT /mode/s", r#"{"mode":"IMPORT"}"#).0, 200);
    driven.expect_error("POST /subjects/s/versions", &with_schema("\"int\""), 42205);
    let (status, body) = driven.call("POST /subjects/s/versions", &import(7, 3, "\"string\""));
    assert_eq!(status, 200, "{body}");
    assert!(body.starts_with(r#"{"id":7,"version":3,"#), "{body}");
    let appended = driven.log.len();
    assert_eq!(driven.call("POST /subjects/s/versions", &import(7, 3, "\"string\"")).0, 200);
    assert_eq!(driven.log.len(), appended);
    // Nothing is checked against earlier versions, but an id is that of one schema.
    assert_eq!(driven.call("POST /subjects/s/versions", &import(8, 1, &record(&["a"]))).0, 200);
    driven.expect_error("POST /subjects/s/versions", &import(8, 4, "\"long\""), 42205);
    driven.expect("GET /subjects/s/versions", 200, "[1,3]");
    assert_eq!(driven.call("PUT /mode/s", r#"{"mode":"READWRITE"}"#).0, 200);
    // New ids are above the imported ones.
    assert_eq!(driven.register("t", &record(&["z"])), 9);
}

#[test]
fn import_removes_deleted_versions() {
    let mut driven = Driven::new();
    driven.register("s", "\"int\"");
    driven.expect("DELETE /subjects/s", 200, "[1]");
    let before = driven.log.len();
    assert_eq!(driven.call("PUT /mode/s", r#"{"mode":"IMPORT"}"#).0, 200);
    driven.expect("GET /subjects?deleted=true", 200, "[]");
    let texts = driven.texts(before);
    assert_eq!(texts[0], (r#"{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}"#.to_owned(), None));
    assert_eq!(
        texts[1],
        (r#"{"keytype":"CLEAR_SUBJECT","subject":"s","magic":0}"#.to_owned(), Some(r#"{"subject":"s"}"#.to_owned()))
    );
    assert_eq!(
        texts[2],
        (
            r#"{"keytype":"MODE","subject":"s","magic":0}"#.to_owned(),
            Some(r#"{"subject":"s","mode":"IMPORT"}"#.to_owned())
        )
    );
}
