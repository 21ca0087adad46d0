//! Records that are gone from a log that is being opened: what somebody else has cut or removed while no broker looked.
//!
//! Behind the log's end that shows by what was noted of it. In a segment that was sealed it shows by the indexes, which
//! lead further than the file. Looking at them all costs several system calls for each segment, so only those are looked
//! at that were written after their indexes: a segment that was sealed in peace was not.

use super::error::IoContext;
use super::names;
use super::offset_index::OffsetIndex;
use super::open::Opening;
use super::recovery::OnDisk;
use super::segment::{Found, Place};
use super::time_index::TimeIndex;
use super::walk::{Source, Step, Walk};
use super::{LogError, partition_metadata};
use ottla_wire::types::Offset;

impl Opening {
    /// Notes which records are missing at the end of a log that ends at `end`.
    pub(super) fn report_lost_end(&mut self, end: Offset) {
        let noted = self.at.noted_end;
        if end >= noted.end {
            return;
        }
        // Made since: the note is of another topic of that name.
        let made = self.place.disk.modified(&self.place.folder.join(partition_metadata::FILE_NAME));
        if made <= noted.at {
            self.report.lost.push(end..noted.end);
        }
    }

    /// Ends each sealed segment that was cut behind its last whole batch, with indexes that lead no further. What follows
    /// it stays part of the log.
    pub(super) fn mend_cut_segments(&mut self, found: &mut [Found]) -> Result<(), LogError> {
        for index in 0..found.len().saturating_sub(1) {
            let next = found[index + 1].base;
            let segment = &mut found[index];
            let on_disk = OnDisk { place: &self.place, base: segment.base, size: segment.size, sealed: true };
            if !on_disk.is_younger_than_its_indexes() || !on_disk.was_cut()? {
                continue;
            }
            // A log that is in use is not mended in silence.
            self.check_reaches(segment.base)?;
            let scanned = on_disk.scan(None, u64::from(self.config.index_interval_bytes))?;
            if scanned.end < segment.size {
                self.report.set_aside.push(on_disk.set_aside(scanned.end)?);
                on_disk.cut_for_good(scanned.end)?;
                self.report.truncated_bytes += segment.size - scanned.end;
                segment.size = scanned.end;
            }
            self.report.rebuilt_indexes += 1;
            self.report.lost.push(scanned.next_offset..next);
        }
        Ok(())
    }
}

impl OnDisk<'_> {
    fn is_younger_than_its_indexes(&self) -> bool {
        let modified = |kind: &str| self.place.disk.modified(&self.place.file(self.base, kind));
        let indexed = modified(names::TIME_INDEX);
        indexed > 0 && modified(names::LOG) > indexed
    }

    /// Whether the indexes know of more than there is.
    fn was_cut(&self) -> Result<bool, LogError> {
        let Place { disk, .. } = self.place;
        let path = self.place.file(self.base, names::OFFSET_INDEX);
        let offsets = OffsetIndex::open(disk, path.clone(), self.base).doing("opening", &path)?;
        let path = self.place.file(self.base, names::TIME_INDEX);
        let times = TimeIndex::open(disk, path.clone(), self.base).doing("opening", &path)?;
        let last = offsets.and_then(|index| index.last());
        let newest = times.and_then(|index| index.last());
        if self.size == 0 || last.is_some_and(|last| last.position >= self.size) {
            return Ok(last.is_some() || newest.is_some());
        }
        let raw = self.open()?;
        let mut walk = Walk::new(Source::Raw(&raw), last.map_or(0, |last| last.position), self.size, self.base);
        loop {
            match walk.step().doing_to("reading", || self.place.file(self.base, names::LOG))? {
                Step::Batch { .. } => {}
                Step::End => return Ok(newest.is_some_and(|newest| newest.offset >= walk.next_offset())),
                // Damage in the middle is for `check-log` to judge.
                Step::Broken { position } => return Ok(!self.has_batch_behind(position, walk.next_offset())?),
            }
        }
    }
}
