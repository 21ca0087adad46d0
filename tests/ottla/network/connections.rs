//! Connections over loopback: order of responses, limits, back-pressure, log lines, stop.

use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use common::test_server::{TestServer, command, frame, wait_for, wait_for_log_line};
use ottla_broker::server::Limits;
use ottla_config::BindHost;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_requests_are_answered_in_order() {
    let server = TestServer::start(Limits::default());
    let client = server.connect().await;
    let (mut read, mut write) = client.socket.into_split();
    let sizes = [5, 100, 9000, 65_650, 1, 300_000, 8188, 40];
    let bodies: Vec<Vec<u8>> =
        sizes.iter().cycle().take(400).enumerate().map(|(at, &size)| vec![at as u8 | 0x80; size]).collect();
    let expect: Vec<u8> = bodies.iter().flat_map(frame).collect();
    let sent = expect.clone();
    // The write half stays open until everything is read, because closing it discards responses.
    let writing = tokio::spawn(async move { write.write_all(&sent).await.map(|()| write) });
    let mut got = vec![0; expect.len()];
    read.read_exact(&mut got).await.unwrap();
    assert!(got == expect);
    writing.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn wildcard_listener_accepts_ipv4_and_ipv6() {
    let server = TestServer::start_at(BindHost::Any, Limits::default());
    for host in ["127.0.0.1", "::1"] {
        let socket = TcpStream::connect((host, server.address.port())).await;
        if host == "::1" && socket.is_err() {
            continue; // no IPv6 on this machine
        }
        let mut client = common::test_server::Client { socket: socket.unwrap() };
        client.echo(b"hello").await;
        client.send(&frame([command::CLOSE])).await;
        client.wait_until_closed().await;
        wait_for_log_line("WARN", &[&client.name(), "on PLAINTEXT", "requested by the client"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn client_of_another_protocol_is_named_in_the_log() {
    let server = TestServer::start(Limits::default());
    for (bytes, name) in [
        (&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], "HTTP"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "TLS"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "SSH"),
    ] {
        let mut client = server.connect().await;
        client.send(bytes).await;
        client.wait_until_closed().await;
        wait_for_log_line("WARN", &[&client.name(), &format!("the client sent {name} data,")]).await;
    }
    server.connect().await.echo(b"others are served").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_request_size_closes_only_that_connection() {
    let server = TestServer::start(Limits { max_request_bytes: 1000, ..Limits::default() });
    let mut other = server.connect().await;
    for (size, why) in [(-2, "-2 bytes"), (1001, "1001 bytes, more than socket.request.max.bytes=1000")] {
        let mut client = server.connect().await;
        client.echo(&[1; 1000]).await;
        client.send(&i32::to_be_bytes(size)).await;
        client.wait_until_closed().await;
        wait_for_log_line("WARN", &[&client.name(), why]).await;
    }
    other.echo(b"still here").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn handler_panic_closes_only_its_connection() {
    let server = TestServer::start(Limits::default());
    let mut other = server.connect().await;
    let mut client = server.connect().await;
    client.send(&frame([command::PANIC])).await;
    client.wait_until_closed().await;
    wait_for_log_line("ERROR", &[&client.name(), "panicked: a handler of"]).await;
    other.echo(b"still here").await;
    wait_for("the disconnect", || server.commands.disconnected.load(SeqCst) == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_requests_are_dropped_when_the_client_disconnects() {
    let server = TestServer::start(Limits::default());
    let mut client = server.connect().await;
    client.send(&frame([command::WAIT]).repeat(3)).await;
    wait_for("all requests to wait", || server.commands.parked.load(SeqCst) == 3).await;
    drop(client);
    wait_for("no request to wait", || server.commands.parked.load(SeqCst) == 0).await;
    wait_for("the disconnect", || server.commands.disconnected.load(SeqCst) == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn client_that_does_not_read_responses_is_not_read_from() {
    let server = TestServer::start(Limits { idle: Some(Duration::from_secs(1)), ..Limits::default() });
    let mut greedy = server.connect().await;
    let large = frame([command::LARGE]);
    greedy.send(&large.repeat(100)).await;
    // The first hundred requests fit into one read of the server. Later ones are not read.
    wait_for("the first requests are received", || server.commands.received.load(SeqCst) == 100).await;
    server.connect().await.echo(b"others are served").await;
    let received = server.commands.received.load(SeqCst);
    greedy.send(&large.repeat(1000)).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(server.commands.received.load(SeqCst), received);
    wait_for_log_line("WARN", &[&greedy.name(), "does not read its responses"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_reader_gets_all_responses() {
    let server = TestServer::start(Limits::default());
    let mut client = server.connect().await;
    client.send(&frame([command::LARGE]).repeat(5)).await;
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(client.receive().await.len(), common::test_server::LARGE_SIZE);
    }
    client.echo(b"next").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connection_is_closed_after_the_idle_timeout() {
    let server = TestServer::start(Limits { idle: Some(Duration::from_millis(800)), ..Limits::default() });
    let mut idle = server.connect().await;
    let mut busy = server.connect().await;
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(1500) {
        busy.echo(b"busy").await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    idle.wait_until_closed().await;
    wait_for_log_line("DEBUG", &[&idle.name(), "idle"]).await;
    busy.echo(b"still here").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_above_max_connections_per_ip_is_refused() {
    let server = TestServer::start(Limits { max_connections_per_ip: 2, ..Limits::default() });
    let (mut first, mut second) = (server.connect().await, server.connect().await);
    first.echo(b"one").await;
    second.echo(b"two").await;
    let mut third = server.connect().await;
    third.wait_until_closed().await;
    wait_for_log_line("WARN", &["refused", &third.name(), "max.connections.per.ip"]).await;
    drop(first);
    wait_for("the disconnect", || server.commands.disconnected.load(SeqCst) == 1).await;
    server.connect().await.echo(b"three").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_above_max_connections_waits_for_a_permit() {
    let server = TestServer::start(Limits { max_connections: 1, ..Limits::default() });
    let mut first = server.connect().await;
    first.echo(b"one").await;
    let mut second = server.connect().await;
    second.send(&frame(b"two")).await;
    let early = tokio::time::timeout(Duration::from_millis(100), second.socket.read_u32()).await;
    assert!(early.is_err());
    wait_for_log_line("WARN", &["max.connections"]).await;
    drop(first);
    assert_eq!(second.receive().await, b"two");
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_closes_the_listener_and_all_connections() {
    let server = TestServer::start(Limits::default());
    let mut client = server.connect().await;
    client.echo(b"hello").await;
    let mut waiting = server.connect().await;
    waiting.send(&frame([command::WAIT])).await;
    wait_for("the request to wait", || server.commands.parked.load(SeqCst) == 1).await;
    let began = Instant::now();
    let unanswered = server.inner.stop(Duration::from_millis(200)).await;
    assert_eq!(unanswered, 1);
    assert!(began.elapsed() >= Duration::from_millis(200) && began.elapsed() < Duration::from_secs(5));
    client.wait_until_closed().await;
    waiting.wait_until_closed().await;
    wait_for_log_line("INFO", &[&waiting.name(), "a request got no response"]).await;
    assert_eq!(server.commands.disconnected.load(SeqCst), 2);
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_of_an_idle_server_returns_at_once() {
    let server = TestServer::start(Limits::default());
    let mut client = server.connect().await;
    client.echo(b"hello").await;
    let began = Instant::now();
    assert_eq!(server.inner.stop(Duration::from_secs(10)).await, 0);
    assert!(began.elapsed() < Duration::from_secs(1));
}
