//! Compaction in the background: Kafka's log cleaner.
//!
//! There are `log.cleaner.threads` workers. Each compacts the log that needs it most, one after the other, and sleeps
//! for `log.cleaner.backoff.ms` if there is none. A compaction runs on a thread of its own with low priority; the
//! thread and its memory are released when it ends. It holds the partition's lock only to begin and to swap segments.
//! It is abandoned within milliseconds when the partition is deleted or the broker stops.
//!
//! Retention of compacted topics (`compact,delete`, and records below the log start offset) also runs here, between
//! compactions, so that neither deletes segments that the other uses.

mod progress;
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
use crate::blocking;
use crate::clock::Clock;
use ottla_config::BrokerConfig;
use ottla_log::{Cleanable, CompactError};
use ottla_wire::types::TimestampMs;
use progress::{Key, Progress};
use run::Run;
use throttle::Throttle;

/// How long stopping waits for running compactions. Each checks several times per millisecond whether to stop, except
/// during a sync.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// The state that all workers share.
#[derive(Default)]
pub struct Cleaner {
    stopping: AtomicBool,
    progress: Mutex<Progress>,
    /// Notified when a compaction has ended.
    ended: Condvar,
    throttle: Mutex<Throttle>,
}

impl Cleaner {
    /// Whether the partition is being compacted. Then nothing else may delete its segments.
    pub fn is_compacting(&self, partition: &Partition) -> bool {
        self.progress.lock().is_running(key(partition))
    }

    /// Abandons all compactions, and begins no new ones.
    pub fn stop(&self, clock: Clock) {
        self.stopping.store(true, Ordering::Relaxed);
        let mut progress = self.progress.lock();
        clock.wait_while(&self.ended, &mut progress, |progress| progress.is_busy(), STOP_TIMEOUT);
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}

fn key(partition: &Partition) -> Key {
    (partition.topic_id(), partition.id().partition)
}

/// Starts the workers if `log.cleaner.enable` is true.
pub fn start(broker: &Arc<Broker>) {
    if broker.config.cleaner.enable {
        tokio::spawn(run_workers(Arc::downgrade(broker), broker.settings()));
    }
}

/// Keeps `log.cleaner.threads` workers running.
async fn run_workers(broker: Weak<Broker>, mut settings: watch::Receiver<Arc<BrokerConfig>>) {
    let mut workers: Vec<JoinHandle<()>> = Vec::new();
    loop {
        let threads = settings.borrow_and_update().cleaner.threads;
        match broker.upgrade() {
            Some(broker) => broker.work_figures().cleaner.wants_workers(threads),
            None => return,
        }
        for index in 0..threads {
            match workers.get_mut(index) {
                Some(worker) if !worker.is_finished() => {}
                Some(ended) => *ended = tokio::spawn(run_worker(index, broker.clone(), settings.clone())),
                None => workers.push(tokio::spawn(run_worker(index, broker.clone(), settings.clone()))),
            }
        }
        if settings.changed().await.is_err() {
            return;
        }
    }
}

/// Runs one worker until the broker stops, or until `log.cleaner.threads` is `index` or less.
async fn run_worker(index: usize, broker: Weak<Broker>, mut settings: watch::Receiver<Arc<BrokerConfig>>) {
    let mut has_cleaned = false;
    let Some(_running) = broker.upgrade().map(|broker| broker.work_figures().cleaner.workers.begin()) else { return };
    loop {
        let clock;
        {
            let Some(broker) = broker.upgrade() else { return };
            clock = broker.clock;
            if index >= broker.cluster().config.cleaner.threads || broker.cleaner.is_stopping() {
                return;
            }
            if clean_one(&broker).await {
                has_cleaned = true;
                continue;
            }
            let _ = blocking::run(move || broker.after_cleaning(has_cleaned)).await;
            has_cleaned = false;
        }
        let backoff = Duration::from_millis(settings.borrow_and_update().cleaner.backoff_ms.max(1));
        tokio::select! {
            () = clock.sleep(backoff) => {}
            changed = settings.changed() => if changed.is_err() { return },
        }
    }
}

/// Compacts the log that needs it most. Returns whether a log was compacted.
async fn clean_one(broker: &Arc<Broker>) -> bool {
    let choosing = Arc::clone(broker);
    let chosen = blocking::run(move || choosing.choose_log()).await;
    let Ok(Some(chosen)) = chosen else { return false };
    let (outcome_tx, outcome) = oneshot::channel();
    let (run, started) = (Run::new(broker, &chosen), broker.clock.monotonic());
    let spawned = std::thread::Builder::new().name("log-cleaner".to_owned()).spawn(move || {
        let _ = outcome_tx.send(run.with_low_priority());
    });
    let outcome = match spawned {
        Ok(_) => outcome.await.unwrap_or(Err(CompactError::Abandoned)),
        Err(error) => {
            tracing::warn!(%error, "failed to spawn compaction thread");
            Err(CompactError::Abandoned)
        }
    };
    let now = broker.clock.monotonic();
    let line = broker.cleaner.progress.lock().ended(key(&chosen), now, &outcome);
    broker.cleaner.ended.notify_all();
    if let Some(line) = line {
        tracing::warn!(partition = %chosen.id(), "{line}");
    }
    let done = outcome.as_ref().ok().map(|stats| (*stats, now.saturating_sub(started)));
    broker.work_figures().cleaner.compacted(done);
    outcome.is_ok()
}

impl Broker {
    /// Chooses the log that has exceeded `max.compaction.lag.ms` by the longest time, or else, of those that are dirty
    /// enough, the one with the highest dirty ratio. It counts as being compacted from now on.
    fn choose_log(&self) -> Option<Arc<Partition>> {
        let (now, wall) = (self.clock.monotonic(), self.clock.now().wall);
        let cluster = self.cluster();
        let mut progress = self.cleaner.progress.lock();
        if self.cleaner.is_stopping() {
            return None;
        }
        progress.remove_deleted(|(topic, partition)| {
            cluster.topic_by_id(*topic).is_some_and(|topic| topic.local_partition(*partition).is_some())
        });
        let mut chosen: Option<(Cleanable, &Arc<Partition>)> = None;
        let (mut dirty_ratio, mut overdue_ms) = (0.0_f64, 0);
        for partition in compacted(cluster.topics()) {
            if !progress.may_begin(key(partition), now) || partition.is_failed() {
                continue;
            }
            match cleanable(partition, wall) {
                Ok(Some(found)) => {
                    dirty_ratio = dirty_ratio.max(found.dirty_ratio());
                    overdue_ms = overdue_ms.max(found.overdue_ms);
                    if found.is_due() && chosen.as_ref().is_none_or(|(best, _)| comes_before(&found, best)) {
                        chosen = Some((found, partition));
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    let line = progress.ended(key(partition), now, &Err(error));
                    if let Some(line) = line {
                        tracing::warn!(partition = %partition.id(), "{line}");
                    }
                }
            }
        }
        self.work_figures().cleaner.compared(now, dirty_ratio, overdue_ms);
        let (found, partition) = chosen?;
        tracing::debug!(
            partition = %partition.id(), from = found.first_dirty, to = found.first_uncleanable,
            dirty_ratio = found.dirty_ratio(), overdue_ms = found.overdue_ms, "compaction started"
        );
        progress.began(key(partition));
        Some(Arc::clone(partition))
    }

    /// Runs when no log needs compaction: applies retention to the compacted logs, and, if some were compacted just
    /// now, writes the checkpoints.
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

    /// Applies retention to a log that is open. The first retention run of `housekeeping` opens the others.
    fn retain_compacted(&self, topic: &Topic, partition: &Arc<Partition>) {
        let Some(segments) = partition.if_open(|log| log.segment_count()) else { return };
        if partition.is_failed() || self.cleaner.is_compacting(partition) {
            return;
        }
        // Only synced segments can be compacted. A roll queues a sync, but a restart may have prevented it.
        if segments > 1 {
            // After a failure, the partition is offline, and that was logged.
            let _ = partition.sync_sealed();
        }
        self.retain_partition(topic, partition);
    }
}

/// The partitions of compacted topics.
fn compacted<'a>(topics: impl Iterator<Item = &'a Arc<Topic>>) -> impl Iterator<Item = &'a Arc<Partition>> {
    topics.filter(|topic| topic.config.cleanup_policy.compact).flat_map(|topic| topic.local_partitions())
}

fn cleanable(partition: &Partition, now: TimestampMs) -> Result<Option<Cleanable>, CompactError> {
    Ok(partition.if_open(|log| log.cleanable(now)).transpose()?.flatten())
}

/// Whether one log is compacted before another.
fn comes_before(this: &Cleanable, that: &Cleanable) -> bool {
    (this.overdue_ms, this.dirty_ratio()) > (that.overdue_ms, that.dirty_ratio())
}
