//! Opening a log: lists the folder, recovers the segments, and rebuilds producers and leader epochs ([`replay`]).

mod replay;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::IoContext;
use super::file::Disk;
use super::gap::Gap;
use super::listing::Listing;
use super::log::{LengthCheck, State};
use super::producers::Verifications;
use super::recovery::{Ending, Scanned, SegmentFile};
use super::segment::{FoundSegment, PartitionFolder, Segment};
use super::{Log, LogConfig, LogError, OpenParams, OpenReport, Validated, names, partition_metadata};
use ottla_wire::types::{Offset, TopicId};
use replay::Replay;

impl Log {
    /// Opens the log in the folder `path`, creates the folder if it doesn't exist, and recovers the parts of the log that
    /// `at` doesn't confirm. An empty log opens no file until its first append.
    pub fn open(disk: &Disk, path: &Path, config: Arc<LogConfig>, at: OpenParams) -> Result<Log, LogError> {
        let folder = PartitionFolder { disk: disk.clone(), path: path.to_path_buf() };
        let listing = Listing::read(&folder)?;
        let mut opening = Opening {
            folder_changed: listing.names_changed,
            listing,
            folder,
            config,
            at,
            report: OpenReport::default(),
            unsynced: Vec::new(),
            must_sync_folder: false,
        };
        opening.check_topic()?;
        opening.open()
    }
}

/// The state of opening a log.
pub(super) struct Opening {
    pub(super) folder: PartitionFolder,
    pub(super) config: Arc<LogConfig>,
    pub(super) at: OpenParams,
    pub(super) listing: Listing,
    pub(super) report: OpenReport,
    unsynced: Vec<PathBuf>,
    folder_changed: bool,
    /// Files were removed or renamed, and a power loss must not bring them back next to new appends.
    must_sync_folder: bool,
}

/// The segments after recovery.
struct Recovered {
    segments: Vec<Segment>,
    end: Offset,
    /// Everything from this offset on was scanned: the state derived from it has to be rebuilt.
    derive_from: Offset,
}

impl Opening {
    fn open(mut self) -> Result<Log, LogError> {
        let mut recovered = self.recover_segments()?;
        let first = recovered.segments.first().map_or(0, Segment::base);
        let start = self.at.log_start.unwrap_or(first).max(first);
        if start > recovered.end {
            // As in Kafka: all records are below the log start, so all are dropped.
            recovered = self.reset_to(start, &recovered)?;
        }
        let end = recovered.end;
        self.report_lost_end(end);
        let (mut epochs, epochs_known) = self.read_epochs(end > first)?;
        let epochs_on_file = epochs.clone();
        // Epochs of scanned batches are rebuilt: the file may describe records that a power loss removed. If all records
        // were deleted, the epoch that starts at the log end is kept: no batch is left to rebuild it from.
        let emptied = start == end && recovered.derive_from == end;
        epochs.truncate_end(if emptied { end.saturating_add(1) } else { end.min(recovered.derive_from) });
        let (mut producers, replay_from) = self.load_producers(&recovered, first)?;
        let from = if epochs_known { replay_from } else { first };
        let since_snapshot = if from < end {
            let mut replay = Replay {
                producers: &mut producers,
                epochs: &mut epochs,
                epochs_on_file: &epochs_on_file,
                producers_from: replay_from,
                next_offset: from,
                now: self.at.now,
            };
            self.replay(&mut recovered, from, &mut replay)?
        } else {
            0
        };
        epochs.truncate_start(start);
        if self.must_sync_folder {
            self.folder.disk.sync_folder(&self.folder.path).doing("syncing", &self.folder.path)?;
        }
        let durable = if self.at.clean_shutdown { end } else { self.at.recovery_point.clamp(start, end) };
        let first_dirty = self.at.first_dirty.filter(|first_dirty| *first_dirty <= end);
        self.report.compacted_beyond_end = self.at.first_dirty.filter(|first_dirty| *first_dirty > end);
        let report = self.report.has_problems() || self.report.scanned_bytes > 0;
        let mut log = Log {
            folder: self.folder,
            config: self.config,
            size: recovered.segments.iter().map(Segment::size).sum(),
            segments: recovered.segments,
            start,
            end,
            durable,
            epochs,
            producers,
            verifications: Verifications::default(),
            snapshots: self.listing.snapshots,
            since_snapshot,
            first_timestamp: None,
            active_since: self.at.now,
            state: State::Open,
            checked_to: end,
            length_check: LengthCheck::default(),
            first_dirty,
            first_dirty_synced: first_dirty,
            truncations: 0,
            unsynced: self.unsynced,
            folder_changed: self.folder_changed,
            report: report.then(|| Box::new(self.report)),
        };
        if !self.at.clean_shutdown {
            // After a crash it is unknown which of these were synced.
            log.mark_small_files_unsynced();
        }
        // Messages of formats 0 and 1 have no epoch, so an empty result is written too.
        if log.epochs != epochs_on_file || !epochs_known {
            log.write_epochs()?;
        }
        if self.at.rewrite_unsynced {
            log.write_unsynced_again()?;
        }
        Ok(log)
    }

    /// Compares `partition.metadata` with the topic expected, or writes it.
    fn check_topic(&mut self) -> Result<(), LogError> {
        let Some(expected) = self.at.topic_id else { return Ok(()) };
        let path = self.folder.path.join(partition_metadata::FILE_NAME);
        let text = self.folder.disk.read(&path).doing("reading", &path)?;
        // An unreadable file was being written during a power loss.
        match text.and_then(|text| partition_metadata::parse(&text).ok()) {
            Some(found) if found == expected => Ok(()),
            Some(found) => Err(LogError::OtherTopic { path, expected, found }),
            None => self.write_topic(path, expected),
        }
    }

    fn write_topic(&mut self, path: PathBuf, topic_id: TopicId) -> Result<(), LogError> {
        let text = partition_metadata::format(topic_id);
        self.folder.disk.write_atomic(&path, text.as_bytes(), false).doing("writing", &path)?;
        self.unsynced.push(path);
        self.folder_changed = true;
        Ok(())
    }

    /// Finds the end of the valid batches and truncates the log there.
    fn recover_segments(&mut self) -> Result<Recovered, LogError> {
        let mut found = std::mem::take(&mut self.listing.segments);
        if found.is_empty() {
            let base = self.at.log_start.unwrap_or(0).max(0);
            self.check_min_end(base)?;
            return Ok(Recovered { segments: vec![Segment::new(base)], end: base, derive_from: base });
        }
        self.rebuild_missing_indexes(&found)?;
        self.repair_truncated_segments(&mut found)?;
        let (trusted, (end, derive_from)) = match self.trusted_end(&found)? {
            Some(end) => (true, (end, end)),
            None => (false, self.scan_tail(&mut found)?),
        };
        let last = found.len() - 1;
        for index in 0..=last {
            found[index].synced = match found.get(index + 1) {
                // Scanned segments may have been modified.
                Some(next) => {
                    next.base <= derive_from && (self.at.clean_shutdown || next.base <= self.at.recovery_point)
                }
                None => self.at.clean_shutdown && derive_from == end,
            };
        }
        let mut segments = Vec::with_capacity(found.len());
        for (index, found) in found.into_iter().enumerate() {
            let segment = Segment::found(found, index == last);
            let has_aborted = self.listing.has_txn_index(found.base);
            segments.push(if has_aborted { segment } else { segment.without_aborted() });
        }
        if !trusted {
            let first = segments.partition_point(|segment| segment.base() <= derive_from).saturating_sub(1);
            for segment in segments[first..].iter_mut().filter(|segment| self.listing.has_txn_index(segment.base())) {
                segment.truncate_aborted(&self.folder, end)?;
            }
        }
        Ok(Recovered { segments, end, derive_from })
    }

    /// The log end according to the files after a clean shutdown; `None` if the files can't be trusted.
    fn trusted_end(&self, found: &[FoundSegment]) -> Result<Option<Offset>, LogError> {
        let Some(last) = found.last().filter(|_| self.at.clean_shutdown) else { return Ok(None) };
        SegmentFile { folder: &self.folder, base: last.base, size: last.size, sealed: false }.trusted_end()
    }

    /// Rebuilds missing indexes of sealed segments, as Kafka does, without changing records.
    fn rebuild_missing_indexes(&mut self, found: &[FoundSegment]) -> Result<(), LogError> {
        for segment in &found[..found.len() - 1] {
            if segment.size == 0 || self.listing.has_indexes(segment.base) {
                continue;
            }
            let segment_file =
                SegmentFile { folder: &self.folder, base: segment.base, size: segment.size, sealed: true };
            let scanned = segment_file.scan(None, u64::from(self.config.index_interval_bytes))?;
            self.report.scanned_bytes += scanned.checked;
            self.report.rebuilt_indexes += 1;
            self.folder_changed = true;
        }
        Ok(())
    }

    /// Scans all data that may be incomplete. Returns the log end and the offset from which on data was scanned.
    fn scan_tail(&mut self, found: &mut Vec<FoundSegment>) -> Result<(Offset, Offset), LogError> {
        let validated = self
            .at
            .validated
            .filter(|at| found.iter().any(|segment| segment.base == at.segment && segment.size >= at.position));
        let first = match validated {
            Some(at) => found.partition_point(|segment| segment.base < at.segment),
            // After a clean shutdown only the last segment is in doubt.
            None if self.at.clean_shutdown => found.len() - 1,
            None => {
                let next = found.partition_point(|segment| segment.base <= self.at.recovery_point);
                next.saturating_sub(1)
            }
        };
        let derive_from = validated.map_or(found[first].base, |at| at.next_offset);
        let mut index = first;
        loop {
            let next = found.get(index + 1).map(|segment| segment.base);
            let scanned = self.scan_segment(&mut found[index], validated, next.is_some())?;
            let follows = match next {
                Some(next) => {
                    let gap = Gap { folder: &self.folder, config: &self.config, at: &self.at, found };
                    gap.continues_at(&scanned, next)?
                }
                None => false,
            };
            if !follows {
                self.truncate_at(found, index, &scanned)?;
                return Ok((scanned.next_offset, derive_from.min(scanned.next_offset)));
            }
            index += 1;
        }
    }

    fn scan_segment(
        &mut self,
        found: &mut FoundSegment,
        validated: Option<Validated>,
        sealed: bool,
    ) -> Result<Scanned, LogError> {
        let segment_file = SegmentFile { folder: &self.folder, base: found.base, size: found.size, sealed };
        let validated = validated.filter(|at| at.segment == found.base);
        let scanned = segment_file.scan(validated, u64::from(self.config.index_interval_bytes))?;
        self.report.scanned_bytes += scanned.checked;
        self.folder_changed = true;
        if scanned.ending != Ending::Clean {
            self.check_min_end(scanned.next_offset)?;
        }
        if scanned.ending == Ending::Zeros {
            segment_file.truncate_zeros(scanned.end)?;
            found.size = scanned.end;
        }
        Ok(scanned)
    }

    /// Fails if the log would end at `end`, below the smallest acceptable log end.
    pub(super) fn check_min_end(&self, end: Offset) -> Result<(), LogError> {
        match end < self.at.min_end {
            false => Ok(()),
            true => {
                let why = format!("its records from offset {end} up to {} are lost", self.at.min_end);
                Err(LogError::corrupt(&self.folder.path, why))
            }
        }
    }

    /// Truncates the log to the scanned part of `found[index]`. The rest is set aside if it contains batches.
    fn truncate_at(&mut self, found: &mut Vec<FoundSegment>, index: usize, scanned: &Scanned) -> Result<(), LogError> {
        self.check_min_end(scanned.next_offset)?;
        for segment in found.drain(index + 1..).collect::<Vec<_>>() {
            self.set_segment_aside(segment)?;
        }
        let segment = &mut found[index];
        let segment_file = SegmentFile { folder: &self.folder, base: segment.base, size: segment.size, sealed: false };
        let excess = segment.size - scanned.end;
        if excess == 0 {
            return Ok(());
        }
        if segment_file.has_batch_after(scanned.end, scanned.next_offset)? {
            self.report.set_aside.push(segment_file.set_aside(scanned.end)?);
        }
        segment_file.truncate_durably(scanned.end)?;
        segment.size = scanned.end;
        self.report.truncated_bytes += excess;
        Ok(())
    }

    /// Removes a segment after the log end. A plain file keeps its records; the other files are removed.
    fn set_segment_aside(&mut self, found: FoundSegment) -> Result<(), LogError> {
        self.must_sync_folder = true;
        let segment = Segment::found(found, false);
        let [log, derived @ ..] = segment.paths(&self.folder.path);
        if found.size > 0 {
            let segment_file = SegmentFile { folder: &self.folder, base: found.base, size: found.size, sealed: true };
            let copy_path = segment_file.name_aside(0)?;
            self.folder.disk.rename(&log, &copy_path).doing("renaming", &log)?;
            self.report.set_aside.push(copy_path);
            self.report.truncated_bytes += found.size;
        } else {
            self.folder.disk.remove(&log).doing("removing", &log)?;
        }
        for path in derived {
            self.folder.disk.remove(&path).doing("removing", &path)?;
        }
        self.listing.snapshots.retain(|offset| *offset != found.base);
        Ok(())
    }

    /// Deletes all segments and creates an empty one at `start`.
    fn reset_to(&mut self, start: Offset, recovered: &Recovered) -> Result<Recovered, LogError> {
        for segment in &recovered.segments {
            self.report.truncated_bytes += segment.size();
            for path in segment.paths(&self.folder.path) {
                self.folder.disk.remove(&path).doing("removing", &path)?;
            }
        }
        let path = self.folder.file(start, names::LOG);
        self.folder.disk.open_to_write(&path).doing("creating", &path)?;
        self.must_sync_folder = true;
        let empty = Segment::found(FoundSegment { base: start, size: 0, synced: false }, true);
        Ok(Recovered { segments: vec![empty], end: start, derive_from: start })
    }
}
