//! A segment's records: appended at the end, read without copying where the backing is a mapping.
//!
//! Another process may truncate or remove the file while it is in use. Each read whose bytes are sent first compares the
//! file's length with the published length (a cheap system call), so that no zeros are served. The appender calls
//! [`DataFile::check_length`] as often as it can afford to, so that little is written behind a hole. Bytes in a mapping
//! are only for the kernel to send; bytes that the broker itself examines are read with system calls, which return an
//! error where touching a mapping would raise a signal.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use super::mapping::Mapping;
use super::pool::Pooled;
use super::pooled_file::PooledFile;
use super::{Disk, RawFile};

/// A mapping is at least this long, and this many times longer than the file: address space is free, while each page of
/// a new mapping faults once more.
const SMALLEST_MAPPING: u64 = 64 << 10;
const MAPPING_AHEAD: u64 = 8;
/// Shorter reads are copied: the encoder copies such bytes as well, and must not do so from a mapping (see
/// `codec::Writer`).
pub(super) const VIEWED_FROM: usize = 4 << 10;

/// A change that another process made to a file in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExternalChange {
    /// The file was truncated: `left` of its `of` bytes remain.
    Truncated { left: u64, of: u64 },
    /// The file's name was removed, or refers to another file.
    Removed,
}

impl fmt::Display for ExternalChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExternalChange::Truncated { left, of } => {
                write!(f, "the file was truncated while it was in use: {left} of {of} bytes are left")
            }
            ExternalChange::Removed => f.write_str("the file was removed or replaced while it was in use"),
        }
    }
}

impl std::error::Error for ExternalChange {}

impl From<ExternalChange> for io::Error {
    fn from(change: ExternalChange) -> io::Error {
        io::Error::new(ErrorKind::UnexpectedEof, change)
    }
}

/// A segment's `.log` file. Its descriptor and mapping are pooled: opened when needed, closed when the pool is full.
#[derive(Debug)]
pub(crate) struct DataFile {
    disk: Disk,
    /// The published length: bytes of whole batches. The file may be longer after a failed write.
    len: u64,
    /// No mapping is longer than this, unless the file is.
    limit: u64,
    raw: PooledFile,
    /// Opened by the first long read.
    mapping: Pooled<Mapping>,
    /// A mapping had an unreadable page: the file is read with system calls, which report the error.
    unmappable: AtomicBool,
    writable: bool,
    /// Disk space was reserved that may not be needed.
    reserved: bool,
}

impl DataFile {
    /// Opens (or creates) the file that is appended to and truncates it to `len`, the bytes that are known to be whole
    /// batches. It is expected to grow to `limit`.
    pub(crate) fn open_tail(disk: &Disk, path: &Path, len: u64, limit: u64) -> io::Result<DataFile> {
        let raw = match len {
            0 => disk.open_to_write(path)?,
            _ => disk.open_existing_to_write(path).map_err(removed)?,
        };
        check_reaches(&raw, len)?;
        if raw.len()? > len {
            raw.set_len(len)?;
        }
        let raw = PooledFile::open(disk, path, raw, true);
        Ok(DataFile::new(disk, raw, len, limit, true))
    }

    /// Opens a file that is only read, of which the first `len` bytes are whole batches.
    pub(crate) fn open_sealed(disk: &Disk, path: &Path, len: u64) -> io::Result<DataFile> {
        let raw = disk.open_to_read(path)?.ok_or(ExternalChange::Removed)?;
        check_reaches(&raw, len)?;
        let raw = PooledFile::open(disk, path, raw, false);
        Ok(DataFile::new(disk, raw, len, len, false))
    }

    fn new(disk: &Disk, raw: PooledFile, len: u64, limit: u64, writable: bool) -> DataFile {
        let mapping = Pooled::closed(disk.mappings());
        let unmappable = AtomicBool::new(false);
        DataFile { disk: disk.clone(), len, limit, raw, mapping, unmappable, writable, reserved: false }
    }

    /// Returns the published length: bytes of whole batches.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Returns whether the file was opened for appending.
    pub(crate) fn is_writable(&self) -> bool {
        self.writable
    }

    /// Reserves disk space for the expected size. The file's length does not change, so that every reader, Apache Kafka
    /// included, finds records up to its end.
    pub(crate) fn reserve(&mut self) {
        let limit = self.limit;
        self.reserved = self.raw.with(|raw| raw.reserve(limit)).is_ok();
    }

    /// Frees reserved disk space that was not used.
    pub(crate) fn free_reserved(&mut self) -> io::Result<()> {
        match std::mem::take(&mut self.reserved) {
            true => self.raw.with(RawFile::free_reserved),
            false => Ok(()),
        }
    }

    /// Appends two parts as one, and publishes them. After an error the file may be longer than the published length.
    pub(crate) fn append(&mut self, head: &[u8], body: &[u8]) -> io::Result<()> {
        self.raw.with(|raw| raw.write_parts_at(self.len, head, body)).map_err(removed)?;
        self.len += (head.len() + body.len()) as u64;
        Ok(())
    }

    /// Returns the bytes at `position`, to be sent and not examined, because they may be in a mapping of the file. Fails
    /// if they are not published.
    pub(crate) fn read(&self, position: u64, len: usize) -> io::Result<Bytes> {
        self.check_published(position, len)?;
        self.check_length()?;
        match self.view(position, len) {
            Some(view) => Ok(view),
            None => self.copy_unchecked(position, len),
        }
    }

    /// Returns a copy of the bytes at `position`, to be examined. Fails if they are not published.
    pub(crate) fn copy(&self, position: u64, len: usize) -> io::Result<Bytes> {
        self.check_length()?;
        self.copy_unchecked(position, len)
    }

    /// Like [`DataFile::copy`] without the check of the file's length, for callers that verify the batch: in a file that
    /// was truncated the bytes may be wrong.
    pub(crate) fn copy_unchecked(&self, position: u64, len: usize) -> io::Result<Bytes> {
        self.check_published(position, len)?;
        let mut bytes = vec![0; len];
        let read = self.raw.with(|raw| {
            raw.read_exact_at(position, &mut bytes).or_else(|error| {
                // The file may have been truncated.
                check_reaches(raw, self.len)?;
                Err(error)
            })
        });
        read.map_err(removed)?;
        Ok(bytes.into())
    }

    /// Fails if the file is shorter than the published length: an append would leave a hole behind the end.
    pub(crate) fn check_length(&self) -> io::Result<()> {
        self.raw.with(|raw| check_reaches(raw, self.len)).map_err(removed)
    }

    /// Fails if the file is shorter than the published length, or no longer under its name: records appended to a removed
    /// file are lost when it is closed.
    pub(crate) fn check(&self) -> io::Result<()> {
        let checked = self.raw.with(|raw| {
            check_reaches(raw, self.len)?;
            if raw.is_removed()? { Err(ExternalChange::Removed.into()) } else { Ok(()) }
        });
        checked.map_err(removed)
    }

    fn check_published(&self, position: u64, len: usize) -> io::Result<()> {
        match position.checked_add(len as u64) {
            Some(end) if end <= self.len => Ok(()),
            _ => Err(ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Returns the bytes as a slice of a mapping; `None` if they are few, or if the file can't be mapped (for instance
    /// because there are too many mappings).
    fn view(&self, position: u64, len: usize) -> Option<Bytes> {
        if len < VIEWED_FROM {
            return None;
        }
        let (position, published) = (index(position)?, index(self.len)?);
        self.with_mapping(|mapping| mapping.slice(position, len, published)).flatten()
    }

    /// Returns a handle for syncing the file.
    pub(crate) fn sync_handle(&self) -> PooledFile {
        self.raw.clone()
    }

    /// Closes descriptor and mapping until the next use.
    pub(crate) fn close(&self) {
        self.mapping.close();
        self.raw.close();
    }

    fn with_mapping<R>(&self, work: impl FnOnce(&Mapping) -> R) -> Option<R> {
        if !self.disk.is_mapped() || self.unmappable.load(Ordering::Relaxed) {
            return None;
        }
        if self.mapping.if_open(Mapping::is_faulty) == Some(true) {
            self.unmappable.store(true, Ordering::Relaxed);
            self.mapping.close();
            return None;
        }
        // A mapping that is too short is replaced; slices of it keep it alive.
        let covers_published = |mapping: &Mapping| mapping.len() as u64 >= self.len;
        self.mapping.with(covers_published, || self.map(), work).ok()
    }

    fn map(&self) -> io::Result<Mapping> {
        let ahead = self.len.max(SMALLEST_MAPPING).saturating_mul(MAPPING_AHEAD);
        let len = index(ahead.min(self.limit.max(self.len))).ok_or(ErrorKind::InvalidInput)?;
        let map = |raw: &RawFile| match raw.system() {
            Some(file) => Mapping::counted(self.disk.mapping_count(), file, len),
            None => Err(ErrorKind::Unsupported.into()),
        };
        // A descriptor opened only for the mapping is not pooled.
        self.raw.if_open(map).unwrap_or_else(|| map(&self.raw.reopened()?))
    }
}

/// Fails if the file is shorter than `published`.
fn check_reaches(raw: &RawFile, published: u64) -> io::Result<()> {
    match raw.end()? {
        left if left < published => Err(ExternalChange::Truncated { left, of: published }.into()),
        _ => Ok(()),
    }
}

/// Turns "not found" into [`ExternalChange::Removed`]: the file existed before.
fn removed(error: io::Error) -> io::Error {
    if error.kind() == ErrorKind::NotFound { ExternalChange::Removed.into() } else { error }
}

fn index(bytes: u64) -> Option<usize> {
    usize::try_from(bytes).ok()
}
