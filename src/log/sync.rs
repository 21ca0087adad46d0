//! Work on files that a caller does outside the partition's lock: syncing and unlinking.

use std::path::{Path, PathBuf};

use super::LogError;
use super::error::IoContext;
use super::file::{Disk, PooledFile};
use super::segment::Extent;
use ottla_wire::types::Offset;

/// What has to be synced for every record below [`SyncTicket::end_offset`] to survive a power loss.
///
/// Taken under the partition's lock, synced on a blocking thread outside of it, handed back to
/// `Log::mark_synced` under the lock again. Several may be under way at once.
#[derive(Debug)]
pub struct SyncTicket {
    pub(super) disk: Disk,
    pub(super) end_offset: Offset,
    /// The segments that are whole on disk afterwards, if they stay as they are now.
    pub(super) covered: Vec<Extent>,
    /// Files that were open when the ticket was taken.
    pub(super) open: Vec<PooledFile>,
    /// Files that are opened for the sync; one that is gone was deleted meanwhile and needs none.
    pub(super) closed: Vec<PathBuf>,
    /// The partition's folder, if names in it have changed.
    pub(super) folder: Option<PathBuf>,
    /// Up to where the log was compacted, with names that `folder` makes durable.
    pub(super) first_dirty: Option<Offset>,
}

/// The outcome of a [`SyncTicket`] that went well.
#[derive(Debug)]
pub struct Synced {
    pub(super) end_offset: Offset,
    pub(super) covered: Vec<Extent>,
    pub(super) first_dirty: Option<Offset>,
}

impl SyncTicket {
    /// Records below this are durable once the ticket is synced.
    pub fn end_offset(&self) -> Offset {
        self.end_offset
    }

    /// Whether all that is to be synced lies in `dir`.
    fn is_within(&self, dir: &Path) -> bool {
        let open = self.open.iter().map(PooledFile::path);
        open.chain(self.closed.iter().map(PathBuf::as_path)).all(|path| path.starts_with(dir))
    }

    /// Whether there is nothing to sync.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty() && self.closed.is_empty() && self.folder.is_none()
    }

    /// Syncs files and the partition's folder. Blocks for as long as the disk takes.
    pub fn sync(self) -> Result<Synced, LogError> {
        for file in &self.open {
            file.sync().doing("syncing", file.path())?;
        }
        for path in &self.closed {
            if let Some(file) = self.disk.open_to_read(path).doing("opening", path)? {
                file.sync().doing("syncing", path)?;
            }
        }
        if let Some(folder) = &self.folder {
            self.disk.sync_folder(folder).doing("syncing", folder)?;
        }
        Ok(self.done())
    }

    /// The outcome, once all that the ticket names is on disk.
    fn done(self) -> Synced {
        Synced { end_offset: self.end_offset, covered: self.covered, first_dirty: self.first_dirty }
    }
}

/// From so many tickets on, one sync of the whole file system is cheaper than several of each partition.
const FILESYSTEM_SYNC_TICKETS: usize = 16;

/// Syncs many partitions, all in the folder `dir`; one outcome for each, in their order.
pub(super) fn sync_many(disk: &Disk, dir: &Path, tickets: Vec<SyncTicket>) -> Vec<Result<Synced, LogError>> {
    let busy = tickets.iter().filter(|ticket| !ticket.is_empty()).count();
    // The metadata log may be on another file system.
    let one_filesystem = tickets.iter().all(|ticket| ticket.is_within(dir));
    if busy < FILESYSTEM_SYNC_TICKETS || !one_filesystem || !disk.can_sync_filesystem() {
        return tickets.into_iter().map(SyncTicket::sync).collect();
    }
    match disk.sync_filesystem(dir).doing("syncing the file system of", dir) {
        Ok(()) => tickets.into_iter().map(|ticket| Ok(ticket.done())).collect(),
        Err(error) => tickets.iter().map(|_| Err(error.clone())).collect(),
    }
}

/// Files that are out of use, already renamed to `*.deleted` or `*-delete`. Readers may still hold their
/// bytes; the caller removes them after `file.delete.delay.ms`.
#[derive(Debug)]
#[must_use = "the files stay on disk until `unlink`"]
pub struct DeletedFiles {
    pub(super) disk: Disk,
    pub(super) files: Vec<PathBuf>,
    pub(super) folder: Option<PathBuf>,
    /// Others have taken the files' place: this folder's names are synced before the files go, lest a power loss
    /// leaves neither.
    pub(super) replaced_in: Option<PathBuf>,
}

impl DeletedFiles {
    pub(super) fn none(disk: &Disk) -> DeletedFiles {
        DeletedFiles { disk: disk.clone(), files: Vec::new(), folder: None, replaced_in: None }
    }

    /// What is left of a partition that was deleted before a restart, found by `LogDir::partitions`.
    pub fn left_over(disk: &Disk, folder: PathBuf) -> DeletedFiles {
        DeletedFiles { disk: disk.clone(), files: Vec::new(), folder: Some(folder), replaced_in: None }
    }

    /// Whether there is nothing to remove.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.folder.is_none()
    }

    /// Removes the files for good. Those that are gone already are no error.
    pub fn unlink(self) -> Result<(), LogError> {
        if let Some(folder) = &self.replaced_in {
            match self.disk.sync_folder(folder) {
                // The partition was deleted meanwhile.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                outcome => outcome.doing("syncing", folder)?,
            }
        }
        for path in &self.files {
            self.disk.remove(path).doing("removing", path)?;
        }
        match &self.folder {
            Some(folder) => self.disk.remove_folder(folder).doing("removing", folder),
            None => Ok(()),
        }
    }
}
