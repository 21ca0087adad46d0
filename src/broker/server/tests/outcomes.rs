//! What a request leads to: replies, the end of a connection, silence.

use super::*;

async fn check_end(bytes: &[u8], expect: fn(&End) -> bool) {
    let server = TestServer::new();
    let (mut socket, task) = server.connect();
    socket.write_all(bytes).await.unwrap();
    let end = timeout(Duration::from_secs(10), task).await.expect("the connection stays open").unwrap();
    assert!(expect(&end), "{end:?}");
    assert_eq!(server.dispatch.disconnected.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn bytes_that_are_not_a_request_close_the_connection() {
    check_end(b"GET / HTTP/1.1\r\n\r\n", |end| matches!(end, End::Foreign("HTTP"))).await;
    check_end(&[0x16, 3, 1, 2, 0, 1, 0], |end| matches!(end, End::Foreign("TLS"))).await;
    check_end(&(-1i32).to_be_bytes(), |end| closed_for(end, "the request size is -1 bytes")).await;
    let above_the_budget = (BUDGET as u32 + 1).to_be_bytes();
    check_end(&above_the_budget, |end| closed_for(end, "more than queued.max.request.bytes=1048576")).await;
    check_end(&[frame("e"), b"GET ".to_vec()].concat(), |end| closed_for(end, "1195725856")).await;
}

#[tokio::test(start_paused = true)]
async fn handler_that_closes_fails_or_panics_ends_its_connection() {
    check_end(&frame("c"), |end| closed_for(end, "a reason to close")).await;
    check_end(&frame("f"), |end| closed_for(end, "a failure")).await;
    check_end(&frame("!"), |end| matches!(end, End::Panicked(why) if why == "a bug in a handler")).await;
    check_end(&frame("?"), |end| matches!(end, End::Panicked(why) if why == "a bug in a future")).await;
}

#[tokio::test(start_paused = true)]
async fn earlier_replies_are_sent_before_the_connection_is_closed() {
    let server = TestServer::new();
    let (mut socket, task) = server.connect();
    socket.write_all(&[frame("e1"), frame("w2"), frame("c"), frame("e3")].concat()).await.unwrap();
    let mut all = Vec::new();
    socket.read_to_end(&mut all).await.unwrap();
    assert_eq!(all, [frame("e1"), frame("w2")].concat());
    assert!(closed_for(&task.await.unwrap(), "a reason to close"));
    assert_eq!(server.request_count(), 3);
}

#[tokio::test(start_paused = true)]
async fn reply_that_closes_is_the_last_one_sent() {
    for last in ["l3", "L3"] {
        let server = TestServer::new();
        let (mut socket, task) = server.connect();
        socket.write_all(&[frame("e1"), frame("w2"), frame(last), frame("e4")].concat()).await.unwrap();
        let mut all = Vec::new();
        socket.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, [frame("e1"), frame("w2"), frame(last)].concat());
        assert!(closed_for(&task.await.unwrap(), "the last reply"));
    }
}

#[tokio::test(start_paused = true)]
async fn muted_connection_is_not_read_from_until_the_time_is_over() {
    let server = TestServer::new();
    let (mut socket, _task) = server.connect();
    let begin = Instant::now();
    socket.write_all(&frame("m")).await.unwrap();
    assert_eq!(reply(&mut socket).await, b"m");
    assert_eq!(begin.elapsed(), Duration::ZERO, "the reply itself is sent at once");
    socket.write_all(&[frame("e"), frame("m"), frame("m")].concat()).await.unwrap();
    assert_eq!(reply(&mut socket).await, b"e");
    assert_eq!(begin.elapsed(), MUTE);
    socket.write_all(&frame("e")).await.unwrap();
    let rest = [reply(&mut socket).await, reply(&mut socket).await, reply(&mut socket).await];
    assert_eq!((rest, begin.elapsed()), ([b"m".to_vec(), b"m".to_vec(), b"e".to_vec()], 2 * MUTE));
}

#[tokio::test(start_paused = true)]
async fn muted_connection_in_the_middle_of_a_request_is_not_stalled() {
    let server = TestServer::new();
    let (mut socket, _task) = server.connect();
    let large = frame([b'e'; LARGE]);
    let (begin, rest) = large.split_at(30_000);
    socket.write_all(&[&frame("m"), begin].concat()).await.unwrap();
    assert_eq!(reply(&mut socket).await, b"m");
    tokio::time::sleep(MUTE - Duration::from_secs(1)).await;
    let (mut receiver, mut sender) = tokio::io::split(socket);
    let mut size = [0; 4];
    let (sent, received) = tokio::join!(sender.write_all(rest), receiver.read_exact(&mut size));
    assert!(sent.is_ok() && received.is_ok(), "{sent:?}, {received:?}");
    assert_eq!(u32::from_be_bytes(size) as usize, LARGE);
}

#[tokio::test(start_paused = true)]
async fn muted_connection_can_be_drained() {
    let server = TestServer::new();
    let address = ([127, 0, 0, 1], 9092).into();
    let info = Arc::new(ConnectionInfo::new(0, address, address, "PLAINTEXT".into()));
    let (mut socket, theirs) = tokio::io::duplex(1 << 16);
    let mut connection = Connection::new(theirs, info, server.shared.clone());
    socket.write_all(&frame("m")).await.unwrap();
    assert!(timeout(MUTE / 2, connection.serve()).await.is_err());
    connection.drain();
    let end = timeout(MUTE / 4, connection.serve()).await.expect("ends before the time is over");
    assert!(matches!(end, End::Drained), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn http_request_gets_http_response() {
    let server = TestServer::new();
    let (mut socket, _task) = server.connect();
    socket.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 400 ") && answer.ends_with("This port serves the Kafka protocol, not HTTP.\n"),
        "{answer}"
    );
}

#[tokio::test(start_paused = true)]
async fn parked_reply_is_dropped_when_the_peer_closes() {
    let server = TestServer::new();
    let (mut socket, task) = server.connect();
    socket.write_all(&frame("w")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(server.dispatch.parked.load(Ordering::SeqCst), 1);
    drop(socket);
    assert!(matches!(task.await.unwrap(), End::PeerClosed { mid_request: false }));
    assert_eq!(server.dispatch.parked.load(Ordering::SeqCst), 0);
}
