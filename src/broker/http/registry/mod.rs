//! The schema registry's port: Confluent's REST API over HTTP.
//!
//! `ottla_registry::api` reads paths and bodies; here are the bounds, access and the form of errors. Two drivers can be
//! behind it: that of a broker ([`crate::state::registry`]), and a Kafka client.
//!
//! Serializers keep their connections, so there are many, and each has at most one request at a time. A body is in memory
//! until its response is sent: `listener` bounds the number of large ones. A driver decides on few requests at a time
//! ([`Turns`]); what waits longer than `DECISION_TIMEOUT` gets the error 50002.

mod guard;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;

pub use super::listener::BoxFuture;
use super::listener::{BasicUsers, Caller, HttpAccess, HttpLimits, HttpPort, HttpServer, Passwords};
use crate::clock::Clock;
use crate::log_rate_limiter::{LogRateLimiter, log_limited};
use crate::state::registry::SchemaRegistry;
pub use crate::state::registry::Turns;
use crate::tls::TlsListener;
use ottla_config::RegistryConfig;
use ottla_registry::api;

pub use ottla_registry::api::OwnedRequest;

/// The number of concurrent connections.
const MAX_CONNECTIONS: usize = 512;
/// The number of connections that may wait to be accepted.
const BACKLOG: i32 = 128;
/// The largest body of a request in bytes. A record of `_schemas` has up to 1 MiB, and escapes make its JSON longer.
const MAX_BODY: usize = 8 << 20;
/// Bytes that a client may send for one request: a body and headers.
const MAX_BYTES: usize = MAX_BODY + (64 << 10);
/// The longest time for a request to arrive, and for a connection to have none.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest time for a decision, with the wait for those before it.
const DECISION_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest time from the start of a request to the end of its response.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(120);

/// The header of requests that another registry has passed on.
const FORWARDED: &str = "x-forward";
/// The kind of log line for refused requests.
const REFUSED: &str = "refused requests to the schema registry";

/// Decides on requests, and appends their records.
pub trait RegistryBackend: Send + Sync + 'static {
    /// Returns the response when the records of its decision are written. The caller may drop the future.
    fn respond(&self, request: OwnedRequest) -> BoxFuture<'_, api::Response>;
}

impl RegistryBackend for SchemaRegistry {
    fn respond(&self, request: OwnedRequest) -> BoxFuture<'_, api::Response> {
        Box::pin(SchemaRegistry::respond(self, request))
    }
}

/// A bound port.
#[derive(Debug)]
pub struct RegistryPort {
    port: HttpPort,
    known_hosts: Vec<String>,
}

/// State shared by all requests.
struct Shared {
    backend: Arc<dyn RegistryBackend>,
    known_hosts: Vec<String>,
    clock: Clock,
    limiter: Arc<LogRateLimiter>,
}

impl RegistryPort {
    /// Binds the port; connections are accepted from [`RegistryPort::open`] on. May block to resolve a host name.
    pub fn bind(config: &RegistryConfig, tls: Option<Arc<TlsListener>>) -> io::Result<RegistryPort> {
        let limits = HttpLimits {
            connections: MAX_CONNECTIONS,
            backlog: BACKLOG,
            request_bytes: MAX_BYTES,
            body_bytes: MAX_BODY,
            request_timeout: REQUEST_TIMEOUT,
            response_timeout: RESPONSE_TIMEOUT,
            keep_alive: true,
        };
        let users = (!config.users.is_empty()).then(|| BasicUsers::new(&config.users));
        let access = HttpAccess { tls, users, refuse: refused, ..HttpAccess::default() };
        let port = HttpPort::bind("schema registry", &config.bind, limits, access)?;
        let known_hosts = port.known_hosts(&config.allowed_hosts);
        Ok(RegistryPort { port, known_hosts })
    }

    /// The URL for clients on this machine, `http://host:port`.
    pub fn url(&self) -> String {
        self.port.url()
    }

    /// Accepts further names in the header Host.
    pub fn allow_hosts(&mut self, hosts: &[String]) {
        self.known_hosts.extend_from_slice(hosts);
    }

    /// Demands the name and password of a user.
    pub fn set_passwords(&mut self, passwords: Arc<dyn Passwords>) {
        self.port.set_passwords(passwords);
    }

    /// Whether other machines can connect and need no password.
    pub fn is_unprotected(&self) -> bool {
        self.port.is_unprotected()
    }

    /// Accepts requests. `limiter` limits the log lines that peers cause. Needs a tokio runtime.
    pub fn open(
        self,
        backend: Arc<dyn RegistryBackend>,
        clock: Clock,
        limiter: Arc<LogRateLimiter>,
    ) -> io::Result<HttpServer> {
        let shared = Shared { backend, known_hosts: self.known_hosts, clock, limiter: Arc::clone(&limiter) };
        let routes = Router::new().fallback(respond).with_state(Arc::new(shared));
        self.port.open(routes, clock, limiter)
    }
}

/// Answers every request.
async fn respond(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(caller): ConnectInfo<Caller>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    if let Some(reason) = guard::refusal(&head.method, &head.uri, &head.headers, &shared.known_hosts) {
        let (peer, path) = (caller.peer, head.uri.path());
        log_limited!(
            WARN, shared.limiter, peer.ip(), REFUSED,
            client = %peer, method = %head.method, path, reason, "refused a request to the schema registry"
        );
        return refused(StatusCode::FORBIDDEN, &reason);
    }
    // The listener has read the body, within its bound.
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        return refused(StatusCode::PAYLOAD_TOO_LARGE, "the request's body is too large");
    };
    let request = OwnedRequest {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        content_type: first(&head.headers, &CONTENT_TYPE),
        accept: all(&head.headers, &ACCEPT),
        authorization: first(&head.headers, &AUTHORIZATION),
        is_forwarded: head.headers.contains_key(FORWARDED),
        body: body.into(),
    };
    written(shared.decided(request).await)
}

impl Shared {
    async fn decided(&self, request: OwnedRequest) -> api::Response {
        let decided = self.clock.timeout(DECISION_TIMEOUT, self.backend.respond(request)).await;
        decided.unwrap_or_else(|| api::Response::timeout("the request waited too long for those before it"))
    }
}

fn first(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// The values of a header, as one list.
fn all(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let values: Vec<_> = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    (!values.is_empty()).then(|| values.join(","))
}

/// A refusal of the listener, in the form of the registry's errors.
fn refused(status: StatusCode, reason: &str) -> Response {
    written(api::Response::refused(status.as_u16(), reason))
}

fn written(response: api::Response) -> Response {
    let mut written = Response::new(Body::from(response.body));
    *written.status_mut() = StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    written.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(response.content_type));
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decides on one request at a time, and needs 20 s for each.
    struct Slow(Clock, tokio::sync::Mutex<()>);

    impl RegistryBackend for Slow {
        fn respond(&self, _: OwnedRequest) -> BoxFuture<'_, api::Response> {
            Box::pin(async {
                let _turn = self.1.lock().await;
                self.0.sleep(Duration::from_secs(20)).await;
                api::Response { status: 200, content_type: api::MEDIA_TYPE, body: "{}".to_owned() }
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn request_that_waits_too_long_for_its_turn_gets_a_timeout() {
        let clock = Clock::simulated(0);
        let backend = Arc::new(Slow(clock, tokio::sync::Mutex::new(())));
        let shared = Shared { backend, known_hosts: Vec::new(), clock, limiter: LogRateLimiter::new(clock) };
        let decided = || shared.decided(OwnedRequest::default());
        let (first, second, third) = tokio::join!(decided(), decided(), decided());
        assert_eq!(first.status, 200);
        for late in [second, third] {
            assert!(late.body.starts_with(r#"{"error_code":50002,"#), "{}", late.body);
        }
        assert_eq!(clock.monotonic(), DECISION_TIMEOUT);
    }
}
