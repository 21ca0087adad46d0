//! A file that takes a descriptor only while it is used.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use super::pool::Kept;
use super::{Disk, RawFile};

/// A file that is there, opened again by its path whenever its descriptor was given to others; clones share it.
///
/// It must not be renamed while it is in use.
#[derive(Clone, Debug)]
pub(crate) struct PooledFile {
    disk: Disk,
    path: Arc<Path>,
    writable: bool,
    raw: Kept<RawFile>,
}

impl PooledFile {
    /// A file that is opened for reading at its first use.
    pub(crate) fn to_read(disk: &Disk, path: &Path) -> PooledFile {
        PooledFile { disk: disk.clone(), path: path.into(), writable: false, raw: Kept::nothing(disk.descriptors()) }
    }

    /// A file that was just opened.
    pub(super) fn open(disk: &Disk, path: &Path, raw: RawFile, writable: bool) -> PooledFile {
        PooledFile { disk: disk.clone(), path: path.into(), writable, raw: Kept::open(disk.descriptors(), raw) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Uses the file.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&RawFile) -> io::Result<R>) -> io::Result<R> {
        self.raw.with(|_| true, || self.reopened(), work)?
    }

    /// Uses the file if it is open.
    pub(super) fn if_open<R>(&self, work: impl FnOnce(&RawFile) -> R) -> Option<R> {
        self.raw.if_open(work)
    }

    /// Opens it once more, beside what the pool keeps.
    pub(super) fn reopened(&self) -> io::Result<RawFile> {
        match self.writable {
            true => self.disk.open_existing_to_write(&self.path),
            false => self.disk.open_to_read(&self.path)?.ok_or(ErrorKind::NotFound.into()),
        }
    }

    /// Makes content and length durable. A file that is gone was deleted meanwhile, and needs no more.
    pub(crate) fn sync(&self) -> io::Result<()> {
        // Not under the lock of what is kept: a sync takes its time, and appends go on.
        let open = match self.raw.if_open(RawFile::clone) {
            Some(raw) => Some(raw),
            None => self.disk.open_to_read(&self.path)?,
        };
        open.map_or(Ok(()), |raw| raw.sync())
    }

    /// Gives the descriptor back until the next use.
    pub(crate) fn close(&self) {
        self.raw.close();
    }
}
