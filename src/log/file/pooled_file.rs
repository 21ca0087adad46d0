//! A file whose descriptor is pooled.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use super::pool::Pooled;
use super::{Disk, RawFile};

/// An existing file, opened again by its path after the pool closed its descriptor; clones share the descriptor.
///
/// The file must not be renamed while it is in use.
#[derive(Clone, Debug)]
pub(crate) struct PooledFile {
    disk: Disk,
    path: Arc<Path>,
    writable: bool,
    raw: Pooled<RawFile>,
}

impl PooledFile {
    /// Creates a file that is opened for reading at its first use.
    pub(crate) fn to_read(disk: &Disk, path: &Path) -> PooledFile {
        PooledFile { disk: disk.clone(), path: path.into(), writable: false, raw: Pooled::closed(disk.descriptors()) }
    }

    /// Wraps a file that was just opened.
    pub(super) fn open(disk: &Disk, path: &Path, raw: RawFile, writable: bool) -> PooledFile {
        PooledFile { disk: disk.clone(), path: path.into(), writable, raw: Pooled::open(disk.descriptors(), raw) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `work` on the file, opening it first if needed.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&RawFile) -> io::Result<R>) -> io::Result<R> {
        self.raw.with(|_| true, || self.reopened(), work)?
    }

    /// Runs `work` on the file if it is open.
    pub(super) fn if_open<R>(&self, work: impl FnOnce(&RawFile) -> R) -> Option<R> {
        self.raw.if_open(work)
    }

    /// Opens the file once more, outside the pool.
    pub(super) fn reopened(&self) -> io::Result<RawFile> {
        match self.writable {
            true => self.disk.open_existing_to_write(&self.path),
            false => self.disk.open_to_read(&self.path)?.ok_or(ErrorKind::NotFound.into()),
        }
    }

    /// Makes content and length durable. Does nothing if the file was deleted meanwhile.
    pub(crate) fn sync(&self) -> io::Result<()> {
        // Not under the handle's lock: a sync is slow, and appends must not wait for it.
        let open = match self.raw.if_open(RawFile::clone) {
            Some(raw) => Some(raw),
            None => self.disk.open_to_read(&self.path)?,
        };
        open.map_or(Ok(()), |raw| self.disk.sync_file(&raw))
    }

    /// Closes the descriptor until the next use.
    pub(crate) fn close(&self) {
        self.raw.close();
    }
}
