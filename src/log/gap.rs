//! Offsets that are missing between two segments: what compaction took out, or what a power loss took away.

use super::recovery::{Ending, OnDisk, Scanned};
use super::segment::{Found, Place};
use super::{LogConfig, LogError, OpenAt};
use ottla_wire::types::Offset;

/// What is known about gaps in a log that is being opened.
pub(super) struct Gap<'a> {
    pub(super) place: &'a Place,
    pub(super) config: &'a LogConfig,
    pub(super) at: &'a OpenAt,
    /// All segments.
    pub(super) found: &'a [Found],
}

impl Gap<'_> {
    /// Whether a segment that begins at `next` continues one that was scanned. If not, the log ends there: what
    /// follows a loss was written later than what was lost.
    ///
    /// Compaction leaves gaps, but no room at the end of a file. It is told from a power loss by what the topic is now,
    /// by what was synced or compacted before, and where nothing of that is known, by its traces anywhere in the
    /// log, for a topic may have been compacted once.
    pub(super) fn continues_at(&self, scanned: &Scanned, next: Offset) -> Result<bool, LogError> {
        if scanned.ending == Ending::Broken || next < scanned.next_offset {
            return Ok(false);
        }
        if next == scanned.next_offset {
            return Ok(true);
        }
        let settled = self.at.recovery_point.max(self.at.first_dirty.unwrap_or(0));
        let is_whole = scanned.ending == Ending::Clean;
        Ok(is_whole && (self.config.cleanup_compact || next <= settled || self.was_compacted()?))
    }

    /// Whether any batch shows that compaction has been at work.
    fn was_compacted(&self) -> Result<bool, LogError> {
        for segment in self.found {
            let on_disk = OnDisk { place: self.place, base: segment.base, size: segment.size, sealed: true };
            if on_disk.was_compacted()? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
