//! Connections over an in-memory stream, in simulated time.

mod exchanges;
mod limits;
mod outcomes;
mod writes;

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
use super::read_ahead::read_ahead_budget;
use super::{ConnectionInfo, Dispatch, Ending, Exchange, Outcome, Reply, Then};
use crate::clock::Clock;
use crate::log_rate_limiter::LogRateLimiter;

const IDLE: Duration = Duration::from_secs(600);
const STALL_TIMEOUT: Duration = Duration::from_secs(30);
const BUDGET: usize = 1 << 20;
const LARGE: usize = 700_000;
/// Longer than [`STALL_TIMEOUT`].
const MUTE: Duration = Duration::from_secs(40);

fn closed_for(end: &End, why: &str) -> bool {
    matches!(end, End::Closed(reason) if reason.to_string().contains(why))
}

/// A dispatcher for which the first byte of a request is a command. Replies are the request frames.
#[derive(Default)]
struct EchoDispatch {
    requests: Mutex<Vec<Bytes>>,
    parked: AtomicUsize,
    disconnected: AtomicUsize,
    /// The requests that are done.
    done: Mutex<Vec<Exchange>>,
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

    fn on_done(&self, _: &Arc<ConnectionInfo>, exchange: &Exchange) {
        self.done.lock().push(exchange.clone());
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
            read_ahead: read_ahead_budget(BUDGET),
            buffers: Arc::new(BufferPool::new(BUDGET)),
            max_frame: 2 * BUDGET,
            max_sasl_frame: 100,
            listener_sasl_frames: vec![("SMALL".into(), 40)],
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
