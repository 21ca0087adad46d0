//! Resets the broker while it runs, for example between two tests of a suite.

use std::sync::Arc;
use std::time::Duration;

use super::Broker;
use super::metadata::MetadataUnavailable;
use crate::log_rate_limiter::log_limited;
use ottla_core::metadata;

/// The outcome of a reset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reset {
    /// The number of topics before, with internal ones.
    pub topics_removed: usize,
    /// The number of topics of `ottla.create.topics` that were created again.
    pub topics_created: usize,
    pub took: Duration,
}

impl Broker {
    /// Resets the broker to the state after a first start with its settings: only the topics of `ottla.create.topics`,
    /// the users of `ottla.users` and of `kafka-storage format`, and no groups, offsets, producers, transactions, dynamic
    /// settings, quotas, ACLs, or delegation tokens. The cluster id is kept. Leader epochs and producer ids continue to increase, so that connected clients notice the change. An open transaction exists no more: its producer
    /// gets NOT_COORDINATOR or INVALID_PRODUCER_ID_MAPPING, and a new producer id from InitProducerId.
    ///
    /// When this returns, the reset is durable, and waiting fetches and joins have ended with an error. Files are
    /// removed later.
    pub async fn reset(self: Arc<Self>) -> Result<Reset, MetadataUnavailable> {
        let started = self.clock.monotonic();
        let done =
            self.metadata.submit(metadata::Reset { topics: self.start_topics(), users: self.first_users() }).await?;
        // So that consumers open new fetch sessions, with the ids of the new topics.
        self.fetch_sessions.lock().clear();
        // What clients used before must not throttle those that get the same quotas later.
        self.publisher.quotas().forget_clients();
        for (topic, error) in done.created.iter().filter_map(|(topic, result)| Some((topic, result.as_ref().err()?))) {
            log_limited!(
                WARN, self.log_rate_limiter, None, "topics that were not created again",
                %topic, %error, "failed to create the topic again"
            );
        }
        let topics_created = done.created.iter().filter(|(_, result)| result.is_ok()).count();
        let took = self.clock.monotonic().saturating_sub(started);
        log_limited!(
            INFO,
            self.log_rate_limiter,
            None,
            "resets",
            "reset: {} topics removed, {topics_created} created again, in {took:?}",
            done.removed
        );
        Ok(Reset { topics_removed: done.removed, topics_created, took })
    }
}
