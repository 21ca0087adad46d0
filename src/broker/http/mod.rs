//! The admin port: what a suite of tests, or whoever looks after containers, asks of a broker over HTTP.
//!
//! | request | answer |
//! |---|---|
//! | `GET /health` | 200 as soon as the process runs: it is alive, and its version where the host is known |
//! | `GET /ready` | 200 once Kafka clients are served, 503 before and while it stops |
//! | `POST /reset` | 200 when everything is as after a first start, see [`Broker::reset`] |
//!
//! Answers are JSON; one that is no success has an `error`. There is no admin port unless it is asked for
//! (`ottla.admin.listener`). Any web page can make its reader's browser send requests to this machine, so `guard`
//! holds all requests but the first to conditions that a page cannot meet; whoever else reaches the port may do
//! everything.
//!
//! What a client can take is bounded: connections, bytes and time by `connections`, one request a connection by
//! `routes`.

mod connections;
mod guard;
mod routes;

use std::future::IntoFuture as _;
use std::io;
use std::sync::Arc;

use parking_lot::RwLock;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::log_rate_limiter::LogRateLimiter;
use crate::server::{Limits, Listener};
use crate::state::Broker;
use connections::{Acceptor, Caller, Slots};
use ottla_config::{AdminConfig, BindHost};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 64;
/// Changes under way at once, so that they leave slots to others.
const MOST_CHANGES: usize = 32;

/// A claimed port.
#[derive(Debug)]
pub struct AdminPort {
    listener: Listener,
    /// The host to call it by, as a URL has it.
    host: String,
    known_hosts: Vec<String>,
}

/// An admin port at work. Dropping it closes it.
pub struct Admin {
    shared: Arc<Shared>,
    _tasks: JoinSet<io::Result<()>>,
}

/// What all requests share.
struct Shared {
    serving: RwLock<Option<Serving>>,
    known_hosts: Vec<String>,
    changes: Semaphore,
    limiter: Arc<LogRateLimiter>,
}

/// A broker that Kafka clients can use.
#[derive(Clone)]
struct Serving {
    broker: Arc<Broker>,
    bootstrap_servers: Arc<str>,
}

impl AdminPort {
    /// Claims the port. Nobody is let in yet. Resolving a host name may block.
    pub fn bind(config: &AdminConfig) -> io::Result<AdminPort> {
        let listener = Listener::bind("ADMIN", &config.bind, &Limits::default())?;
        let mut known_hosts = config.allowed_hosts.clone();
        let host = match &config.bind.host {
            BindHost::Any | BindHost::AnyV4 => "localhost".to_owned(),
            BindHost::Named(host) if host.contains(':') => format!("[{host}]"),
            BindHost::Named(host) => host.clone(),
        };
        known_hosts.push(host.clone());
        known_hosts.push(rustix::system::uname().nodename().to_string_lossy().into_owned());
        Ok(AdminPort { listener, host, known_hosts })
    }

    /// `http://host:port`, as it is called on this machine.
    pub fn url(&self) -> String {
        format!("http://{}:{}", self.host, self.listener.address().port())
    }

    /// Lets requests in, before there is a broker to speak of. Lines that peers cause are logged as far as `limiter`
    /// admits them. Needs a tokio runtime.
    pub fn open(self, limiter: Arc<LogRateLimiter>) -> io::Result<Admin> {
        let slots = Slots::new(Arc::clone(&limiter));
        let (serving, changes) = (RwLock::default(), Semaphore::new(MOST_CHANGES));
        let shared = Arc::new(Shared { serving, known_hosts: self.known_hosts, changes, limiter });
        let mut tasks = JoinSet::new();
        for socket in self.listener.listen(BACKLOG)? {
            let acceptor = Acceptor::new(socket, slots.clone());
            let routes = routes::routes(Arc::clone(&shared)).into_make_service_with_connect_info::<Caller>();
            tasks.spawn(axum::serve(acceptor, routes).into_future());
        }
        Ok(Admin { shared, _tasks: tasks })
    }
}

impl Admin {
    /// The broker answers Kafka clients from now on, at these addresses.
    pub fn ready(&self, broker: Arc<Broker>, bootstrap_servers: &str) {
        *self.shared.serving.write() = Some(Serving { broker, bootstrap_servers: bootstrap_servers.into() });
    }

    /// The broker is about to stop: it is not ready any more, and takes no changes.
    pub fn not_ready(&self) {
        *self.shared.serving.write() = None;
    }
}

impl Shared {
    fn serving(&self) -> Option<Serving> {
        self.serving.read().clone()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;
    use ottla_config::BindAddress;

    /// The status of the answer to a request.
    async fn status(host: &str, request: &str) -> String {
        let mut socket = TcpStream::connect(host).await.unwrap();
        let request = format!("{request} HTTP/1.1\r\nHost: {host}\r\nX-Ottla-Admin: 1\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        answer.split(' ').nth(1).unwrap().to_owned()
    }

    #[tokio::test]
    async fn before_there_is_a_broker_it_is_alive_and_not_ready() {
        let bind = BindAddress { host: BindHost::Named("127.0.0.1".to_owned()), port: 0 };
        let port = AdminPort::bind(&AdminConfig { bind, allowed_hosts: Vec::new() }).unwrap();
        let host = port.url().strip_prefix("http://").unwrap().to_owned();
        let admin = port.open(LogRateLimiter::new(|| std::time::Duration::ZERO)).unwrap();
        assert_eq!(status(&host, "GET /health").await, "200");
        assert_eq!(status(&host, "GET /ready").await, "503");
        assert_eq!(status(&host, "POST /reset").await, "503");
        drop(admin);
        assert!(TcpStream::connect(&host).await.is_err());
    }
}
