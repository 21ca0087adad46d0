//! Bytes that no Kafka client sends: the broker logs the client and the reason, closes only that connection, and does not
//! allocate for them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use bytes::Bytes;
use common::Broker;
use ottla::client::Client;
use ottla_wire::record::{BatchBuilder, Codec};
use ottla_wire::types::ErrorCode;

/// Sends bytes and checks that the broker closes the connection and logs the client and the reason.
fn refused(broker: &Broker, bytes: &[u8], reason: &str) {
    let mut stream = broker.connect();
    let peer = stream.local_addr().unwrap();
    stream.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // The connection may also end with a reset.
    let _ = stream.read_to_end(&mut answer);
    // An HTTP client gets an HTTP response.
    assert!(answer.is_empty() || reason == "HTTP" && answer.starts_with(b"HTTP/1.1 400 "), "{reason}: {answer:?}");
    broker.wait_for_log(&peer.to_string());
    let log = broker.log();
    let line = log.lines().rfind(|line| line.contains(&peer.to_string())).unwrap_or_default();
    assert!(line.contains(reason), "expected {reason:?} in: {line}");
}

/// A frame: its size, a request header of version 1, and a body.
fn frame(api_key: i16, version: i16, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(api_key.to_be_bytes());
    bytes.extend(version.to_be_bytes());
    bytes.extend(7i32.to_be_bytes());
    bytes.extend(4i16.to_be_bytes());
    bytes.extend(b"evil");
    bytes.extend(body);
    let mut framed = (bytes.len() as i32).to_be_bytes().to_vec();
    framed.extend(bytes);
    framed
}

#[test]
fn invalid_request_is_logged_and_its_connection_closed() {
    let broker = Broker::start();
    refused(&broker, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "HTTP");
    refused(&broker, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "TLS");
    refused(&broker, b"SSH-2.0-OpenSSH_9.6\r\n", "SSH");
    refused(&broker, &(-1i32).to_be_bytes(), "-1");
    refused(&broker, &i32::MAX.to_be_bytes(), "2147483647");
    refused(&broker, &frame(999, 0, b""), "999");
    // Metadata version 1 with an array of 2147483647 topics.
    refused(&broker, &frame(3, 1, &i32::MAX.to_be_bytes()), "Metadata");
    // An unknown version of Fetch.
    refused(&broker, &frame(1, 99, b""), "99");
}

#[tokio::test]
async fn corrupt_batch_returns_an_error_and_keeps_the_connection() {
    let broker = Broker::start();
    let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
    client.create_topic("t", 1, &[]).await.unwrap();
    let mut builder = BatchBuilder::new(Codec::None);
    builder.append(1, None, Some(b"value"), &[]);
    let good = builder.build().unwrap().bytes().clone();
    let mut flipped = good.to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    for (bytes, expect) in [
        (Bytes::from(flipped), ErrorCode::CorruptMessage),
        // As in Kafka, a truncated batch is ignored, and without any batch the request is invalid.
        (good.slice(..good.len() - 1), ErrorCode::InvalidRecord),
        (Bytes::from_static(b"nonsense"), ErrorCode::InvalidRecord),
        (Bytes::new(), ErrorCode::InvalidRecord),
        (Bytes::from([&good[..], &good[..]].concat()), ErrorCode::InvalidRecord),
    ] {
        let error = client.produce("t", 0, bytes).await.unwrap_err();
        assert_eq!(error.code(), Some(expect), "{error}");
    }
    assert_eq!(client.produce("t", 0, good).await.unwrap().base_offset, 0);
}

#[tokio::test]
async fn produce_to_an_internal_topic_returns_invalid_topic_exception() {
    let broker = Broker::start();
    let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
    client.find_coordinator("g").await.unwrap();
    let mut builder = BatchBuilder::new(Codec::None);
    builder.append(1, Some(b"\0\x02junk"), Some(b"junk"), &[]);
    let error = client.produce("__consumer_offsets", 0, builder.build().unwrap().bytes().clone()).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::InvalidTopicException), "{error}");
}

#[tokio::test]
async fn half_sent_requests_use_little_memory_and_other_clients_are_served() {
    const CONNECTIONS: usize = 500;
    let broker = Broker::start();
    let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
    let before = anonymous_kib(&broker);
    let half_sent: Vec<TcpStream> = (0..CONNECTIONS)
        .map(|_| {
            let mut stream = broker.connect();
            stream.write_all(&(1i32 << 20).to_be_bytes()).unwrap();
            stream.write_all(&[0, 0, 0, 9, 0, 0, 0, 1, 0, 4]).unwrap();
            stream
        })
        .collect();
    client.create_topic("t", 1, &[]).await.unwrap();
    let mut builder = BatchBuilder::new(Codec::None);
    builder.append(1, None, Some(b"value"), &[]);
    client.produce("t", 0, builder.build().unwrap().bytes().clone()).await.unwrap();
    let grown = anonymous_kib(&broker).saturating_sub(before);
    assert!(grown < 16 << 10, "{CONNECTIONS} half-sent requests of 1 MiB cost {grown} KiB");
    drop(half_sent);
}

/// The anonymous memory of the broker in KiB.
fn anonymous_kib(broker: &Broker) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", broker.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
