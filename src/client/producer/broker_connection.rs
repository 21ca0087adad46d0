//! The producer's connection to the broker, which reconnects when needed.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{ProducerOptions, SendError};
use crate::{Client, ClientError, ClientOptions};

/// The minimum time between two warnings that the broker is unavailable.
const WARN_INTERVAL: Duration = Duration::from_secs(10);

/// Why there is no connection.
#[derive(Debug)]
pub(super) struct Unavailable {
    /// A warning to report.
    pub warning: Option<String>,
    /// The error, unless a retry may succeed: the broker's certificate or the login was refused, for example.
    pub refused: Option<SendError>,
}

pub(super) struct BrokerConnection {
    addresses: Vec<String>,
    options: ClientOptions,
    backoff: Duration,
    backoff_max: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    client: Option<Client>,
    /// Consecutive failed attempts.
    failures: u32,
    retry_at: Option<Instant>,
    warned_at: Option<Instant>,
}

impl BrokerConnection {
    pub fn new(addresses: Vec<String>, options: &ProducerOptions) -> BrokerConnection {
        let client = ClientOptions {
            client_id: options.client_id.clone(),
            timeout: options.request_timeout,
            tls: options.tls.clone(),
            sasl: options.sasl.clone(),
            ..Default::default()
        };
        BrokerConnection {
            addresses,
            options: client,
            backoff: options.reconnect_backoff,
            backoff_max: options.reconnect_backoff_max,
            state: Mutex::default(),
        }
    }

    /// Returns the connection, reconnecting if it was lost: waits for the backoff, then tries each address once. At most
    /// one error per `WARN_INTERVAL` has a warning.
    pub async fn client(&self) -> Result<Client, Unavailable> {
        let mut state = self.state.lock().await;
        if let Some(client) = state.client.as_ref().filter(|client| !client.is_disconnected()) {
            return Ok(client.clone());
        }
        state.client = None;
        if let Some(at) = state.retry_at {
            tokio::time::sleep_until(at).await;
        }
        let mut failed: Option<ClientError> = None;
        for address in &self.addresses {
            match Client::connect_with(address, self.options.clone()).await {
                Ok(client) => {
                    *state = State { client: Some(client.clone()), ..State::default() };
                    return Ok(client);
                }
                Err(error) => failed = Some(error),
            }
        }
        let now = Instant::now();
        let backoff = self.backoff.saturating_mul(1 << state.failures.min(16)).min(self.backoff_max);
        state.failures = state.failures.saturating_add(1);
        state.retry_at = Some(now + backoff);
        let refused = failed.as_ref().map(SendError::from_client).filter(|error| !error.is_retriable());
        let should_warn = state.warned_at.is_none_or(|last| now - last >= WARN_INTERVAL);
        if !should_warn {
            return Err(Unavailable { warning: None, refused });
        }
        state.warned_at = Some(now);
        let reason = failed.map_or("no broker address is configured".to_owned(), |error| error.to_string());
        let warning = match refused {
            Some(_) => reason,
            None => format!("{reason}. The broker may not be available; trying again."),
        };
        Err(Unavailable { warning: Some(warning), refused })
    }

    /// Drops the connection after a request timeout.
    pub async fn disconnect(&self) {
        self.state.lock().await.client = None;
    }
}
