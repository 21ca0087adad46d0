//! What a log directory notes of its partitions beside their folders: Kafka's four text checkpoints, and our own file of
//! positions.
//!
//! The files know partitions by name. When a topic is deleted, what they say of its partitions is taken back before its
//! name is free: another topic of that name begins at offset 0, also after a crash.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;

use parking_lot::MutexGuard;

use super::error::IoContext;
use super::file::Disk;
use super::log_dir::{FIRST_DIRTY, HIGH_WATERMARKS, LOG_STARTS, LogDir, POSITIONS, RECOVERY_POINTS};
use super::log_dir::{FoundPartition, PartitionState};
use super::{LogError, NotedEnd, Validated, checkpoint, positions};
use ottla_wire::types::{Offset, TimestampMs, TopicPartition};

/// What a partition puts into the text checkpoints and our positions file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    pub partition: TopicPartition,
    pub recovery_point: Offset,
    pub log_start: Offset,
    pub high_watermark: Offset,
    /// Up to where it was compacted, durably; `None` if it never was.
    pub first_dirty: Option<Offset>,
    pub validated: Option<Validated>,
}

type Offsets = HashMap<TopicPartition, Offset>;

/// What the files say of partitions.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) recovery_points: Offsets,
    pub(super) log_starts: Offsets,
    pub(super) first_dirty: Offsets,
    pub(super) validated: HashMap<TopicPartition, Validated>,
    pub(super) high_watermarks: Offsets,
    pub(super) noted_at: NotedAt,
}

/// When files were written that say how far logs reached.
#[derive(Debug, Default)]
pub(super) struct NotedAt {
    pub(super) recovery_points: TimestampMs,
    pub(super) high_watermarks: TimestampMs,
    pub(super) positions: TimestampMs,
}

impl Known {
    fn forget(&mut self, partition: &TopicPartition) {
        self.recovery_points.remove(partition);
        self.log_starts.remove(partition);
        self.first_dirty.remove(partition);
        self.validated.remove(partition);
        self.high_watermarks.remove(partition);
    }

    /// Where the partition's log ended, by whichever file says most.
    pub(super) fn noted_end(&self, partition: &TopicPartition) -> NotedEnd {
        let at = &self.noted_at;
        let ends = [
            (self.recovery_points.get(partition).copied(), at.recovery_points),
            (self.high_watermarks.get(partition).copied(), at.high_watermarks),
            (self.validated.get(partition).map(|validated| validated.next_offset), at.positions),
        ];
        let noted = ends.into_iter().filter_map(|(end, at)| Some(NotedEnd { end: end?, at }));
        noted.max_by_key(|noted| noted.end).unwrap_or_default()
    }
}

/// What is in two of the files now, but for partitions at offset 0.
#[derive(Debug, Default)]
pub(super) struct OnFile {
    recovery_points: Offsets,
    log_starts: Offsets,
}

impl OnFile {
    pub(super) fn new(recovery_points: &Offsets, log_starts: &Offsets) -> OnFile {
        let of = |offsets: &Offsets| above_zero(offsets.iter().map(|(partition, offset)| (partition, *offset)));
        OnFile { recovery_points: of(recovery_points), log_starts: of(log_starts) }
    }
}

fn above_zero<'a>(entries: impl Iterator<Item = (&'a TopicPartition, Offset)>) -> Offsets {
    entries.filter(|(_, offset)| *offset > 0).map(|(partition, offset)| (partition.clone(), offset)).collect()
}

/// The right to write the files, which one at a time has. What is written must have been looked up while it was held: a
/// slower writer would put back what another one has changed since.
pub struct CheckpointWriter<'a> {
    dir: &'a LogDir,
    on_file: MutexGuard<'a, OnFile>,
}

impl LogDir {
    /// Waits until nobody else writes checkpoints.
    pub fn checkpoint_writer(&self) -> CheckpointWriter<'_> {
        CheckpointWriter { dir: self, on_file: self.on_file.lock() }
    }

    /// Takes back what was noted of partitions whose folders are out of the way.
    ///
    /// # Errors
    /// If a file can't be written; it says then of partitions with these names what was true of the deleted ones, until
    /// [`LogDir::forget_deleted`] succeeds.
    pub fn forget<'a>(&self, partitions: impl Iterator<Item = &'a TopicPartition>) -> Result<(), LogError> {
        let gone: HashSet<&TopicPartition> = partitions.collect();
        let mut on_file = self.on_file.lock();
        let mut known = self.known.lock();
        gone.iter().for_each(|partition| known.forget(partition));
        drop(known);
        let is_gone = |partition: &TopicPartition, _: &mut Offset| gone.contains(partition);
        let starts = on_file.log_starts.extract_if(is_gone).count();
        let points = on_file.recovery_points.extract_if(is_gone).count();
        if starts + points > 0 || self.outdated.load(Ordering::Relaxed) { self.write_again(&on_file) } else { Ok(()) }
    }

    /// Takes back what [`LogDir::forget`] failed to. To be called before the log of a partition is opened: it may have the
    /// name of a deleted one, and the next start would take that one's log start for its own.
    ///
    /// Does not wait for a checkpoint writer: that one may be waiting for the very partition whose log is to be opened.
    ///
    /// # Errors
    /// If a file can't be written, or somebody else writes it now.
    pub fn forget_deleted(&self) -> Result<(), LogError> {
        if !self.outdated.load(Ordering::Relaxed) {
            return Ok(());
        }
        match self.on_file.try_lock() {
            Some(on_file) => self.write_again(&on_file),
            None => {
                Err(io::Error::from(io::ErrorKind::ResourceBusy)).doing_to("writing", || self.path().join(LOG_STARTS))
            }
        }
    }

    /// Writes what is to be in the files without the partitions that were deleted.
    fn write_again(&self, on_file: &OnFile) -> Result<(), LogError> {
        let starts = self.write_offsets(LOG_STARTS, on_file.log_starts.iter(), true);
        // A lost recovery point costs only time.
        let written = starts.and_then(|()| self.write_offsets(RECOVERY_POINTS, on_file.recovery_points.iter(), false));
        self.outdated.store(written.is_err(), Ordering::Relaxed);
        written
    }

    /// Takes back what was noted of partitions that don't exist.
    ///
    /// # Errors
    /// As [`LogDir::forget`].
    pub fn forget_unless(&self, exists: impl Fn(&TopicPartition) -> bool) -> Result<(), LogError> {
        let known = self.known.lock();
        let named =
            [&known.recovery_points, &known.log_starts, &known.first_dirty].into_iter().flat_map(|it| it.keys());
        let gone: Vec<TopicPartition> =
            named.chain(known.validated.keys()).filter(|partition| !exists(partition)).cloned().collect();
        drop(known);
        self.forget(gone.iter())
    }

    /// Partitions that had records by what was noted when the directory was opened, and where their logs ended; without
    /// those of `found`, whose folders are there, and those that were deleted since.
    pub fn without_folder(&self, found: &[FoundPartition]) -> Vec<(TopicPartition, Offset)> {
        let live = found.iter().filter(|folder| folder.state == PartitionState::Live);
        let live: HashSet<&TopicPartition> = live.map(|folder| &folder.partition).collect();
        let known = self.known.lock();
        let named = known.recovery_points.keys().chain(known.high_watermarks.keys()).chain(known.validated.keys());
        let missing: HashSet<&TopicPartition> = named.filter(|partition| !live.contains(partition)).collect();
        let ended = |partition: &TopicPartition| (partition.clone(), known.noted_end(partition).end);
        missing.into_iter().map(ended).filter(|(_, end)| *end > 0).collect()
    }

    /// As [`CheckpointWriter::write_all`].
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
        self.disk.write_aside(&path, checkpoint::format(lines.into_iter()).as_bytes(), sync).doing("writing", &path)
    }
}

impl CheckpointWriter<'_> {
    /// Writes Kafka's four checkpoints (written aside, synced, renamed) and our positions file.
    pub fn write_all(&mut self, partitions: &[Checkpoint]) -> Result<(), LogError> {
        let points = || partitions.iter().map(|entry| (&entry.partition, &entry.recovery_point));
        self.dir.write_offsets(RECOVERY_POINTS, points(), true)?;
        self.on_file.recovery_points = above_zero(points().map(|(partition, point)| (partition, *point)));
        self.write_starts(partitions)?;
        let watermarks = partitions.iter().map(|entry| (&entry.partition, &entry.high_watermark));
        self.dir.write_offsets(HIGH_WATERMARKS, watermarks, true)?;
        let mut dirty =
            partitions.iter().filter_map(|entry| Some((&entry.partition, entry.first_dirty.as_ref()?))).peekable();
        if !self.dir.known.lock().first_dirty.is_empty() || dirty.peek().is_some() {
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
        self.on_file.log_starts = above_zero(starts().map(|(partition, start)| (partition, *start)));
        Ok(())
    }

    /// Writes only our positions file: cheap (no sync), for often.
    pub fn write_positions(&mut self, partitions: &[Checkpoint]) -> Result<(), LogError> {
        let Some(boot_id) = positions::boot_id() else { return Ok(()) };
        let path = self.dir.path.join(POSITIONS);
        let entries = partitions.iter().filter_map(|entry| Some((&entry.partition, entry.validated?)));
        let text = positions::format(&boot_id, entries);
        self.dir.disk.write_aside(&path, text.as_bytes(), false).doing("writing", &path)
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
