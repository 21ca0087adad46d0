//! Writes the files with the offsets of all logs: Kafka's checkpoints, and Ottla's file of validated positions.
//!
//! A file is written only if its content changes. DeleteRecords waits until the new log start offset is in its
//! checkpoint; all requests that arrive during one write share the next.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::partition::Partition;
use super::publisher::Publisher;
use crate::blocking;
use ottla_log::{Checkpoint, Log, LogDir, LogError, Validated};
use ottla_wire::types::{Offset, TopicPartition};

/// Writes the checkpoints of all logs of the directory.
pub struct Checkpointer {
    log_dir: Arc<LogDir>,
    publisher: Arc<Publisher>,
    /// The partition of the metadata log, which belongs to no topic.
    metadata: Arc<Partition>,
    /// Whether no data has to outlive the process (`--ephemeral`).
    ephemeral: bool,
    /// The content of Ottla's file at its last write.
    positions: Mutex<Vec<(TopicPartition, Option<Validated>)>>,
    /// The content of `log-start-offset-checkpoint` at its last write. Locked after the directory's checkpoint writer.
    log_starts: Mutex<HashMap<TopicPartition, Offset>>,
    /// The content of all checkpoints at their last write. Locked before the directory's checkpoint writer.
    all: Mutex<Vec<Checkpoint>>,
    log_start_requests: LogStartRequests,
    /// The error of the last write, by what it means.
    failures: Mutex<HashMap<&'static str, String>>,
}

/// Requests to make log start offsets durable.
#[derive(Debug, Default)]
struct LogStartRequests {
    received: AtomicU64,
    /// The number of requests that finished writes have completed.
    completed: AtomicU64,
    /// Held during a write, so that requests that arrive meanwhile share the next one.
    writing: tokio::sync::Mutex<()>,
}

impl Checkpointer {
    pub fn new(
        log_dir: Arc<LogDir>,
        publisher: Arc<Publisher>,
        metadata: Arc<Partition>,
        ephemeral: bool,
    ) -> Checkpointer {
        Checkpointer {
            log_dir,
            publisher,
            metadata,
            ephemeral,
            positions: Mutex::default(),
            log_starts: Mutex::default(),
            all: Mutex::default(),
            log_start_requests: LogStartRequests::default(),
            failures: Mutex::default(),
        }
    }

    /// Writes Ottla's file of validated positions, so that a start after kill -9 reads only the ends of the logs.
    pub fn write_positions(&self) {
        if !self.positions_changed() {
            return;
        }
        let mut writer = self.log_dir.checkpoint_writer();
        let written = writer.write_positions(&self.checkpoints());
        if written.is_err() {
            // The next call writes the file again.
            self.positions.lock().clear();
        }
        self.report(written, "failed to write the validated positions, a start after a crash will take longer");
    }

    /// Writes Kafka's checkpoints.
    pub fn write_all(&self) {
        let mut last = self.all.lock();
        let mut writer = self.log_dir.checkpoint_writer();
        let checkpoints = self.checkpoints();
        if *last == checkpoints {
            return;
        }
        let written = writer.write_all(&checkpoints);
        if written.is_ok() {
            *last = checkpoints;
        }
        self.report(written, "failed to write checkpoints, a start after a crash will take longer");
    }

    /// Writes Kafka's checkpoints after the logs were closed.
    pub fn write_at_close(&self) -> Result<(), LogError> {
        self.log_dir.checkpoint_writer().write_all(&self.checkpoints())?;
        self.log_dir.sync()
    }

    /// Writes Kafka's checkpoint of log start offsets.
    pub fn write_log_starts(&self) {
        let message = "failed to write log start offsets, deleted records may reappear after a crash";
        self.report(self.try_write_log_starts(), message);
    }

    /// Logs a failed write, unless the last one failed in the same way. While a disk is full, writes are tried every
    /// second.
    fn report(&self, written: Result<(), LogError>, message: &'static str) {
        let mut failures = self.failures.lock();
        let Err(error) = written else {
            failures.remove(message);
            return;
        };
        let text = error.to_string();
        if failures.insert(message, text.clone()).is_none_or(|before| before != text) {
            tracing::warn!(%error, "{message}");
        }
    }

    /// Makes the current log start offsets durable.
    pub async fn make_log_starts_durable(self: &Arc<Self>) -> Result<(), LogError> {
        if self.ephemeral {
            return Ok(());
        }
        let number = self.log_start_requests.received.fetch_add(1, Ordering::AcqRel) + 1;
        // In a task of its own, because other requests may wait for this write when the client disconnects.
        let this = Arc::clone(self);
        let written = tokio::spawn(async move {
            let requests = &this.log_start_requests;
            let _writing = requests.writing.lock().await;
            if requests.completed.load(Ordering::Acquire) >= number {
                return Ok(());
            }
            let received = requests.received.load(Ordering::Acquire);
            let writer = Arc::clone(&this);
            let written = blocking::run(move || writer.try_write_log_starts()).await;
            written.unwrap_or(Err(LogError::Closed))?;
            requests.completed.fetch_max(received, Ordering::AcqRel);
            Ok(())
        });
        written.await.unwrap_or(Err(LogError::Closed))
    }

    fn try_write_log_starts(&self) -> Result<(), LogError> {
        let mut writer = self.log_dir.checkpoint_writer();
        let checkpoints = self.checkpoints();
        let starts: HashMap<TopicPartition, Offset> =
            checkpoints.iter().map(|checkpoint| (checkpoint.partition.clone(), checkpoint.log_start)).collect();
        let mut last = self.log_starts.lock();
        if *last != starts {
            writer.write_log_starts(&checkpoints)?;
            *last = starts;
        }
        Ok(())
    }

    /// Whether a log has grown or failed, or was created or deleted, since the last call.
    fn positions_changed(&self) -> bool {
        let cluster = self.publisher.current();
        let partitions = cluster.local_partitions().chain([&self.metadata]);
        // Called every few seconds, so it opens no logs. A log that is not open does not change.
        let position = |partition: &Arc<Partition>| (partition.id().clone(), partition.if_open(position_of).flatten());
        let positions: Vec<_> = partitions.map(position).collect();
        let mut last = self.positions.lock();
        let changed = *last != positions;
        *last = positions;
        changed
    }

    fn checkpoints(&self) -> Vec<Checkpoint> {
        let cluster = self.publisher.current();
        cluster.local_partitions().chain([&self.metadata]).map(|partition| self.checkpoint(partition)).collect()
    }

    /// The offsets of a partition. Those of a log that was not opened are as the last broker wrote them.
    fn checkpoint(&self, partition: &Partition) -> Checkpoint {
        let id = partition.id().clone();
        let current = partition.if_open(|log| Checkpoint {
            partition: id.clone(),
            recovery_point: log.recovery_point(),
            log_start: log.start_offset(),
            high_watermark: log.end_offset(),
            first_dirty: log.first_dirty_offset(),
            validated: log.validated(),
        });
        current.unwrap_or_else(|| {
            let known = self.log_dir.open_at(&id, None, 0);
            Checkpoint {
                partition: id,
                recovery_point: known.recovery_point,
                log_start: known.log_start.unwrap_or(0),
                high_watermark: known.checkpointed_end.end.max(known.recovery_point),
                first_dirty: known.first_dirty,
                validated: known.validated,
            }
        })
    }
}

/// The validated position of a log. Before, checks its files, and writes a producer snapshot if the last one is old,
/// which makes the next start faster. A failure takes the partition offline and is logged.
fn position_of(log: &mut Log) -> Option<Validated> {
    let _ = log.check_active();
    let _ = log.keep_snapshot_recent();
    log.validated()
}
