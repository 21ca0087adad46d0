//! Work on files that a caller does outside the partition's lock: syncing and unlinking.

use super::LogError;
use crate::types::Offset;

/// What has to be synced for every record below [`SyncTicket::end_offset`] to survive a power loss.
///
/// Taken under the partition's lock, synced on a blocking thread outside of it, handed back to
/// `Log::mark_synced` under the lock again.
#[derive(Debug)]
pub struct SyncTicket {
    end_offset: Offset,
}

/// The outcome of a [`SyncTicket`] that went well.
#[derive(Debug)]
pub struct Synced {
    #[allow(dead_code)]
    end_offset: Offset,
}

impl SyncTicket {
    /// Records below this are durable once the ticket is synced.
    pub fn end_offset(&self) -> Offset {
        self.end_offset
    }

    /// Whether there is nothing to sync.
    pub fn is_empty(&self) -> bool {
        todo!()
    }

    /// Syncs files and the partition's folder. Blocks for as long as the disk takes.
    pub fn sync(self) -> Result<Synced, LogError> {
        todo!()
    }
}

/// Files that are out of use, already renamed to `*.deleted` or `*-delete`. Readers may still hold their
/// bytes; the caller removes them after `file.delete.delay.ms`.
#[derive(Debug)]
#[must_use = "the files stay on disk until `unlink`"]
pub struct DeletedFiles {}

impl DeletedFiles {
    /// Whether there is nothing to remove.
    pub fn is_empty(&self) -> bool {
        todo!()
    }

    /// Removes the files for good.
    pub fn unlink(self) -> Result<(), LogError> {
        todo!()
    }
}
