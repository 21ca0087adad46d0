//! A server over loopback whose requests are commands, for tests of the network layer.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, Once};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla_broker::clock::Clock;
use ottla_broker::log_rate_limiter::LogRateLimiter;
use ottla_broker::server::{ConnectionInfo, Dispatch, Limits, Listener, Outcome, Reply, Server, serve};
use ottla_config::{BindAddress, BindHost};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The first byte of a request is a command; any other request is echoed.
pub mod command {
    /// The request is echoed.
    pub const ECHO: u8 = b'e';
    /// The request is never answered, and counted in [`super::Commands::parked`].
    pub const WAIT: u8 = b'w';
    /// The response has 4 MiB.
    pub const LARGE: u8 = b'm';
    /// The handler panics.
    pub const PANIC: u8 = b'!';
    /// The handler closes the connection.
    pub const CLOSE: u8 = b'c';
}

pub const LARGE_SIZE: usize = 4 << 20;

/// Executes the commands and counts requests and disconnects.
#[derive(Default)]
pub struct Commands {
    pub received: AtomicUsize,
    pub parked: Arc<AtomicUsize>,
    pub disconnected: AtomicUsize,
}

impl Dispatch for Commands {
    fn dispatch(&self, connection: &Arc<ConnectionInfo>, frame: Bytes) -> Outcome {
        self.received.fetch_add(1, Ordering::SeqCst);
        match frame.first() {
            Some(&command::WAIT) => {
                let parked = Parked::new(&self.parked);
                Outcome::Parked(Box::pin(async move {
                    std::future::pending::<()>().await;
                    drop(parked);
                    Ok(Reply::default())
                }))
            }
            Some(&command::LARGE) => Outcome::Ready(reply(&[0; LARGE_SIZE]).into()),
            Some(&command::PANIC) => panic!("a handler of {connection} panics"),
            Some(&command::CLOSE) => Outcome::Close("requested by the client".into()),
            _ => Outcome::Ready(reply(&frame).into()),
        }
    }

    fn on_disconnect(&self, _: &Arc<ConnectionInfo>) {
        self.disconnected.fetch_add(1, Ordering::SeqCst);
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

/// A running server, by default at 127.0.0.1 on a free port.
pub struct TestServer {
    pub commands: Arc<Commands>,
    pub address: SocketAddr,
    pub inner: Server,
}

impl TestServer {
    pub fn start(limits: Limits) -> TestServer {
        TestServer::start_at(BindHost::Named("127.0.0.1".to_owned()), limits)
    }

    pub fn start_at(host: BindHost, limits: Limits) -> TestServer {
        collect_log_lines();
        let listener = Listener::bind("PLAINTEXT", &BindAddress { host, port: 0 }, &limits).unwrap();
        let address = listener.address();
        let commands = Arc::new(Commands::default());
        let limiter = LogRateLimiter::new(Clock::start());
        let inner =
            serve(vec![listener], commands.clone(), &limits, Clock::start(), limiter, &Default::default()).unwrap();
        TestServer { commands, address, inner }
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
    pub async fn wait_until_closed(&mut self) {
        let mut rest = Vec::new();
        let end = tokio::time::timeout(Duration::from_secs(10), self.socket.read_to_end(&mut rest)).await;
        let _reset_or_end = end.expect("the connection is still open");
    }

    /// The name of this connection in the server's log.
    pub fn name(&self) -> String {
        self.socket.local_addr().unwrap().to_string()
    }
}

/// Waits until `happened` is true; panics with `what` after 10 s.
pub async fn wait_for(what: &str, happened: impl Fn() -> bool) {
    let began = Instant::now();
    while !happened() {
        assert!(began.elapsed() < Duration::from_secs(10), "waited 10 s for {what}");
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

/// Waits for a log line of this level that contains all `parts`.
pub async fn wait_for_log_line(level: &str, parts: &[&str]) {
    let found = || {
        let lines = String::from_utf8_lossy(&LINES.lock().unwrap()).into_owned();
        lines.lines().any(|line| line.contains(level) && parts.iter().all(|part| line.contains(part)))
    };
    wait_for(&format!("a log line of {level} with {parts:?}"), found).await;
}
