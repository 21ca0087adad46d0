//! Replaces segments by the cleaned one atomically: after a crash at any point, opening the log completes or reverts the
//! replacement (Kafka's `LocalLog.replaceSegments`).
//!
//! 1. `.cleaned` is renamed to `.swap`, `.log` first. While one file is still `.cleaned`, opening the log removes them all.
//! 2. The old files are renamed to `.deleted`, in the order of their offsets. From here on, opening the log completes the
//!    replacement.
//! 3. The suffix `.swap` is removed.

use std::ops::Range;
use std::path::Path;

use super::cleaned::{self, Finished};
use super::compaction::Source;
use super::{CleanedGroup, Compaction, Replaced};
use crate::error::IoContext;
use crate::log::State;
use crate::segment::Segment;
use crate::{DeletedFiles, Log, LogError, names};
use ottla_wire::types::Offset;

impl Log {
    /// Replaces a group's source segments by the group: renames only, nothing waits for the disk. Returns
    /// [`Replaced::LogChanged`] if the log was emptied, closed, deleted or latched since the compaction began, or if
    /// source segments were deleted. After an error the log accepts no writes until it is opened again, which completes
    /// the replacement.
    pub fn replace(&mut self, group: CleanedGroup) -> Result<Replaced, LogError> {
        match self.place_of(&group) {
            Some(old) => self.writing(|log| log.swap_in(group, old)).map(Replaced::InPlace),
            None => Ok(Replaced::LogChanged(group.discarded())),
        }
    }

    /// Returns the range of the group's source segments, if all of them exist unchanged.
    fn place_of(&self, group: &CleanedGroup) -> Option<Range<usize>> {
        if !matches!(self.state, State::Open) || self.truncations != group.truncations {
            return None;
        }
        let first = self.segments.binary_search_by_key(&group.base, Segment::base).ok()?;
        let old = first..first + group.sources.len();
        let is_same = |(segment, source): (&Segment, &Source)| {
            segment.base() == source.base && segment.size() == source.size && !segment.is_active()
        };
        let segments = self.segments.get(old.clone())?;
        segments.iter().zip(&group.sources).all(is_same).then_some(old)
    }

    fn swap_in(&mut self, group: CleanedGroup, old: Range<usize>) -> Result<DeletedFiles, LogError> {
        let CleanedGroup { folder, base, finished, sources, .. } = group;
        let rename = |from: &Path, to: &Path| match folder.disk.rename(from, to) {
            // Most segments have no index of aborted transactions.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !is_log(to) => Ok(()),
            outcome => outcome.doing("renaming", from),
        };
        self.folder_changed = true;
        let swap = |kind| names::with_suffix(&folder.file(base, kind), names::SWAP);
        for kind in names::SEGMENT {
            rename(&cleaned::file(&folder, base, kind), &swap(kind))?;
        }
        let mut deleted = DeletedFiles::none(&folder.disk);
        deleted.replaced_in = Some(folder.path.clone());
        for source in &sources {
            for kind in names::SEGMENT {
                deleted.files.extend(self.mark_file_deleted(&folder.file(source.base, kind))?);
            }
            // The snapshot at the remaining base is still valid.
            if source.base != base {
                deleted.files.extend(self.mark_file_deleted(&folder.file(source.base, names::SNAPSHOT))?);
                self.snapshots.retain(|offset| *offset != source.base);
            }
        }
        for kind in names::SEGMENT {
            rename(&swap(kind), &folder.file(base, kind))?;
        }
        let Finished { size, newest, aborted } = finished;
        self.size = self.size - sources.iter().map(|source| source.size).sum::<u64>() + size;
        self.segments.splice(old, [Segment::cleaned(base, size, newest, aborted)]);
        Ok(deleted)
    }

    /// Records that all groups of a compaction are in place. [`Log::first_dirty_offset`] advances once a
    /// [`SyncTicket`](crate::SyncTicket) that is taken afterwards is synced. Has no effect on a log that was emptied
    /// meanwhile; fails for a log that is closed or has failed.
    pub fn finish_compaction(&mut self, done: &Compaction) -> Result<(), LogError> {
        self.check_open()?;
        if self.truncations == done.truncations {
            let to: Offset = done.mapped_to();
            self.first_dirty = Some(self.first_dirty.map_or(to, |first_dirty| first_dirty.max(to)));
            self.folder_changed = true;
        }
        Ok(())
    }
}

impl CleanedGroup {
    /// Returns the group's files, to be removed.
    fn discarded(self) -> DeletedFiles {
        let mut deleted = DeletedFiles::none(&self.folder.disk);
        deleted.files = names::SEGMENT.map(|kind| cleaned::file(&self.folder, self.base, kind)).to_vec();
        deleted
    }
}

fn is_log(path: &Path) -> bool {
    path.to_str().is_some_and(|path| path.ends_with(".log") || path.ends_with(".log.swap"))
}
