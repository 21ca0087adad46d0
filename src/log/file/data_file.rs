//! A segment's records: appended at the end, read without copying where the backing is a mapping.

use std::io::{self, ErrorKind};
use std::path::Path;

use bytes::Bytes;

use super::mapping::Mapping;
use super::pool::Kept;
use super::pooled_file::PooledFile;
use super::{Disk, RawFile};

/// A mapping reaches at least this far, and this many times further than the file: address space is free, while a
/// new mapping has to be touched anew.
const SMALLEST_MAPPING: u64 = 64 << 10;
const MAPPING_AHEAD: u64 = 8;

/// A segment's `.log` file. Descriptor and mapping are opened when they are needed, and closed when others need the
/// room.
#[derive(Debug)]
pub(crate) struct DataFile {
    disk: Disk,
    /// Bytes of whole batches: what is published. The file may be longer after a write that failed.
    len: u64,
    /// No mapping is made beyond this, unless the file is longer.
    limit: u64,
    raw: PooledFile,
    /// Made by the first read.
    mapping: Kept<Mapping>,
    writable: bool,
    /// Room was asked for that may not be needed.
    reserved: bool,
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
        let raw = PooledFile::open(disk, path, raw, true);
        Ok(DataFile::new(disk, raw, len, limit, true))
    }

    /// Opens a file that is only read, of which the first `len` bytes are whole batches.
    pub(crate) fn open_sealed(disk: &Disk, path: &Path, len: u64) -> io::Result<DataFile> {
        let raw = disk.open_to_read(path)?.ok_or(ErrorKind::NotFound)?;
        if raw.len()? < len {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let raw = PooledFile::open(disk, path, raw, false);
        let file = DataFile::new(disk, raw, len, len, false);
        if file.is_mapped() {
            file.release_descriptor();
        }
        Ok(file)
    }

    fn new(disk: &Disk, raw: PooledFile, len: u64, limit: u64, writable: bool) -> DataFile {
        let mapping = Kept::nothing(disk.mappings());
        DataFile { disk: disk.clone(), len, limit, raw, mapping, writable, reserved: false }
    }

    /// Bytes of whole batches.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Whether it was opened for appending.
    pub(crate) fn is_writable(&self) -> bool {
        self.writable
    }

    /// Asks for room for all that it is expected to hold. Its length stays what was written, so that whoever reads
    /// it, Apache Kafka too, finds records up to its end.
    pub(crate) fn reserve(&mut self) {
        let limit = self.limit;
        self.reserved = self.raw.with(|raw| raw.reserve(limit)).is_ok();
    }

    /// Gives back what was reserved and not used.
    pub(crate) fn give_back(&mut self) -> io::Result<()> {
        match std::mem::take(&mut self.reserved) {
            true => self.raw.with(RawFile::give_back),
            false => Ok(()),
        }
    }

    /// Appends two parts as one, and publishes them. After an error the file may hold more than is published.
    pub(crate) fn append(&mut self, head: &[u8], body: &[u8]) -> io::Result<()> {
        self.raw.with(|raw| raw.write_parts_at(self.len, head, body))?;
        self.len += (head.len() + body.len()) as u64;
        Ok(())
    }

    /// The bytes at `position`; without copying them if the file is mapped. They must be there.
    pub(crate) fn read(&self, position: u64, len: usize) -> io::Result<Bytes> {
        if position.checked_add(len as u64).is_none_or(|end| end > self.len) {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if let Some(view) = self.view(position, len) {
            return Ok(view);
        }
        let mut bytes = vec![0; len];
        self.raw.with(|raw| raw.read_exact_at(position, &mut bytes))?;
        Ok(bytes.into())
    }

    /// As [`DataFile::read`], where that costs no copy; `None` where it does: without a mapping, or if none can be
    /// made (there are too many, say).
    pub(crate) fn view(&self, position: u64, len: usize) -> Option<Bytes> {
        let (position, published) = (index(position)?, index(self.len)?);
        self.with_mapping(|mapping| mapping.slice(position, len, published)).flatten()
    }

    /// What to sync.
    pub(crate) fn sync_handle(&self) -> PooledFile {
        self.raw.clone()
    }

    /// Gives the descriptor back, if reading works without it. For files that are sealed and synced.
    pub(crate) fn release_descriptor(&self) {
        if self.mapping.if_open(|_| ()).is_some() {
            self.raw.close();
        }
    }

    /// Gives back all that the next use can open again.
    pub(crate) fn release(&self) {
        self.mapping.close();
        self.raw.close();
    }

    pub(super) fn is_mapped(&self) -> bool {
        self.with_mapping(|_| ()).is_some()
    }

    fn with_mapping<R>(&self, then: impl FnOnce(&Mapping) -> R) -> Option<R> {
        if !self.disk.is_mapped() || self.len == 0 {
            return None;
        }
        // Those who hold slices of one that is too short keep it alive.
        let reaches = |mapping: &Mapping| mapping.len() as u64 >= self.len;
        self.mapping.with(reaches, || self.map(), then).ok()
    }

    fn map(&self) -> io::Result<Mapping> {
        let ahead = self.len.max(SMALLEST_MAPPING).saturating_mul(MAPPING_AHEAD);
        let len = index(ahead.min(self.limit.max(self.len))).ok_or(ErrorKind::InvalidInput)?;
        let map = |raw: &RawFile| match raw.system() {
            Some(file) => Mapping::among(self.disk.mapped_now(), file, len),
            None => Err(ErrorKind::Unsupported.into()),
        };
        // For a mapping alone a descriptor isn't kept.
        self.raw.if_open(map).unwrap_or_else(|| map(&self.raw.reopened()?))
    }
}

fn index(bytes: u64) -> Option<usize> {
    usize::try_from(bytes).ok()
}
