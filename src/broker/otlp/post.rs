//! One request to the collector. Blocks.

use std::io::Read as _;
use std::time::Duration;

use ureq::Agent;
use ureq::http::{Request, StatusCode};

use super::queue::Signal;
use ottla_config::{OtlpConfig, Password};
use ottla_otlp::rejected;

/// The longest time for one request and its response.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a response that are read.
const MAX_RESPONSE_BYTES: u64 = 64 << 10;
/// Characters of a response that are logged.
const MAX_SHOWN_CHARS: usize = 200;

/// The collector.
pub struct Endpoint {
    agent: Agent,
    url: String,
    headers: Vec<(String, Password)>,
}

/// What became of a request.
pub enum Outcome {
    Accepted(Collected),
    /// It may be sent again, after the time that the collector demands.
    Retry {
        after: Option<Duration>,
        why: String,
    },
    /// It would be refused again.
    Refused(String),
}

/// The response to an accepted request.
pub struct Collected {
    /// How many values were rejected, and why.
    pub rejected: Option<(u64, String)>,
}

impl Endpoint {
    pub fn new(config: &OtlpConfig) -> Endpoint {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(REQUEST_TIMEOUT))
            .build();
        Endpoint { agent: agent.into(), url: config.endpoint.clone(), headers: config.headers.clone() }
    }

    /// The URL for log lines, without user and password.
    pub fn shown(&self) -> String {
        match (self.url.split_once("://"), self.url.rsplit_once('@')) {
            (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://{rest}"),
            _ => self.url.clone(),
        }
    }

    pub fn post(&self, signal: Signal, body: &[u8]) -> Outcome {
        let mut request = Request::post(format!("{}{}", self.url, signal.path()))
            .header("Content-Type", "application/x-protobuf")
            .header("User-Agent", concat!("ottla/", env!("CARGO_PKG_VERSION")));
        for (name, value) in &self.headers {
            request = request.header(name, value.expose());
        }
        let request = match request.body(body) {
            Ok(request) => request,
            Err(error) => return Outcome::Refused(error.to_string()),
        };
        let mut response = match self.agent.run(request) {
            Ok(response) => response,
            Err(error) => return Outcome::Retry { after: None, why: error.to_string() },
        };
        let mut answer = Vec::new();
        let reader = response.body_mut().as_reader();
        // The status decides, even if the rest cannot be read.
        let _ = reader.take(MAX_RESPONSE_BYTES).read_to_end(&mut answer);
        let status = response.status();
        if status.is_success() {
            return Outcome::Accepted(Collected { rejected: rejected(&answer) });
        }
        let text: String = String::from_utf8_lossy(&answer).chars().take(MAX_SHOWN_CHARS).collect();
        let why = format!("status {}: {}", status.as_u16(), text.escape_debug());
        match status {
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => {
                let after = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
                Outcome::Retry { after: after.map(Duration::from_secs), why }
            }
            _ => Outcome::Refused(why),
        }
    }
}
