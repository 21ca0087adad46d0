//! Schemas in the console: the registry's API, who may use it, and records that are decoded.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::{change, create_topic, done, get, got, send};
use common::Broker;
use ottla_broker::clock::wall_clock_ms;

fn with_registry() -> common::Options {
    Broker::with().arg("--console").arg("--admin-port").arg("0").arg("--registry-port").arg("0")
}

fn authorized(rights: &[&str]) -> Broker {
    let broker = with_registry()
        .set("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer")
        .set("super.users", "User:ANONYMOUS")
        .set("ottla.console.principal", "User:console")
        .start();
    let tool = ["kafka-acls", "--bootstrap-server", broker.bootstrap_servers(), "--add", "--allow-principal"];
    for right in rights {
        let options = ["User:console", "--operation", right, "--topic", "_schemas"];
        let output = common::run(&[&tool[..], &options].concat());
        assert!(output.status.success(), "{output:?}");
    }
    broker
}

const SUBJECT: &str = "/registry/subjects/orders%2Fvalue/versions";

#[test]
fn registry_answers_under_the_api_with_its_own_errors() {
    let broker = with_registry().start();
    assert_eq!(got(&broker, "/cluster")["schema_registry"], true);
    assert_eq!(got(&broker, "/registry/subjects"), json!([]));
    assert_eq!(done(&broker, "POST", SUBJECT, &json!({"schema": "\"int\""}))["id"], 1);
    assert_eq!(got(&broker, "/registry/subjects?subjectPrefix=orders/"), json!(["orders/value"]));
    let incompatible = json!({"schema": "\"string\""});
    let check = "/registry/compatibility/subjects/orders%2Fvalue/versions?verbose=true";
    assert_eq!(done(&broker, "POST", check, &incompatible)["is_compatible"], false);
    let answer = change(&broker, "POST", SUBJECT, &incompatible);
    assert_eq!((answer.status, answer.json()["error_code"].as_i64()), (409, Some(40901)), "{answer:?}");
    let answer = get(&broker, "/registry/subjects/missing/versions");
    assert_eq!((answer.status, answer.json()["error_code"].as_i64()), (404, Some(40401)), "{answer:?}");
    assert!(answer.head.contains("content-security-policy"), "{}", answer.head);
    assert_eq!(done(&broker, "DELETE", "/registry/subjects/orders%2Fvalue", &Value::Null), json!([1]));
}

#[test]
fn broker_without_a_registry_has_no_schemas() {
    let broker = super::with_console();
    assert_eq!(got(&broker, "/cluster")["schema_registry"], false);
    let answer = get(&broker, "/registry/subjects");
    assert_eq!((answer.status, answer.code().as_str()), (404, "NOT_FOUND"));
}

#[test]
fn acls_of_the_topic_decide_who_reads_and_changes_schemas() {
    let schema = json!({"schema": "\"int\""});
    let statuses = |rights: &[&str]| {
        let broker = authorized(rights);
        // Without the topic there is nothing to read, and its creation needs a right of its own.
        let missing = change(&broker, "POST", SUBJECT, &schema).status;
        let create = [
            "kafka-topics",
            "--bootstrap-server",
            broker.bootstrap_servers(),
            "--create",
            "--if-not-exists",
            "--topic",
            "_schemas",
        ];
        assert!(common::run(&create).status.success());
        let check = "/registry/compatibility/subjects/a/versions";
        let read = [get(&broker, "/registry/subjects").status, change(&broker, "POST", check, &schema).status];
        let changed = [
            change(&broker, "POST", SUBJECT, &schema).status,
            change(&broker, "DELETE", "/registry/config", &Value::Null).status,
        ];
        (missing, read, changed)
    };
    assert_eq!(statuses(&[]), (403, [403, 403], [403, 403]));
    assert_eq!(statuses(&["read"]), (403, [200, 200], [403, 403]));
    assert_eq!(statuses(&["read", "write", "create"]), (200, [200, 200], [200, 200]));
}

#[test]
fn console_without_a_token_is_no_way_around_the_passwords_of_the_registry() {
    let broker = with_registry().set("ottla.registry.users", "ann:secret").start();
    let answer = get(&broker, "/registry/subjects");
    assert_eq!((answer.status, answer.code().as_str()), (403, "TOPIC_AUTHORIZATION_FAILED"));
    assert!(answer.text.contains("set ottla.admin.token"), "{answer:?}");
}

#[test]
fn record_of_a_schema_is_shown_filtered_and_searched_as_json() {
    let broker = with_registry().start();
    create_topic(&broker, "orders", 1);
    let schema = json!({"type": "record", "name": "R", "fields": [{"name": "name", "type": "string"}]}).to_string();
    assert_eq!(done(&broker, "POST", SUBJECT, &json!({"schema": schema}))["id"], 1);
    // The magic byte 0, the id 1 and Avro's "Ann"; then an id without a schema, and bytes that are no value.
    let records = ["AAAAAAEGQW5u", "AAAAAAkGQW5u", "AAAAAAH/"].map(|value| json!({"value": {"base64": value}}));
    done(&broker, "POST", "/topics/orders/records", &json!({"records": records}));
    let found = |query: &str| {
        let answer = get(&broker, &format!("/topics/orders/records?from=earliest&{query}"));
        let records = answer.lines().into_iter().filter_map(|mut line| line.get_mut("record").map(Value::take));
        records.map(|record| record["value"].clone()).collect::<Vec<_>>()
    };
    let shown = json!({"format": "avro", "schema_id": 1, "text": "{\"name\":\"Ann\"}", "bytes": 9});
    let all = found("");
    assert_eq!(all[0], shown);
    let formats: Vec<&str> = all.iter().filter_map(|value| value["format"].as_str()).collect();
    assert_eq!(formats, ["avro", "text", "hex"]);
    for query in ["jq=.name%3D%3D%22Ann%22", "text=%22name%22:"] {
        assert_eq!(found(query), std::slice::from_ref(&shown), "{query}");
    }
}

#[test]
fn produced_json_is_encoded_by_its_schema_or_refused() {
    let broker = with_registry().start();
    create_topic(&broker, "orders", 1);
    let schema = json!({"type": "record", "name": "R", "fields": [{"name": "name", "type": "string"}]}).to_string();
    done(&broker, "POST", SUBJECT, &json!({"schema": schema}));
    let record = json!({"key": null, "key_schema_id": 1, "value": {"name": "Ann"}, "value_schema_id": 1});
    done(&broker, "POST", "/topics/orders/records", &record);
    let shown = get(&broker, "/topics/orders/records?from=earliest").lines();
    let record = &shown[0]["record"];
    let expect = json!({"format": "avro", "schema_id": 1, "text": "{\"name\":\"Ann\"}", "bytes": 9});
    assert_eq!((&record["key"], &record["value"]), (&Value::Null, &expect));
    for (id, message) in [(1, "not a value of the schema 1: "), (7, "there is no schema with the id 7")] {
        let record = json!({"value": {"name": 5}, "value_schema_id": id});
        let answer = change(&broker, "POST", "/topics/orders/records", &record);
        assert_eq!((answer.status, answer.code().as_str()), (400, "INVALID_RECORD"), "{answer:?}");
        assert!(answer.text.contains(message), "{answer:?}");
    }
}

#[test]
fn schemas_are_named_by_headers_and_guids_and_have_other_formats() {
    let broker = with_registry().start();
    create_topic(&broker, "events", 1);
    let proto = "syntax = \"proto3\"; message None {} message Event { string kind = 1; }";
    done(&broker, "POST", SUBJECT, &json!({"schemaType": "PROTOBUF", "schema": proto}));
    let guid = got(&broker, &format!("{SUBJECT}/1"))["guid"].as_str().unwrap().replace('-', "");
    let guid: Vec<u8> = (0..16).map(|at| u8::from_str_radix(&guid[2 * at..2 * at + 2], 16).unwrap()).collect();
    let base64 = |parts: &[&[u8]]| json!({"base64": BASE64.encode(parts.concat())});
    // The second message, as the indexes [1] name it.
    let (indexes, event) = (&[2, 2][..], &b"\x0a\x04sale"[..]);
    let by_header = json!({"key": "__value_schema_id", "value": base64(&[&[1], &guid, indexes])});
    let records = json!([
        {"value": base64(&[&[0, 0, 0, 0, 1], indexes, event])},
        {"value": base64(&[&[1], &guid, indexes, event])},
        {"value": base64(&[event]), "headers": [by_header]},
        {"value": base64(&[event])},
    ]);
    done(&broker, "POST", "/topics/events/records", &json!({"records": records}));
    let answer = get(&broker, "/topics/events/records?from=earliest");
    let shown: Vec<_> = answer.lines().into_iter().filter(|line| line.get("record").is_some()).collect();
    let formats: Vec<_> = shown.iter().map(|line| line["record"]["value"]["format"].as_str().unwrap()).collect();
    assert_eq!(formats, ["protobuf", "protobuf", "protobuf", "text"]);
    for line in &shown[..3] {
        let value = &line["record"]["value"];
        assert_eq!((value["text"].as_str(), value["schema_id"].as_i64()), (Some("{\"kind\":\"sale\"}"), Some(1)));
    }
}

#[test]
fn lag_in_seconds_is_that_of_the_metrics() {
    let broker = super::with_console();
    create_topic(&broker, "orders", 2);
    let old = json!({"partition": 0, "timestamp": wall_clock_ms() - 1_000_000, "value": "a"});
    done(&broker, "POST", "/topics/orders/records", &old);
    done(&broker, "POST", "/topics/orders/records", &json!({"partition": 1, "value": "a"}));
    let topics = json!([{"topic": "orders"}]);
    done(&broker, "POST", "/groups/g/offsets", &json!({"to": "earliest", "topics": topics, "dry_run": false}));
    let latest = json!({"to": "latest", "topics": [{"topic": "orders", "partitions": [1]}], "dry_run": false});
    done(&broker, "POST", "/groups/g/offsets", &latest);
    let group = got(&broker, "/groups/g");
    let lags: Vec<Option<f64>> =
        group["offsets"].as_array().unwrap().iter().map(|row| row["lag_seconds"].as_f64()).collect();
    assert_eq!((lags[1], group["max_lag_seconds"].as_f64()), (Some(0.0), lags[0]), "{group}");
    let metrics = send(&broker, "GET", "/metrics", &[], "").text;
    let mut lines = metrics.lines().filter(|line| line.starts_with("kafka_consumergroup_group_max_lag_seconds{"));
    let measured: f64 = lines.next().unwrap().rsplit(' ').next().unwrap().parse().unwrap();
    let lag = lags[0].unwrap();
    assert!(lag >= 1e3 && (0.0..60.0).contains(&(measured - lag)), "{lag} and {measured}");
}
