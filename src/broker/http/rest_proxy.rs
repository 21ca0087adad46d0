//! The REST proxy's port, with two requests of Confluent's REST Proxy, which Redpanda's HTTP Proxy has, too:
//! `GET /topics` and `GET /brokers`. Everything else gets 404.
//!
//! Test libraries wait until Redpanda listens at this port, and their users look here whether it runs. With an authorizer,
//! only super users see topics.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use serde_json::{Value, json};

use super::admin::host_refusal;
use super::listener::{Caller, HttpAccess, HttpLimits, HttpPort, HttpServer, Passwords, credentials, respond};
use crate::clock::Clock;
use crate::log_rate_limiter::{LogRateLimiter, log_limited};
use crate::state::Broker;
use crate::tls::TlsListener;
use ottla_config::RestProxyConfig;

/// The number of concurrent connections.
const MAX_CONNECTIONS: usize = 64;
/// The number of connections that may wait to be accepted.
const BACKLOG: i32 = 64;
/// Bytes that a connection, and so its one request, may send.
const MAX_BYTES: usize = 64 << 10;
/// The largest request body in bytes that is read; no request needs one.
const MAX_BODY: usize = 16 << 10;
/// The longest time for a request to arrive.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest time from the start of a connection to its response.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(60);

const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/vnd.kafka.v2+json");
/// The setting that allows further hosts.
const ALLOWED_HOSTS: &str = "ottla.rest.proxy.allowed.hosts";
/// The principal of clients that do not authenticate.
const ANONYMOUS: &str = "ANONYMOUS";

/// A bound port.
#[derive(Debug)]
pub struct RestProxyPort {
    port: HttpPort,
    known_hosts: Vec<String>,
}

/// A running port. Dropping it closes the port.
pub struct RestProxy {
    url: String,
    _server: HttpServer,
}

/// State shared by all requests.
struct Shared {
    broker: Arc<Broker>,
    known_hosts: Vec<String>,
    limiter: Arc<LogRateLimiter>,
}

impl RestProxyPort {
    /// Binds the port; connections are accepted from [`RestProxyPort::open`] on. May block to resolve a host name.
    pub fn bind(config: &RestProxyConfig, tls: Option<Arc<TlsListener>>) -> io::Result<RestProxyPort> {
        let limits = HttpLimits {
            connections: MAX_CONNECTIONS,
            backlog: BACKLOG,
            request_bytes: MAX_BYTES,
            body_bytes: MAX_BODY,
            request_timeout: REQUEST_TIMEOUT,
            response_timeout: RESPONSE_TIMEOUT,
            keep_alive: false,
        };
        let access = HttpAccess { tls, refuse: error, ..HttpAccess::default() };
        let port = HttpPort::bind("REST proxy", &config.bind, limits, access)?;
        let known_hosts = port.known_hosts(&config.allowed_hosts);
        Ok(RestProxyPort { port, known_hosts })
    }

    /// Demands the name and password of a user.
    pub fn set_passwords(&mut self, passwords: Arc<dyn Passwords>) {
        self.port.set_passwords(passwords);
    }

    /// Accepts requests. `limiter` limits the log lines that peers cause. Needs a tokio runtime.
    pub fn open(self, broker: &Arc<Broker>, clock: Clock, limiter: Arc<LogRateLimiter>) -> io::Result<RestProxy> {
        let (broker, known_hosts) = (Arc::clone(broker), self.known_hosts);
        let shared = Arc::new(Shared { broker, known_hosts, limiter: Arc::clone(&limiter) });
        let routes = Router::new()
            .route("/topics", get(topics))
            .route("/brokers", get(brokers))
            .fallback(unknown)
            .method_not_allowed_fallback(unknown)
            .with_state(Arc::clone(&shared))
            .layer(from_fn_with_state(shared, with_guard));
        let url = self.port.url();
        Ok(RestProxy { url, _server: self.port.open(routes, clock, limiter)? })
    }
}

impl RestProxy {
    /// The URL for clients on this machine, `http://host:port`.
    pub fn url(&self) -> &str {
        &self.url
    }
}

async fn topics(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let cluster = shared.broker.cluster();
    let may_see = cluster.config.authorizer.as_ref().is_none_or(|authorizer| {
        let name = credentials(&headers).map_or_else(|| ANONYMOUS.to_owned(), |(name, _)| name);
        authorizer.super_users.contains(&format!("User:{name}"))
    });
    let names = cluster.image.topics_by_name();
    let names: Vec<&str> = names.iter().filter(|_| may_see).map(|topic| &*topic.name).collect();
    ok(&json!(names))
}

async fn brokers(State(shared): State<Arc<Shared>>) -> Response {
    ok(&json!({"brokers": [shared.broker.node_id()]}))
}

async fn unknown() -> Response {
    error(StatusCode::NOT_FOUND, "the supported requests are GET /topics and GET /brokers")
}

/// Refuses the requests of web pages that another name leads here (DNS rebinding).
async fn with_guard(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(caller): ConnectInfo<Caller>,
    request: Request,
    next: Next,
) -> Response {
    let (uri, headers) = (request.uri(), request.headers());
    let Some(reason) = host_refusal(uri, headers, &shared.known_hosts, ALLOWED_HOSTS) else {
        return next.run(request).await;
    };
    let peer = caller.peer;
    log_limited!(
        WARN, shared.limiter, peer.ip(), "refused requests to the REST proxy",
        client = %peer, reason, "refused a request to the REST proxy"
    );
    error(StatusCode::FORBIDDEN, &reason)
}

fn ok(body: &Value) -> Response {
    with_media_type(respond(StatusCode::OK, body))
}

/// An error in the form of Confluent's.
fn error(status: StatusCode, message: &str) -> Response {
    with_media_type(respond(status, &json!({"error_code": status.as_u16(), "message": message})))
}

fn with_media_type(mut response: Response) -> Response {
    response.headers_mut().insert(CONTENT_TYPE, MEDIA_TYPE);
    response
}
