//! Compaction in the background: Kafka's log cleaner.
//!
//! As many workers as `log.cleaner.threads` says each compact the log that needs it most, one after the other, and
//! sleep for `log.cleaner.backoff.ms` when there is none. The work itself is done on a thread of its own with a low
//! priority, which ends with it, as does the memory that it took. It holds a partition's lock only to begin, and to put
//! what it has written in place; it is given up within milliseconds when the partition goes or the broker stops.
//!
//! Retention of compacted topics (`compact,delete`, and what DeleteRecords left) is done here as well, between two
//! compactions, so that neither finds its segments deleted.

mod memory;
mod run;
mod throttle;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::Broker;
use super::cluster::Topic;
use super::partition::Partition;
use memory::{Key, Memory};
use ottla_config::BrokerConfig;
use ottla_log::{Cleanable, CompactError};
use ottla_wire::types::TimestampMs;
use run::Run;
use throttle::Throttle;

/// How long stopping waits for compactions under way: each looks several times in a millisecond, but for a sync.
const LONGEST_STOP: Duration = Duration::from_secs(2);

/// What all workers share.
#[derive(Default)]
pub struct Cleaner {
    stopping: AtomicBool,
    memory: Mutex<Memory>,
    /// A compaction has ended.
    ended: Condvar,
    throttle: Mutex<Throttle>,
}

impl Cleaner {
    /// Whether the partition is being compacted: its segments are better left alone.
    pub fn is_at(&self, partition: &Partition) -> bool {
        self.memory.lock().is_running(key(partition))
    }

    /// Gives up all compactions, and begins none any more.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        let mut memory = self.memory.lock();
        let _ = self.ended.wait_while_for(&mut memory, |memory| memory.is_busy(), LONGEST_STOP);
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}

fn key(partition: &Partition) -> Key {
    (partition.topic_id(), partition.id().partition)
}

/// Starts the workers, unless `log.cleaner.enable` says otherwise.
pub fn start(broker: &Arc<Broker>) {
    if broker.config.cleaner.enable {
        tokio::spawn(employ(Arc::downgrade(broker), broker.settings()));
    }
}

/// Has as many workers as the settings in force want.
async fn employ(broker: Weak<Broker>, mut settings: watch::Receiver<Arc<BrokerConfig>>) {
    let mut workers: Vec<JoinHandle<()>> = Vec::new();
    loop {
        let wanted = settings.borrow_and_update().cleaner.threads;
        for index in 0..wanted {
            match workers.get_mut(index) {
                Some(worker) if !worker.is_finished() => {}
                Some(ended) => *ended = tokio::spawn(work(index, broker.clone(), settings.clone())),
                None => workers.push(tokio::spawn(work(index, broker.clone(), settings.clone()))),
            }
        }
        if settings.changed().await.is_err() {
            return;
        }
    }
}

/// One worker: ends with the broker, or when there are more than the settings want.
async fn work(index: usize, broker: Weak<Broker>, mut settings: watch::Receiver<Arc<BrokerConfig>>) {
    let mut has_cleaned = false;
    loop {
        {
            let Some(broker) = broker.upgrade() else { return };
            if index >= broker.cluster().config.cleaner.threads || broker.cleaner.is_stopping() {
                return;
            }
            if clean_one(&broker).await {
                has_cleaned = true;
                continue;
            }
            let _ = tokio::task::spawn_blocking(move || broker.after_cleaning(has_cleaned)).await;
            has_cleaned = false;
        }
        let backoff = Duration::from_millis(settings.borrow_and_update().cleaner.backoff_ms.max(1));
        tokio::select! {
            () = tokio::time::sleep(backoff) => {}
            changed = settings.changed() => if changed.is_err() { return },
        }
    }
}

/// Compacts the log that needs it most; whether there was one.
async fn clean_one(broker: &Arc<Broker>) -> bool {
    let looking = Arc::clone(broker);
    let chosen = tokio::task::spawn_blocking(move || looking.choose_log()).await;
    let Ok(Some(chosen)) = chosen else { return false };
    let (done, outcome) = oneshot::channel();
    let run = Run::new(broker, &chosen);
    let spawned = std::thread::Builder::new().name("log-cleaner".to_owned()).spawn(move || {
        let _ = done.send(run.with_low_priority());
    });
    let outcome = match spawned {
        Ok(_) => outcome.await.unwrap_or(Err(CompactError::Abandoned)),
        Err(error) => {
            tracing::warn!(%error, "there is no thread to compact on");
            Err(CompactError::Abandoned)
        }
    };
    let now = broker.clock.monotonic();
    let line = broker.cleaner.memory.lock().ended(key(&chosen), now, &outcome);
    broker.cleaner.ended.notify_all();
    if let Some(line) = line {
        tracing::warn!(partition = %chosen.id(), "{line}");
    }
    outcome.is_ok()
}

impl Broker {
    /// The log that has waited longest beyond `max.compaction.lag.ms`, or else the dirtiest that is dirty enough; it
    /// counts as being compacted from now on.
    fn choose_log(&self) -> Option<Arc<Partition>> {
        let (now, wall) = (self.clock.monotonic(), self.clock.now().wall);
        let cluster = self.cluster();
        let mut memory = self.cleaner.memory.lock();
        if self.cleaner.is_stopping() {
            return None;
        }
        memory.forget_gone(|(topic, partition)| {
            cluster.topic_by_id(*topic).is_some_and(|topic| topic.local_partition(*partition).is_some())
        });
        let mut chosen: Option<(Cleanable, &Arc<Partition>)> = None;
        for partition in compacted(cluster.topics()) {
            if !memory.may_begin(key(partition), now) || partition.is_failed() {
                continue;
            }
            match look_at(partition, wall) {
                Ok(Some(found)) if found.is_due() && chosen.as_ref().is_none_or(|(best, _)| before(&found, best)) => {
                    chosen = Some((found, partition));
                }
                Ok(_) => {}
                Err(error) => {
                    let line = memory.ended(key(partition), now, &Err(error));
                    if let Some(line) = line {
                        tracing::warn!(partition = %partition.id(), "{line}");
                    }
                }
            }
        }
        let (found, partition) = chosen?;
        tracing::debug!(
            partition = %partition.id(), from = found.first_dirty, to = found.first_uncleanable,
            dirty_ratio = found.dirty_ratio(), overdue_ms = found.overdue_ms, "compaction begins"
        );
        memory.began(key(partition));
        Some(Arc::clone(partition))
    }

    /// What is left to do when no log needs compaction: retention of those that are compacted, and, if some were just
    /// now, noting how far.
    fn after_cleaning(&self, has_cleaned: bool) {
        if has_cleaned {
            self.checkpointer.write_all();
        }
        let cluster = self.cluster();
        for topic in cluster.topics().filter(|topic| topic.config.cleanup_policy.compact) {
            for partition in topic.local_partitions() {
                self.retain_compacted(topic, partition);
            }
        }
    }

    /// Of a log that is open: the others are opened by the first look of retention.
    fn retain_compacted(&self, topic: &Topic, partition: &Arc<Partition>) {
        let Some(segments) = partition.if_open(|log| log.segment_count()) else { return };
        if partition.is_failed() || self.cleaner.is_at(partition) {
            return;
        }
        // Only synced segments can be compacted. A roll queues a sync, but a restart may have come between.
        if segments > 1 {
            // A failure has latched the partition, which says so itself.
            let _ = partition.sync_sealed();
        }
        self.retain_partition(topic, partition);
    }
}

fn compacted<'a>(topics: impl Iterator<Item = &'a Arc<Topic>>) -> impl Iterator<Item = &'a Arc<Partition>> {
    topics.filter(|topic| topic.config.cleanup_policy.compact).flat_map(|topic| topic.local_partitions())
}

fn look_at(partition: &Partition, now: TimestampMs) -> Result<Option<Cleanable>, CompactError> {
    Ok(partition.if_open(|log| log.cleanable(now)).transpose()?.flatten())
}

/// Which of two is compacted first.
fn before(this: &Cleanable, that: &Cleanable) -> bool {
    (this.overdue_ms, this.dirty_ratio()) > (that.overdue_ms, that.dirty_ratio())
}
