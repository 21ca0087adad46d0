//! A server over loopback whose requests are commands, for the server's tests.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, Once};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla_broker::clock::Clock;
use ottla_broker::log_rate_limiter::LogRateLimiter;
use ottla_broker::server::{ConnectionInfo, Dispatch, Limits, Listener, Outcome, Server, serve};
use ottla_config::{BindAddress, BindHost};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What a request asks for is its first byte; anything else is sent back.
pub mod command {
    /// Sent back: what most requests are.
    pub const ECHO: u8 = b'e';
    /// Never answered, and counted in [`super::Toy::parked`].
    pub const WAIT: u8 = b'w';
    /// Answered by 4 MiB.
    pub const MUCH: u8 = b'm';
    /// A panic in the handler.
    pub const PANIC: u8 = b'!';
    /// Closed by the handler.
    pub const CLOSE: u8 = b'c';
}

pub const MUCH_SIZE: usize = 4 << 20;

#[derive(Default)]
pub struct Toy {
    pub seen: AtomicUsize,
    pub parked: Arc<AtomicUsize>,
    pub gone: AtomicUsize,
}

impl Dispatch for Toy {
    fn dispatch(&self, connection: &Arc<ConnectionInfo>, frame: Bytes) -> Outcome {
        self.seen.fetch_add(1, Ordering::SeqCst);
        match frame.first() {
            Some(&command::WAIT) => {
                let parked = Parked::new(&self.parked);
                Outcome::Parked(Box::pin(async move {
                    std::future::pending::<()>().await;
                    drop(parked);
                    Ok(Vec::new())
                }))
            }
            Some(&command::MUCH) => Outcome::Ready(reply(&[0; MUCH_SIZE])),
            Some(&command::PANIC) => panic!("a handler of {connection} panics"),
            Some(&command::CLOSE) => Outcome::Close("it asked for it".into()),
            _ => Outcome::Ready(reply(&frame)),
        }
    }

    fn on_disconnect(&self, _: &Arc<ConnectionInfo>) {
        self.gone.fetch_add(1, Ordering::SeqCst);
    }
}

struct Parked(Arc<AtomicUsize>);

impl Parked {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Parked(count.clone())
    }
}

impl Drop for Parked {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn reply(body: &[u8]) -> Vec<Bytes> {
    vec![Bytes::copy_from_slice(&(body.len() as u32).to_be_bytes()), Bytes::copy_from_slice(body)]
}

pub fn frame(body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    [&(body.len() as u32).to_be_bytes()[..], body].concat()
}

/// A server at 127.0.0.1 on a free port.
pub struct House {
    pub toy: Arc<Toy>,
    pub address: SocketAddr,
    pub server: Server,
}

impl House {
    pub fn open(limits: Limits) -> House {
        House::open_at(BindHost::Named("127.0.0.1".to_owned()), limits)
    }

    pub fn open_at(host: BindHost, limits: Limits) -> House {
        collect_log_lines();
        let listener = Listener::bind("PLAINTEXT", &BindAddress { host, port: 0 }, &limits).unwrap();
        let address = listener.address();
        let toy = Arc::new(Toy::default());
        let server =
            serve(vec![listener], toy.clone(), &limits, Clock::start(), LogRateLimiter::new(|| Duration::ZERO))
                .unwrap();
        House { toy, address, server }
    }

    pub async fn connect(&self) -> Client {
        Client { socket: TcpStream::connect(self.address).await.unwrap() }
    }
}

pub struct Client {
    pub socket: TcpStream,
}

impl Client {
    pub async fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.unwrap();
    }

    pub async fn receive(&mut self) -> Vec<u8> {
        let size = self.socket.read_u32().await.unwrap();
        let mut body = vec![0; size as usize];
        self.socket.read_exact(&mut body).await.unwrap();
        body
    }

    pub async fn echo(&mut self, body: &[u8]) {
        self.send(&frame(body)).await;
        assert!(self.receive().await == body);
    }

    /// Waits until the server has closed the connection.
    pub async fn closed(&mut self) {
        let mut rest = Vec::new();
        let end = tokio::time::timeout(Duration::from_secs(10), self.socket.read_to_end(&mut rest)).await;
        let _reset_or_end = end.expect("the connection is still open");
    }

    /// How the server's log names this connection.
    pub fn name(&self) -> String {
        self.socket.local_addr().unwrap().to_string()
    }
}

/// Waits for what must come soon.
pub async fn soon(what: &str, happened: impl Fn() -> bool) {
    let began = Instant::now();
    while !happened() {
        assert!(began.elapsed() < Duration::from_secs(10), "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

static LINES: LazyLock<Mutex<Vec<u8>>> = LazyLock::new(Mutex::default);

struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LINES.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn collect_log_lines() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_ansi(false);
        subscriber.with_writer(|| Lines).init();
    });
}

/// Waits for a log line that contains all of `words`, of that level.
pub async fn logged(level: &str, words: &[&str]) {
    let found = || {
        let lines = String::from_utf8_lossy(&LINES.lock().unwrap()).into_owned();
        lines.lines().any(|line| line.contains(level) && words.iter().all(|word| line.contains(word)))
    };
    soon(&format!("a log line of {level} with {words:?}"), found).await;
}
