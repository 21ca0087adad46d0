//! `flush.ms`: a record is on disk at most so long after it was written. Nothing runs while no topic has one.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;

use super::Broker;
use crate::clock::Clock;
use ottla_wire::types::TopicId;

/// Starts the task that syncs. `republished` notifies it of changed settings and topics.
pub fn start(broker: &Arc<Broker>, republished: watch::Receiver<()>) {
    tokio::spawn(flush(Arc::downgrade(broker), broker.clock, republished));
}

async fn flush(broker: Weak<Broker>, clock: Clock, mut republished: watch::Receiver<()>) {
    let mut due = Due::default();
    loop {
        let Some(running) = broker.upgrade() else { return };
        due.follow(clock.monotonic(), running.flush_intervals());
        let topics = due.take(clock.monotonic());
        if !topics.is_empty() {
            let _ = tokio::task::spawn_blocking(move || running.flush_topics(&topics)).await;
            continue;
        }
        drop(running);
        let next = async {
            match due.next() {
                Some(at) => tokio::time::sleep_until(clock.instant_at(at)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = next => {}
            changed = republished.changed() => if changed.is_err() { return },
        }
    }
}

impl Broker {
    fn flush_intervals(&self) -> HashMap<TopicId, Duration> {
        let cluster = self.cluster();
        cluster
            .flushed_in_time()
            .map(|topic| (topic.id(), Duration::from_millis(topic.config.flush_ms.max(1).unsigned_abs())))
            .collect()
    }

    fn flush_topics(&self, topics: &[TopicId]) {
        let cluster = self.cluster();
        for partition in
            topics.iter().filter_map(|id| cluster.topic_by_id(*id)).flat_map(|topic| topic.local_partitions())
        {
            let unsynced = partition.if_open(|log| log.end_offset() > log.durable_offset());
            if unsynced == Some(true) {
                // A failure has latched the partition, which logs it.
                let _ = partition.sync_now();
            }
        }
    }
}

/// When which topic is to be synced, on the monotonic clock.
#[derive(Debug, Default)]
struct Due(HashMap<TopicId, (Duration, Duration)>);

impl Due {
    /// Applies the current settings. A topic whose interval has not changed stays due at the same time.
    fn follow(&mut self, now: Duration, mut intervals: HashMap<TopicId, Duration>) {
        self.0.retain(|topic, (interval, at)| match intervals.remove(topic) {
            Some(wanted) => {
                if wanted != *interval {
                    (*interval, *at) = (wanted, now + wanted);
                }
                true
            }
            None => false,
        });
        self.0.extend(intervals.into_iter().map(|(topic, interval)| (topic, (interval, now + interval))));
    }

    fn next(&self) -> Option<Duration> {
        self.0.values().map(|(_, at)| *at).min()
    }

    /// The topics that are due, which are due again one interval later.
    fn take(&mut self, now: Duration) -> Vec<TopicId> {
        let due = self.0.iter_mut().filter(|(_, (_, at))| *at <= now);
        due.map(|(topic, (interval, at))| {
            *at = now + *interval;
            *topic
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_wire::types::Uuid;

    const A: TopicId = Uuid([1; 16]);
    const B: TopicId = Uuid([2; 16]);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// The settings say this.
    fn follow(due: &mut Due, now: u64, intervals: &[(TopicId, u64)]) {
        due.follow(ms(now), intervals.iter().map(|(topic, interval)| (*topic, ms(*interval))).collect());
    }

    #[test]
    fn nothing_that_happens_puts_a_flush_off() {
        let mut due = Due::default();
        for now in 0..100 {
            follow(&mut due, now, &[(A, 100)]);
            assert_eq!(due.take(ms(now)), []);
        }
        assert_eq!(due.next(), Some(ms(100)));
        assert_eq!(due.take(ms(100)), [A]);
        assert_eq!(due.next(), Some(ms(200)));
    }

    #[test]
    fn each_topic_has_its_own_interval() {
        let mut due = Due::default();
        follow(&mut due, 0, &[(A, 100), (B, 1000)]);
        assert_eq!(due.take(ms(150)), [A]);
        assert_eq!(due.next(), Some(ms(250)));
        follow(&mut due, 150, &[(B, 1000)]);
        assert_eq!(due.next(), Some(ms(1000)), "one without a flush.ms is not synced");
        assert_eq!(due.take(ms(1000)), [B]);
    }

    #[test]
    fn a_changed_interval_counts_from_now() {
        let mut due = Due::default();
        follow(&mut due, 0, &[(A, 1_000_000)]);
        follow(&mut due, 50, &[(A, 10)]);
        assert_eq!(due.next(), Some(ms(60)));
    }
}
