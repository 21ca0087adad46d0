//! The connection to the broker, made anew when it is gone.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use super::ProducerOptions;
use crate::{Client, ClientError, ClientOptions};

/// Between two warnings that the broker isn't there.
const REMINDER: Duration = Duration::from_secs(10);

pub(super) struct Link {
    addresses: Vec<String>,
    options: ClientOptions,
    backoff: Duration,
    backoff_max: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    client: Option<Client>,
    /// Attempts in a row that failed.
    failures: u32,
    try_again_at: Option<Instant>,
    warned_at: Option<Instant>,
}

impl Link {
    pub fn new(addresses: Vec<String>, options: &ProducerOptions) -> Link {
        let client = ClientOptions {
            client_id: options.client_id.clone(),
            timeout: options.request_timeout,
            ..Default::default()
        };
        Link {
            addresses,
            options: client,
            backoff: options.reconnect_backoff,
            backoff_max: options.reconnect_backoff_max,
            state: Mutex::default(),
        }
    }

    /// The connection, or one made now: once around the addresses, not before the time to try again has come. The
    /// error is a warning, if it is time for one.
    pub async fn client(&self) -> Result<Client, Option<String>> {
        let mut state = self.state.lock().await;
        if let Some(client) = state.client.as_ref().filter(|client| client.end().is_none()) {
            return Ok(client.clone());
        }
        state.client = None;
        if let Some(at) = state.try_again_at {
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
        state.try_again_at = Some(now + backoff);
        let is_time = state.warned_at.is_none_or(|last| now - last >= REMINDER);
        if !is_time {
            return Err(None);
        }
        state.warned_at = Some(now);
        let why = failed.map_or("no address is given".to_owned(), |error| error.to_string());
        Err(Some(format!("{why}. The broker may not be available; trying again.")))
    }

    /// Leaves a connection on which an answer is overdue.
    pub async fn leave(&self) {
        self.state.lock().await.client = None;
    }
}
