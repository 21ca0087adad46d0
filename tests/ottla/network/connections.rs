//! Connections over loopback: order, limits, back-pressure, log lines, stopping.

use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use common::server_toy::{TestServer, command, frame, logged, soon};
use ottla_broker::server::Limits;
use ottla_config::BindHost;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_requests_are_answered_in_order() {
    let server = TestServer::open(Limits::default());
    let client = server.connect().await;
    let (mut read, mut write) = client.socket.into_split();
    let sizes = [5, 100, 9000, 65_650, 1, 300_000, 8188, 40];
    let bodies: Vec<Vec<u8>> =
        sizes.iter().cycle().take(400).enumerate().map(|(at, &size)| vec![at as u8 | 0x80; size]).collect();
    let expect: Vec<u8> = bodies.iter().flat_map(frame).collect();
    let sent = expect.clone();
    // The half to write stays open until all is read: who closes it has no more interest in answers.
    let writing = tokio::spawn(async move { write.write_all(&sent).await.map(|()| write) });
    let mut got = vec![0; expect.len()];
    read.read_exact(&mut got).await.unwrap();
    assert!(got == expect);
    writing.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn both_families_reach_a_wildcard_listener() {
    let server = TestServer::open_at(BindHost::Any, Limits::default());
    for host in ["127.0.0.1", "::1"] {
        let socket = TcpStream::connect((host, server.address.port())).await;
        if host == "::1" && socket.is_err() {
            continue; // IPv6 is off here
        }
        let mut client = common::server_toy::Client { socket: socket.unwrap() };
        client.echo(b"hello").await;
        client.send(&frame([command::CLOSE])).await;
        client.closed().await;
        logged("WARN", &[&client.name(), "on PLAINTEXT", "it asked for it"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_protocols_are_named_in_the_log() {
    let server = TestServer::open(Limits::default());
    for (bytes, name) in [
        (&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], "HTTP"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "TLS"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "SSH"),
    ] {
        let mut client = server.connect().await;
        client.send(bytes).await;
        client.closed().await;
        logged("WARN", &[&client.name(), &format!("the client speaks {name},")]).await;
    }
    server.connect().await.echo(b"others are served").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_sizes_close_only_that_connection() {
    let server = TestServer::open(Limits { max_request_bytes: 1000, ..Limits::default() });
    let mut other = server.connect().await;
    for (size, why) in [(-2, "-2 bytes"), (1001, "1001 bytes, more than socket.request.max.bytes=1000")] {
        let mut client = server.connect().await;
        client.echo(&[1; 1000]).await;
        client.send(&i32::to_be_bytes(size)).await;
        client.closed().await;
        logged("WARN", &[&client.name(), why]).await;
    }
    other.echo(b"still here").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_closes_only_its_connection() {
    let server = TestServer::open(Limits::default());
    let mut other = server.connect().await;
    let mut client = server.connect().await;
    client.send(&frame([command::PANIC])).await;
    client.closed().await;
    logged("ERROR", &[&client.name(), "panicked: a handler of"]).await;
    other.echo(b"still here").await;
    soon("the connection is forgotten", || server.toy.disconnected.load(SeqCst) == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_requests_go_with_their_peer() {
    let server = TestServer::open(Limits::default());
    let mut client = server.connect().await;
    client.send(&frame([command::WAIT]).repeat(3)).await;
    soon("the requests wait", || server.toy.parked.load(SeqCst) == 3).await;
    drop(client);
    soon("nothing waits", || server.toy.parked.load(SeqCst) == 0).await;
    soon("the connection is forgotten", || server.toy.disconnected.load(SeqCst) == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_is_not_read_from() {
    let server = TestServer::open(Limits { idle: Some(Duration::from_secs(1)), ..Limits::default() });
    let mut greedy = server.connect().await;
    let much = frame([command::MUCH]);
    greedy.send(&much.repeat(100)).await;
    // A hundred fit into one read. What comes later is not taken.
    soon("the first requests are taken", || server.toy.seen.load(SeqCst) == 100).await;
    server.connect().await.echo(b"others are served").await;
    let taken = server.toy.seen.load(SeqCst);
    greedy.send(&much.repeat(1000)).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(server.toy.seen.load(SeqCst), taken);
    logged("WARN", &[&greedy.name(), "does not read its responses"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_gets_everything_in_the_end() {
    let server = TestServer::open(Limits::default());
    let mut client = server.connect().await;
    client.send(&frame([command::MUCH]).repeat(5)).await;
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(client.receive().await.len(), common::server_toy::MUCH_SIZE);
    }
    client.echo(b"and goes on").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_are_closed() {
    let server = TestServer::open(Limits { idle: Some(Duration::from_millis(800)), ..Limits::default() });
    let mut idle = server.connect().await;
    let mut busy = server.connect().await;
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(1500) {
        busy.echo(b"busy").await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    idle.closed().await;
    logged("DEBUG", &[&idle.name(), "idle"]).await;
    busy.echo(b"still here").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_its_connections_and_no_more() {
    let server = TestServer::open(Limits { max_connections_per_ip: 2, ..Limits::default() });
    let (mut first, mut second) = (server.connect().await, server.connect().await);
    first.echo(b"one").await;
    second.echo(b"two").await;
    let mut third = server.connect().await;
    third.closed().await;
    logged("WARN", &["refused", &third.name(), "max.connections.per.ip"]).await;
    drop(first);
    soon("a place is free", || server.toy.disconnected.load(SeqCst) == 1).await;
    server.connect().await.echo(b"three").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_max_connections_newcomers_wait() {
    let server = TestServer::open(Limits { max_connections: 1, ..Limits::default() });
    let mut first = server.connect().await;
    first.echo(b"one").await;
    let mut second = server.connect().await;
    second.send(&frame(b"two")).await;
    let early = tokio::time::timeout(Duration::from_millis(100), second.socket.read_u32()).await;
    assert!(early.is_err());
    logged("WARN", &["max.connections"]).await;
    drop(first);
    assert_eq!(second.receive().await, b"two");
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_lets_nobody_in_and_everybody_out() {
    let server = TestServer::open(Limits::default());
    let mut client = server.connect().await;
    client.echo(b"hello").await;
    let mut waiting = server.connect().await;
    waiting.send(&frame([command::WAIT])).await;
    soon("the request waits", || server.toy.parked.load(SeqCst) == 1).await;
    let began = Instant::now();
    let unanswered = server.server.stop(Duration::from_millis(200)).await;
    assert_eq!(unanswered, 1);
    assert!(began.elapsed() >= Duration::from_millis(200) && began.elapsed() < Duration::from_secs(5));
    client.closed().await;
    waiting.closed().await;
    logged("INFO", &[&waiting.name(), "a request is unanswered"]).await;
    assert_eq!(server.toy.disconnected.load(SeqCst), 2);
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_an_idle_server_takes_no_time() {
    let server = TestServer::open(Limits::default());
    let mut client = server.connect().await;
    client.echo(b"hello").await;
    let began = Instant::now();
    assert_eq!(server.server.stop(Duration::from_secs(10)).await, 0);
    assert!(began.elapsed() < Duration::from_secs(1));
}
