//! A client of the registry that keeps its connection.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use common::Broker;

/// Longer than any response takes.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A response.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// In lower case.
    pub head: String,
    pub body: Value,
}

/// A connection.
pub struct Registry {
    stream: TcpStream,
    host: String,
}

impl Registry {
    pub fn connect(broker: &Broker) -> Registry {
        Registry::connect_to(broker.ready().schema_registry_url.as_deref().expect("a schema registry"))
    }

    /// Connects to the registry at this URL.
    pub fn connect_to(url: &str) -> Registry {
        let host = url.strip_prefix("http://").expect("a URL").to_owned();
        let stream = TcpStream::connect(&host).expect("the registry accepts");
        stream.set_read_timeout(Some(TIMEOUT)).expect("a timeout");
        stream.set_write_timeout(Some(TIMEOUT)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        Registry { stream, host }
    }

    /// Sends a request such as `GET /subjects`.
    pub fn call(&mut self, line: &str, body: &str) -> Answer {
        self.call_with(line, &[&format!("Host: {}", self.host)], body)
    }

    /// Sends a request with these headers.
    pub fn call_with(&mut self, line: &str, headers: &[&str], body: &str) -> Answer {
        self.try_call(line, headers, body).expect("a response")
    }

    /// Sends a request with these headers. `None` if the broker ends meanwhile.
    pub fn try_call(&mut self, line: &str, headers: &[&str], body: &str) -> Option<Answer> {
        let mut request = format!("{line} HTTP/1.1\r\n");
        for header in headers {
            request += &format!("{header}\r\n");
        }
        if !body.is_empty() {
            let length = body.len();
            request += &format!("Content-Type: application/vnd.schemaregistry.v1+json\r\nContent-Length: {length}\r\n");
        }
        self.stream.write_all(format!("{request}\r\n{body}").as_bytes()).ok()?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.stream.read_exact(&mut byte).ok()?;
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).expect("text").to_ascii_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length = if line.starts_with("HEAD ") { 0 } else { length.map_or(0, |it| it.parse().expect("a length")) };
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).ok()?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Some(Answer { status, head, body: serde_json::from_slice(&body).unwrap_or(Value::Null) })
    }

    /// Sends a request and returns the body of its successful response.
    pub fn get(&mut self, line: &str) -> Value {
        let answer = self.call(line, "");
        assert_eq!(answer.status, 200, "{line}: {answer:?}");
        answer.body
    }

    /// Registers a schema and returns its id. `None` if the broker ends meanwhile.
    pub fn try_register(&mut self, subject: &str, schema: &str) -> Option<u64> {
        let host = format!("Host: {}", self.host);
        let body = json!({ "schema": schema }).to_string();
        let answer = self.try_call(&format!("POST /subjects/{subject}/versions"), &[&host], &body)?;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body["id"].as_u64()
    }

    pub fn register(&mut self, subject: &str, schema: &str) -> u64 {
        self.try_register(subject, schema).expect("an id")
    }
}
