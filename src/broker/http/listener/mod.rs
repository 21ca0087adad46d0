//! A port for HTTP: bounds on connections, bytes, time and requests; TLS, a token and users, where they are configured. It
//! knows no routes.
//!
//! What a client can use is bounded: `connections` limits connections, bytes and time, and by default a connection has one
//! request, so that these limits also limit requests. The number of large bodies in memory has a limit of its own.

mod basic;
mod connections;
mod stream;
mod token;

use std::fmt;
use std::future::IntoFuture as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody as _, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::log_rate_limiter::{LogRateLimiter, log_limited};
use crate::server::{Limits, Listener};
use crate::tls::TlsListener;
use connections::{Acceptor, Slots};
use ottla_config::{BindAddress, BindHost, Password};

pub use basic::{BasicUsers, credentials};
pub use connections::Caller;
pub use token::AccessToken;

/// The kind of log line for refused requests.
const REFUSED: &str = "refused HTTP requests";

/// A body of more bytes, or of a size that the client does not say, is large.
const SMALL_BODY: usize = 64 << 10;
/// The number of large bodies in memory; further ones wait, for half of the time in which a request must arrive.
const MAX_LARGE_BODIES: usize = 8;

/// The bounds of a port.
#[derive(Clone, Debug)]
pub struct HttpLimits {
    /// Concurrent connections.
    pub connections: usize,
    /// Connections that may wait to be accepted.
    pub backlog: i32,
    /// Bytes that a client may send for one request.
    pub request_bytes: usize,
    /// Bytes of a request's body.
    pub body_bytes: usize,
    /// The longest time for a request to arrive, TLS included.
    pub request_timeout: Duration,
    /// The longest time from the start of a request to its response.
    pub response_timeout: Duration,
    /// Whether a connection may have more than one request.
    pub keep_alive: bool,
}

/// A future of a port's owner.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Passwords that are kept elsewhere.
pub trait Passwords: fmt::Debug + Send + Sync {
    /// Whether a user may send requests, and has this password.
    fn admit(&self, name: String, password: Password) -> BoxFuture<'_, bool>;
}

/// Who may send requests: everybody, or those that one of `token`, `users` and `passwords` admits.
#[derive(Clone, Debug)]
pub struct HttpAccess {
    /// Encrypts all connections.
    pub tls: Option<Arc<TlsListener>>,
    /// A token that admits requests.
    pub token: Option<AccessToken>,
    /// Users whose names and passwords admit requests.
    pub users: Option<BasicUsers>,
    /// Users whose names and passwords admit requests, too.
    pub passwords: Option<Arc<dyn Passwords>>,
    /// Paths that need no token and no user. One that ends with `*` stands for all paths that begin so.
    pub public_paths: &'static [&'static str],
    /// The form of refusals.
    pub refuse: fn(StatusCode, &str) -> Response,
}

/// A bound port.
#[derive(Debug)]
pub struct HttpPort {
    /// What the port is for: `admin`.
    name: &'static str,
    listener: Listener,
    /// The host for URLs.
    host: String,
    limits: HttpLimits,
    access: HttpAccess,
}

/// A running port. Dropping it closes the port.
pub struct HttpServer {
    _tasks: JoinSet<io::Result<()>>,
}

/// What the checks of all requests need.
struct Checks {
    name: &'static str,
    limits: HttpLimits,
    access: HttpAccess,
    large_bodies: Semaphore,
    clock: Clock,
    limiter: Arc<LogRateLimiter>,
}

impl Default for HttpAccess {
    /// Access for everybody.
    fn default() -> HttpAccess {
        HttpAccess { tls: None, token: None, users: None, passwords: None, public_paths: &[], refuse }
    }
}

impl HttpAccess {
    /// Access with the token of a setting; an empty one is none.
    pub fn with_token(token: Option<&Password>) -> HttpAccess {
        let token = token.filter(|token| !token.expose().is_empty()).map(AccessToken::new);
        HttpAccess { token, ..HttpAccess::default() }
    }

    fn is_public(&self, path: &str) -> bool {
        self.public_paths.iter().any(|public| match public.strip_suffix('*') {
            Some(beginning) => path.starts_with(beginning),
            None => path == *public,
        })
    }
}

impl HttpPort {
    /// Binds the port; connections are accepted from [`HttpPort::open`] on. May block to resolve a host name.
    pub fn bind(name: &'static str, at: &BindAddress, limits: HttpLimits, access: HttpAccess) -> io::Result<HttpPort> {
        let listener = Listener::bind(name, at, &Limits::default())?;
        let host = match &at.host {
            BindHost::Any | BindHost::AnyV4 => "localhost".to_owned(),
            BindHost::Named(host) if host.contains(':') => format!("[{host}]"),
            BindHost::Named(host) => host.clone(),
        };
        Ok(HttpPort { name, listener, host, limits, access })
    }

    /// The names that the header Host may have: the allowed ones, that of the bind address, and this machine's.
    pub fn known_hosts(&self, allowed: &[String]) -> Vec<String> {
        let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
        allowed.iter().cloned().chain([self.host.clone(), machine]).collect()
    }

    /// The URL for clients on this machine, `http://host:port`.
    pub fn url(&self) -> String {
        let scheme = if self.access.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}:{}", self.host, self.listener.address().port())
    }

    /// Demands the name and password of a user.
    pub fn set_passwords(&mut self, passwords: Arc<dyn Passwords>) {
        self.access.passwords = Some(passwords);
    }

    /// Whether other machines can connect and need no token or user.
    pub fn is_unprotected(&self) -> bool {
        let access = &self.access;
        let has_access = access.token.is_some() || access.users.is_some() || access.passwords.is_some();
        !has_access && self.listener.addresses().iter().any(|address| !address.ip().is_loopback())
    }

    /// Accepts requests. `limiter` limits the log lines that peers cause. Needs a tokio runtime.
    pub fn open(self, routes: Router, clock: Clock, limiter: Arc<LogRateLimiter>) -> io::Result<HttpServer> {
        let slots = Slots::new(self.name, self.limits.clone(), clock, Arc::clone(&limiter));
        let tls = self.access.tls.clone();
        let backlog = self.limits.backlog;
        let checks = Arc::new(Checks {
            name: self.name,
            limits: self.limits,
            access: self.access,
            large_bodies: Semaphore::new(MAX_LARGE_BODIES),
            clock,
            limiter,
        });
        let routes = routes.layer(from_fn_with_state(checks, with_checks));
        let mut tasks = JoinSet::new();
        for socket in self.listener.listen(backlog)? {
            let acceptor = Acceptor::new(socket, slots.clone(), tls.clone());
            let service = routes.clone().into_make_service_with_connect_info::<Caller>();
            tasks.spawn(axum::serve(acceptor, service).into_future());
        }
        Ok(HttpServer { _tasks: tasks })
    }
}

/// Wraps the handler of every request.
async fn with_checks(
    State(checks): State<Arc<Checks>>,
    ConnectInfo(caller): ConnectInfo<Caller>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = checks.run(&caller, request, next).await;
    match checks.limits.keep_alive {
        true => caller.set_answered(),
        false => drop(response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"))),
    }
    response.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

impl Checks {
    async fn run(&self, caller: &Caller, request: Request, next: Next) -> Response {
        let (head, body) = request.into_parts();
        let is_public = self.access.is_public(head.uri.path());
        if !is_public && let Some(response) = self.unauthorized(caller, &head.headers).await {
            // Without a place among the large bodies.
            let _ = to_bytes(body, self.limits.body_bytes.min(SMALL_BODY)).await;
            return response;
        }
        let Some(_large) = self.large_body(body.size_hint().upper()).await else {
            let reason = "too many large requests are in progress";
            self.log_refused(caller, reason);
            return (self.access.refuse)(StatusCode::SERVICE_UNAVAILABLE, reason);
        };
        // The body is read before the response is sent, because a client that still sends may not read the response.
        let Ok(body) = to_bytes(body, self.limits.body_bytes).await else {
            let reason = "the request's body is too large or incomplete";
            self.log_refused(caller, reason);
            return (self.access.refuse)(StatusCode::PAYLOAD_TOO_LARGE, reason);
        };
        caller.set_request_complete();
        next.run(Request::from_parts(head, Body::from(body))).await
    }

    /// The refusal of a request without a valid token or user.
    async fn unauthorized(&self, caller: &Caller, headers: &HeaderMap) -> Option<Response> {
        let access = &self.access;
        let needs_password = access.users.is_some() || access.passwords.is_some();
        let has_token = access.token.as_ref().is_some_and(|token| token.admits(headers));
        if has_token || access.token.is_none() && !needs_password || needs_password && self.has_password(headers).await
        {
            return None;
        }
        let (reason, challenge) = match needs_password {
            true => (
                "the request needs the right name and password of a user (basic authentication)",
                format!("Basic realm=\"{}\"", self.name),
            ),
            false => (
                "the request needs the header Authorization: Bearer TOKEN with the token of this port",
                "Bearer".to_owned(),
            ),
        };
        self.log_refused(caller, reason);
        let mut response = (self.access.refuse)(StatusCode::UNAUTHORIZED, reason);
        if let Ok(challenge) = HeaderValue::try_from(challenge) {
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        Some(response)
    }

    /// Whether the request has the name and password of a user.
    async fn has_password(&self, headers: &HeaderMap) -> bool {
        let (users, passwords) = (&self.access.users, &self.access.passwords);
        if users.as_ref().is_some_and(|users| users.admit(headers)) {
            return true;
        }
        match (passwords, basic::credentials(headers)) {
            (Some(passwords), Some((name, password))) => passwords.admit(name, password).await,
            _ => false,
        }
    }

    /// Waits until there is memory for a request's body, whose size may not be known. The permit is `None` for a small
    /// one; the result is `None` if there was no memory in time.
    async fn large_body(&self, size: Option<u64>) -> Option<Option<SemaphorePermit<'_>>> {
        let is_small = size.is_some_and(|size| size <= SMALL_BODY as u64);
        if is_small || self.limits.body_bytes <= SMALL_BODY {
            return Some(None);
        }
        let permit = self.clock.timeout(self.limits.request_timeout / 2, self.large_bodies.acquire()).await?;
        permit.ok().map(Some)
    }

    fn log_refused(&self, caller: &Caller, reason: &str) {
        let (peer, port) = (caller.peer, self.name);
        log_limited!(WARN, self.limiter, peer.ip(), REFUSED, client = %peer, port, reason, "refused an HTTP request");
    }
}

/// A response with an error as JSON.
pub fn refuse(status: StatusCode, reason: &str) -> Response {
    respond(status, &json!({ "error": reason }))
}

/// A response with JSON.
pub fn respond(status: StatusCode, body: &Value) -> Response {
    let mut response = Response::new(Body::from(format!("{body}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::net::SocketAddr;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use axum::body::Bytes;
    use axum::routing::get;
    use futures_core::Stream;
    use parking_lot::Mutex;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio::sync::mpsc;

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

    /// A port whose limit on bytes is less than two requests.
    fn open(keep_alive: bool) -> (SocketAddr, HttpServer) {
        open_with(HttpLimits { request_bytes: REQUEST.len() + 1, keep_alive, ..LIMITS })
    }

    const LIMITS: HttpLimits = HttpLimits {
        connections: 4,
        backlog: 4,
        request_bytes: 0,
        body_bytes: 0,
        request_timeout: Duration::from_secs(30),
        response_timeout: Duration::from_secs(30),
        keep_alive: false,
    };

    fn open_with(limits: HttpLimits) -> (SocketAddr, HttpServer) {
        let bind = BindAddress { host: BindHost::Named("127.0.0.1".to_owned()), port: 0 };
        let port = HttpPort::bind("test", &bind, limits, HttpAccess::default()).unwrap();
        let address = port.listener.address();
        let routes = Router::new().route("/", get(|| async { "the body" }));
        (address, port.open(routes, Clock::start(), LogRateLimiter::new(Clock::start())).unwrap())
    }

    /// The number of answered requests of one connection.
    async fn answered(address: SocketAddr, requests: usize) -> usize {
        let mut socket = TcpStream::connect(address).await.unwrap();
        for sent in 0..requests {
            let mut response = Vec::new();
            if socket.write_all(REQUEST).await.is_err() {
                return sent;
            }
            while !response.ends_with(b"the body") {
                if !matches!(socket.read_buf(&mut response).await, Ok(1..)) {
                    return sent;
                }
            }
        }
        requests
    }

    #[test]
    fn public_path_stands_for_others_only_if_it_ends_with_an_asterisk() {
        let access = HttpAccess { public_paths: &["/", "/health", "/console/*"], ..HttpAccess::default() };
        for (path, expect) in [
            ("/", true),
            ("/health", true),
            ("/console/", true),
            ("/console/app.js", true),
            ("/console", false),
            ("/ready", false),
            ("/health/", false),
            ("/api/v1/topics", false),
        ] {
            assert_eq!(access.is_public(path), expect, "{path}");
        }
    }

    #[tokio::test]
    async fn connection_has_one_request_or_with_keep_alive_many() {
        let (address, _server) = open(false);
        assert_eq!(answered(address, 4).await, 1);
        let (address, _server) = open(true);
        assert_eq!(answered(address, 4).await, 4);
    }

    /// A body that is made from what is sent to a channel.
    struct Parts(mpsc::Receiver<Bytes>);

    impl Stream for Parts {
        type Item = Result<Bytes, Infallible>;

        fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            self.0.poll_recv(cx).map(|part| part.map(Ok))
        }
    }

    /// Requests the response that `parts` has, and returns its connection.
    async fn streamed(parts: mpsc::Receiver<Bytes>, is_streaming: bool) -> (TcpStream, HttpServer) {
        let limits = HttpLimits { request_bytes: 1024, ..LIMITS };
        let bind = BindAddress { host: BindHost::Named("127.0.0.1".to_owned()), port: 0 };
        let port = HttpPort::bind("test", &bind, limits, HttpAccess::default()).unwrap();
        let address = port.listener.address();
        let parts = Arc::new(Mutex::new(Some(parts)));
        let route = move |ConnectInfo(caller): ConnectInfo<Caller>| async move {
            if is_streaming {
                caller.set_streaming();
            }
            Body::from_stream(Parts(parts.lock().take().unwrap()))
        };
        let routes = Router::new().route("/", get(route));
        let server = port.open(routes, Clock::start(), LogRateLimiter::new(Clock::start())).unwrap();
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(REQUEST).await.unwrap();
        (socket, server)
    }

    #[tokio::test(start_paused = true)]
    async fn streamed_response_may_take_any_time_while_its_parts_are_sent() {
        for (is_streaming, expect) in [(true, true), (false, false)] {
            let (parts, received) = mpsc::channel(1);
            let (mut socket, _server) = streamed(received, is_streaming).await;
            let feed = tokio::spawn(async move {
                for _ in 0..20 {
                    Clock::start().sleep(Duration::from_secs(20)).await;
                    if parts.send(Bytes::from_static(b"part")).await.is_err() {
                        return false;
                    }
                }
                true
            });
            let mut response = Vec::new();
            let read = socket.read_to_end(&mut response).await;
            assert_eq!(feed.await.unwrap(), expect);
            assert_eq!(read.is_ok() && response.ends_with(b"0\r\n\r\n"), expect);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn streamed_response_is_closed_if_its_client_does_not_read() {
        let (parts, received) = mpsc::channel(1);
        let (_socket, _server) = streamed(received, true).await;
        let part = Bytes::from(vec![b'x'; 1 << 20]);
        let mut sent = 0;
        while parts.send(part.clone()).await.is_ok() {
            sent += 1;
            assert!(sent < 1000);
        }
    }

    /// Sends the head of a request and the first part of its body.
    async fn send(address: SocketAddr, length: usize, part: usize) -> TcpStream {
        let mut socket = TcpStream::connect(address).await.unwrap();
        let head = format!("GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n");
        socket.write_all(head.as_bytes()).await.unwrap();
        socket.write_all(&vec![b'x'; part]).await.unwrap();
        socket
    }

    async fn is_answered(mut socket: TcpStream) -> bool {
        let mut response = String::new();
        socket.read_to_string(&mut response).await.is_ok() && response.ends_with("the body")
    }

    #[tokio::test]
    async fn large_body_waits_for_others_and_small_ones_do_not() {
        const LARGE: usize = SMALL_BODY + 1;
        let limits = HttpLimits { connections: 20, backlog: 20, request_bytes: 1 << 20, body_bytes: LARGE, ..LIMITS };
        let (address, _server) = open_with(limits);
        let mut slow = Vec::new();
        for _ in 0..MAX_LARGE_BODIES {
            slow.push(send(address, LARGE, 1).await);
        }
        // They have their places when requests behind them are answered.
        assert!(is_answered(send(address, SMALL_BODY, SMALL_BODY).await).await);
        let late = tokio::spawn(is_answered(send(address, LARGE, LARGE).await));
        assert!(is_answered(send(address, SMALL_BODY, SMALL_BODY).await).await);
        assert!(!late.is_finished());
        let mut first = slow.remove(0);
        first.write_all(&[b'x'; LARGE - 1]).await.unwrap();
        assert!(is_answered(first).await);
        assert!(late.await.unwrap());
    }
}
