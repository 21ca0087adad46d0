//! Browsing, searching and producing records.

use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{change, create_topic, done, get, with_console};
use crate::admin::http::{address, connect};
use common::Broker;

/// The lines of a response about records: the records, and the end.
fn browse(broker: &Broker, path: &str) -> (Vec<Value>, Value) {
    let answer = get(broker, path);
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    assert!(answer.head.contains("content-type: application/x-ndjson"), "{}", answer.head);
    let lines = answer.lines();
    let end = lines.last().unwrap()["end"].clone();
    assert!(end.is_object(), "{lines:?}");
    (lines.into_iter().filter_map(|mut line| line.get_mut("record").map(Value::take)).collect(), end)
}

/// The values of records, as text.
fn values(broker: &Broker, path: &str) -> Vec<String> {
    let (records, _) = browse(broker, path);
    records.iter().map(|record| record["value"]["text"].as_str().unwrap_or("null").to_owned()).collect()
}

fn produce(broker: &Broker, topic: &str, records: &Value) -> Value {
    done(broker, "POST", &format!("/topics/{topic}/records"), &json!({"records": records}))
}

#[test]
fn produced_record_is_shown_with_all_of_its_parts() {
    let broker = with_console();
    create_topic(&broker, "orders", 2);
    let html = "<img src=x onerror=alert(1)>\u{1b}[31m\u{0}";
    let record = json!({
        "partition": 1, "timestamp": 1_700_000_000_000_i64, "key": html, "value": {"id": 7},
        "headers": [{"key": "<b>", "value": "x"}, {"key": "none"}, {"key": "bytes", "value": {"base64": "/wA="}}],
    });
    let produced = done(&broker, "POST", "/topics/orders/records", &record);
    assert_eq!(produced, json!({"records": [{"partition": 1, "offset": 0}]}));
    let (records, end) = browse(&broker, "/topics/orders/records?from=earliest");
    let expect = json!({
        "partition": 1, "offset": 0, "timestamp": 1_700_000_000_000_i64, "timestamp_type": "CreateTime",
        "key": {"format": "text", "text": html, "bytes": html.len()},
        "value": {"format": "json", "text": "{\"id\":7}", "bytes": 8},
        "headers": [
            {"key": "<b>", "value": {"format": "text", "text": "x", "bytes": 1}},
            {"key": "none", "value": null},
            {"key": "bytes", "value": {"format": "hex", "text": "ff00", "bytes": 2}},
        ],
    });
    assert_eq!(records, [expect]);
    assert_eq!(end, json!({"reason": "end", "found": 1, "scanned": 1, "failed": 0, "cursor": null}));
    let bytes = json!([{"key": null, "value": {"base64": "/w=="}, "partition": 0}, {"key": "k", "value": null, "partition": 0}]);
    produce(&broker, "orders", &bytes);
    assert_eq!(values(&broker, "/topics/orders/records?from=earliest&partition=0"), ["ff", "null"]);
    for (body, status, code) in [
        (json!({"value": "a", "partition": 2}), 404, "UNKNOWN_TOPIC_OR_PARTITION"),
        (json!({"value": "a", "partitions": 2}), 400, "INVALID_REQUEST"),
        (json!({"value": {"base64": "?"}}), 400, "INVALID_REQUEST"),
    ] {
        let answer = change(&broker, "POST", "/topics/orders/records", &body);
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{body}: {answer:?}");
    }
    assert_eq!(change(&broker, "POST", "/topics/others/records", &json!({"value": "a"})).status, 404);
}

#[test]
fn records_are_found_by_offset_time_key_text_and_filter_and_continued_with_a_cursor() {
    let broker = with_console();
    create_topic(&broker, "orders", 1);
    let record = |number: i64| {
        let value = json!({"n": number, "tags": ["a", if number % 2 == 0 { "even" } else { "odd" }]});
        json!({"key": format!("key-{number}"), "value": value.to_string(), "timestamp": 1000 + number})
    };
    produce(&broker, "orders", &json!((0..100).map(record).collect::<Vec<_>>()));
    let offsets = |query: &str| -> Vec<i64> {
        let (records, _) = browse(&broker, &format!("/topics/orders/records?{query}"));
        records.iter().map(|record| record["offset"].as_i64().unwrap()).collect()
    };
    assert_eq!(offsets("latest=2"), [98, 99]);
    assert_eq!(offsets("from=latest"), [0_i64; 0]);
    assert_eq!(offsets(""), (50..100).collect::<Vec<_>>());
    assert_eq!(offsets("offset=10&limit=2"), [10, 11]);
    assert_eq!(offsets("timestamp=1097"), [97, 98, 99]);
    assert_eq!(offsets("timestamp=5000"), [0_i64; 0]);
    assert_eq!(offsets("from=earliest&key=key-7&limit=3"), [7, 70, 71]);
    assert_eq!(offsets("from=earliest&text=%22n%22%3A42%2C"), [42]);
    assert_eq!(offsets("from=earliest&jq=.n%20%3E%2095%20and%20.tags[1]%20==%20%22odd%22"), [97, 99]);
    assert_eq!(offsets("from=earliest&jq=$key%20==%20%22key-5%22"), [5]);

    let (found, end) = browse(&broker, "/topics/orders/records?from=earliest&limit=60&text=odd");
    assert_eq!((found.len(), end["reason"].as_str()), (50, Some("end")));
    let (found, end) = browse(&broker, "/topics/orders/records?from=earliest&limit=30&text=odd");
    assert_eq!((found.len(), end["reason"].as_str(), end["cursor"].as_str()), (30, Some("limit"), Some("0:60")));
    assert_eq!(offsets("cursor=0:60&limit=2&text=odd"), [61, 63]);
    let (_, end) = browse(&broker, "/topics/orders/records?from=earliest&jq=.n.x");
    assert_eq!((end["failed"].as_i64(), end["scanned"].as_i64()), (Some(100), Some(100)));

    for query in [
        "offset=x",
        "limit=-1",
        "jq=(",
        "from=here",
        "offset=1&latest=1",
        "cursor=7:1",
        "partition=x",
        "unknown=1",
        "text=%zz",
    ] {
        let answer = get(&broker, &format!("/topics/orders/records?{query}"));
        assert_eq!((answer.status, answer.code().as_str()), (400, "INVALID_REQUEST"), "{query}: {answer:?}");
    }
    assert_eq!(get(&broker, "/topics/orders/records?partition=1").status, 404);
    assert_eq!(get(&broker, "/topics/others/records").status, 404);

    done(&broker, "DELETE", "/topics/orders/records", &json!({"offsets": {"0": 98}}));
    assert_eq!(offsets("offset=0"), [98, 99]);
}

/// The first record that a response in progress shows.
#[test]
fn following_response_shows_records_when_they_are_produced() {
    let broker = with_console();
    create_topic(&broker, "orders", 1);
    let mut stream = connect(&broker);
    let host = address(&broker);
    let path = "/api/v1/topics/orders/records?from=latest&follow=true";
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).unwrap();
    let mut text = String::new();
    let mut read_until = |part: &str| {
        let mut bytes = [0; 4096];
        while !text.contains(part) {
            let count = stream.read(&mut bytes).unwrap();
            assert!(count > 0, "{text}");
            text += &String::from_utf8_lossy(&bytes[..count]);
        }
    };
    read_until("\r\n\r\n");
    produce(&broker, "orders", &json!([{"value": "arrived"}]));
    read_until("\"arrived\"");
}

/// The memory of the broker, in kilobytes.
fn memory(broker: &Broker) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", broker.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// What a client does not read stays in the broker's log, and the connection ends after its time.
#[test]
fn slow_readers_of_many_records_take_little_memory_and_delay_nobody_else() {
    let broker = with_console();
    create_topic(&broker, "orders", 1);
    let value = "x".repeat(10_000);
    for _ in 0..10 {
        produce(&broker, "orders", &json!(vec![json!({"value": value}); 90]));
    }
    let path = "/topics/orders/records?from=earliest&limit=10000";
    let check = || {
        let started = Instant::now();
        let (records, end) = browse(&broker, path);
        assert_eq!((records.len(), end["reason"].as_str()), (900, Some("end")));
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    };
    check();
    let before = memory(&broker);
    let host = address(&broker);
    let slow_reader = || {
        let mut stream = connect(&broker);
        rustix::net::sockopt::set_socket_recv_buffer_size(&stream, 16 << 10).unwrap();
        stream.write_all(format!("GET /api/v1{path} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).unwrap();
        stream.read_exact(&mut [0; 100]).unwrap();
        stream
    };
    let slow: Vec<_> = (0..10).map(|_| slow_reader()).collect();
    check();
    // Above the limit of requests that read records.
    let more_readers: Vec<_> = (0..6).map(|_| slow_reader()).collect();
    let busy = get(&broker, path);
    assert_eq!((busy.status, busy.code().as_str()), (503, "BUSY"));
    drop(more_readers);
    let more = memory(&broker).saturating_sub(before);
    // Without a bound, 16 responses of 9 MB each are added.
    assert!(more < 100_000, "{before} kB and {more} kB more");
    drop(slow);
}
