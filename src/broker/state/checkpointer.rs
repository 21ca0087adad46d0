//! Writes the files that say how far the logs reach: Kafka's checkpoints, and our own file of validated positions.
//!
//! Each file is written only if it would change. DeleteRecords waits until the new log start is in its checkpoint; all
//! requests that arrive during one write share the next.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::partition::Partition;
use super::publisher::Publisher;
use ottla_log::{Checkpoint, Log, LogDir, LogError, Validated};
use ottla_wire::types::{Offset, TopicPartition};

/// Writes the checkpoints of all logs of the directory.
pub struct Checkpointer {
    log_dir: Arc<LogDir>,
    publisher: Arc<Publisher>,
    /// The metadata log's, which belongs to no topic.
    metadata: Arc<Partition>,
    /// With `--ephemeral` nothing has to outlive the process.
    ephemeral: bool,
    /// What our file of positions was last written with.
    positions: Mutex<Vec<(TopicPartition, Option<Validated>)>>,
    /// What the checkpoint of log starts was last written with. Locked after the directory's checkpoint writer.
    log_starts: Mutex<HashMap<TopicPartition, Offset>>,
    /// What all checkpoints were last written with. Locked before the directory's checkpoint writer.
    all: Mutex<Vec<Checkpoint>>,
    log_start_requests: LogStartRequests,
}

/// Requests to make log starts durable.
#[derive(Debug, Default)]
struct LogStartRequests {
    received: AtomicU64,
    /// How many of those received are answered by a finished write.
    completed: AtomicU64,
    /// Held during a write, so that those who wait for it share the next one.
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
        }
    }

    /// Writes our file of validated positions: how far the logs are whole, so that a start after kill -9 reads only
    /// their tails.
    pub fn write_positions(&self) {
        if !self.positions_changed() {
            return;
        }
        let mut writer = self.log_dir.checkpoint_writer();
        if let Err(error) = writer.write_positions(&self.checkpoints()) {
            tracing::warn!(%error, "failed to write the validated positions, a start after a crash will take longer");
        }
    }

    /// Writes Kafka's checkpoints.
    pub fn write_all(&self) {
        let mut last = self.all.lock();
        let mut writer = self.log_dir.checkpoint_writer();
        let checkpoints = self.checkpoints();
        if *last == checkpoints {
            return;
        }
        match writer.write_all(&checkpoints) {
            Ok(()) => *last = checkpoints,
            Err(error) => tracing::warn!(%error, "failed to write checkpoints, a start after a crash will take longer"),
        }
    }

    /// Writes Kafka's checkpoints for the last time, after the logs were closed.
    pub fn write_at_close(&self) -> Result<(), LogError> {
        self.log_dir.checkpoint_writer().write_all(&self.checkpoints())?;
        self.log_dir.sync()
    }

    /// Writes Kafka's checkpoint of log starts.
    pub fn write_log_starts(&self) {
        if let Err(error) = self.try_write_log_starts() {
            tracing::warn!(%error, "failed to write log starts, deleted records may come back after a crash");
        }
    }

    /// Makes all log starts durable that are in force now.
    pub async fn make_log_starts_durable(self: &Arc<Self>) -> Result<(), LogError> {
        if self.ephemeral {
            return Ok(());
        }
        let number = self.log_start_requests.received.fetch_add(1, Ordering::AcqRel) + 1;
        // A task of its own: a client that disconnects must not cancel a write that others wait for.
        let this = Arc::clone(self);
        let written = tokio::spawn(async move {
            let requests = &this.log_start_requests;
            let _writing = requests.writing.lock().await;
            if requests.completed.load(Ordering::Acquire) >= number {
                return Ok(());
            }
            let received = requests.received.load(Ordering::Acquire);
            let writer = Arc::clone(&this);
            let written = tokio::task::spawn_blocking(move || writer.try_write_log_starts()).await;
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
        // A log that is not open does not change. Called every few seconds, so it opens none.
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

    /// A log that was not opened since the start is where the last broker left it.
    fn checkpoint(&self, partition: &Partition) -> Checkpoint {
        let id = partition.id().clone();
        let of_open = partition.if_open(|log| Checkpoint {
            partition: id.clone(),
            recovery_point: log.recovery_point(),
            log_start: log.start_offset(),
            high_watermark: log.end_offset(),
            first_dirty: log.first_dirty_offset(),
            validated: log.validated(),
        });
        of_open.unwrap_or_else(|| {
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

/// How far the log is whole, after the checks and the snapshot that spare the next start time. A failure latches the
/// partition, which logs it.
fn position_of(log: &mut Log) -> Option<Validated> {
    let _ = log.check_active();
    let _ = log.keep_snapshot_recent();
    log.validated()
}
