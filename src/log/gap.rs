//! Offset gaps between two segments: from compaction, or from a power loss.

use super::recovery::{Ending, Scanned, SegmentFile};
use super::segment::{FoundSegment, PartitionFolder};
use super::{LogConfig, LogError, OpenParams};
use ottla_wire::types::Offset;

/// The information to judge offset gaps while a log is opened.
pub(super) struct Gap<'a> {
    pub(super) folder: &'a PartitionFolder,
    pub(super) config: &'a LogConfig,
    pub(super) at: &'a OpenParams,
    /// All segments.
    pub(super) found: &'a [FoundSegment],
}

impl Gap<'_> {
    /// Whether a segment at base offset `next` continues the log after a scanned segment. If not, records before it were
    /// lost, and the log ends after the scanned segment.
    ///
    /// A gap is from compaction if the scanned file has no other data at its end and one of these is true: the topic is
    /// compacted now, the gap is below the recovery point or the first dirty offset, or any batch of the log shows
    /// that it was compacted in the past.
    pub(super) fn continues_at(&self, scanned: &Scanned, next: Offset) -> Result<bool, LogError> {
        if scanned.ending == Ending::Broken || next < scanned.next_offset {
            return Ok(false);
        }
        if next == scanned.next_offset {
            return Ok(true);
        }
        let settled = self.at.recovery_point.max(self.at.first_dirty.unwrap_or(0));
        let is_clean = scanned.ending == Ending::Clean;
        Ok(is_clean && (self.config.cleanup_compact || next <= settled || self.was_compacted()?))
    }

    /// Whether any batch of the log shows that it was compacted.
    fn was_compacted(&self) -> Result<bool, LogError> {
        for segment in self.found {
            let segment_file =
                SegmentFile { folder: self.folder, base: segment.base, size: segment.size, sealed: true };
            if segment_file.was_compacted()? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
