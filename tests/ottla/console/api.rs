//! What the API returns and changes.

use serde_json::{Value, json};

use super::{change, create_topic, done, get, got, with_console};
use crate::fixture::connect;
use common::Broker;
use ottla::wire::types::TopicPartition;

#[test]
fn topics_are_created_described_changed_and_deleted() {
    let broker = with_console();
    let cluster = got(&broker, "/cluster");
    assert_eq!(cluster["brokers"].as_array().map(Vec::len), Some(1), "{cluster}");
    assert!(cluster["log_dirs"][0]["total_bytes"].as_i64().is_some_and(|bytes| bytes > 0), "{cluster}");

    let topic = json!({"name": "orders", "partitions": 2, "configs": {"retention.ms": 1000}});
    let created = done(&broker, "POST", "/topics", &topic);
    assert_eq!((created["name"].as_str(), created["partitions"].as_i64()), (Some("orders"), Some(2)));
    let again = change(&broker, "POST", "/topics", &topic);
    assert_eq!((again.status, again.code().as_str()), (409, "TOPIC_ALREADY_EXISTS"));

    let described = got(&broker, "/topics/orders");
    assert_eq!(described["partitions"].as_array().map(Vec::len), Some(2));
    let config = |described: &Value, name: &str| {
        let configs = described["configs"].as_array().unwrap();
        configs.iter().find(|config| config["name"] == name).unwrap().clone()
    };
    let retention = config(&described, "retention.ms");
    assert_eq!(retention["value"], "1000");
    assert_eq!(
        (retention["source"].as_str(), retention["dynamic"].as_bool()),
        (Some("DYNAMIC_TOPIC_CONFIG"), Some(true))
    );

    done(&broker, "PATCH", "/topics/orders", &json!({"partitions": 3, "configs": {"retention.ms": null}}));
    let described = got(&broker, "/topics/orders");
    assert_eq!(described["partitions"].as_array().map(Vec::len), Some(3));
    assert_eq!(config(&described, "retention.ms")["source"], "DEFAULT_CONFIG");
    let refused = change(&broker, "PATCH", "/topics/orders", &json!({"configs": {"retention.mss": "1"}}));
    assert_eq!((refused.status, refused.code().as_str()), (400, "INVALID_CONFIG"));

    done(&broker, "DELETE", "/topics/orders", &json!({}));
    let missing = get(&broker, "/topics/orders");
    assert_eq!((missing.status, missing.code().as_str()), (404, "UNKNOWN_TOPIC_OR_PARTITION"));
    assert_eq!(got(&broker, "/topics"), json!({"topics": []}));
}

#[tokio::test]
async fn groups_are_described_and_their_offsets_reset_after_a_dry_run() {
    let broker = with_console();
    create_topic(&broker, "orders", 1);
    let records: Vec<_> =
        (0..10).map(|number| json!({"value": number.to_string(), "timestamp": 1000 + number})).collect();
    done(&broker, "POST", "/topics/orders/records", &json!({"records": records}));
    let client = connect(&broker).await;
    client.find_coordinator("readers").await.unwrap();
    let committed = [(TopicPartition::new("orders", 0), 4)].into();
    client.alter_committed_offsets("readers", &committed).await.unwrap();

    let groups = got(&broker, "/groups");
    assert_eq!(
        (groups["groups"][0]["id"].as_str(), groups["groups"][0]["state"].as_str()),
        (Some("readers"), Some("Empty"))
    );
    let lag = || got(&broker, "/groups/readers")["lag"].as_i64().unwrap();
    assert_eq!(lag(), 6);
    let reset = |body: Value| done(&broker, "POST", "/groups/readers/offsets", &body)["offsets"][0]["new"].clone();
    for (body, expect) in [
        (json!({"to": "earliest"}), 0),
        (json!({"to": "latest"}), 10),
        (json!({"to": "offset", "value": 7}), 7),
        (json!({"to": "offset", "value": 70}), 10),
        (json!({"to": "shift", "value": -1}), 3),
        (json!({"to": "timestamp", "value": 1008}), 8),
        (json!({"to": "timestamp", "value": 9000}), 10),
        (json!({"to": "current", "topics": [{"topic": "orders", "partitions": [0]}]}), 4),
    ] {
        assert_eq!(reset(body.clone()), expect, "{body}");
        assert_eq!(lag(), 6, "a dry run changes nothing: {body}");
    }
    assert_eq!(reset(json!({"to": "offset", "value": 9, "dry_run": false})), 9);
    assert_eq!(lag(), 1);
    for (body, status, code) in [
        (json!({"to": "offset"}), 400, "INVALID_REQUEST"),
        (json!({"to": "nowhere"}), 400, "INVALID_REQUEST"),
        (
            json!({"to": "latest", "topics": [{"topic": "orders", "partitions": [1]}]}),
            404,
            "UNKNOWN_TOPIC_OR_PARTITION",
        ),
        (json!({"to": "latest", "topics": [{"topic": "others"}]}), 404, "UNKNOWN_TOPIC_OR_PARTITION"),
    ] {
        let answer = change(&broker, "POST", "/groups/readers/offsets", &body);
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{body}: {answer:?}");
    }
    done(&broker, "DELETE", "/groups/readers", &json!({}));
    let missing = get(&broker, "/groups/readers");
    assert_eq!((missing.status, missing.code().as_str()), (404, "GROUP_ID_NOT_FOUND"));
}

#[test]
fn settings_users_quotas_and_transactions_are_listed() {
    let broker = Broker::with().arg("--console").arg("--admin-port").arg("0").arg("--user").arg("ann:secret").start();
    let change = json!({"configs": {"log.cleaner.threads": 2}});
    done(&broker, "PATCH", "/configs/broker", &change);
    let settings = got(&broker, "/configs/broker");
    let configs = settings["configs"].as_array().unwrap();
    let threads = configs.iter().find(|config| config["name"] == "log.cleaner.threads").unwrap();
    assert_eq!((threads["value"].as_str(), threads["source"].as_str()), (Some("2"), Some("DYNAMIC_BROKER_CONFIG")));
    let users = configs.iter().find(|config| config["name"] == "ottla.users").unwrap();
    assert_eq!((users["value"].clone(), users["sensitive"].as_bool()), (Value::Null, Some(true)));

    assert_eq!(got(&broker, "/users")["users"][0]["name"], "ann");
    let quota = json!({"entity": {"user": "ann"}, "values": {"producer_byte_rate": 1024.0}});
    done(&broker, "POST", "/quotas", &quota);
    assert_eq!(got(&broker, "/quotas"), json!({"quotas": [quota]}));
    done(&broker, "POST", "/quotas", &json!({"entity": {"user": "ann"}, "values": {"producer_byte_rate": null}}));
    assert_eq!(got(&broker, "/quotas"), json!({"quotas": []}));

    assert_eq!(got(&broker, "/transactions"), json!({"transactions": [], "total": 0}));
    assert_eq!(got(&broker, "/producers"), json!({"producers": []}));
    assert_eq!(got(&broker, "/acls"), json!({"enabled": false, "acls": []}));
    broker.wait_for_log("console http");
    let log = got(&broker, "/log");
    let lines = log["lines"].as_array().unwrap();
    assert!(lines.iter().any(|line| line.as_str().is_some_and(|line| line.contains(", console http"))), "{log}");
}

#[test]
fn console_may_do_what_the_acls_of_its_principal_allow() {
    let broker = Broker::with()
        .arg("--console")
        .arg("--admin-port")
        .arg("0")
        .set("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer")
        .set("super.users", "User:admin")
        .set("ottla.console.principal", "User:ann")
        .set("ottla.create.topics", "orders")
        .start();
    let refused = change(&broker, "POST", "/topics", &json!({"name": "others"}));
    assert_eq!((refused.status, refused.code().as_str()), (403, "TOPIC_AUTHORIZATION_FAILED"));
    assert_eq!(got(&broker, "/topics"), json!({"topics": []}));
    assert_eq!(get(&broker, "/acls").status, 403);
}

#[test]
fn acls_are_created_and_deleted() {
    let broker = Broker::with()
        .arg("--console")
        .arg("--admin-port")
        .arg("0")
        .set("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer")
        .set("super.users", "User:ANONYMOUS")
        .start();
    let acl = json!({
        "resource_type": "TOPIC", "resource_name": "orders", "pattern_type": "PREFIXED", "principal": "User:ann",
        "host": "*", "operation": "READ", "permission": "ALLOW",
    });
    done(&broker, "POST", "/acls", &acl);
    assert_eq!(got(&broker, "/acls"), json!({"enabled": true, "acls": [acl]}));
    assert_eq!(done(&broker, "DELETE", "/acls", &acl), json!({"deleted": 1}));
    assert_eq!(got(&broker, "/acls"), json!({"enabled": true, "acls": []}));
    let refused = change(
        &broker,
        "POST",
        "/acls",
        &json!({"resource_type": "ANY", "resource_name": "a", "principal": "User:a", "operation": "READ"}),
    );
    assert_eq!((refused.status, refused.code().as_str()), (400, "INVALID_REQUEST"));
}
