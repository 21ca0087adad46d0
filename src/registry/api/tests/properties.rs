//! What holds after any requests.

use proptest::prelude::*;

use super::*;
use crate::store::state::State;

/// A request: its line and its body.
fn request() -> impl Strategy<Value = (String, String)> {
    let subject = prop::sample::select(vec!["s", "t", ":.c:s", ":.c:t", ":.d:u"]);
    let schema = prop::sample::select(vec![
        "\"int\"".to_owned(),
        "\"long\"".to_owned(),
        "{\"type\":\"int\"}".to_owned(),
        record(&["a"]),
        record(&["a", "b*"]),
        record(&["b*"]),
        "[\"null\",\"int\"]".to_owned(),
        "broken".to_owned(),
    ]);
    let version = prop::sample::select(vec!["1", "2", "3", "latest"]);
    let permanent = prop::sample::select(vec!["", "?permanent=true"]);
    let level = prop::sample::select(vec!["NONE", "BACKWARD", "FULL", "FORWARD_TRANSITIVE", "sideways"]);
    let mode = prop::sample::select(vec!["READWRITE", "IMPORT", "READONLY", "READWRITE", "READWRITE"]);
    prop_oneof![
        8 => (subject.clone(), schema.clone()).prop_map(|(subject, schema)| {
            (format!("POST /subjects/{subject}/versions"), with_schema(&schema))
        }),
        2 => (subject.clone(), schema, 1..6i32, 1..4i32).prop_map(|(subject, schema, id, version)| {
            let body = Json::object([("schema", schema.into()), ("id", id.into()), ("version", version.into())]);
            (format!("POST /subjects/{subject}/versions"), body.to_string())
        }),
        1 => subject.clone().prop_map(|subject| {
            let body = r#"{"schema":"\"int\"","references":[{"name":"x","subject":"s","version":1}]}"#;
            (format!("POST /subjects/{subject}/versions"), body.to_owned())
        }),
        3 => (subject.clone(), version, permanent.clone()).prop_map(|(subject, version, permanent)| {
            (format!("DELETE /subjects/{subject}/versions/{version}{permanent}"), String::new())
        }),
        2 => (subject.clone(), permanent).prop_map(|(subject, permanent)| {
            (format!("DELETE /subjects/{subject}{permanent}"), String::new())
        }),
        1 => (subject.clone(), level).prop_map(|(subject, level)| {
            (format!("PUT /config/{subject}"), format!(r#"{{"compatibility":"{level}"}}"#))
        }),
        1 => (subject.clone(), mode).prop_map(|(subject, mode)| {
            (format!("PUT /mode/{subject}?force=true"), format!(r#"{{"mode":"{mode}"}}"#))
        }),
        1 => subject.clone().prop_map(|subject| (format!("DELETE /config/{subject}"), String::new())),
        1 => subject.prop_map(|subject| (format!("DELETE /mode/{subject}"), String::new())),
        1 => Just(("DELETE /contexts/.c".to_owned(), String::new())),
    ]
}

fn replayed<'a>(records: impl IntoIterator<Item = (i64, &'a Record)>) -> State {
    let mut state = State::default();
    for (timestamp, record) in records {
        state.replay(&record.key, record.value.as_deref(), timestamp).unwrap();
    }
    state
}

fn numbered(log: &[Record]) -> Vec<(i64, &Record)> {
    (1_000..).zip(log).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn replay_of_the_log_gives_the_same_state(requests in prop::collection::vec(request(), 1..40)) {
        let mut driven = Driven::new();
        for (line, body) in &requests {
            let (status, response) = driven.call(line, body);
            prop_assert_ne!(status, 500, "{} {}: {}", line, body, response);
            // A request that changed nothing has the same answer again.
            if line.starts_with("POST") && status == 200 {
                let appended = driven.log.len();
                let (again, _) = driven.call(line, body);
                prop_assert_eq!(again, 200);
                prop_assert_eq!(driven.log.len(), appended, "registered twice: {} {}", line, body);
            }
        }
        prop_assert_eq!(&replayed(numbered(&driven.log)), driven.registry.state());
    }

    #[test]
    fn compacted_log_has_the_same_subjects_and_settings(requests in prop::collection::vec(request(), 1..40)) {
        let mut driven = Driven::new();
        for (line, body) in &requests {
            driven.call(line, body);
        }
        let log = numbered(&driven.log);
        let last = |at: usize| log[at + 1..].iter().all(|(_, later)| later.key != log[at].1.key);
        let compacted = (0..log.len()).filter(|at| last(*at)).map(|at| log[at]);
        let mut again = Driven::new();
        for (timestamp, record) in compacted {
            again.registry.replay(&record.key, record.value.as_deref(), timestamp).unwrap();
        }
        for line in ["GET /subjects?deleted=true", "GET /schemas?deleted=true&subjectPrefix=:*:", "GET /contexts", "GET /config/s", "GET /mode/s", "GET /config/:.c:s"] {
            prop_assert_eq!(again.ask(line), driven.ask(line), "{}", line);
        }
    }

    #[test]
    fn any_record_is_applied_or_refused(key in ".{0,40}", value in ".{0,40}") {
        let mut state = State::default();
        let _ = state.replay(key.as_bytes(), Some(value.as_bytes()), 0);
        let keys = ["SCHEMA", "CONFIG", "MODE", "CONTEXT", "DELETE_SUBJECT", "CLEAR_SUBJECT", "NOOP", "ASSOC", "OTHER"];
        for name in keys {
            let key = format!(r#"{{"keytype":"{name}","subject":"s","version":1,"magic":1}}"#);
            let _ = state.replay(key.as_bytes(), Some(value.as_bytes()), 0);
            let _ = state.replay(key.as_bytes(), None, 0);
        }
    }

    #[test]
    fn any_request_has_a_response(
        method in prop::sample::select(vec!["GET", "POST", "PUT", "DELETE"]),
        path in "(/(subjects|schemas|config|mode|contexts|versions|ids|[a-z:.%0-9]{0,4})){0,5}",
        query in "[a-z=&%0-9]{0,10}",
        body in ".{0,20}",
    ) {
        let mut driven = Driven::new();
        let request = Request { method, path: &path, query: &query, body: body.as_bytes(), ..Request::default() };
        prop_assert_ne!(driven.send(&request).status, 500);
    }
}
