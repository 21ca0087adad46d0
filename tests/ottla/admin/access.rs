//! Access to the admin port: hosts, headers and limits.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::admin::http::{ADMIN, address, connect, request, send};
use common::Broker;

fn with_admin_port() -> Broker {
    Broker::with().arg("--admin-port").arg("0").start()
}

#[test]
fn admin_port_without_setting_is_not_opened() {
    let broker = Broker::start();
    assert_eq!(broker.ready().admin_url, None);
    assert!(!broker.log().contains("admin port"));
}

#[test]
fn admin_listener_setting_opens_the_admin_port_and_logs_its_address() {
    let broker = Broker::with().env("KAFKA_OTTLA_ADMIN_LISTENER", "127.0.0.1:0").start();
    let at = address(&broker);
    assert!(at.starts_with("127.0.0.1:"), "{at}");
    broker.wait_for_log(&format!("admin port http://{at}"));
    assert_eq!(request(&broker, "GET", "/health", &[]).status, 200);
}

#[test]
fn health_and_ready_return_json() {
    let broker = with_admin_port();
    let health = request(&broker, "GET", "/health", &[]);
    assert_eq!((health.status, health.body["status"].as_str()), (200, Some("alive")));
    assert!(health.head.contains("content-type: application/json"), "{}", health.head);
    let ready = request(&broker, "GET", "/ready", &[]);
    assert_eq!((ready.status, ready.body["status"].as_str()), (200, Some("ready")));
    assert_eq!(ready.body["bootstrap_servers"].as_str(), Some(broker.bootstrap_servers()));
}

#[test]
fn unknown_admin_path_or_method_returns_404_or_405() {
    let broker = with_admin_port();
    for (method, path, expect) in [
        ("GET", "/", 404),
        ("GET", "/reset", 405),
        ("POST", "/ready", 405),
        ("DELETE", "/reset", 405),
        ("POST", "/RESET", 404),
        ("OPTIONS", "/reset", 405),
    ] {
        let answer = request(&broker, method, path, &[ADMIN]);
        assert_eq!((answer.status, answer.error().is_empty()), (expect, false), "{method} {path}: {answer:?}");
        // No CORS header allows a web page to send requests.
        assert!(!answer.head.contains("access-control"), "{}", answer.head);
    }
}

#[test]
fn reset_without_admin_header_or_from_a_web_page_returns_403() {
    let broker = with_admin_port();
    let refused = |headers: &[&str], why: &str| {
        let answer = request(&broker, "POST", "/reset", headers);
        assert_eq!(answer.status, 403, "{headers:?}");
        assert!(answer.error().contains(why), "{headers:?}: {}", answer.error());
    };
    refused(&[], "X-Ottla-Admin");
    refused(&[ADMIN, "Origin: http://localhost:3000"], "Origin");
    let foreign = send(&broker, &format!("POST /reset HTTP/1.1\r\nHost: evil.test\r\n{ADMIN}\r\n\r\n"));
    assert_eq!(foreign.status, 403);
    assert!(foreign.error().contains("ottla.admin.allowed.hosts"), "{}", foreign.error());
    assert_eq!(request(&broker, "POST", "/reset", &[ADMIN]).status, 200);
}

#[test]
fn reset_with_an_allowed_host_is_accepted() {
    let broker =
        Broker::with().set("ottla.admin.listener", "0").set("ottla.admin.allowed.hosts", "kafka,broker.test").start();
    for (host, expect) in [("kafka:9644", 200), ("Broker.Test", 200), ("other.test", 403)] {
        let answer = send(&broker, &format!("POST /reset HTTP/1.1\r\nHost: {host}\r\n{ADMIN}\r\n\r\n"));
        assert_eq!(answer.status, expect, "{host}");
    }
}

#[test]
fn oversized_admin_request_is_refused() {
    let broker = with_admin_port();
    let host = address(&broker);
    let body = format!("POST /reset HTTP/1.1\r\nHost: {host}\r\n{ADMIN}\r\nContent-Length: 20000\r\n\r\n");
    assert_eq!(send(&broker, &(body + &"x".repeat(20_000))).status, 413);

    let mut stream = connect(&broker);
    let line = format!("X-Filler: {}\r\n", "x".repeat(1000));
    stream.write_all(b"GET /health HTTP/1.1\r\n").unwrap();
    let is_closed = (0..10_000).any(|_| stream.write_all(line.as_bytes()).is_err());
    assert!(is_closed, "ten megabytes of headers were accepted");
    assert_eq!(request(&broker, "GET", "/health", &[]).status, 200);
}

#[test]
fn admin_connection_serves_one_request() {
    let broker = with_admin_port();
    let request = format!("GET /health HTTP/1.1\r\nHost: {}\r\n\r\n", address(&broker));
    let mut stream = connect(&broker);
    stream.write_all(request.repeat(2).as_bytes()).unwrap();
    let mut text = Vec::new();
    // The connection may end with a reset, because the second request is unread.
    let _ = stream.read_to_end(&mut text);
    assert_eq!(String::from_utf8_lossy(&text).matches("HTTP/1.1 200").count(), 1);
}

/// The slow connections send nothing or half a request.
#[test]
fn health_is_answered_while_slow_connections_are_open() {
    let broker = with_admin_port();
    let slow: Vec<_> = (0..400)
        .map(|number| {
            let mut stream = connect(&broker);
            if number % 2 == 0 {
                stream.write_all(b"GET /health HTTP/1.1\r\nHost: loc").unwrap();
            }
            stream
        })
        .collect();
    for path in ["/health", "/ready", "/health"] {
        let started = Instant::now();
        assert_eq!(request(&broker, "GET", path, &[]).status, 200);
        // Far less than the ten seconds that a request may take to be received.
        assert!(started.elapsed() < Duration::from_secs(5), "{path} was answered after {:?}", started.elapsed());
    }
    let is_closed = |mut stream: &TcpStream| {
        stream.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        match stream.read_exact(&mut [0]) {
            Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
            Ok(_) => true,
        }
    };
    let open = slow.iter().filter(|stream| !is_closed(stream)).count();
    assert!((1..=256).contains(&open), "{open} slow connections are still open");
    let log = broker.log();
    let lines = log.matches("reason=\"evicted for another connection\"").count();
    assert_eq!(lines, 10, "{log}");
}

/// A web page whose host name resolves to this machine (DNS rebinding) learns only that a process is alive.
#[test]
fn get_with_an_unknown_host_is_refused_except_health() {
    let broker =
        Broker::with().set("ottla.admin.listener", "0").set("ottla.admin.allowed.hosts", "kafka,broker.test").start();
    let get = |path: &str, host: &str| send(&broker, &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    let own_name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    for host in
        ["localhost", "LOCALHOST:9644", "127.0.0.1", "10.1.2.3:80", "[::1]:9644", "kafka", "Broker.Test:1", &own_name]
    {
        let ready = get("/ready", host);
        assert_eq!((ready.status, ready.body["status"].as_str()), (200, Some("ready")), "{host}");
        assert!(get("/health", host).body["version"].is_string(), "{host}");
    }
    for host in ["evil.test", "evil.test:9644", "localhost.evil.test", "127.0.0.1.evil.test", "kafka.evil.test", ""] {
        for path in ["/ready", "/", "/reset", "/health/", "//health"] {
            let refused = get(path, host);
            assert_eq!(refused.status, 403, "{path} {host}");
            let body = refused.body.to_string();
            assert!(!body.contains(&broker.port().to_string()), "{body}");
        }
        let health = get("/health", host);
        assert_eq!((health.status, health.body), (200, serde_json::json!({"status": "alive"})), "{host}");
    }
    broker.wait_for_log("method=GET path=\"/ready\"");
}

#[test]
fn admin_port_in_use_exits_with_code_2_and_one_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = common::run(&["--ephemeral", "--port", "0", "--admin-port", &port]);
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.lines().count() == 1 && stderr.contains(&format!("the admin port {port} is in use")), "{stderr}");
}
