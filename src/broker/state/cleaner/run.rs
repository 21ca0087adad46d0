//! Runs one compaction.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;

use super::Cleaner;
use crate::clock::Clock;
use crate::state::Broker;
use crate::state::housekeeping::unlink_later;
use crate::state::partition::{LogGuard, Partition, PartitionError};
use crate::state::random::Random;
use ottla_config::BrokerConfig;
use ottla_log::{CompactError, CompactionBuffers, CompactionStats, LogError, Replaced};

/// The longest sleep of the throttle before it checks again whether the compaction is abandoned.
const CHECK_INTERVAL: Duration = Duration::from_millis(5);
/// The niceness of the thread: appends and reads have priority.
const NICE: i32 = 10;
/// Kafka's limit for a worker's share of `log.cleaner.dedupe.buffer.size`.
const MAX_MAP_BYTES: i64 = i32::MAX as i64;

/// A compaction that is about to run.
pub struct Run {
    partition: Arc<Partition>,
    /// [`Partition::times_opened`] at the beginning. If it has changed, the log was opened again.
    times_opened: u64,
    cleaner: Arc<Cleaner>,
    clock: Clock,
    random: Random,
    settings: watch::Receiver<Arc<BrokerConfig>>,
    runtime: Handle,
    file_delete_delay: Duration,
}

impl Run {
    pub fn new(broker: &Broker, partition: &Arc<Partition>) -> Run {
        let cluster = broker.cluster();
        let delay = cluster.topic_by_id(partition.topic_id()).map_or(0, |topic| topic.config.file_delete_delay_ms);
        Run {
            partition: Arc::clone(partition),
            times_opened: partition.times_opened(),
            cleaner: Arc::clone(&broker.cleaner),
            clock: broker.clock,
            random: broker.random.clone(),
            settings: broker.settings(),
            runtime: Handle::current(),
            file_delete_delay: Duration::from_millis(delay.max(0).unsigned_abs()),
        }
    }

    /// Lowers the priority of the current thread and compacts the log.
    pub fn with_low_priority(self) -> Result<CompactionStats, CompactError> {
        // Without the permission to lower it, the thread runs with normal priority.
        let _ = rustix::process::setpriority_process(None, NICE);
        let started = self.clock.monotonic();
        let done = self.compact().inspect_err(|error| {
            if let CompactError::Storage(error) = error {
                self.partition.note_loss(error);
            }
        })?;
        self.log_outcome(&done, self.clock.monotonic().saturating_sub(started));
        Ok(done)
    }

    fn compact(&self) -> Result<CompactionStats, CompactError> {
        let mut buffers = self.buffers();
        let mut pace = |bytes| self.pace(bytes);
        let Some(mut compaction) = self.log()?.begin_compaction(self.clock.now().wall)? else {
            return Err(CompactError::Abandoned);
        };
        self.partition.sync_now().map_err(unavailable)?;
        while let Some(group) = compaction.next_group(&mut buffers, &mut pace)? {
            let replaced = self.log()?.replace(group)?;
            match replaced {
                Replaced::InPlace(files) => unlink_later(files, self.file_delete_delay, self.clock, &self.runtime),
                Replaced::LogChanged(files) => {
                    files.unlink()?;
                    return Err(CompactError::Abandoned);
                }
            }
        }
        self.log()?.finish_compaction(&compaction)?;
        self.partition.sync_sealed().map_err(unavailable)?;
        Ok(*compaction.stats())
    }

    /// The buffers that the settings allow. Memory is allocated as needed, and freed when the compaction ends.
    fn buffers(&self) -> CompactionBuffers {
        let settings = self.settings.borrow();
        let cleaner = &settings.cleaner;
        let threads = cleaner.threads.max(1);
        let map_bytes = (cleaner.dedupe_buffer_size.max(0) / threads as i64).min(MAX_MAP_BYTES);
        CompactionBuffers::new(
            usize::try_from(map_bytes).unwrap_or(0),
            cleaner.io_buffer_load_factor,
            cleaner.io_buffer_size / threads,
            self.random.bits() as u64,
        )
    }

    /// Locks the log, if it was not opened again since the compaction began.
    fn log(&self) -> Result<LogGuard<'_>, CompactError> {
        let log = self.partition.log().map_err(unavailable)?;
        if self.partition.times_opened() != self.times_opened || !log.config().cleanup_compact {
            return Err(CompactError::Abandoned);
        }
        Ok(log)
    }

    /// Whether the compaction is to be abandoned.
    fn is_abandoned(&self) -> bool {
        self.cleaner.is_stopping()
            || self.partition.is_deleted()
            || self.partition.is_failed()
            || self.partition.times_opened() != self.times_opened
    }

    /// Waits after reading or writing `bytes`, as `log.cleaner.io.max.bytes.per.second` requires. Breaks if the
    /// compaction is to be abandoned.
    fn pace(&self, bytes: u64) -> ControlFlow<()> {
        let rate = self.rate();
        let now = self.clock.monotonic();
        let until = now + self.cleaner.throttle.lock().wait(now, bytes, rate);
        loop {
            if self.is_abandoned() {
                return ControlFlow::Break(());
            }
            let left = until.saturating_sub(self.clock.monotonic());
            if left.is_zero() {
                return ControlFlow::Continue(());
            }
            if self.rate() != rate {
                self.cleaner.throttle.lock().reset();
                return ControlFlow::Continue(());
            }
            self.clock.block_thread(left.min(CHECK_INTERVAL));
        }
    }

    fn rate(&self) -> f64 {
        self.settings.borrow().cleaner.io_max_bytes_per_second
    }

    /// Logs what was done, for internal topics at DEBUG.
    fn log_outcome(&self, done: &CompactionStats, took: Duration) {
        let partition = self.partition.id();
        let CompactionStats { from, to, records_read, records_written, bytes_read, bytes_written, .. } = *done;
        let mb = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let line = format!(
            "compacted up to offset {to} (dirty from {from}): {records_written} of {records_read} records are left, \
             {:.1} of {:.1} MB, in {:.1} s",
            mb(bytes_written),
            mb(bytes_read),
            took.as_secs_f64()
        );
        match partition.topic.starts_with("__") {
            true => tracing::debug!(%partition, "{line}"),
            false => tracing::info!(%partition, "{line}"),
        }
        if done.records_without_key > 0 {
            let removed = done.records_without_key;
            tracing::warn!(%partition, "compaction removed {removed} records without a key");
        }
    }
}

/// The error of a compaction whose partition cannot be used. A deleted or failed partition is not compacted.
fn unavailable(error: PartitionError) -> CompactError {
    match error {
        PartitionError::Storage(error @ LogError::Io { .. }) => CompactError::Storage(error),
        _ => CompactError::Abandoned,
    }
}
