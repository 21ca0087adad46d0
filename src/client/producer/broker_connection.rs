//! The producer's connection to the broker, which reconnects when needed.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::ProducerOptions;
use crate::{Client, ClientError, ClientOptions};

/// The minimum time between two warnings that the broker is unavailable.
const WARN_INTERVAL: Duration = Duration::from_secs(10);

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

    /// Returns the connection, reconnecting if it was lost: waits for the backoff, then tries each address once. The error
    /// contains a warning to report, at most one per `WARN_INTERVAL`.
    pub async fn client(&self) -> Result<Client, Option<String>> {
        let mut state = self.state.lock().await;
        if let Some(client) = state.client.as_ref().filter(|client| client.disconnect_reason().is_none()) {
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
        let should_warn = state.warned_at.is_none_or(|last| now - last >= WARN_INTERVAL);
        if !should_warn {
            return Err(None);
        }
        state.warned_at = Some(now);
        let reason = failed.map_or("no broker address is configured".to_owned(), |error| error.to_string());
        Err(Some(format!("{reason}. The broker may not be available; trying again.")))
    }

    /// Drops the connection after a request timeout.
    pub async fn disconnect(&self) {
        self.state.lock().await.client = None;
    }
}
