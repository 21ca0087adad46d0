//! Starting over while running: what a suite of tests does between two tests.

use std::sync::Arc;
use std::time::Duration;

use super::Broker;
use super::metadata::MetadataUnavailable;
use crate::log_rate_limiter::log_limited;
use ottla_core::metadata;

/// What a reset did, and how long it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reset {
    /// How many topics there were, internal ones included.
    pub topics_removed: usize,
    /// How many topics there are again.
    pub topics_created: usize,
    pub took: Duration,
}

impl Broker {
    /// Leaves the broker as a first start with its settings would: no topics but those of the settings, no groups
    /// and offsets, no producers, no dynamic settings. Three things go on, so that clients that stay connected are
    /// not fooled: the cluster's id, leader epochs, and producer ids.
    ///
    /// When this returns, it is durable and whoever waited has been told: fetches and joins under way end with an
    /// error. Files are removed a little later.
    pub async fn reset(self: Arc<Self>) -> Result<Reset, MetadataUnavailable> {
        let begun = self.clock.monotonic();
        let done = self.metadata.submit(metadata::Reset(self.start_topics())).await?;
        // A consumer that goes on with its session learns by this that it must name its topics again.
        self.fetch_sessions.lock().clear();
        for (topic, error) in done.created.iter().filter_map(|(topic, made)| Some((topic, made.as_ref().err()?))) {
            log_limited!(
                WARN, self.log_rate_limiter, None, "topics that were not made again",
                %topic, %error, "the topic was not made again"
            );
        }
        let topics_created = done.created.iter().filter(|(_, made)| made.is_ok()).count();
        let took = self.clock.monotonic().saturating_sub(begun);
        log_limited!(
            INFO,
            self.log_rate_limiter,
            None,
            "resets",
            "reset: {} topics removed, {topics_created} made again, in {took:?}",
            done.removed
        );
        Ok(Reset { topics_removed: done.removed, topics_created, took })
    }
}
