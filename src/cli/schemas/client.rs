//! A client of a schema registry, over HTTP.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use ureq::Agent;
use ureq::http::Request;

use crate::cli::http_errors;

/// The longest time for a response.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(60);
/// The largest response.
const MAX_RESPONSE_BYTES: u64 = 64 << 20;
const MEDIA_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// The registry that the own commands connect to.
#[derive(Clone, Debug, clap::Args)]
pub struct RegistryUrl {
    /// The schema registry; http://USER:PASSWORD@HOST:PORT for one with users
    #[arg(
        long,
        value_name = "URL",
        env = "SCHEMA_REGISTRY_URL",
        hide_env_values = true,
        default_value = "http://localhost:8081",
        global = true
    )]
    pub registry: String,
}

/// A registry.
#[derive(Clone)]
pub struct RegistryClient {
    /// Without user and slash at the end.
    url: String,
    authorization: Option<String>,
    agent: Agent,
}

/// Why a request failed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// The registry refused the request.
    #[error("{message} (error {code})")]
    Refused { code: i64, message: String },
    /// There was no answer, or not that of a registry.
    #[error("{0}")]
    Unusable(String),
}

impl From<RegistryError> for String {
    fn from(error: RegistryError) -> String {
        error.to_string()
    }
}

impl RegistryClient {
    /// Reads a URL, and a user (`name:password`) unless the URL has one. Of several URLs, the first one is used.
    pub fn new(url: &str, user: Option<&str>) -> Result<RegistryClient, String> {
        let url = url.split(',').next().unwrap_or_default().trim().trim_end_matches('/');
        let Some((scheme @ ("http" | "https"), rest)) = url.split_once("://") else {
            return Err(format!(
                "{} is not the URL of a schema registry, such as http://localhost:8081",
                url.escape_debug()
            ));
        };
        let (in_url, address) = match rest.rsplit_once('@') {
            Some((user, address)) => (Some(user), address),
            None => (None, rest),
        };
        let authorization = in_url.or(user).map(|user| format!("Basic {}", STANDARD.encode(user)));
        let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(RESPONSE_TIMEOUT));
        Ok(RegistryClient { url: format!("{scheme}://{address}"), authorization, agent: config.build().into() })
    }

    pub fn get(&self, path: &str) -> Result<Value, RegistryError> {
        self.call("GET", path, None)
    }

    pub fn delete(&self, path: &str) -> Result<Value, RegistryError> {
        self.call("DELETE", path, None)
    }

    pub fn post(&self, path: &str, body: &Value) -> Result<Value, RegistryError> {
        self.call("POST", path, Some(body))
    }

    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, RegistryError> {
        let unusable = |why: String| RegistryError::Unusable(format!("the schema registry at {}: {why}", self.url));
        let mut builder =
            Request::builder().method(method).uri(format!("{}{path}", self.url)).header("Accept", MEDIA_TYPE);
        if let Some(authorization) = &self.authorization {
            builder = builder.header("Authorization", authorization);
        }
        let sent = match body {
            None => builder.body(()).map(|request| self.agent.run(request)),
            Some(body) => {
                builder.header("Content-Type", MEDIA_TYPE).body(body.to_string()).map(|request| self.agent.run(request))
            }
        };
        let mut response = sent
            .map_err(|error| unusable(error.to_string()))?
            .map_err(|error| unusable(http_errors::reason(&error)))?;
        let status = response.status();
        let body = response.body_mut().with_config().limit(MAX_RESPONSE_BYTES).read_to_vec();
        let body = body.map_err(|error| unusable(error.to_string()))?;
        if status.is_success() && body.is_empty() {
            return Ok(Value::Null);
        }
        let json: Result<Value, _> = serde_json::from_slice(&body);
        match json {
            Ok(json) if status.is_success() => Ok(json),
            Ok(json) => match (json["error_code"].as_i64(), json["message"].as_str()) {
                (Some(code), Some(message)) => {
                    Err(RegistryError::Refused { code, message: message.replace('\n', " ") })
                }
                _ => Err(unusable(format!("status {}", status.as_u16()))),
            },
            Err(_) if !status.is_success() => Err(unusable(format!("status {}", status.as_u16()))),
            Err(error) => Err(unusable(format!("the answer is not JSON: {error}"))),
        }
    }
}

/// Encodes a part of a path.
pub fn encoded(part: &str) -> String {
    let mut encoded = String::new();
    for byte in part.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'~' | b'_' => encoded.push(byte.into()),
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_with_a_user_is_read_without_the_user_in_messages() {
        let client = RegistryClient::new("http://ann:secret@localhost:8081/, http://b", None).unwrap();
        assert_eq!(client.url, "http://localhost:8081");
        assert_eq!(client.authorization.as_deref(), Some("Basic YW5uOnNlY3JldA=="));
        let client = RegistryClient::new("https://a", Some("ann:secret")).unwrap();
        assert_eq!(client.authorization.as_deref(), Some("Basic YW5uOnNlY3JldA=="));
        assert!(RegistryClient::new("localhost:8081", None).is_err());
        assert_eq!(encoded(":.c:a b/ä"), "%3A.c%3Aa%20b%2F%C3%A4");
    }
}
