//! The crate's only `unsafe` code: a file's bytes as memory, and ([`faults`]) the handling of pages that can't be read.
//!
//! Mappings are only read, and only by the kernel, which sends fetched records from them; bytes that the broker itself
//! examines are read with system calls (see `DataFile`). So a truncated file or a failing disk is an error for the sender
//! or reader, not a signal. Records are appended with system calls; the page cache shows them in every mapping of the
//! file at once. Measured on ext4, this takes less than half of the CPU time of stores through a mapping, where each
//! new page causes a page fault and a journal entry; and a full disk is an error instead of a signal.
//!
//! Invariant: slices cover only published bytes, those below the length that the owner passes to [`Mapping::slice`].
//! Published bytes never change: the owner neither overwrites them nor truncates the file to less than that length. So
//! the content of a slice is constant. Another process may still truncate or overwrite the file (`.lock` excludes only
//! other brokers). Then mapped bytes may change, and `faults` handles pages that can no longer be read.

pub mod faults;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use memmap2::{MmapOptions, MmapRaw};

use faults::Registration;

/// A bounded count of mappings, including those that are only used by slices. The system limits the number of mappings
/// of a process; beyond that limit allocations of memory may fail too.
#[derive(Clone, Debug)]
pub(super) struct MappingCount {
    count: Arc<AtomicUsize>,
    limit: usize,
}

impl MappingCount {
    pub(super) fn with_limit(limit: usize) -> MappingCount {
        MappingCount { count: Arc::default(), limit }
    }

    pub(super) fn get(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

/// A file mapped from its beginning, possibly beyond its end.
#[derive(Debug)]
pub(super) struct Mapping {
    map: Arc<CountedMmap>,
}

#[derive(Debug)]
struct CountedMmap {
    /// Declared before `map`, so that it is dropped first.
    registration: Registration,
    map: MmapRaw,
    count: Arc<AtomicUsize>,
}

impl Drop for CountedMmap {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Mapping {
    /// Maps `len` bytes; `len` may exceed the file's length, as long as nothing beyond its end is read.
    pub(super) fn new(file: &File, len: usize) -> io::Result<Mapping> {
        Mapping::counted(&MappingCount::with_limit(1), file, len)
    }

    /// Like [`Mapping::new`], counted in `count`; fails if its limit is reached.
    pub(super) fn counted(count: &MappingCount, file: &File, len: usize) -> io::Result<Mapping> {
        if count.get() >= count.limit {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        let map = MmapOptions::new().len(len).map_raw_read_only(file)?;
        let registration = Registration::new(map.as_ptr(), map.len());
        count.count.fetch_add(1, Ordering::Relaxed);
        Ok(Mapping { map: Arc::new(CountedMmap { registration, map, count: Arc::clone(&count.count) }) })
    }

    /// Returns the number of mapped bytes.
    pub(super) fn len(&self) -> usize {
        self.map.map.len()
    }

    /// Returns whether a page could not be read: the file was truncated, or the disk fails.
    pub(super) fn is_faulty(&self) -> bool {
        self.map.registration.is_faulty()
    }

    /// Returns a slice that stays valid as long as it is held; `None` beyond the published length or the mapping.
    pub(super) fn slice(&self, position: usize, len: usize, published: usize) -> Option<Bytes> {
        let end = position.checked_add(len).filter(|end| *end <= published.min(self.len()))?;
        Some(Bytes::from_owner(Range { map: Arc::clone(&self.map), position, end }))
    }
}

/// Published bytes of a mapping; keeps the mapping alive.
struct Range {
    map: Arc<CountedMmap>,
    position: usize,
    end: usize,
}

impl AsRef<[u8]> for Range {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: `position <= end <= map.len()` held when the range was made, and the mapping lives as long as
        // `self`. The bytes are published, so they are in the file and are never written again; if another process
        // truncates the file, `faults` maps zeros in their place.
        unsafe { std::slice::from_raw_parts(self.map.map.as_ptr().add(self.position), self.end - self.position) }
    }
}
