//! A segment's records: appended at the end, read without copying where the backing is a mapping.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::OnceLock;

use bytes::Bytes;

use super::mapping::Mapping;
use super::{Disk, RawFile};

/// A mapping reaches at least this far, and this many times further than the file: address space is free, while a
/// new mapping has to be touched anew.
const SMALLEST_MAPPING: u64 = 64 << 10;
const MAPPING_AHEAD: u64 = 8;

/// A segment's `.log` file.
#[derive(Debug)]
pub(crate) struct DataFile {
    /// Bytes of whole batches: what is published. The file may be longer after a write that failed.
    len: u64,
    /// No mapping is made beyond this, unless the file is longer.
    limit: u64,
    /// Absent once a sealed file is mapped and synced: it costs a descriptor.
    raw: Option<RawFile>,
    /// Made by the first read.
    mapping: OnceLock<Mapping>,
    mapped: bool,
    writable: bool,
}

impl DataFile {
    /// Opens (or creates) the file that is appended to, of which `len` bytes are known to be whole batches.
    /// What lies behind them is cut off. It is expected to grow to `limit`.
    pub(crate) fn open_tail(disk: &Disk, path: &Path, len: u64, limit: u64) -> io::Result<DataFile> {
        let raw = disk.open_to_write(path)?;
        let found = raw.len()?;
        if found < len {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if found > len {
            raw.set_len(len)?;
        }
        Ok(DataFile::new(disk, raw, len, limit, true))
    }

    /// Opens a file that is only read, of which the first `len` bytes are whole batches.
    pub(crate) fn open_sealed(disk: &Disk, path: &Path, len: u64) -> io::Result<DataFile> {
        let raw = disk.open_to_read(path)?.ok_or(ErrorKind::NotFound)?;
        if raw.len()? < len {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let mut file = DataFile::new(disk, raw, len, len, false);
        if file.is_mapped() {
            file.release_descriptor();
        }
        Ok(file)
    }

    fn new(disk: &Disk, raw: RawFile, len: u64, limit: u64, writable: bool) -> DataFile {
        DataFile { len, limit, raw: Some(raw), mapping: OnceLock::new(), mapped: disk.is_mapped(), writable }
    }

    /// Bytes of whole batches.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Whether it was opened for appending.
    pub(crate) fn is_writable(&self) -> bool {
        self.writable
    }

    /// Whether reading costs no copy.
    pub(crate) fn is_mapped(&self) -> bool {
        self.view().is_some()
    }

    /// Appends two parts as one, and publishes them. After an error the file may hold more than is published.
    pub(crate) fn append(&mut self, head: &[u8], body: &[u8]) -> io::Result<()> {
        self.raw()?.write_parts_at(self.len, head, body)?;
        self.len += (head.len() + body.len()) as u64;
        if self.mapping.get().is_some_and(|mapping| (mapping.len() as u64) < self.len) {
            // Those who hold slices of it keep it alive; the next reader makes a larger one.
            self.mapping = OnceLock::new();
        }
        Ok(())
    }

    /// The bytes at `position`; without copying them if the file is mapped. They must be there.
    pub(crate) fn read(&self, position: u64, len: usize) -> io::Result<Bytes> {
        if position.checked_add(len as u64).is_none_or(|end| end > self.len) {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if let Some(mapping) = self.view() {
            let slice = mapping.slice(index(position)?, len, index(self.len)?);
            return slice.ok_or_else(|| ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = vec![0; len];
        self.raw()?.read_exact_at(position, &mut bytes)?;
        Ok(bytes.into())
    }

    /// What to sync; `None` when the file was only read.
    pub(crate) fn sync_handle(&self) -> Option<RawFile> {
        self.raw.clone()
    }

    /// Gives the descriptor back, if reading works without it. For files that are sealed and synced.
    pub(crate) fn release_descriptor(&mut self) {
        if self.mapping.get().is_some() {
            self.raw = None;
        }
    }

    /// The mapping, made if there is none. Where none can be made (too many, say), reads go through the file.
    fn view(&self) -> Option<&Mapping> {
        if let Some(mapping) = self.mapping.get() {
            return Some(mapping);
        }
        if !self.mapped || self.len == 0 {
            return None;
        }
        let ahead = self.len.max(SMALLEST_MAPPING).saturating_mul(MAPPING_AHEAD);
        let len = index(ahead.min(self.limit.max(self.len))).ok()?;
        let mapping = Mapping::new(self.raw.as_ref()?.system()?, len).ok()?;
        Some(self.mapping.get_or_init(|| mapping))
    }

    fn raw(&self) -> io::Result<&RawFile> {
        self.raw.as_ref().ok_or_else(|| ErrorKind::NotFound.into())
    }
}

fn index(bytes: u64) -> io::Result<usize> {
    usize::try_from(bytes).map_err(|_| ErrorKind::InvalidInput.into())
}
