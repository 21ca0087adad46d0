//! Detection of lost records while a log is opened: files that were truncated or removed while no broker was running.
//!
//! A loss at the log end shows in the checkpoints, or in whole batches behind a corrupt one. A loss in a sealed segment
//! shows in its indexes, which have entries beyond the file's end. Checking the indexes costs several system calls per
//! segment, so only segments that were modified after their indexes are checked: a normal roll writes the indexes last.

use std::io;
use std::path::Path;

use super::error::IoContext;
use super::names;
use super::offset_index::OffsetIndex;
use super::open::Opening;
use super::recovery::SegmentFile;
use super::segment::{FoundSegment, PartitionFolder};
use super::time_index::TimeIndex;
use super::walk::{Source, Step, Walk};
use super::{LogError, partition_metadata};
use ottla_wire::types::Offset;

impl Opening {
    /// Reports the offsets from `end`, the log end, as lost that the checkpoints or the copies of truncated batches show.
    pub(super) fn report_lost_end(&mut self, end: Offset) {
        let checkpointed = self.at.checkpointed_end;
        // If the folder was created later, the checkpoint belongs to a deleted topic of the same name.
        let created = || self.folder.disk.modified(&self.folder.path.join(partition_metadata::FILE_NAME));
        let was_checkpointed = checkpointed.end > end && created() <= checkpointed.at;
        let of_checkpoint = was_checkpointed.then_some(checkpointed.end);
        // A copy that cannot be read shows nothing.
        let of_copies = self.report.set_aside.iter().filter_map(|copy| self.end_of_copy(copy, end).ok().flatten());
        if let Some(lost_end) = of_copies.chain(of_checkpoint).max() {
            self.report.lost.push(end..lost_end);
        }
    }

    /// The offset after the last whole batch from `log_end` on in a copy of truncated data.
    fn end_of_copy(&self, copy: &Path, log_end: Offset) -> io::Result<Option<Offset>> {
        let disk = &self.folder.disk;
        let (Some(size), Some(raw)) = (disk.len(copy)?, disk.open_to_read(copy)?) else { return Ok(None) };
        // As large as a segment, whose base offset is at most the first offset in it.
        let file = SegmentFile { folder: &self.folder, base: log_end, size, sealed: false };
        let (mut position, mut next_offset) = (0, log_end);
        loop {
            let begin = position;
            let mut walk = Walk::new(Source::Raw(&raw), begin, size, next_offset);
            let found = loop {
                match walk.step()? {
                    Step::Batch { position, header } if walk.crc_matches(position, &header)? => {
                        next_offset = walk.next_offset();
                    }
                    // The last search exceeded its budget.
                    Step::Batch { position, .. } | Step::Broken { position } if position == begin && begin > 0 => {
                        break None;
                    }
                    Step::Batch { position, .. } | Step::Broken { position } => {
                        break file.find_batch(&raw, position, next_offset)?;
                    }
                    Step::End => break None,
                }
            };
            match found {
                Some(found) => position = found,
                None => return Ok((next_offset > log_end).then_some(next_offset)),
            }
        }
    }

    /// Truncates each damaged sealed segment after its last whole batch and rebuilds its indexes. The segments after it
    /// stay part of the log.
    pub(super) fn repair_truncated_segments(&mut self, found: &mut [FoundSegment]) -> Result<(), LogError> {
        for index in 0..found.len().saturating_sub(1) {
            let next = found[index + 1].base;
            let segment = &mut found[index];
            let segment_file =
                SegmentFile { folder: &self.folder, base: segment.base, size: segment.size, sealed: true };
            if !segment_file.is_newer_than_indexes() || !segment_file.is_truncated()? {
                continue;
            }
            // `Log::reopen` must fail here: a running broker may not continue without acknowledged records.
            self.check_min_end(segment.base)?;
            let scanned = segment_file.scan(None, u64::from(self.config.index_interval_bytes))?;
            if scanned.end < segment.size {
                self.report.set_aside.push(segment_file.set_aside(scanned.end)?);
                segment_file.truncate_durably(scanned.end)?;
                self.report.truncated_bytes += segment.size - scanned.end;
                segment.size = scanned.end;
            }
            self.report.rebuilt_indexes += 1;
            self.report.lost.push(scanned.next_offset..next);
        }
        Ok(())
    }
}

impl SegmentFile<'_> {
    fn is_newer_than_indexes(&self) -> bool {
        let modified = |kind: &str| self.folder.disk.modified(&self.folder.file(self.base, kind));
        let indexed = modified(names::TIME_INDEX);
        indexed > 0 && modified(names::LOG) > indexed
    }

    /// Whether an index has entries beyond the last batch.
    fn is_truncated(&self) -> Result<bool, LogError> {
        let PartitionFolder { disk, .. } = self.folder;
        let path = self.folder.file(self.base, names::OFFSET_INDEX);
        let offsets = OffsetIndex::open(disk, path.clone(), self.base).doing("opening", &path)?;
        let path = self.folder.file(self.base, names::TIME_INDEX);
        let times = TimeIndex::open(disk, path.clone(), self.base).doing("opening", &path)?;
        let last = offsets.and_then(|index| index.last());
        let newest = times.and_then(|index| index.last());
        if self.size == 0 || last.is_some_and(|last| last.position >= self.size) {
            return Ok(last.is_some() || newest.is_some());
        }
        let raw = self.open()?;
        let mut walk = Walk::new(Source::Raw(&raw), last.map_or(0, |last| last.position), self.size, self.base);
        loop {
            match walk.step().doing_with("reading", || self.folder.file(self.base, names::LOG))? {
                Step::Batch { .. } => {}
                Step::End => return Ok(newest.is_some_and(|newest| newest.offset >= walk.next_offset())),
                // Corruption in the middle is left to `check-log`.
                Step::Broken { position } => return Ok(!self.has_batch_after(position, walk.next_offset())?),
            }
        }
    }
}
