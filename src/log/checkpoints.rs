//! The checkpoints of a log directory: Kafka's four text checkpoints, and Ottla's positions file.
//!
//! The files identify partitions by name. When a topic is deleted, its entries are removed before the name becomes free,
//! so that a new topic of that name begins at offset 0, even after a crash.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;

use parking_lot::MutexGuard;

use super::error::IoContext;
use super::file::Disk;
use super::log_dir::{FIRST_DIRTY, HIGH_WATERMARKS, LOG_STARTS, LogDir, POSITIONS, RECOVERY_POINTS};
use super::log_dir::{FoundPartition, PartitionState};
use super::{CheckpointedEnd, LogError, Validated, checkpoint, positions};
use ottla_wire::types::{Offset, TimestampMs, TopicPartition};

/// The values that a partition writes to the checkpoints and the positions file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    pub partition: TopicPartition,
    pub recovery_point: Offset,
    pub log_start: Offset,
    pub high_watermark: Offset,
    /// The first dirty offset, durable; `None` if the log was never compacted.
    pub first_dirty: Option<Offset>,
    pub validated: Option<Validated>,
}

type Offsets = HashMap<TopicPartition, Offset>;

/// The content of the files when the directory was opened.
#[derive(Debug, Default)]
pub(super) struct LoadedCheckpoints {
    pub(super) recovery_points: Offsets,
    pub(super) log_starts: Offsets,
    pub(super) first_dirty: Offsets,
    pub(super) validated: HashMap<TopicPartition, Validated>,
    pub(super) high_watermarks: Offsets,
    pub(super) written_at: WrittenAt,
}

/// The modification times of the files that contain log end offsets.
#[derive(Debug, Default)]
pub(super) struct WrittenAt {
    pub(super) recovery_points: TimestampMs,
    pub(super) high_watermarks: TimestampMs,
    pub(super) positions: TimestampMs,
}

impl LoadedCheckpoints {
    fn remove(&mut self, partition: &TopicPartition) {
        self.recovery_points.remove(partition);
        self.log_starts.remove(partition);
        self.first_dirty.remove(partition);
        self.validated.remove(partition);
        self.high_watermarks.remove(partition);
    }

    /// The partition's log end: the highest value in all files.
    pub(super) fn checkpointed_end(&self, partition: &TopicPartition) -> CheckpointedEnd {
        let at = &self.written_at;
        let ends = [
            (self.recovery_points.get(partition).copied(), at.recovery_points),
            (self.high_watermarks.get(partition).copied(), at.high_watermarks),
            (self.validated.get(partition).map(|validated| validated.next_offset), at.positions),
        ];
        let ends = ends.into_iter().filter_map(|(end, at)| Some(CheckpointedEnd { end: end?, at }));
        ends.max_by_key(|end| end.end).unwrap_or_default()
    }
}

/// The current content of two of the files, without partitions at offset 0.
#[derive(Debug, Default)]
pub(super) struct WrittenCheckpoints {
    recovery_points: Offsets,
    log_starts: Offsets,
}

impl WrittenCheckpoints {
    pub(super) fn new(recovery_points: &Offsets, log_starts: &Offsets) -> WrittenCheckpoints {
        let of = |offsets: &Offsets| above_zero(offsets.iter().map(|(partition, offset)| (partition, *offset)));
        WrittenCheckpoints { recovery_points: of(recovery_points), log_starts: of(log_starts) }
    }
}

fn above_zero<'a>(entries: impl Iterator<Item = (&'a TopicPartition, Offset)>) -> Offsets {
    entries.filter(|(_, offset)| *offset > 0).map(|(partition, offset)| (partition.clone(), offset)).collect()
}

/// Exclusive access for writing the files. The values must be collected while it is held: otherwise a slow writer could
/// overwrite newer values.
pub struct CheckpointWriter<'a> {
    dir: &'a LogDir,
    written: MutexGuard<'a, WrittenCheckpoints>,
}

impl LogDir {
    /// Waits for exclusive access to the checkpoints.
    pub fn checkpoint_writer(&self) -> CheckpointWriter<'_> {
        CheckpointWriter { dir: self, written: self.written.lock() }
    }

    /// Removes the entries of deleted partitions, whose folders are already renamed.
    ///
    /// # Errors
    /// If a file can't be written. New partitions with these names would then get the deleted partitions' entries, until
    /// [`LogDir::retry_remove_checkpoints`] succeeds.
    pub fn remove_checkpoints<'a>(&self, partitions: impl Iterator<Item = &'a TopicPartition>) -> Result<(), LogError> {
        let deleted: HashSet<&TopicPartition> = partitions.collect();
        let mut written = self.written.lock();
        let mut loaded = self.loaded.lock();
        deleted.iter().for_each(|partition| loaded.remove(partition));
        drop(loaded);
        let is_deleted = |partition: &TopicPartition, _: &mut Offset| deleted.contains(partition);
        let starts = written.log_starts.extract_if(is_deleted).count();
        let points = written.recovery_points.extract_if(is_deleted).count();
        if starts + points > 0 || self.outdated.load(Ordering::Relaxed) { self.rewrite(&written) } else { Ok(()) }
    }

    /// Retries a failed [`LogDir::remove_checkpoints`]. Call it before opening a partition's log: after the next start, a
    /// partition with the name of a deleted one would get that one's log start.
    ///
    /// Doesn't wait for a checkpoint writer, which may be waiting for the partition whose log is being opened.
    ///
    /// # Errors
    /// If a file can't be written, or another thread is writing it.
    pub fn retry_remove_checkpoints(&self) -> Result<(), LogError> {
        if !self.outdated.load(Ordering::Relaxed) {
            return Ok(());
        }
        match self.written.try_lock() {
            Some(written) => self.rewrite(&written),
            None => {
                Err(io::Error::from(io::ErrorKind::ResourceBusy)).doing_with("writing", || self.path().join(LOG_STARTS))
            }
        }
    }

    /// Rewrites the files without the deleted partitions.
    fn rewrite(&self, checkpoints: &WrittenCheckpoints) -> Result<(), LogError> {
        let starts = self.write_offsets(LOG_STARTS, checkpoints.log_starts.iter(), true);
        // Not synced: without recovery points recovery only takes longer.
        let points = || self.write_offsets(RECOVERY_POINTS, checkpoints.recovery_points.iter(), false);
        let outcome = starts.and_then(|()| points());
        self.outdated.store(outcome.is_err(), Ordering::Relaxed);
        outcome
    }

    /// Removes the entries of partitions that don't exist.
    ///
    /// # Errors
    /// Like [`LogDir::remove_checkpoints`].
    pub fn retain_checkpoints(&self, exists: impl Fn(&TopicPartition) -> bool) -> Result<(), LogError> {
        let loaded = self.loaded.lock();
        let named =
            [&loaded.recovery_points, &loaded.log_starts, &loaded.first_dirty].into_iter().flat_map(|it| it.keys());
        let unknown: Vec<TopicPartition> =
            named.chain(loaded.validated.keys()).filter(|partition| !exists(partition)).cloned().collect();
        drop(loaded);
        self.remove_checkpoints(unknown.iter())
    }

    /// Lists partitions with records according to the checkpoints but without a live folder in `found`, with their log end
    /// offsets. Partitions that were deleted since the directory was opened are left out.
    pub fn partitions_without_folder(&self, found: &[FoundPartition]) -> Vec<(TopicPartition, Offset)> {
        let live = found.iter().filter(|folder| folder.state == PartitionState::Live);
        let live: HashSet<&TopicPartition> = live.map(|folder| &folder.partition).collect();
        let loaded = self.loaded.lock();
        let named = loaded.recovery_points.keys().chain(loaded.high_watermarks.keys()).chain(loaded.validated.keys());
        let missing: HashSet<&TopicPartition> = named.filter(|partition| !live.contains(partition)).collect();
        let ended = |partition: &TopicPartition| (partition.clone(), loaded.checkpointed_end(partition).end);
        missing.into_iter().map(ended).filter(|(_, end)| *end > 0).collect()
    }

    /// See [`CheckpointWriter::write_all`].
    pub fn write_checkpoints(&self, partitions: &[Checkpoint]) -> Result<(), LogError> {
        self.checkpoint_writer().write_all(partitions)
    }

    fn write_offsets<'a>(
        &self,
        name: &str,
        entries: impl Iterator<Item = (&'a TopicPartition, &'a Offset)>,
        sync: bool,
    ) -> Result<(), LogError> {
        let lines: Vec<String> = entries
            .map(|(TopicPartition { topic, partition }, offset)| format!("{topic} {partition} {offset}"))
            .collect();
        let path = self.path.join(name);
        self.disk.write_atomic(&path, checkpoint::format(lines.into_iter()).as_bytes(), sync).doing("writing", &path)
    }
}

impl CheckpointWriter<'_> {
    /// Writes Kafka's four checkpoints (to a temporary file, synced, renamed) and the positions file.
    pub fn write_all(&mut self, partitions: &[Checkpoint]) -> Result<(), LogError> {
        let points = || partitions.iter().map(|entry| (&entry.partition, &entry.recovery_point));
        self.dir.write_offsets(RECOVERY_POINTS, points(), true)?;
        self.written.recovery_points = above_zero(points().map(|(partition, point)| (partition, *point)));
        self.write_starts(partitions)?;
        let watermarks = partitions.iter().map(|entry| (&entry.partition, &entry.high_watermark));
        self.dir.write_offsets(HIGH_WATERMARKS, watermarks, true)?;
        let mut dirty =
            partitions.iter().filter_map(|entry| Some((&entry.partition, entry.first_dirty.as_ref()?))).peekable();
        if !self.dir.loaded.lock().first_dirty.is_empty() || dirty.peek().is_some() {
            self.dir.write_offsets(FIRST_DIRTY, dirty, true)?;
        }
        self.write_positions(partitions)?;
        self.dir.sync()
    }

    /// Writes only Kafka's checkpoint of log starts.
    pub fn write_log_starts(&mut self, partitions: &[Checkpoint]) -> Result<(), LogError> {
        self.write_starts(partitions)?;
        self.dir.sync()
    }

    fn write_starts(&mut self, partitions: &[Checkpoint]) -> Result<(), LogError> {
        let starts = || partitions.iter().map(|entry| (&entry.partition, &entry.log_start));
        self.dir.write_offsets(LOG_STARTS, starts(), true)?;
        self.written.log_starts = above_zero(starts().map(|(partition, start)| (partition, *start)));
        Ok(())
    }

    /// Writes only the positions file. Cheap (no sync), so it can run often.
    pub fn write_positions(&mut self, partitions: &[Checkpoint]) -> Result<(), LogError> {
        let Some(boot_id) = positions::boot_id() else { return Ok(()) };
        let path = self.dir.path.join(POSITIONS);
        let entries = partitions.iter().filter_map(|entry| Some((&entry.partition, entry.validated?)));
        let text = positions::format(&boot_id, entries);
        self.dir.disk.write_atomic(&path, text.as_bytes(), false).doing("writing", &path)
    }
}

pub(super) fn read_checkpoint(disk: &Disk, path: &Path) -> Result<HashMap<TopicPartition, Offset>, LogError> {
    let Some(text) = disk.read(path).doing("reading", path)? else { return Ok(HashMap::new()) };
    let lines = checkpoint::parse(&text).map_err(|why| LogError::corrupt(path, why))?;
    let entries = lines.into_iter().map(|line| {
        let mut fields = line.split(' ');
        let entry = (|| {
            let partition = TopicPartition::new(fields.next()?, fields.next()?.parse().ok()?);
            Some((partition, fields.next()?.parse().ok()?))
        })();
        entry.ok_or_else(|| {
            LogError::corrupt(path, format!("no topic, partition and offset in {}", checkpoint::quoted(line)))
        })
    });
    entries.collect()
}
