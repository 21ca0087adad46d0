//! Limits of one connection: requests in flight, time, memory.

use super::*;

#[tokio::test(start_paused = true)]
async fn client_that_reads_no_replies_is_not_read_from_and_is_closed() {
    let server = TestServer::new();
    let (mut socket, task) = server.connect();
    let request = frame([b'e'; 1000]);
    let mut sent = 0;
    while timeout(Duration::from_secs(1), socket.write_all(&request)).await.is_ok() {
        sent += 1;
        assert!(sent < 1000, "all its requests are read");
    }
    assert!(server.request_count() < 300);
    let why = task.await.unwrap();
    assert!(matches!(&why, End::Closed(why) if why.to_string().contains("does not read")), "{why:?}");
}

#[tokio::test(start_paused = true)]
async fn requests_in_flight_are_bounded() {
    let server = TestServer::new();
    let (mut socket, _task) = server.connect();
    for _ in 0..1000 {
        socket.write_all(&frame("w")).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert!((64..128).contains(&server.request_count()), "{}", server.request_count());
    for _ in 0..1000 {
        assert_eq!(reply(&mut socket).await, b"w");
    }
}

#[tokio::test(start_paused = true)]
async fn idle_connection_is_closed_after_the_idle_timeout() {
    let server = TestServer::new();
    let began = Instant::now();
    let (_silent, task) = server.connect();
    assert!(matches!(task.await.unwrap(), End::Idle));
    assert!(began.elapsed() >= IDLE && began.elapsed() < IDLE * 5 / 4 + Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn partial_request_without_progress_is_closed_after_the_stall_timeout() {
    let server = TestServer::new();
    let began = Instant::now();
    let (mut socket, task) = server.connect();
    socket.write_all(&(LARGE as u32).to_be_bytes()).await.unwrap();
    socket.write_all(&[b'e'; 10_000]).await.unwrap();
    assert!(closed_for(&task.await.unwrap(), "sent 10000 of 700000 bytes of a request"));
    assert!(began.elapsed() < STALL_TIMEOUT * 5 / 4);
    assert!(server.shared.budget.is_half_free());
}

#[tokio::test(start_paused = true)]
async fn partial_request_without_progress_is_closed_sooner_if_others_wait() {
    let server = TestServer::new();
    let (mut stalled, stalled_task) = server.connect();
    stalled.write_all(&(LARGE as u32).to_be_bytes()).await.unwrap();
    stalled.write_all(&[b'e'; 10_000]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let began = Instant::now();
    // A client that announces much and sends little does not get into the queue.
    let (mut trickle, trickle_task) = server.connect();
    trickle.write_all(&(LARGE as u32).to_be_bytes()).await.unwrap();
    trickle.write_all(&[b'e'; 10]).await.unwrap();
    // Small requests are handled at any time.
    let (mut small, _small_task) = server.connect();
    small.write_all(&frame("e")).await.unwrap();
    assert_eq!(reply(&mut small).await, b"e");
    assert!(began.elapsed() < Duration::from_millis(100));
    // A large request is handled when the stalled one is closed.
    let (large, _large_task) = server.connect();
    let (mut read, mut write) = tokio::io::split(large);
    let sender = tokio::spawn(async move { write.write_all(&frame([b'e'; LARGE])).await });
    assert_eq!(read.read_u32().await.unwrap() as usize, LARGE);
    assert!(began.elapsed() < STALL_TIMEOUT / 5);
    assert!(closed_for(&stalled_task.await.unwrap(), "and then stopped"));
    assert!(!trickle_task.is_finished());
    drop((read, sender));
}

#[tokio::test(start_paused = true)]
async fn large_requests_above_the_budget_are_read_one_after_the_other() {
    let server = TestServer::new();
    let mut clients = Vec::new();
    for _ in 0..5 {
        let (mut socket, task) = server.connect();
        clients.push(tokio::spawn(async move {
            socket.write_all(&(LARGE as u32).to_be_bytes()).await.unwrap();
            for _ in 0..LARGE / 7_000 {
                tokio::time::sleep(Duration::from_millis(50)).await;
                socket.write_all(&[b'n'; 7_000]).await.unwrap();
            }
            socket.write_all(&frame("e")).await.unwrap();
            assert_eq!(reply(&mut socket).await, b"e");
            drop(task);
        }));
    }
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(server.request_count(), 10);
    assert!(server.shared.budget.is_half_free());
}

#[tokio::test]
async fn messages_before_authentication_have_the_limit_of_their_listener() {
    for (listener, bytes, is_closed) in [("SMALL", 40, false), ("SMALL", 41, true), ("OTHER", 100, false)] {
        let server = TestServer::new();
        let address = ([127, 0, 0, 1], 9092).into();
        let info = ConnectionInfo::new(0, address, address, listener.into()).with_sasl();
        let (mut socket, theirs) = tokio::io::duplex(1 << 16);
        let mut connection = Connection::new(theirs, Arc::new(info), server.shared.clone());
        let task = tokio::spawn(async move { connection.serve().await });
        socket.write_all(&frame(vec![b'e'; bytes])).await.unwrap();
        if is_closed {
            let why = task.await.unwrap();
            let says = |why: &str| why.contains("sasl.server.max.receive.size");
            assert!(matches!(&why, End::Closed(why) if says(&why.to_string())), "{listener} {bytes}: {why:?}");
        } else {
            assert_eq!(reply(&mut socket).await.len(), bytes, "{listener}");
        }
    }
}
