//! Connections over an in-memory stream, in simulated time.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::connection::{Connection, End, Shared};
use super::memory::{BufferPool, RequestBudget};
use super::{ConnectionInfo, Dispatch, Outcome, Reply, Then};
use crate::clock::Clock;
use crate::log_rate_limiter::LogRateLimiter;

const IDLE: Duration = Duration::from_secs(600);
const STALL_TIMEOUT: Duration = Duration::from_secs(30);
const BUDGET: usize = 1 << 20;
const LARGE: usize = 700_000;
const MUTE: Duration = Duration::from_secs(20);

/// A dispatcher for which the first byte of a request is a command. Replies are the request frames.
#[derive(Default)]
struct EchoDispatch {
    requests: Mutex<Vec<Bytes>>,
    parked: AtomicUsize,
    disconnected: AtomicUsize,
    /// The number of faults in memory.
    faults: AtomicUsize,
    /// Not 0 if a fault is in the memory of a reply.
    faults_in_replies: AtomicUsize,
    /// Chunks that the kernel could not read.
    unreadable: AtomicUsize,
}

impl Dispatch for Arc<EchoDispatch> {
    fn dispatch(&self, _: &Arc<ConnectionInfo>, frame: Bytes) -> Outcome {
        self.requests.lock().push(frame.clone());
        let reply = vec![Bytes::copy_from_slice(&(frame.len() as u32).to_be_bytes()), frame.clone()];
        match frame.first() {
            Some(b'w') => {
                self.parked.fetch_add(1, Ordering::SeqCst);
                let parked = Parked(self.clone());
                Outcome::Parked(Box::pin(async move {
                    tokio::time::sleep(Duration::from_secs(5)).await;
                    drop(parked);
                    Ok(reply.into())
                }))
            }
            Some(b'f') => Outcome::Parked(Box::pin(async { Err("a failure".into()) })),
            Some(b'n') => Outcome::NoReply,
            Some(b'c') => Outcome::Close("a reason to close".into()),
            Some(b'm') => Outcome::Ready(Reply { chunks: reply, then: Then::Mute(MUTE) }),
            Some(b'l') => Outcome::Ready(Reply { chunks: reply, then: Then::Close("the last reply".into()) }),
            Some(b'L') => Outcome::Parked(Box::pin(async move {
                tokio::time::sleep(Duration::from_secs(5)).await;
                Ok(Reply { chunks: reply, then: Then::Close("the last reply".into()) })
            })),
            Some(b'!') => panic!("a bug in a handler"),
            Some(b'?') => Outcome::Parked(Box::pin(async { panic!("a bug in a future") })),
            _ => Outcome::Ready(reply.into()),
        }
    }

    fn faults(&self) -> u64 {
        self.faults.load(Ordering::SeqCst) as u64
    }

    fn is_intact(&self, _: &[u8]) -> bool {
        self.faults_in_replies.load(Ordering::SeqCst) == 0
    }

    fn on_unreadable(&self, _: &[u8]) {
        self.unreadable.fetch_add(1, Ordering::SeqCst);
    }

    fn on_disconnect(&self, _: &Arc<ConnectionInfo>) {
        self.disconnected.fetch_add(1, Ordering::SeqCst);
    }
}

/// Counts a parked reply until its future is dropped.
struct Parked(Arc<EchoDispatch>);

impl Drop for Parked {
    fn drop(&mut self) {
        self.0.parked.fetch_sub(1, Ordering::SeqCst);
    }
}

struct TestServer {
    dispatch: Arc<EchoDispatch>,
    shared: Arc<Shared>,
}

impl TestServer {
    fn new() -> Self {
        let dispatch = Arc::new(EchoDispatch::default());
        let shared = Arc::new(Shared {
            clock: Clock::start(),
            log_rate_limiter: LogRateLimiter::new(Clock::start()),
            dispatch: Arc::new(dispatch.clone()),
            budget: Arc::new(RequestBudget::new(BUDGET)),
            buffers: Arc::new(BufferPool::new(BUDGET)),
            max_frame: 2 * BUDGET,
            max_sasl_frame: 100,
            idle: Some(IDLE),
            stall_timeout: STALL_TIMEOUT,
        });
        TestServer { dispatch, shared }
    }

    fn connect(&self) -> (DuplexStream, JoinHandle<End>) {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        (ours, self.serve(theirs))
    }

    fn serve(&self, theirs: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> JoinHandle<End> {
        let address = ([127, 0, 0, 1], 9092).into();
        let info = Arc::new(ConnectionInfo::new(0, address, address, "PLAINTEXT".into()));
        let mut connection = Connection::new(theirs, info, self.shared.clone());
        tokio::spawn(async move { connection.serve().await })
    }

    fn request_count(&self) -> usize {
        self.dispatch.requests.lock().len()
    }
}

fn frame(body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    [&(body.len() as u32).to_be_bytes()[..], body].concat()
}

async fn reply(socket: &mut DuplexStream) -> Vec<u8> {
    let size = socket.read_u32().await.unwrap();
    let mut body = vec![0; size as usize];
    socket.read_exact(&mut body).await.unwrap();
    body
}

/// Sends the frames in pieces of `step` bytes, and expects all of them back except those that begin with `n`.
async fn check_echo(frames: &[Vec<u8>], step: usize) {
    let server = TestServer::new();
    let (socket, _task) = server.connect();
    let (mut read, mut write) = tokio::io::split(socket);
    let sent: Vec<u8> = frames.iter().flat_map(frame).collect();
    let expect: Vec<u8> = frames.iter().filter(|body| body.first() != Some(&b'n')).flat_map(frame).collect();
    let sender = tokio::spawn(async move {
        for piece in sent.chunks(step) {
            write.write_all(piece).await.unwrap();
            tokio::task::yield_now().await;
        }
        write
    });
    let mut got = vec![0; expect.len()];
    timeout(Duration::from_secs(60), read.read_exact(&mut got)).await.unwrap().unwrap();
    assert!(got == expect, "steps of {step}");
    drop(sender.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn replies_are_sent_in_order_for_all_sizes_of_reads() {
    let body = |first: u8, size: usize| (0..size).map(|at| if at == 0 { first } else { at as u8 }).collect();
    let sizes = [5, 0, 1, 8187, 8188, 8189, 8192, 8193, 20_000, 3, 65_600, 65_600, 70_000, 200_000, 9, 8188];
    let frames: Vec<Vec<u8>> =
        sizes.iter().zip(b"ewenewweewweeneww".iter().cycle()).map(|(&size, &kind)| body(kind, size)).collect();
    for step in [1_000_000, 8192, 4097, 1000, 67] {
        check_echo(&frames, step).await;
    }
    let small: Vec<Vec<u8>> = (0..2000u32).map(|at| [b"e", &at.to_be_bytes()[..]].concat()).collect();
    for step in [1_000_000, 13, 1] {
        check_echo(&small, step).await;
    }
}

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

async fn check_end(bytes: &[u8], expect: fn(&End) -> bool) {
    let server = TestServer::new();
    let (mut socket, task) = server.connect();
    socket.write_all(bytes).await.unwrap();
    let end = timeout(Duration::from_secs(10), task).await.expect("the connection stays open").unwrap();
    assert!(expect(&end), "{end:?}");
    assert_eq!(server.dispatch.disconnected.load(Ordering::SeqCst), 1);
}

fn closed_for(end: &End, why: &str) -> bool {
    matches!(end, End::Closed(reason) if reason.to_string().contains(why))
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

/// A socket that accepts up to 7 bytes per write and counts the calls.
struct PartialWrites {
    calls: Arc<AtomicUsize>,
    inner: DuplexStream,
}

impl tokio::io::AsyncRead for PartialWrites {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl tokio::io::AsyncWrite for PartialWrites {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let accepted = &buf[..buf.len().min(7)];
        Pin::new(&mut self.inner).poll_write(cx, accepted)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn partial_writes_are_continued() {
    let server = TestServer::new();
    let (mut ours, theirs) = tokio::io::duplex(1 << 16);
    let address = ([127, 0, 0, 1], 9092).into();
    let info = Arc::new(ConnectionInfo::new(0, address, address, "PLAINTEXT".into()));
    let calls = Arc::new(AtomicUsize::new(0));
    let mut connection =
        Connection::new(PartialWrites { calls: calls.clone(), inner: theirs }, info, server.shared.clone());
    tokio::spawn(async move { connection.serve().await });
    let requests = [frame("e a first one"), frame(""), frame("n"), frame("e another one that is longer")].concat();
    ours.write_all(&requests).await.unwrap();
    assert_eq!(reply(&mut ours).await, b"e a first one");
    assert_eq!(reply(&mut ours).await, b"");
    assert_eq!(reply(&mut ours).await, b"e another one that is longer");
    assert!(calls.load(Ordering::SeqCst) > 7);
}

/// A socket whose writes fail with EFAULT, as if the kernel could not read the bytes.
struct Unreadable(DuplexStream);

impl AsyncRead for Unreadable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, into)
    }
}

impl AsyncWrite for Unreadable {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<std::io::Result<usize>> {
        Poll::Ready(Err(rustix::io::Errno::FAULT.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn unreadable_reply_is_reported_and_closes_the_connection() {
    let server = TestServer::new();
    let (mut ours, theirs) = tokio::io::duplex(1 << 16);
    let task = server.serve(Unreadable(theirs));
    ours.write_all(&frame(b"e: a request")).await.unwrap();
    let end = task.await.unwrap();
    assert!(matches!(end, End::UnreadableReply), "{end:?}");
    assert_eq!(server.dispatch.unreadable.load(Ordering::SeqCst), 2, "each chunk of the write");
}

/// Causes a fault in memory while a reply is being sent. Returns how many bytes of the reply arrived, and how the
/// connection ended, if it did.
async fn fault_while_sending(is_in_reply: bool) -> (usize, Option<End>) {
    let server = TestServer::new();
    let (mut socket, task) = server.connect();
    socket.write_all(&frame([b'e'; 200_000])).await.unwrap();
    socket.write_all(&frame(b"")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    server.dispatch.faults_in_replies.store(usize::from(is_in_reply), Ordering::SeqCst);
    server.dispatch.faults.store(1, Ordering::SeqCst);
    let mut arrived = vec![0; 200_004];
    let mut got = 0;
    while got < arrived.len() {
        match socket.read(&mut arrived[got..]).await.unwrap() {
            0 => return (got, Some(task.await.unwrap())),
            some => got += some,
        }
    }
    (got, None)
}

#[tokio::test(start_paused = true)]
async fn reply_whose_memory_had_a_fault_is_not_sent_further() {
    let (got, end) = fault_while_sending(true).await;
    assert!(got < 200_004 && matches!(end, Some(End::UnreadableReply)), "{got}, {end:?}");
    let (got, end) = fault_while_sending(false).await;
    assert!(got == 200_004 && end.is_none(), "a fault elsewhere: {got}, {end:?}");
}
