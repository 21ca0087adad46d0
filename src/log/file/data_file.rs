//! A segment's records: appended at the end, given out without copying where the backing is a mapping.
//!
//! The file may be cut or removed by somebody else while it is in use. Each read that is to be sent first compares the
//! file's length with what is published (a system call that costs little), so that no zeros are served; whoever appends
//! calls [`DataFile::check_length`] as often as it can afford to, so that little is written behind a hole. Bytes in a
//! mapping are for the kernel to send; what is looked at here is read with system calls, which report what would be a
//! signal in a mapping.

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use super::mapping::Mapping;
use super::pool::Kept;
use super::pooled_file::PooledFile;
use super::{Disk, RawFile};

/// A mapping reaches at least this far, and this many times further than the file: address space is free, while a
/// new mapping has to be touched anew.
const SMALLEST_MAPPING: u64 = 64 << 10;
const MAPPING_AHEAD: u64 = 8;
/// Less than this is copied: who sends it copies it too, and may not do so from a mapping (see `codec::Writer`).
pub(super) const VIEWED_FROM: usize = 4 << 10;

/// What somebody else has done to a file in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// It was cut: `left` bytes are left of those that were there.
    Cut { left: u64, of: u64 },
    /// Its name is gone, or another file's.
    Removed,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Loss::Cut { left, of } => write!(f, "the file was cut while it was in use: {left} of {of} bytes are left"),
            Loss::Removed => f.write_str("the file was removed or replaced while it was in use"),
        }
    }
}

impl std::error::Error for Loss {}

impl From<Loss> for io::Error {
    fn from(loss: Loss) -> io::Error {
        io::Error::new(ErrorKind::UnexpectedEof, loss)
    }
}

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
    /// Made by the first read of much.
    mapping: Kept<Mapping>,
    /// A mapping had a page that can't be read: system calls say what is wrong with it.
    unmappable: AtomicBool,
    writable: bool,
    /// Room was asked for that may not be needed.
    reserved: bool,
}

impl DataFile {
    /// Opens (or creates) the file that is appended to, of which `len` bytes are known to be whole batches.
    /// What lies behind them is cut off. It is expected to grow to `limit`.
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
        let raw = disk.open_to_read(path)?.ok_or(Loss::Removed)?;
        check_reaches(&raw, len)?;
        let raw = PooledFile::open(disk, path, raw, false);
        Ok(DataFile::new(disk, raw, len, len, false))
    }

    fn new(disk: &Disk, raw: PooledFile, len: u64, limit: u64, writable: bool) -> DataFile {
        let mapping = Kept::nothing(disk.mappings());
        let unmappable = AtomicBool::new(false);
        DataFile { disk: disk.clone(), len, limit, raw, mapping, unmappable, writable, reserved: false }
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
        self.raw.with(|raw| raw.write_parts_at(self.len, head, body)).map_err(removed)?;
        self.len += (head.len() + body.len()) as u64;
        Ok(())
    }

    /// The bytes at `position`, to be sent: not to be looked at, for they may be in a mapping of the file. They must be
    /// there.
    pub(crate) fn read(&self, position: u64, len: usize) -> io::Result<Bytes> {
        self.check_published(position, len)?;
        self.check_length()?;
        match self.view(position, len) {
            Some(view) => Ok(view),
            None => self.copy_unchecked(position, len),
        }
    }

    /// The bytes at `position`, to be looked at. They must be there.
    pub(crate) fn copy(&self, position: u64, len: usize) -> io::Result<Bytes> {
        self.check_length()?;
        self.copy_unchecked(position, len)
    }

    /// Like [`DataFile::copy`], for callers that find out whether these are the bytes of a batch: in a file that was cut
    /// they may be others.
    pub(crate) fn copy_unchecked(&self, position: u64, len: usize) -> io::Result<Bytes> {
        self.check_published(position, len)?;
        let mut bytes = vec![0; len];
        let read = self.raw.with(|raw| {
            raw.read_exact_at(position, &mut bytes).or_else(|error| {
                // Perhaps it was cut.
                check_reaches(raw, self.len)?;
                Err(error)
            })
        });
        read.map_err(removed)?;
        Ok(bytes.into())
    }

    /// Fails if the file is shorter than what is published. Behind the end of one that was cut, appends leave a hole.
    pub(crate) fn check_length(&self) -> io::Result<()> {
        self.raw.with(|raw| check_reaches(raw, self.len)).map_err(removed)
    }

    /// Finds out whether the file is still there, as long as it should be, and under its name: what is appended to a
    /// file that was removed is gone when it is closed.
    pub(crate) fn check(&self) -> io::Result<()> {
        let checked = self.raw.with(|raw| {
            check_reaches(raw, self.len)?;
            if raw.is_removed()? { Err(Loss::Removed.into()) } else { Ok(()) }
        });
        checked.map_err(removed)
    }

    fn check_published(&self, position: u64, len: usize) -> io::Result<()> {
        match position.checked_add(len as u64) {
            Some(end) if end <= self.len => Ok(()),
            _ => Err(ErrorKind::UnexpectedEof.into()),
        }
    }

    /// The bytes in a mapping; `None` if they are few, or there is no mapping and none can be made (there are too many,
    /// say).
    fn view(&self, position: u64, len: usize) -> Option<Bytes> {
        if len < VIEWED_FROM {
            return None;
        }
        let (position, published) = (index(position)?, index(self.len)?);
        self.with_mapping(|mapping| mapping.slice(position, len, published)).flatten()
    }

    /// What to sync.
    pub(crate) fn sync_handle(&self) -> PooledFile {
        self.raw.clone()
    }

    /// Gives back all that the next use can open again.
    pub(crate) fn release(&self) {
        self.mapping.close();
        self.raw.close();
    }

    fn with_mapping<R>(&self, then: impl FnOnce(&Mapping) -> R) -> Option<R> {
        if !self.disk.is_mapped() || self.unmappable.load(Ordering::Relaxed) {
            return None;
        }
        if self.mapping.if_open(Mapping::is_faulty) == Some(true) {
            self.unmappable.store(true, Ordering::Relaxed);
            self.mapping.close();
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

/// Fails if the file is shorter than what is published of it.
fn check_reaches(raw: &RawFile, published: u64) -> io::Result<()> {
    match raw.end()? {
        left if left < published => Err(Loss::Cut { left, of: published }.into()),
        _ => Ok(()),
    }
}

/// A file that can't be opened again because there is none was removed.
fn removed(error: io::Error) -> io::Error {
    if error.kind() == ErrorKind::NotFound { Loss::Removed.into() } else { error }
}

fn index(bytes: u64) -> Option<usize> {
    usize::try_from(bytes).ok()
}
