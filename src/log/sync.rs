//! File operations that run without the partition's lock: syncing and unlinking.

use std::path::{Path, PathBuf};

use super::LogError;
use super::error::IoContext;
use super::file::{Disk, PooledFile};
use super::segment::Extent;
use ottla_wire::types::Offset;

/// The files to sync so that all records below [`SyncTicket::end_offset`] survive a power loss.
///
/// Created with the partition's lock held, synced on a blocking thread without the lock, and then passed to
/// `Log::mark_synced` with the lock held. Several tickets may be in progress at once.
#[derive(Debug)]
pub struct SyncTicket {
    pub(super) disk: Disk,
    pub(super) end_offset: Offset,
    /// The segments that are fully synced afterwards, if they don't change until then.
    pub(super) covered: Vec<Extent>,
    /// Files that were open when the ticket was created.
    pub(super) open: Vec<PooledFile>,
    /// Files to open for the sync. A missing file was deleted since and is skipped.
    pub(super) closed: Vec<PathBuf>,
    /// The partition's folder, if its entries have changed.
    pub(super) folder: Option<PathBuf>,
    /// The first dirty offset that is durable once `folder` is synced.
    pub(super) first_dirty: Option<Offset>,
}

/// The result of a successful [`SyncTicket`].
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

    /// Whether all files of the ticket are in `dir`.
    fn is_within(&self, dir: &Path) -> bool {
        let open = self.open.iter().map(PooledFile::path);
        open.chain(self.closed.iter().map(PathBuf::as_path)).all(|path| path.starts_with(dir))
    }

    /// Whether there is nothing to sync.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty() && self.closed.is_empty() && self.folder.is_none()
    }

    /// Syncs the files and the partition's folder. Blocks on disk I/O.
    pub fn sync(self) -> Result<Synced, LogError> {
        for file in &self.open {
            file.sync().doing("syncing", file.path())?;
        }
        for path in &self.closed {
            if let Some(file) = self.disk.open_to_read(path).doing("opening", path)? {
                self.disk.sync_file(&file).doing("syncing", path)?;
            }
        }
        if let Some(folder) = &self.folder {
            self.disk.sync_folder(folder).doing("syncing", folder)?;
        }
        Ok(self.done())
    }

    /// The result, once all files of the ticket are synced.
    fn done(self) -> Synced {
        Synced { end_offset: self.end_offset, covered: self.covered, first_dirty: self.first_dirty }
    }
}

/// The number of tickets from which one sync of the whole file system is cheaper than separate syncs.
const FILESYSTEM_SYNC_TICKETS: usize = 16;

/// Syncs many partitions of the log directory `dir`; returns one result per ticket, in the same order.
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

/// Deleted files, already renamed to `*.deleted` or `*-delete`. Readers may still hold their bytes, so the caller
/// unlinks them after `file.delete.delay.ms`.
#[derive(Debug)]
#[must_use = "the files stay on disk until `unlink`"]
pub struct DeletedFiles {
    pub(super) disk: Disk,
    pub(super) files: Vec<PathBuf>,
    pub(super) folder: Option<PathBuf>,
    /// The folder in which other files replaced these. It is synced before these are unlinked: otherwise a power loss
    /// could lose both.
    pub(super) replaced_in: Option<PathBuf>,
}

impl DeletedFiles {
    pub(super) fn none(disk: &Disk) -> DeletedFiles {
        DeletedFiles { disk: disk.clone(), files: Vec::new(), folder: None, replaced_in: None }
    }

    /// The folder of a deleted partition.
    pub fn left_over(disk: &Disk, folder: PathBuf) -> DeletedFiles {
        DeletedFiles { disk: disk.clone(), files: Vec::new(), folder: Some(folder), replaced_in: None }
    }

    /// Whether there is nothing to remove.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.folder.is_none()
    }

    /// Unlinks the files. Missing files are ignored.
    pub fn unlink(self) -> Result<(), LogError> {
        if let Some(folder) = &self.replaced_in {
            match self.disk.sync_folder(folder) {
                // The partition was deleted in the meantime.
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
