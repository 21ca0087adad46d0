//! Background work (retention, checkpoints, timers of groups, unlinking of files) and the clean shutdown.
//!
//! While nothing changes, the periodic tasks compare state in memory and write no files.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use super::cluster::Topic;
use super::groups::Groups;
use super::partition::Partition;
use super::publisher::Published;
use super::transactions::Transactions;
use super::{Broker, delegation_tokens, flushing};
use crate::blocking;
use crate::clock::Clock;
use ottla_core::metadata::ImageDelta;
use ottla_log::{DeletedFiles, FoundPartition, LogError, PartitionState};
use ottla_wire::types::TopicPartition;

/// How often the file of validated positions is written. It limits how much a start after kill -9 reads again.
const POSITIONS_INTERVAL: Duration = Duration::from_secs(5);
/// Work items that may be queued. Further ones are dropped: a later sync, or the next start, does the work.
const MAX_QUEUED: usize = 1024;

/// Work that must not be done under a lock or on a connection's task.
enum Work {
    /// Sync a sealed segment, so that the recovery point can move.
    SyncSealed(Arc<Partition>),
    Unlink(Vec<DeletedFiles>),
}

/// Queues work, and notifies tasks of changed settings and topics.
#[derive(Clone)]
pub struct Signals {
    work: mpsc::Sender<Work>,
    republished: watch::Sender<()>,
}

/// The receiver of queued work.
pub struct WorkQueue(mpsc::Receiver<Work>);

/// Creates the queue.
pub fn signals() -> (Signals, WorkQueue) {
    let (sender, receiver) = mpsc::channel(MAX_QUEUED);
    (Signals { work: sender, republished: watch::Sender::new(()) }, WorkQueue(receiver))
}

impl Signals {
    /// Queues the sync of a segment of the partition that was sealed.
    pub fn rolled(&self, partition: &Arc<Partition>) {
        self.queue(Work::SyncSealed(Arc::clone(partition)));
    }

    fn queue(&self, work: Work) {
        if let Err(error) = self.work.try_send(work) {
            // Files that are not unlinked now are found and unlinked at the next start.
            tracing::debug!(%error, "dropped background work, the queue is full");
        }
    }
}

/// Handles a published image: shows it to the coordinators, and deletes the files of deleted topics.
pub fn after_publishing(
    groups: Arc<Groups>,
    transactions: Arc<Transactions>,
    signals: Signals,
) -> Box<dyn Fn(Published) + Send + Sync> {
    Box::new(move |published| {
        if let Some(before) = &published.before {
            let delta = ImageDelta::between(before, &published.image);
            groups.runtime().metadata_changed(&delta);
            transactions.runtime().metadata_changed(&delta);
        }
        if !published.files.is_empty() {
            signals.queue(Work::Unlink(published.files));
        }
        signals.republished.send_replace(());
    })
}

/// Starts the background tasks. They end when the broker is dropped.
pub fn start(broker: &Arc<Broker>, work_queue: WorkQueue) {
    broker.clean_up_folders();
    let groups = Arc::clone(broker.groups.runtime());
    let transactions = Arc::clone(broker.transactions.runtime());
    tokio::spawn(Arc::clone(&groups).run_timers());
    tokio::spawn(Arc::clone(&transactions).run_timers());
    // The session timeouts of the members of existing groups begin now. Groups first: transactions write markers to
    // their partitions.
    blocking::spawn(move || {
        groups.load_all();
        transactions.load_all();
    });
    tokio::spawn(do_work(work_queue));
    delegation_tokens::start(broker);
    flushing::start(broker, broker.housekeeping.republished.subscribe());
    let storage = &broker.config.storage;
    let check = Duration::from_millis(storage.log_retention_check_interval_ms);
    let first_check = Duration::from_millis(storage.log_initial_task_delay_ms);
    every(broker, first_check, check, Broker::retain);
    let expiration = Duration::from_millis(storage.producer_id_expiration_check_interval_ms);
    every(broker, expiration, expiration, Broker::expire_producers);
    every(broker, POSITIONS_INTERVAL, POSITIONS_INTERVAL, |broker| broker.checkpointer.write_positions());
    let checkpoint = Duration::from_millis(storage.log_flush_offset_checkpoint_interval_ms);
    every(broker, first_check, checkpoint, |broker| broker.checkpointer.write_all());
    let starts = Duration::from_millis(storage.log_flush_start_offset_checkpoint_interval_ms);
    every(broker, first_check, starts, |broker| broker.checkpointer.write_log_starts());
}

/// Runs `job` periodically on a blocking thread until the broker is dropped, or once if the interval is zero.
fn every(broker: &Arc<Broker>, first: Duration, interval: Duration, job: fn(&Broker)) {
    let (broker, clock): (Weak<Broker>, Clock) = (Arc::downgrade(broker), broker.clock);
    tokio::spawn(async move {
        clock.sleep(first).await;
        loop {
            let Some(broker) = broker.upgrade() else { return };
            let _ = blocking::run(move || job(&broker)).await;
            if interval.is_zero() {
                return;
            }
            clock.sleep(interval).await;
        }
    });
}

/// Does the queued work.
async fn do_work(mut work_queue: WorkQueue) {
    while let Some(work) = work_queue.0.recv().await {
        // After a failed sync, the partition is offline, and that was logged.
        let _ = blocking::run(move || match work {
            Work::SyncSealed(partition) => {
                let _ = partition.sync_sealed();
            }
            Work::Unlink(files) => files.into_iter().for_each(unlink),
        })
        .await;
    }
}

fn unlink(files: DeletedFiles) {
    if let Err(error) = files.unlink() {
        tracing::warn!(%error, "failed to unlink deleted files");
    }
}

impl Broker {
    /// Unlinks the folders of deleted partitions, and renames those of partitions that are not in the metadata, as
    /// Kafka does.
    fn clean_up_folders(&self) {
        let found = match self.log_dir.partitions() {
            Ok(found) => found,
            Err(error) => return tracing::warn!(%error, "failed to list the directories of deleted partitions"),
        };
        let cluster = self.cluster();
        // The folders of partitions that are on other nodes, according to the metadata, are not changed.
        let exists = |id: &TopicPartition| {
            id == self.metadata.partition().id() || cluster.image.partition(&id.topic, id.partition).is_some()
        };
        if let Err(error) = self.log_dir.retain_checkpoints(exists) {
            tracing::warn!(%error, "failed to remove deleted partitions from the checkpoint files, retrying when a log is opened");
        }
        self.report_missing_folders(&found);
        let mut leftovers = Vec::new();
        for folder in found {
            match folder.state {
                PartitionState::Deleted => leftovers.push(DeletedFiles::left_over(self.log_dir.disk(), folder.path)),
                PartitionState::Live if !exists(&folder.partition) => self.rename_to_stray(&folder.partition),
                PartitionState::Live | PartitionState::Other => {}
            }
        }
        if !leftovers.is_empty() {
            self.housekeeping.queue(Work::Unlink(leftovers));
        }
    }

    /// Logs the partitions that had records and whose folders are missing. They are served without records.
    fn report_missing_folders(&self, found: &[FoundPartition]) {
        let cluster = self.cluster();
        for (partition, end) in self.log_dir.partitions_without_folder(found) {
            if cluster.partition(&partition.topic, partition.partition).is_ok() {
                tracing::warn!(
                    %partition, end_offset = end,
                    "the directory of the partition is missing, its records are lost"
                );
            }
        }
    }

    /// Renames the folder of a partition that is not in the metadata.
    fn rename_to_stray(&self, id: &TopicPartition) {
        match self.log_dir.rename_to_stray(id, self.random.uuid()) {
            Ok(path) => {
                tracing::warn!(partition = %id, "renamed the directory of an unknown partition to {}", path.display())
            }
            Err(error) => {
                tracing::warn!(partition = %id, %error, "failed to rename the directory of an unknown partition")
            }
        }
    }

    /// Applies the retention settings of all topics.
    fn retain(&self) {
        for topic in self.cluster().topics() {
            // The cleaner applies retention to a partition that is being compacted.
            for partition in topic.local_partitions().filter(|partition| !self.cleaner.is_compacting(partition)) {
                self.retain_partition(topic, partition);
            }
        }
    }

    /// Removes expired producers from open logs. Other logs remove them when they are opened.
    fn expire_producers(&self) {
        let now = self.clock.now().wall;
        for topic in self.cluster().topics() {
            for partition in topic.local_partitions() {
                let _ = partition.if_open(|log| log.expire_producers(now));
            }
        }
    }

    /// Applies the retention settings to one partition. Failures are logged by the partition.
    pub(super) fn retain_partition(&self, topic: &Topic, partition: &Partition) {
        if let Ok(files) = partition.housekeep(self.clock.now().wall)
            && !files.is_empty()
        {
            let delay = Duration::from_millis(topic.config.file_delete_delay_ms.max(0).unsigned_abs());
            unlink_later(files, delay, self.clock, &Handle::current());
        }
    }

    /// Closes all logs and marks the directory as clean, so that the next start skips recovery. With `--ephemeral`,
    /// does neither, because there is no next start.
    pub fn close(&self) -> Result<(), LogError> {
        self.groups.runtime().stop();
        self.transactions.runtime().stop();
        self.cleaner.stop(self.clock);
        if self.config.storage.ephemeral {
            return Ok(());
        }
        let cluster = self.cluster();
        let partitions = cluster.local_partitions().chain([self.metadata.partition()]);
        let was_clean = self.log_dir.clean_shutdown();
        let mut first_failure = None;
        let mut closed = Vec::new();
        let mut tickets = Vec::new();
        for partition in partitions {
            // A log that was never opened needs no sync, unless the last broker crashed: then it is recovered now.
            match partition.close(!was_clean) {
                None => {}
                Some(Ok(ticket)) => {
                    closed.push(partition);
                    tickets.push(ticket);
                }
                Some(Err(error)) => note_close_failure(partition, error, &mut first_failure),
            }
        }
        for (partition, synced) in closed.into_iter().zip(self.log_dir.sync_many(tickets)) {
            let failure = synced.as_ref().err().cloned();
            partition.if_open(|log| log.mark_synced(synced));
            if let Some(error) = failure {
                note_close_failure(partition, error, &mut first_failure);
            }
        }
        self.checkpointer.write_at_close()?;
        match first_failure {
            None => self.log_dir.mark_clean(-1),
            Some(error) => Err(error),
        }
    }
}

/// Logs a failure to close a log, and keeps the first one.
fn note_close_failure(partition: &Partition, error: LogError, first_failure: &mut Option<LogError>) {
    tracing::error!(partition = %partition.id(), %error, "failed to close the log cleanly");
    first_failure.get_or_insert(error);
}

/// Unlinks files after a delay, during which consumers may still read them.
pub(super) fn unlink_later(files: DeletedFiles, delay: Duration, clock: Clock, runtime: &Handle) {
    runtime.spawn(async move {
        clock.sleep(delay).await;
        let _ = blocking::run(move || unlink(files)).await;
    });
}
