//! Opens failed logs again: a full disk may have space again, a network file system may be back.
//!
//! Nothing here runs while all partitions are in order.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;

use super::Broker;
use super::partition::Partition;
use crate::clock::Clock;
use ottla_core::metadata::{CONSUMER_OFFSETS, TRANSACTION_STATE};
use ottla_wire::types::TopicPartition;

/// How long after a failure a log is first tried again; each time that fails the wait is doubled.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// A partition that was in order for so long starts anew when it fails.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(120);

/// Starts the task that looks after partitions that fail, each of which wakes `partition_failed`.
pub fn start(broker: &Arc<Broker>, partition_failed: watch::Receiver<()>) {
    tokio::spawn(look_after(Arc::downgrade(broker), broker.clock, partition_failed));
}

async fn look_after(broker: Weak<Broker>, clock: Clock, mut partition_failed: watch::Receiver<()>) {
    let mut retries = Retries::default();
    loop {
        let due = async {
            match retries.next() {
                Some(at) => tokio::time::sleep_until(clock.instant_at(at)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = due => {}
            changed = partition_failed.changed() => if changed.is_err() { return },
        }
        let Some(broker) = broker.upgrade() else { return };
        let round = tokio::task::spawn_blocking(move || {
            broker.reopen_due(&mut retries);
            retries
        });
        match round.await {
            Ok(after) => retries = after,
            // The runtime is going down.
            Err(_) => return,
        }
    }
}

impl Broker {
    fn reopen_due(&self, retries: &mut Retries) {
        let cluster = self.cluster();
        let partitions = cluster.local_partitions();
        let mut failed: Vec<&Arc<Partition>> = partitions.filter(|partition| partition.is_failed()).collect();
        if self.metadata.is_failed() {
            failed.push(self.metadata.partition());
        }
        // After a failed sync a start must not believe what it would find of a log; and if records are gone, it is to say
        // which.
        self.checkpointer.write_positions();
        self.checkpointer.write_all();
        retries.keep(self.clock.monotonic(), |id| failed.iter().any(|partition| partition.id() == id));
        for partition in failed {
            if retries.is_due(partition.id(), self.clock.monotonic()) && self.reopen(partition) {
                retries.recovered(partition.id(), self.clock.monotonic());
            }
        }
    }

    /// Opens the partition's log again, and loads the coordinator that depends on it.
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

/// When which partition is tried again.
#[derive(Debug, Default)]
struct Retries(HashMap<TopicPartition, Retry>);

/// Times are on the monotonic clock.
#[derive(Debug)]
struct Retry {
    /// None while the partition is in order.
    due: Option<Duration>,
    wait: Duration,
    changed: Duration,
}

impl Retries {
    /// When there is something to do.
    fn next(&self) -> Option<Duration> {
        self.0.values().filter_map(|retry| retry.due).min()
    }

    /// Forgets partitions that were deleted or have worked for long.
    fn keep(&mut self, now: Duration, is_failed: impl Fn(&TopicPartition) -> bool) {
        self.0.retain(|id, retry| is_failed(id) || retry.due.is_none() && now < retry.changed + FORGOTTEN_AFTER);
    }

    /// Whether a failed partition is to be tried now; if so it counts as tried.
    fn is_due(&mut self, id: &TopicPartition, now: Duration) -> bool {
        let retry = self.0.entry(id.clone()).or_insert(Retry { due: None, wait: FIRST_WAIT, changed: now });
        match retry.due {
            None => {
                retry.due = Some(now + retry.wait);
                false
            }
            Some(due) if now < due => false,
            Some(_) => {
                retry.wait = (retry.wait * 2).min(LONGEST_WAIT);
                retry.due = Some(now + retry.wait);
                true
            }
        }
    }

    /// The partition is in order again.
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

    /// Fails all the time from 0 s on; when it is tried.
    fn tried(retries: &mut Retries, id: &TopicPartition, until: u64) -> Vec<u64> {
        (0..until).filter(|now| retries.is_due(id, at(*now))).collect()
    }

    #[test]
    fn the_waits_are_doubled_and_bounded() {
        let id = TopicPartition::new("t", 0);
        let mut retries = Retries::default();
        assert_eq!(tried(&mut retries, &id, 125), [1, 3, 7, 15, 31, 61, 91, 121]);
        assert_eq!(retries.next(), Some(at(151)));
    }

    #[test]
    fn who_fails_again_soon_waits_longer() {
        let (id, gone) = (TopicPartition::new("t", 0), TopicPartition::new("gone", 0));
        let mut retries = Retries::default();
        assert_eq!(tried(&mut retries, &id, 4), [1, 3]);
        retries.recovered(&id, at(3));
        assert_eq!(retries.next(), None);
        assert!(!retries.is_due(&gone, at(4)));
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
