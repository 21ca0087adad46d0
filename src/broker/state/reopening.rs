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
/// The longest delay while the disk is full: space can appear at any time, and an attempt is cheap, because it writes only
/// a few zeros and reads no records.
const MAX_DELAY_WHEN_FULL: Duration = Duration::from_secs(1);
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
            if !retries.is_due(partition.id(), max_delay(partition), self.clock.monotonic()) {
                continue;
            }
            match self.reopen(partition) {
                true => retries.recovered(partition.id(), self.clock.monotonic()),
                false => retries.failed(partition.id(), max_delay(partition), self.clock.monotonic()),
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

fn max_delay(partition: &Partition) -> Duration {
    if partition.is_disk_full() { MAX_DELAY_WHEN_FULL } else { MAX_DELAY }
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

    /// Returns whether an attempt is due now. Schedules the first one.
    fn is_due(&mut self, id: &TopicPartition, max_delay: Duration, now: Duration) -> bool {
        let retry = self.0.entry(id.clone()).or_insert(Retry { due: None, delay: FIRST_DELAY, changed: now });
        let Some(due) = retry.due else {
            retry.delay = retry.delay.min(max_delay);
            retry.due = Some(now + retry.delay);
            return false;
        };
        due <= now
    }

    /// Schedules the next attempt after one that failed.
    fn failed(&mut self, id: &TopicPartition, max_delay: Duration, now: Duration) {
        if let Some(retry) = self.0.get_mut(id) {
            retry.delay = (retry.delay * 2).min(max_delay);
            retry.due = Some(now + retry.delay);
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
    use crate::testing::{Host, Producer, Protocol};
    use ottla_log::{DiskOp, Fault};

    const TIMEOUT_MS: i32 = 900_000;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// The times of the attempts for a partition that keeps failing.
    fn attempts(
        retries: &mut Retries,
        id: &TopicPartition,
        max_delay: Duration,
        times: std::ops::Range<u64>,
    ) -> Vec<u64> {
        let mut attempt = |now: &u64| {
            let is_due = retries.is_due(id, max_delay, at(*now));
            if is_due {
                retries.failed(id, max_delay, at(*now));
            }
            is_due
        };
        times.filter(|now| attempt(now)).collect()
    }

    #[test]
    fn delays_are_doubled_and_bounded() {
        let id = TopicPartition::new("t", 0);
        let mut retries = Retries::default();
        assert_eq!(attempts(&mut retries, &id, MAX_DELAY, 0..125), [1, 3, 7, 15, 31, 61, 91, 121]);
        assert_eq!(retries.next(), Some(at(151)));
    }

    #[test]
    fn delays_while_the_disk_is_full_are_not_doubled() {
        let id = TopicPartition::new("t", 0);
        let mut retries = Retries::default();
        assert_eq!(attempts(&mut retries, &id, MAX_DELAY, 0..8), [1, 3, 7]);
        assert_eq!(attempts(&mut retries, &id, MAX_DELAY_WHEN_FULL, 8..20), [15, 16, 17, 18, 19]);
        retries.recovered(&id, at(20));
        assert_eq!(attempts(&mut retries, &id, MAX_DELAY, 21..30), [22, 24, 28]);
    }

    #[test]
    fn partition_that_fails_again_soon_keeps_its_delay() {
        let (id, deleted) = (TopicPartition::new("t", 0), TopicPartition::new("deleted", 0));
        let mut retries = Retries::default();
        assert_eq!(attempts(&mut retries, &id, MAX_DELAY, 0..4), [1, 3]);
        retries.recovered(&id, at(3));
        assert_eq!(retries.next(), None);
        assert!(!retries.is_due(&deleted, MAX_DELAY, at(4)));
        assert_eq!(attempts(&mut retries, &id, MAX_DELAY, 5..10), [9]);
        retries.recovered(&id, at(9));
        retries.keep(at(100), |_| false);
        assert_eq!(retries.0.keys().collect::<Vec<_>>(), [&id]);
        retries.keep(at(130), |_| false);
        assert!(retries.0.is_empty());
    }

    #[test]
    fn transaction_ends_soon_after_a_full_disk_has_space_again() {
        let mut host = Host::new(1, &[]);
        let disk = host.disk.clone();
        host.run(async |running| {
            let mut client = running.client("c");
            client.create_topic("d", 1, &[]).await.unwrap();
            client.find_coordinator("a", true).await.unwrap();
            let mut producer = Producer::new("a", Protocol::Two, TIMEOUT_MS);
            producer.init(&mut client, false).await.unwrap();
            producer.produce(&mut client, "d", 0, 1).await.unwrap();
            disk.inject_faults(|op| (op == DiskOp::Write).then_some(Fault::NoSpace));
            producer.end(&mut client, true).await.unwrap_err();
            producer.end(&mut client, true).await.unwrap_err();
            running.sleep(at(301)).await;
            disk.clear_faults();
            let space = running.clock.monotonic();
            while producer.end(&mut client, true).await.is_err() {}
            let waited = running.clock.monotonic() - space;
            assert!(waited < at(3), "{waited:?}");
        })
        .unwrap();
    }
}
