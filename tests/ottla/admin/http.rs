//! A minimal HTTP client that can also send invalid requests.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use common::Broker;

/// Longer than any response takes.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The header that requests with effects require.
pub const ADMIN: &str = "X-Ottla-Admin: 1";

/// A response.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Value,
}

impl Answer {
    /// The `error` field of a failure; empty otherwise.
    pub fn error(&self) -> &str {
        self.body["error"].as_str().unwrap_or_default()
    }
}

/// The address of the admin port from the ready file: `localhost:40123`.
pub fn address(broker: &Broker) -> String {
    let url = broker.ready().admin_url.clone().expect("an admin port");
    url.strip_prefix("http://").expect("a URL").to_owned()
}

pub fn connect(broker: &Broker) -> TcpStream {
    let stream = TcpStream::connect(address(broker)).expect("the admin port accepts");
    stream.set_read_timeout(Some(TIMEOUT)).expect("a timeout");
    stream.set_write_timeout(Some(TIMEOUT)).expect("a timeout");
    stream
}

/// Sends a request with the right `Host` and these headers.
pub fn request(broker: &Broker, method: &str, path: &str, headers: &[&str]) -> Answer {
    let host = format!("Host: {}", address(broker));
    let headers: Vec<&str> = [host.as_str()].into_iter().chain(headers.iter().copied()).collect();
    send(broker, &format!("{method} {path} HTTP/1.1\r\n{}\r\n\r\n", headers.join("\r\n")))
}

/// Sends bytes and reads until the broker closes the connection.
pub fn send(broker: &Broker, request: &str) -> Answer {
    let mut stream = connect(broker);
    stream.write_all(request.as_bytes()).expect("the request is sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("a response and the end of the stream");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Answer { status, head: head.to_ascii_lowercase(), body: serde_json::from_str(body).unwrap_or(Value::Null) }
}

pub fn reset(broker: &Broker) -> Value {
    let answer = request(broker, "POST", "/reset", &[ADMIN]);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}
