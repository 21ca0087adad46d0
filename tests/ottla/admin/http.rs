//! HTTP as bytes: what a client could send, right or wrong.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use common::Broker;

/// Longer than anything takes here.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a request for a change must have.
pub const ADMIN: &str = "X-Ottla-Admin: 1";

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Value,
}

impl Answer {
    /// The `error` of an answer that is no success.
    pub fn error(&self) -> &str {
        self.body["error"].as_str().unwrap_or_default()
    }
}

/// Where the admin port is, as the ready file says it: `localhost:40123`.
pub fn address(broker: &Broker) -> String {
    let url = broker.ready().admin_url.clone().expect("an admin port");
    url.strip_prefix("http://").expect("a URL").to_owned()
}

pub fn connect(broker: &Broker) -> TcpStream {
    let stream = TcpStream::connect(address(broker)).expect("the admin port accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

/// Sends a request with these headers beside a right `Host`.
pub fn ask(broker: &Broker, method: &str, path: &str, headers: &[&str]) -> Answer {
    let host = format!("Host: {}", address(broker));
    let headers: Vec<&str> = [host.as_str()].into_iter().chain(headers.iter().copied()).collect();
    send(broker, &format!("{method} {path} HTTP/1.1\r\n{}\r\n\r\n", headers.join("\r\n")))
}

/// Sends bytes and reads until the other side closes.
pub fn send(broker: &Broker, request: &str) -> Answer {
    let mut stream = connect(broker);
    stream.write_all(request.as_bytes()).expect("the request leaves");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer, and the end");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Answer { status, head: head.to_ascii_lowercase(), body: serde_json::from_str(body).unwrap_or(Value::Null) }
}

pub fn reset(broker: &Broker) -> Value {
    let answer = ask(broker, "POST", "/reset", &[ADMIN]);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}
