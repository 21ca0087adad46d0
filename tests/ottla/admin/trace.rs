//! `GET /trace` and `ottla trace`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::time::Duration;

use common::{Broker, command, run_command};
use ottla::client::{Client, ClientOptions, Sasl};
use ottla_wire::protocol::messages::heartbeat::HeartbeatRequest;
use ottla_wire::record::{BatchBuilder, Codec};
use serde_json::{Value, json};

use crate::admin::http::{address, connect as connect_admin, request, reset};
use crate::fixture::LONG_AGO;

async fn client(broker: &Broker, client_id: &str, sasl: Option<Sasl>) -> Client {
    let options = ClientOptions { client_id: client_id.into(), sasl, ..ClientOptions::default() };
    Client::connect_with(&broker.addr().to_string(), options).await.unwrap()
}

fn heartbeat(group: &str) -> HeartbeatRequest {
    HeartbeatRequest { group_id: group.into(), ..HeartbeatRequest::default() }
}

/// The lines that `ottla trace` prints; panics if it fails.
fn trace(broker: &Broker, args: &[&str]) -> Vec<String> {
    let output = run_command(command(&[]).args(["trace", "--ready-file"]).arg(broker.ready_file()).args(args));
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn last(broker: &Broker, args: &[&str]) -> Vec<Value> {
    let lines = trace(broker, &[&["--last", "1h", "--json"], args].concat());
    lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The names of the APIs of events.
fn apis(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["requestHeader"]["requestApiKeyName"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn command_shows_the_last_requests_with_fields_and_errors() {
    let broker = Broker::with().arg("--admin-port").arg("0").start();
    let one = client(&broker, "one", None).await;
    one.create_topic("orders", 1, &[("retention.ms", "60000")]).await.unwrap();
    let mut batch = BatchBuilder::new(Codec::None);
    (0..3).for_each(|at| batch.append(LONG_AGO + at, None, Some(b"value"), &[]));
    one.produce("orders", 0, batch.build().unwrap().bytes().clone()).await.unwrap();
    let two = client(&broker, "two", None).await;
    let fetch = |offset| two.fetch("orders", 0, offset, 1 << 20, Duration::ZERO);
    assert_eq!(fetch(0).await.unwrap().high_watermark, 3);
    fetch(99).await.unwrap_err();
    two.call(heartbeat("billing")).await.unwrap();

    let produced = last(&broker, &["--api", "Produce"]);
    assert_eq!(apis(&produced), ["PRODUCE"]);
    let sent = &produced[0]["request"]["topicData"][0];
    assert_eq!((&sent["name"], &sent["partitionData"][0]["batch"]["recordCount"]), (&json!("orders"), &json!(3)));
    let answered = &produced[0]["response"]["responses"][0]["partitionResponses"][0];
    assert_eq!((&answered["errorCode"], &answered["baseOffset"]), (&json!("NONE"), &json!(0)));
    assert_eq!(produced[0]["clientInformation"]["softwareName"], "ottla");

    assert_eq!(apis(&last(&broker, &["--client-id", "two"])), ["API_VERSIONS", "FETCH", "FETCH", "HEARTBEAT"]);
    assert_eq!(apis(&last(&broker, &["--group", "billing"])), ["HEARTBEAT"]);
    assert_eq!(apis(&last(&broker, &["--topic", "orders"])), ["CREATE_TOPICS", "PRODUCE", "FETCH", "FETCH"]);
    assert_eq!(apis(&last(&broker, &["--topic", "orders", "--api", "fetch,metadata", "--errors"])), ["FETCH"]);
    let failed = last(&broker, &["--errors"]);
    let errors: Vec<&Value> = failed.iter().map(|event| &event["errors"][0]).collect();
    assert_eq!(errors, ["OFFSET_OUT_OF_RANGE", "UNKNOWN_MEMBER_ID"]);

    let lines = trace(&broker, &["--last", "1h", "--client-id", "one", "--api", "Produce"]);
    let (line, peer) = (&lines[0], produced[0]["connection"].as_str().unwrap().split('-').nth(1).unwrap());
    assert!(line.contains(&format!("Z one {peer} Produce v")), "{line}");
    assert!(line.contains(" orders-0 (3 records, ") && line.contains(" -> orders-0 at 0 ["), "{line}");
}

#[tokio::test]
async fn requests_before_a_reset_are_forgotten() {
    let broker = Broker::with().arg("--admin-port").arg("0").start();
    let client = client(&broker, "app", None).await;
    client.call(heartbeat("before")).await.unwrap();
    assert_eq!(apis(&last(&broker, &["--api", "Heartbeat"])), ["HEARTBEAT"]);
    reset(&broker);
    assert_eq!(apis(&last(&broker, &["--api", "Heartbeat"])).len(), 0);
    client.call(heartbeat("after")).await.unwrap();
    assert_eq!(last(&broker, &["--api", "Heartbeat"]).len(), 1);
}

#[tokio::test]
async fn follower_gets_new_requests_until_the_broker_stops() {
    let mut broker = Broker::with().arg("--admin-port").arg("0").set("ottla.trace.ring.bytes", "0").start();
    assert_eq!(request(&broker, "GET", "/trace?last=5m", &[]).status, 409);
    let mut follower = connect_admin(&broker);
    let query = format!("GET /trace?group=billing&api=Heartbeat HTTP/1.0\r\nHost: {}\r\n\r\n", address(&broker));
    follower.write_all(query.as_bytes()).unwrap();
    let mut lines = BufReader::new(follower).lines().map(|line| line.unwrap());
    let head: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    assert!(head[0].contains("200") && head.contains(&"content-type: application/x-ndjson".to_owned()), "{head:?}");

    let client = client(&broker, "one", None).await;
    client.call(heartbeat("others")).await.unwrap();
    client.call(heartbeat("billing")).await.unwrap();
    let event: Value = serde_json::from_str(&lines.next().unwrap()).unwrap();
    assert_eq!((&event["request"]["groupId"], &event["errors"][0]), (&json!("billing"), &json!("UNKNOWN_MEMBER_ID")));
    broker.stop();
    assert_eq!(lines.next(), None);
}

#[tokio::test]
async fn slow_follower_delays_no_client_and_learns_how_much_it_missed() {
    let broker = Broker::with().arg("--admin-port").arg("0").start();
    let mut follower = connect_admin(&broker);
    let query = format!("GET /trace?api=Heartbeat HTTP/1.0\r\nHost: {}\r\n\r\n", address(&broker));
    follower.write_all(query.as_bytes()).unwrap();
    follower.read_exact(&mut [0]).unwrap();
    // Long requests, so that the buffers of sockets are full soon.
    let (client, group) = (client(&broker, "one", None).await, "g".repeat(15_000));
    let sent = 3_000;
    for _ in 0..sent {
        client.call(heartbeat(&group)).await.unwrap();
    }
    let mut seen = 0;
    let mut left_out = 0;
    for line in BufReader::new(follower).lines().map(|line| line.unwrap()).skip_while(|line| !line.starts_with('{')) {
        let event: Value = serde_json::from_str(&line).unwrap();
        match event["leftOut"].as_u64() {
            Some(count) => left_out += count,
            None => seen += 1,
        }
        if seen + left_out == sent {
            break;
        }
    }
    assert!(left_out > 0 && seen > 0, "{seen} {left_out}");
}

#[tokio::test]
async fn trace_shows_the_user_and_no_password_and_needs_the_token() {
    let broker = Broker::with()
        .arg("--admin-port")
        .arg("0")
        .set("ottla.admin.token", "the-token")
        .set("listener.security.protocol.map", "PLAINTEXT:SASL_PLAINTEXT")
        .set("sasl.enabled.mechanisms", "PLAIN")
        .set("connection.failed.authentication.delay.ms", "0")
        .arg("--user")
        .arg("ann:S3CRET")
        .start();
    let plain = |password: &str| Some(Sasl::Plain { user: "ann".to_owned(), password: password.to_owned() });
    client(&broker, "one", plain("S3CRET")).await.call(heartbeat("billing")).await.unwrap();
    let wrong = ClientOptions { sasl: plain("S3CRET too"), ..ClientOptions::default() };
    assert!(Client::connect_with(&broker.addr().to_string(), wrong).await.is_err());

    assert_eq!(request(&broker, "GET", "/trace?last=1h", &[]).status, 401);
    let url = broker.ready().admin_url.clone().unwrap();
    let run = |token: &str, query: &[&str]| {
        let token = ("KAFKA_OTTLA_ADMIN_TOKEN".to_owned(), token.to_owned());
        let output = run_command(command(&[token]).args(["trace", "--admin-url", &url, "--last", "1h"]).args(query));
        (output.status.code(), [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat())
    };
    let (code, text) = run("another", &[]);
    assert!(code == Some(1) && text.contains("KAFKA_OTTLA_ADMIN_TOKEN"), "{text}");
    let (code, text) = run("the-token", &["--api", "NoSuch"]);
    assert!(code == Some(1) && text.contains("NoSuch is not an API"), "{text}");
    let (code, text) = run("the-token", &["--json"]);
    assert!(code == Some(0) && text.contains("SASL_AUTHENTICATE") && !text.contains("S3CRET"), "{text}");
    let (_, text) = run("the-token", &["--errors"]);
    assert!(text.contains("SASL_AUTHENTICATION_FAILED") && text.contains("one User:ann "), "{text}");
}
