//! Decides on requests, and appends their records if this registry is the leader of its group.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard, watch};
use tokio::time::timeout;
use tracing::Level;

use super::election::Leader;
use super::follower::Follower;
use super::forward::{Forwarder, NotPassedOn};
use super::topic::Topic;
use ottla_broker::clock::wall_clock_ms;
use ottla_broker::http::registry::{BoxFuture, RegistryBackend};
use ottla_broker::log_rate_limiter::LogRateLimiter;
use ottla_registry::api::{Decision, OwnedRequest, Response};
use ottla_registry::store::Record;
use ottla_wire::record::{BatchBuilder, Codec};
use ottla_wire::types::Offset;

/// How often a request is decided again because others have written to the topic meanwhile.
const MAX_DECISIONS: usize = 100;
/// How long a request waits for a leader.
///
/// It is longer than the session of a leader that has ended without leaving the group.
const LEADER_TIMEOUT: Duration = Duration::from_secs(15);

/// The registry of this process.
pub struct Backend {
    shared: Arc<Shared>,
    /// Held while the records of a request are written.
    turn: Arc<Mutex<()>>,
}

struct Shared {
    topic: Arc<Topic>,
    follower: Arc<Follower>,
    leader: watch::Receiver<Leader>,
    forwarder: Forwarder,
    /// Clients cause requests, and so lines about those that fail.
    limiter: Arc<LogRateLimiter>,
}

impl Backend {
    pub fn new(
        topic: Arc<Topic>,
        follower: Arc<Follower>,
        leader: watch::Receiver<Leader>,
        forwarder: Forwarder,
        limiter: Arc<LogRateLimiter>,
    ) -> Backend {
        Backend { shared: Arc::new(Shared { topic, follower, leader, forwarder, limiter }), turn: Arc::default() }
    }
}

impl RegistryBackend for Backend {
    fn respond(&self, request: OwnedRequest) -> BoxFuture<'_, Response> {
        Box::pin(async {
            // What is replayed suffices for most requests of serializers.
            if let (Decision::Respond(response), _) = self.shared.follower.decide(&request).await
                && response.status < 300
            {
                return response;
            }
            // What is missing may have been registered by another registry.
            if matches!(request.method.as_str(), "GET" | "HEAD") {
                return self.shared.after_catch_up(&request).await;
            }
            let turn = Arc::clone(&self.turn).lock_owned().await;
            // A task of its own ends the write even if the client disconnects.
            let shared = Arc::clone(&self.shared);
            let written = tokio::spawn(async move { shared.write(request, turn).await }).await;
            written.unwrap_or_else(|error| Response::store_error(&error.to_string()))
        })
    }
}

impl Shared {
    async fn after_catch_up(&self, request: &OwnedRequest) -> Response {
        if let Err(why) = self.follower.catch_up().await {
            return self.store_error(&why);
        }
        match self.follower.decide(request).await {
            (Decision::Respond(response), _) => response,
            (Decision::Append { .. }, _) => Response::store_error("a request that reads would write"),
        }
    }

    /// `_turn` is held until the end.
    async fn write(&self, request: OwnedRequest, _turn: OwnedMutexGuard<()>) -> Response {
        for _ in 0..MAX_DECISIONS {
            if let Err(why) = self.follower.catch_up().await {
                return self.store_error(&why);
            }
            let (records, response, position) = match self.follower.decide(&request).await {
                (Decision::Respond(response), _) => return response,
                (Decision::Append { records, response }, position) => (records, response, position),
            };
            let leader = self.leader.borrow().clone();
            match leader {
                Leader::This => {}
                Leader::Other(url) if !request.is_forwarded => {
                    if let Some(response) = self.pass_on(&url, request.clone()).await {
                        return response;
                    }
                    continue;
                }
                // The decision does not hold after the wait.
                Leader::Unknown if self.waits_for_leader().await => continue,
                Leader::Other(_) | Leader::Unknown => {
                    return Response::unknown_leader("The request failed since the leader is unknown");
                }
            }
            match self.append(&records).await {
                Ok(base) if base == position => return response,
                // The last record of a setting or a deletion counts, whatever came before it.
                Ok(_) if request.method != "POST" => return response,
                // Others have written at the same time: the schema's id may be that of another one, or it has one already.
                Ok(_) => {}
                Err(why) => return self.store_error(&why),
            }
        }
        self.store_error("others write to the topic all the time")
    }

    /// Writes the records as one batch, and waits until they are replayed. Returns the offset of the first one.
    async fn append(&self, records: &[Record]) -> Result<Offset, String> {
        let mut batch = BatchBuilder::new(Codec::None);
        for record in records {
            batch.append(wall_clock_ms(), Some(&record.key), record.value.as_deref(), &[]);
        }
        let batch = batch.build().map_err(|error| error.to_string())?;
        let base = self.topic.append(batch.bytes().clone()).await?;
        self.follower.reach(base + i64::try_from(records.len()).unwrap_or(0)).await?;
        Ok(base)
    }

    /// Waits for a leader, for example while the members of the group change. Returns whether there is one.
    async fn waits_for_leader(&self) -> bool {
        let mut leader = self.leader.clone();
        matches!(timeout(LEADER_TIMEOUT, leader.wait_for(|leader| *leader != Leader::Unknown)).await, Ok(Ok(_)))
    }

    /// Passes a request on. `None` if there is another leader by now, which has not received it.
    async fn pass_on(&self, url: &str, request: OwnedRequest) -> Option<Response> {
        let why = match self.forwarder.pass_on(url, request).await {
            // So that the client sees here what it has written.
            Ok(response) => {
                return Some(match self.follower.catch_up().await {
                    Ok(()) => response,
                    Err(why) => self.store_error(&why),
                });
            }
            Err(NotPassedOn::Unreachable(why)) => {
                let mut leader = self.leader.clone();
                let is_other = |leader: &Leader| !matches!(leader, Leader::Other(other) if other == url);
                if timeout(LEADER_TIMEOUT, leader.wait_for(is_other)).await.is_ok() {
                    return None;
                }
                why
            }
            Err(NotPassedOn::Failed(why)) => why,
        };
        if self.limiter.admits(Level::WARN, None, "requests that were not passed on") {
            tracing::warn!(leader = url, error = why, "failed to pass a request on to the leader");
        }
        Some(Response::forwarding_error(&format!("The request could not be passed on to the leader {url}: {why}")))
    }

    fn store_error(&self, why: &str) -> Response {
        if self.limiter.admits(Level::ERROR, None, "failures of the schema registry's topic") {
            tracing::error!(error = why, "failed to read or write the schema registry's topic");
        }
        Response::store_error(why)
    }
}
