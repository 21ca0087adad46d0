//! Opens failed logs again. A full disk may have space again, or a network file system may be available again.
//!
//! The task sleeps while no partition has failed.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;

use super::Broker;
use super::partition::Partition;
use crate::blocking;
use crate::clock::Clock;
use ottla_core::metadata::{CONSUMER_OFFSETS, TRANSACTION_STATE};
use ottla_wire::types::TopicPartition;

/// The delay between a failure and the first attempt. It doubles with each failed attempt, up to [`MAX_DELAY`].
const FIRST_DELAY: Duration = Duration::from_secs(1);
const MAX_DELAY: Duration = Duration::from_secs(30);
/// A partition that has worked for this time begins with the first delay when it fails again.
const RESET_AFTER: Duration = Duration::from_secs(120);

/// Starts the task. Each failure of a partition wakes it by `partition_failed`.
pub fn start(broker: &Arc<Broker>, partition_failed: watch::Receiver<()>) {
    tokio::spawn(reopen_failed(Arc::downgrade(broker), broker.clock, partition_failed));
}

async fn reopen_failed(broker: Weak<Broker>, clock: Clock, mut partition_failed: watch::Receiver<()>) {
    let mut retries = Retries::default();
    loop {
        let due = async {
            match retries.next() {
                Some(at) => clock.sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = due => {}
            changed = partition_failed.changed() => if changed.is_err() { return },
        }
        let Some(broker) = broker.upgrade() else { return };
        let round = blocking::run(move || {
            broker.reopen_due(&mut retries);
            retries
        });
        match round.await {
            Ok(updated) => retries = updated,
            // The runtime is shutting down.
            Err(_) => return,
        }
    }
}

impl Broker {
    /// Opens the failed logs whose next attempt is due.
    fn reopen_due(&self, retries: &mut Retries) {
        let cluster = self.cluster();
        let partitions = cluster.local_partitions();
        let mut failed: Vec<&Arc<Partition>> = partitions.filter(|partition| partition.is_failed()).collect();
        if self.metadata.is_failed() {
            failed.push(self.metadata.partition());
        }
        // So that the next start neither trusts a log after a failed sync, nor misses that records were lost.
        self.checkpointer.write_positions();
        self.checkpointer.write_all();
        retries.keep(self.clock.monotonic(), |id| failed.iter().any(|partition| partition.id() == id));
        for partition in failed {
            if retries.is_due(partition.id(), self.clock.monotonic()) && self.reopen(partition) {
                retries.recovered(partition.id(), self.clock.monotonic());
            }
        }
    }

    /// Opens the partition's log again, and loads the coordinator that depends on it. Returns whether that succeeded.
    fn reopen(&self, partition: &Arc<Partition>) -> bool {
        if Arc::ptr_eq(partition, self.metadata.partition()) {
            return self.metadata.recover();
        }
        let recovered = partition.recover(self.clock.now().wall);
        if recovered {
            match &*partition.id().topic {
                CONSUMER_OFFSETS => self.groups.runtime().reload(partition),
                TRANSACTION_STATE => self.transactions.runtime().reload(partition),
                _ => {}
            }
        }
        recovered
    }
}

/// When each failed partition is tried again.
#[derive(Debug, Default)]
struct Retries(HashMap<TopicPartition, Retry>);

/// Times are on the monotonic clock.
#[derive(Debug)]
struct Retry {
    /// The next attempt. `None` while the partition works.
    due: Option<Duration>,
    delay: Duration,
    /// When it failed first or was recovered last.
    changed: Duration,
}

impl Retries {
    /// When the next attempt is due.
    fn next(&self) -> Option<Duration> {
        self.0.values().filter_map(|retry| retry.due).min()
    }

    /// Removes partitions that were deleted or have worked for [`RESET_AFTER`].
    fn keep(&mut self, now: Duration, is_failed: impl Fn(&TopicPartition) -> bool) {
        self.0.retain(|id, retry| is_failed(id) || retry.due.is_none() && now < retry.changed + RESET_AFTER);
    }

    /// Returns whether an attempt is due now. If so, the next one is scheduled.
    fn is_due(&mut self, id: &TopicPartition, now: Duration) -> bool {
        let retry = self.0.entry(id.clone()).or_insert(Retry { due: None, delay: FIRST_DELAY, changed: now });
        match retry.due {
            None => {
                retry.due = Some(now + retry.delay);
                false
            }
            Some(due) if now < due => false,
            Some(_) => {
                retry.delay = (retry.delay * 2).min(MAX_DELAY);
                retry.due = Some(now + retry.delay);
                true
            }
        }
    }

    /// Notes that the partition works again.
    fn recovered(&mut self, id: &TopicPartition, now: Duration) {
        if let Some(retry) = self.0.get_mut(id) {
            (retry.due, retry.changed) = (None, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// The times of the attempts for a partition that keeps failing from 0 s on.
    fn attempts(retries: &mut Retries, id: &TopicPartition, until: u64) -> Vec<u64> {
        (0..until).filter(|now| retries.is_due(id, at(*now))).collect()
    }

    #[test]
    fn delays_are_doubled_and_bounded() {
        let id = TopicPartition::new("t", 0);
        let mut retries = Retries::default();
        assert_eq!(attempts(&mut retries, &id, 125), [1, 3, 7, 15, 31, 61, 91, 121]);
        assert_eq!(retries.next(), Some(at(151)));
    }

    #[test]
    fn partition_that_fails_again_soon_keeps_its_delay() {
        let (id, deleted) = (TopicPartition::new("t", 0), TopicPartition::new("deleted", 0));
        let mut retries = Retries::default();
        assert_eq!(attempts(&mut retries, &id, 4), [1, 3]);
        retries.recovered(&id, at(3));
        assert_eq!(retries.next(), None);
        assert!(!retries.is_due(&deleted, at(4)));
        assert!(!retries.is_due(&id, at(5)));
        assert!(!retries.is_due(&id, at(8)));
        assert!(retries.is_due(&id, at(9)));
        retries.recovered(&id, at(9));
        retries.keep(at(100), |_| false);
        assert_eq!(retries.0.keys().collect::<Vec<_>>(), [&id]);
        retries.keep(at(130), |_| false);
        assert!(retries.0.is_empty());
    }
}
