//! The console's pages and its API, over HTTP.

mod access;
mod api;
mod pages;
mod records;
mod registry;

use std::io::{Read as _, Write as _};

use serde_json::{Value, json};

use crate::admin::http::{ADMIN, address, connect};
use common::Broker;

/// A response of the console.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    /// The objects of a response with one in each line.
    fn lines(&self) -> Vec<Value> {
        self.text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }

    /// The code of an error.
    fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

fn with_console() -> Broker {
    Broker::with().arg("--console").arg("--admin-port").arg("0").start()
}

/// Sends a request with the right `Host` and these headers.
fn send(broker: &Broker, method: &str, path: &str, headers: &[&str], body: &str) -> Answer {
    let host = format!("Host: {}", address(broker));
    let length = format!("Content-Length: {}", body.len());
    let headers: Vec<&str> = [host.as_str(), &length].into_iter().chain(headers.iter().copied()).collect();
    raw(broker, &format!("{method} {path} HTTP/1.1\r\n{}\r\n\r\n{body}", headers.join("\r\n")))
}

/// Sends bytes and reads until the broker closes the connection.
fn raw(broker: &Broker, request: &str) -> Answer {
    let mut stream = connect(broker);
    stream.write_all(request.as_bytes()).expect("the request is sent");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("a response and the end of the stream");
    let text = String::from_utf8(bytes).expect("text");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let head = head.to_ascii_lowercase();
    let text = if head.contains("transfer-encoding: chunked") { without_chunks(body) } else { body.to_owned() };
    Answer { status, head, text }
}

/// Joins the chunks of a body.
fn without_chunks(mut body: &str) -> String {
    let mut text = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).expect("the size of a chunk");
        if size == 0 {
            return text;
        }
        text += &rest[..size];
        body = &rest[size + 2..];
    }
    panic!("the body has no last chunk");
}

fn get(broker: &Broker, path: &str) -> Answer {
    send(broker, "GET", &format!("/api/v1{path}"), &[], "")
}

fn change(broker: &Broker, method: &str, path: &str, body: &Value) -> Answer {
    send(broker, method, &format!("/api/v1{path}"), &[ADMIN], &body.to_string())
}

/// Sends a change that succeeds.
#[track_caller]
fn done(broker: &Broker, method: &str, path: &str, body: &Value) -> Value {
    let answer = change(broker, method, path, body);
    assert!([200, 201].contains(&answer.status), "{method} {path}: {answer:?}");
    answer.json()
}

/// Gets a path that exists.
#[track_caller]
fn got(broker: &Broker, path: &str) -> Value {
    let answer = get(broker, path);
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.json()
}

fn create_topic(broker: &Broker, name: &str, partitions: i32) {
    done(broker, "POST", "/topics", &json!({"name": name, "partitions": partitions}));
}
