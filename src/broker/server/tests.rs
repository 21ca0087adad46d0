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
use super::{ConnectionInfo, Dispatch, Outcome};
use crate::log_rate_limiter::LogRateLimiter;

const IDLE: Duration = Duration::from_secs(600);
const STALL_TIMEOUT: Duration = Duration::from_secs(30);
const BUDGET: usize = 1 << 20;
const LARGE: usize = 700_000;

/// Requests are commands by their first byte; replies are their frames, sent back.
#[derive(Default)]
struct Toy {
    seen: Mutex<Vec<Bytes>>,
    parked: AtomicUsize,
    gone: AtomicUsize,
    /// Faults in memory, those that hit replies, and chunks that the system could not read.
    faults: AtomicUsize,
    hit: AtomicUsize,
    unreadable: AtomicUsize,
}

impl Dispatch for Arc<Toy> {
    fn dispatch(&self, _: &Arc<ConnectionInfo>, frame: Bytes) -> Outcome {
        self.seen.lock().push(frame.clone());
        let reply = vec![Bytes::copy_from_slice(&(frame.len() as u32).to_be_bytes()), frame.clone()];
        match frame.first() {
            Some(b'w') => {
                self.parked.fetch_add(1, Ordering::SeqCst);
                let parked = Parked(self.clone());
                Outcome::Parked(Box::pin(async move {
                    tokio::time::sleep(Duration::from_secs(5)).await;
                    drop(parked);
                    Ok(reply)
                }))
            }
            Some(b'f') => Outcome::Parked(Box::pin(async { Err("it failed".into()) })),
            Some(b'n') => Outcome::NoReply,
            Some(b'c') => Outcome::Close("it asked for it".into()),
            Some(b'!') => panic!("a bug in a handler"),
            Some(b'?') => Outcome::Parked(Box::pin(async { panic!("a bug in a future") })),
            _ => Outcome::Ready(reply),
        }
    }

    fn faults(&self) -> u64 {
        self.faults.load(Ordering::SeqCst) as u64
    }

    fn is_intact(&self, _: &[u8]) -> bool {
        self.hit.load(Ordering::SeqCst) == 0
    }

    fn on_unreadable(&self, _: &[u8]) {
        self.unreadable.fetch_add(1, Ordering::SeqCst);
    }

    fn on_disconnect(&self, _: &Arc<ConnectionInfo>) {
        self.gone.fetch_add(1, Ordering::SeqCst);
    }
}

/// Counts a parked reply for as long as its future lives.
struct Parked(Arc<Toy>);

impl Drop for Parked {
    fn drop(&mut self) {
        self.0.parked.fetch_sub(1, Ordering::SeqCst);
    }
}

struct House {
    toy: Arc<Toy>,
    shared: Arc<Shared>,
}

impl House {
    fn new() -> Self {
        let toy = Arc::new(Toy::default());
        let shared = Arc::new(Shared {
            log_rate_limiter: LogRateLimiter::new(|| Duration::ZERO),
            dispatch: Arc::new(toy.clone()),
            budget: Arc::new(RequestBudget::new(BUDGET)),
            buffers: Arc::new(BufferPool::new(BUDGET)),
            max_frame: 2 * BUDGET,
            idle: Some(IDLE),
            stall_timeout: STALL_TIMEOUT,
        });
        House { toy, shared }
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

    fn seen(&self) -> usize {
        self.toy.seen.lock().len()
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

/// Sends what there is to send in pieces of `step`, and expects every frame but those with `n` back.
async fn check_echo(frames: &[Vec<u8>], step: usize) {
    let house = House::new();
    let (socket, _task) = house.connect();
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
async fn replies_leave_in_order_however_the_bytes_arrive() {
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
async fn a_client_that_reads_nothing_is_soon_not_read_from() {
    let house = House::new();
    let (mut socket, task) = house.connect();
    let request = frame([b'e'; 1000]);
    let mut sent = 0;
    while timeout(Duration::from_secs(1), socket.write_all(&request)).await.is_ok() {
        sent += 1;
        assert!(sent < 1000, "everything it sends is taken");
    }
    assert!(house.seen() < 300);
    let why = task.await.unwrap();
    assert!(matches!(&why, End::Closed(why) if why.to_string().contains("does not read")), "{why:?}");
}

#[tokio::test(start_paused = true)]
async fn requests_in_flight_are_bounded() {
    let house = House::new();
    let (mut socket, _task) = house.connect();
    for _ in 0..1000 {
        socket.write_all(&frame("w")).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert!((64..128).contains(&house.seen()), "{}", house.seen());
    for _ in 0..1000 {
        assert_eq!(reply(&mut socket).await, b"w");
    }
}

async fn check_end(bytes: &[u8], expect: fn(&End) -> bool) {
    let house = House::new();
    let (mut socket, task) = house.connect();
    socket.write_all(bytes).await.unwrap();
    let end = timeout(Duration::from_secs(10), task).await.expect("it goes on").unwrap();
    assert!(expect(&end), "{end:?}");
    assert_eq!(house.toy.gone.load(Ordering::SeqCst), 1);
}

fn closed_for(end: &End, why: &str) -> bool {
    matches!(end, End::Closed(reason) if reason.to_string().contains(why))
}

#[tokio::test(start_paused = true)]
async fn what_is_not_a_request_ends_the_connection() {
    check_end(b"GET / HTTP/1.1\r\n\r\n", |end| matches!(end, End::Foreign("HTTP"))).await;
    check_end(&[0x16, 3, 1, 2, 0, 1, 0], |end| matches!(end, End::Foreign("TLS"))).await;
    check_end(&(-1i32).to_be_bytes(), |end| closed_for(end, "announced a request of -1 bytes")).await;
    let above_the_budget = (BUDGET as u32 + 1).to_be_bytes();
    check_end(&above_the_budget, |end| closed_for(end, "more than queued.max.request.bytes=1048576")).await;
    check_end(&[frame("e"), b"GET ".to_vec()].concat(), |end| closed_for(end, "1195725856")).await;
}

#[tokio::test(start_paused = true)]
async fn handlers_end_a_connection_and_panics_end_only_that() {
    check_end(&frame("c"), |end| closed_for(end, "it asked for it")).await;
    check_end(&frame("f"), |end| closed_for(end, "it failed")).await;
    check_end(&frame("!"), |end| matches!(end, End::Panicked(why) if why == "a bug in a handler")).await;
    check_end(&frame("?"), |end| matches!(end, End::Panicked(why) if why == "a bug in a future")).await;
}

#[tokio::test(start_paused = true)]
async fn earlier_replies_are_sent_before_a_connection_closes() {
    let house = House::new();
    let (mut socket, task) = house.connect();
    socket.write_all(&[frame("e1"), frame("w2"), frame("c"), frame("e3")].concat()).await.unwrap();
    let mut all = Vec::new();
    socket.read_to_end(&mut all).await.unwrap();
    assert_eq!(all, [frame("e1"), frame("w2")].concat());
    assert!(closed_for(&task.await.unwrap(), "it asked for it"));
    assert_eq!(house.seen(), 3);
}

#[tokio::test(start_paused = true)]
async fn http_is_answered_in_http() {
    let house = House::new();
    let (mut socket, _task) = house.connect();
    socket.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("Kafka port"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_parked_reply_is_dropped_when_its_peer_leaves() {
    let house = House::new();
    let (mut socket, task) = house.connect();
    socket.write_all(&frame("w")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(house.toy.parked.load(Ordering::SeqCst), 1);
    drop(socket);
    assert!(matches!(task.await.unwrap(), End::PeerClosed { mid_request: false }));
    assert_eq!(house.toy.parked.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_in_time() {
    let house = House::new();
    let began = Instant::now();
    let (_silent, task) = house.connect();
    assert!(matches!(task.await.unwrap(), End::Idle));
    assert!(began.elapsed() >= IDLE && began.elapsed() < IDLE * 5 / 4 + Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_half_sent_request_is_closed_when_it_stands_still() {
    let house = House::new();
    let began = Instant::now();
    let (mut socket, task) = house.connect();
    socket.write_all(&(LARGE as u32).to_be_bytes()).await.unwrap();
    socket.write_all(&[b'e'; 10_000]).await.unwrap();
    assert!(closed_for(&task.await.unwrap(), "sent 10000 of 700000 bytes of a request"));
    assert!(began.elapsed() < STALL_TIMEOUT * 5 / 4);
    assert!(house.shared.budget.is_half_free());
}

#[tokio::test(start_paused = true)]
async fn half_sent_requests_make_way_for_others() {
    let house = House::new();
    let (mut half, half_task) = house.connect();
    half.write_all(&(LARGE as u32).to_be_bytes()).await.unwrap();
    half.write_all(&[b'e'; 10_000]).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let began = Instant::now();
    // Announcing much and sending little does not even get into the queue.
    let (mut idler, idler_task) = house.connect();
    idler.write_all(&(LARGE as u32).to_be_bytes()).await.unwrap();
    idler.write_all(&[b'e'; 10]).await.unwrap();
    // Small requests get through at any time.
    let (mut small, _small_task) = house.connect();
    small.write_all(&frame("e")).await.unwrap();
    assert_eq!(reply(&mut small).await, b"e");
    assert!(began.elapsed() < Duration::from_millis(100));
    // And a large one as soon as the one that stands still is closed.
    let (large, _large_task) = house.connect();
    let (mut read, mut write) = tokio::io::split(large);
    let sender = tokio::spawn(async move { write.write_all(&frame([b'e'; LARGE])).await });
    assert_eq!(read.read_u32().await.unwrap() as usize, LARGE);
    assert!(began.elapsed() < STALL_TIMEOUT / 5);
    assert!(closed_for(&half_task.await.unwrap(), "and then stopped"));
    assert!(!idler_task.is_finished());
    drop((read, sender));
}

#[tokio::test(start_paused = true)]
async fn large_requests_are_let_in_one_after_another() {
    let house = House::new();
    let mut clients = Vec::new();
    for _ in 0..5 {
        let (mut socket, task) = house.connect();
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
    assert_eq!(house.seen(), 10);
    assert!(house.shared.budget.is_half_free());
}

/// A socket that takes a few bytes at a time and counts the calls.
struct Narrow {
    calls: Arc<AtomicUsize>,
    inner: DuplexStream,
}

impl tokio::io::AsyncRead for Narrow {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl tokio::io::AsyncWrite for Narrow {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let few = &buf[..buf.len().min(7)];
        Pin::new(&mut self.inner).poll_write(cx, few)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn partial_writes_go_on_where_they_stopped() {
    let house = House::new();
    let (mut ours, theirs) = tokio::io::duplex(1 << 16);
    let address = ([127, 0, 0, 1], 9092).into();
    let info = Arc::new(ConnectionInfo::new(0, address, address, "PLAINTEXT".into()));
    let calls = Arc::new(AtomicUsize::new(0));
    let mut connection = Connection::new(Narrow { calls: calls.clone(), inner: theirs }, info, house.shared.clone());
    tokio::spawn(async move { connection.serve().await });
    let requests = [frame("e a first one"), frame(""), frame("n"), frame("e another one that is longer")].concat();
    ours.write_all(&requests).await.unwrap();
    assert_eq!(reply(&mut ours).await, b"e a first one");
    assert_eq!(reply(&mut ours).await, b"");
    assert_eq!(reply(&mut ours).await, b"e another one that is longer");
    assert!(calls.load(Ordering::SeqCst) > 7);
}

/// Takes no bytes, for the system can't read them.
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
async fn a_reply_that_the_system_cannot_read_is_reported_and_ends_the_connection() {
    let house = House::new();
    let (mut ours, theirs) = tokio::io::duplex(1 << 16);
    let task = house.serve(Unreadable(theirs));
    ours.write_all(&frame(b"e: a request")).await.unwrap();
    let end = task.await.unwrap();
    assert!(matches!(end, End::UnreadableReply), "{end:?}");
    assert_eq!(house.toy.unreadable.load(Ordering::SeqCst), 2, "each chunk that was to be sent");
}

/// Has a fault happen while half of a reply is sent; what arrives of the reply, and how the connection ended.
async fn fault_while_sending(hits_reply: bool) -> (usize, Option<End>) {
    let house = House::new();
    let (mut socket, task) = house.connect();
    socket.write_all(&frame([b'e'; 200_000])).await.unwrap();
    socket.write_all(&frame(b"")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    house.toy.hit.store(usize::from(hits_reply), Ordering::SeqCst);
    house.toy.faults.store(1, Ordering::SeqCst);
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
async fn nothing_more_leaves_of_a_reply_whose_memory_had_a_fault() {
    let (got, end) = fault_while_sending(true).await;
    assert!(got < 200_004 && matches!(end, Some(End::UnreadableReply)), "{got}, {end:?}");
    let (got, end) = fault_while_sending(false).await;
    assert!(got == 200_004 && end.is_none(), "a fault elsewhere: {got}, {end:?}");
}
