//! Passes requests on to the leader.

use std::io::ErrorKind;
use std::time::Duration;

use ureq::Agent;
use ureq::http::Request;

use crate::cli::http_errors;
use ottla_registry::api::{OwnedRequest, Response};

/// The longest time for a connection to the leader.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest time for a response of the leader.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);
/// The largest response of the leader: that to a registration has a schema.
const MAX_RESPONSE_BYTES: u64 = 16 << 20;

/// Why a request was not passed on.
#[derive(Debug, thiserror::Error)]
pub enum NotPassedOn {
    /// The leader has not received it, because no process listens at its address.
    #[error("{0}")]
    Unreachable(String),
    /// The leader may have received it.
    #[error("{0}")]
    Failed(String),
}

/// A client of the leader.
#[derive(Clone)]
pub struct Forwarder {
    agent: Agent,
}

impl Forwarder {
    pub fn new() -> Forwarder {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_global(Some(RESPONSE_TIMEOUT));
        Forwarder { agent: config.build().into() }
    }

    /// Sends a request to the registry at `url`.
    pub async fn pass_on(&self, url: &str, request: OwnedRequest) -> Result<Response, NotPassedOn> {
        let agent = self.agent.clone();
        let url = format!("{}{}", url.trim_end_matches('/'), request.path);
        let sent = tokio::task::spawn_blocking(move || send(&agent, &url, &request)).await;
        sent.map_err(|error| NotPassedOn::Failed(error.to_string()))?
    }
}

fn send(agent: &Agent, url: &str, request: &OwnedRequest) -> Result<Response, NotPassedOn> {
    let url = if request.query.is_empty() { url.to_owned() } else { format!("{url}?{}", request.query) };
    let mut builder = Request::builder().method(request.method.as_str()).uri(url).header("X-Forward", "true");
    for (name, value) in [
        ("Content-Type", &request.content_type),
        ("Accept", &request.accept),
        ("Authorization", &request.authorization),
    ] {
        if let Some(value) = value {
            builder = builder.header(name, value);
        }
    }
    let invalid = |error: ureq::http::Error| NotPassedOn::Failed(error.to_string());
    let sent = match request.body.is_empty() {
        true => agent.run(builder.body(()).map_err(invalid)?),
        false => agent.run(builder.body(request.body.as_slice()).map_err(invalid)?),
    };
    let mut response = sent.map_err(|error| match error {
        ureq::Error::ConnectionFailed | ureq::Error::HostNotFound => {
            NotPassedOn::Unreachable(http_errors::reason(&error))
        }
        ureq::Error::Io(ref io) if io.kind() == ErrorKind::ConnectionRefused => {
            NotPassedOn::Unreachable(http_errors::reason(&error))
        }
        error => NotPassedOn::Failed(http_errors::reason(&error)),
    })?;
    let content_type = response.headers().get("content-type").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let body = response.body_mut().with_config().limit(MAX_RESPONSE_BYTES).read_to_string();
    let body = body.map_err(|error| NotPassedOn::Failed(error.to_string()))?;
    Ok(Response::passed_on(response.status().as_u16(), &content_type.unwrap_or_default(), body))
}
