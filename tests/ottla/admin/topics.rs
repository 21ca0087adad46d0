//! `POST /topics` of the admin port.

use serde_json::{Value, json};

use crate::admin::http::{ADMIN, Answer, address, reset, send};
use crate::fixture::connect;
use common::Broker;

/// Sends a request with this body and these headers.
fn post(broker: &Broker, headers: &[&str], body: &str) -> Answer {
    let (host, headers) = (address(broker), headers.iter().map(|header| format!("{header}\r\n")).collect::<String>());
    let length = body.len();
    send(broker, &format!("POST /topics HTTP/1.1\r\nHost: {host}\r\n{headers}Content-Length: {length}\r\n\r\n{body}"))
}

#[track_caller]
fn check(broker: &Broker, body: &Value, status: u16, expect: &Value) {
    let answer = post(broker, &[ADMIN], &body.to_string());
    assert_eq!((answer.status, &answer.body), (status, expect), "{body}");
}

#[tokio::test]
async fn created_topic_has_its_partitions_and_settings_until_a_reset() {
    let broker = Broker::with().arg("--admin-port").arg("0").set("num.partitions", "2").start();
    let topic = json!({"name": "orders", "partitions": 3, "configs": {"retention.ms": "1000"}});
    check(&broker, &topic, 200, &json!({"name": "orders", "partitions": 3}));
    check(&broker, &json!({"name": "others"}), 200, &json!({"name": "others", "partitions": 2}));
    let client = connect(&broker).await;
    assert_eq!(client.metadata(Some(&["orders"])).await.unwrap().topics[0].partitions, [0, 1, 2]);
    broker.wait_for_log("created topic topic=orders partitions=3 cause=\"admin port\"");
    let shown = common::run(&["configs", "show", "topic", "orders", "--bootstrap-server", broker.bootstrap_servers()]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("retention.ms") && shown.contains("1000"), "{shown}");
    reset(&broker);
    check(&broker, &topic, 200, &json!({"name": "orders", "partitions": 3}));
}

#[test]
fn many_topics_at_once_are_all_created_and_resets_wait_their_turn() {
    const REQUESTS: usize = 150;
    let broker = Broker::with().arg("--admin-port").arg("0").start();
    let request = |number: usize| match number % 10 {
        // In between, so that topics are created before and after.
        5 => drop(reset(&broker)),
        _ => assert_eq!(post(&broker, &[ADMIN], &format!("{{\"name\":\"t{number}\"}}")).status, 200, "topic {number}"),
    };
    std::thread::scope(|scope| {
        for number in 0..REQUESTS {
            scope.spawn(move || request(number));
        }
    });
}

#[test]
fn refused_topic_gets_the_name_of_kafkas_error() {
    let broker = Broker::with().arg("--admin-port").arg("0").arg("--create-topic").arg("orders:1").start();
    for (body, status, error) in [
        (json!({"name": "orders"}), 409, "TOPIC_ALREADY_EXISTS"),
        (json!({"name": "a/b"}), 400, "INVALID_TOPIC_EXCEPTION"),
        (json!({"name": "a", "partitions": 0}), 400, "INVALID_PARTITIONS"),
        (json!({"name": "a", "configs": {"retention.mss": "1"}}), 400, "INVALID_CONFIG"),
        (json!({"partitions": 1}), 400, "INVALID_REQUEST"),
    ] {
        let answer = post(&broker, &[ADMIN], &body.to_string());
        assert_eq!((answer.status, answer.error()), (status, error), "{answer:?}");
        assert!(answer.body["message"].as_str().is_some_and(|message| !message.is_empty()), "{answer:?}");
    }
    let large = format!("{{\"name\":\"{}\"}}", "a".repeat(20 << 10));
    let answer = post(&broker, &[ADMIN], &large);
    assert!([400, 413].contains(&answer.status), "{answer:?}");
}

#[test]
fn topic_request_without_the_admin_header_is_refused() {
    let broker = Broker::with().arg("--admin-port").arg("0").start();
    assert_eq!(post(&broker, &[], "{\"name\":\"a\"}").status, 403);
    assert_eq!(post(&broker, &[ADMIN, "Origin: http://localhost"], "{\"name\":\"a\"}").status, 403);
}
