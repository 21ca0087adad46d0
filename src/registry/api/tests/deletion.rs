use super::*;

fn with_versions() -> Driven {
    let mut driven = Driven::new();
    driven.register("s", &record(&["a"]));
    driven.register("s", &record(&["a", "b*"]));
    driven.register("s", &record(&["a", "b*", "c*"]));
    driven
}

#[test]
fn version_is_deleted_softly_then_permanently() {
    let mut driven = with_versions();
    driven.expect_error("DELETE /subjects/s/versions/2?permanent=true", "", 40407);
    driven.expect("DELETE /subjects/s/versions/2", 200, "2");
    assert_eq!(
        driven.expect_error("DELETE /subjects/s/versions/2", "", 40406),
        "Subject 's' Version 2 was soft deleted.Set permanent=true to delete permanently"
    );
    driven.expect("GET /subjects/s/versions", 200, "[1,3]");
    driven.expect("GET /subjects/s/versions?deleted=true", 200, "[1,2,3]");
    driven.expect("GET /subjects/s/versions?deletedOnly=true", 200, "[2]");
    driven.expect("GET /subjects/s/versions?deletedAsNegative=true", 200, "[1,-2,3]");
    driven.expect_error("GET /subjects/s/versions/2", "", 40402);
    let (status, body) = driven.ask("GET /subjects/s/versions/2?deleted=true");
    assert_eq!(status, 200);
    assert!(body.ends_with(r#""deleted":true}"#), "{body}");
    // Data that was written with it can still be read.
    assert_eq!(driven.ask("GET /schemas/ids/2").0, 200);
    driven.expect("DELETE /subjects/s/versions/2?permanent=true", 200, "2");
    driven.expect_error("GET /schemas/ids/2", "", 40403);
    driven.expect_error("DELETE /subjects/s/versions/2", "", 40402);
    let texts = driven.texts(3);
    assert_eq!(texts.len(), 2);
    assert!(texts[0].1.as_ref().unwrap().ends_with(r#""deleted":true}"#));
    assert_eq!(texts[1], (r#"{"keytype":"SCHEMA","subject":"s","version":2,"magic":1}"#.to_owned(), None));
}

#[test]
fn latest_version_is_deleted_by_name() {
    let mut driven = with_versions();
    driven.expect("DELETE /subjects/s/versions/latest", 200, "3");
    driven.expect("DELETE /subjects/s/versions/-1", 200, "2");
    driven.expect_error("DELETE /subjects/s/versions/0", "", 42202);
    driven.expect_error("DELETE /subjects/s/versions/x", "", 42202);
    driven.expect_error("DELETE /subjects/t/versions/1", "", 40401);
}

#[test]
fn subject_is_deleted_softly_then_permanently() {
    let mut driven = with_versions();
    driven.call("PUT /config/s", r#"{"compatibility":"FULL"}"#);
    driven.call("PUT /mode/s", r#"{"mode":"READWRITE"}"#);
    let before = driven.log.len();
    driven.expect_error("DELETE /subjects/s?permanent=true", "", 40405);
    driven.expect("DELETE /subjects/s", 200, "[1,2,3]");
    driven.expect_error("DELETE /subjects/s", "", 40404);
    driven.expect("GET /subjects", 200, "[]");
    driven.expect("GET /subjects?deleted=true", 200, r#"["s"]"#);
    driven.expect("GET /subjects?deletedOnly=true", 200, r#"["s"]"#);
    driven.expect_error("GET /subjects/s/versions", "", 40401);
    driven.expect("DELETE /subjects/s?permanent=true", 200, "[1,2,3]");
    driven.expect_error("DELETE /subjects/s", "", 40401);
    driven.expect("GET /subjects?deleted=true", 200, "[]");
    driven.expect_error("GET /config/s", "", 40408);
    let keys: Vec<String> = driven.texts(before).into_iter().map(|(key, _)| key).collect();
    let schema = |version: i32| format!(r#"{{"keytype":"SCHEMA","subject":"s","version":{version},"magic":1}}"#);
    assert_eq!(
        keys,
        [
            r#"{"keytype":"DELETE_SUBJECT","subject":"s","magic":0}"#.to_owned(),
            schema(3),
            schema(2),
            schema(1),
            r#"{"keytype":"MODE","subject":"s","magic":0}"#.to_owned(),
            r#"{"keytype":"CONFIG","subject":"s","magic":0}"#.to_owned(),
        ]
    );
    assert_eq!(driven.texts(before)[0].1.as_deref(), Some(r#"{"subject":"s","version":3}"#));
}

#[test]
fn schema_that_was_deleted_gets_its_id_again_with_a_new_version() {
    let mut driven = with_versions();
    driven.expect("DELETE /subjects/s", 200, "[1,2,3]");
    let before = driven.log.len();
    assert_eq!(driven.register("s", &record(&["a", "b*"])), 2);
    driven.expect("GET /subjects/s/versions", 200, "[4]");
    // The deleted version with the same id is removed.
    driven.expect("GET /subjects/s/versions?deleted=true", 200, "[1,3,4]");
    assert_eq!(
        driven.texts(before)[0],
        (r#"{"keytype":"SCHEMA","subject":"s","version":2,"magic":1}"#.to_owned(), None)
    );
}

#[test]
fn last_version_takes_the_settings_of_the_subject_with_it() {
    let mut driven = Driven::new();
    driven.register("s", "\"int\"");
    driven.call("PUT /config/s", r#"{"compatibility":"FULL"}"#);
    driven.expect("DELETE /subjects/s/versions/1", 200, "1");
    driven.expect("DELETE /subjects/s/versions/1?permanent=true", 200, "1");
    driven.expect_error("GET /config/s", "", 40408);
}
