//! Syncs topics with `flush.ms`: a record is durable at most this time after it was written. The task sleeps while no
//! topic has the setting.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;

use super::Broker;
use crate::blocking;
use crate::clock::Clock;
use ottla_wire::types::TopicId;

/// Starts the task. `republished` wakes it when settings or topics have changed.
pub fn start(broker: &Arc<Broker>, republished: watch::Receiver<()>) {
    tokio::spawn(flush_due(Arc::downgrade(broker), broker.clock, republished));
}

async fn flush_due(broker: Weak<Broker>, clock: Clock, mut republished: watch::Receiver<()>) {
    let mut due = Due::default();
    loop {
        let Some(running) = broker.upgrade() else { return };
        due.follow(clock.monotonic(), running.flush_intervals());
        let topics = due.take(clock.monotonic());
        if !topics.is_empty() {
            let _ = blocking::run(move || running.flush_topics(&topics)).await;
            continue;
        }
        drop(running);
        let next = async {
            match due.next() {
                Some(at) => clock.sleep_until(at).await,
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
            .with_flush_ms()
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
                // After a failure, the partition is offline, and that was logged.
                let _ = partition.sync_now();
            }
        }
    }
}

/// The interval of each topic, and the monotonic time of its next sync.
#[derive(Debug, Default)]
struct Due(HashMap<TopicId, (Duration, Duration)>);

impl Due {
    /// Applies the current settings. The next sync of a topic with an unchanged interval stays at the same time.
    fn follow(&mut self, now: Duration, mut intervals: HashMap<TopicId, Duration>) {
        self.0.retain(|topic, (interval, at)| match intervals.remove(topic) {
            Some(current) => {
                if current != *interval {
                    (*interval, *at) = (current, now + current);
                }
                true
            }
            None => false,
        });
        self.0.extend(intervals.into_iter().map(|(topic, interval)| (topic, (interval, now + interval))));
    }

    /// The time of the next sync.
    fn next(&self) -> Option<Duration> {
        self.0.values().map(|(_, at)| *at).min()
    }

    /// Returns the topics that are due. They are due again after one interval.
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

    /// Applies intervals in ms.
    fn follow(due: &mut Due, now: u64, intervals: &[(TopicId, u64)]) {
        due.follow(ms(now), intervals.iter().map(|(topic, interval)| (*topic, ms(*interval))).collect());
    }

    #[test]
    fn sync_is_not_delayed_by_repeated_changes() {
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
        assert_eq!(due.next(), Some(ms(1000)), "a topic without flush.ms is not synced");
        assert_eq!(due.take(ms(1000)), [B]);
    }

    #[test]
    fn changed_interval_begins_when_it_is_changed() {
        let mut due = Due::default();
        follow(&mut due, 0, &[(A, 1_000_000)]);
        follow(&mut due, 50, &[(A, 10)]);
        assert_eq!(due.next(), Some(ms(60)));
    }
}
