//! The crate's only `unsafe`: a file's bytes as memory, and ([`faults`]) what happens where they can't be read.
//!
//! Mappings are only read, and only by the kernel, which sends from them what clients fetch: what a broker looks at itself
//! is read with system calls (see `DataFile`). So a file that somebody cuts, or a disk that fails, is an error for
//! whoever sends or reads, and not a signal. Records are appended with system calls, which the page cache shows to every mapping of
//! the file at once: measured on ext4 that costs less than half of the CPU time of storing through a mapping,
//! where each fresh page is a fault and a journal entry, and a full disk is an error instead of a signal.
//!
//! Invariant: slices are made only of bytes below what the owner has published, and published bytes never change
//! again; the owner never writes there nor cuts the file below. So what a slice shows is constant. What the type
//! can't rule out is another process that cuts or overwrites the file, though `.lock` keeps other brokers away: bytes in
//! mapped memory may then change, and `faults` is for those that go.

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

/// Counts mappings, those included that only a slice keeps: the system allows a process so many, and what it
/// refuses then may be memory.
#[derive(Clone, Debug)]
pub(super) struct Mapped {
    count: Arc<AtomicUsize>,
    most: usize,
}

impl Mapped {
    pub(super) fn at_most(most: usize) -> Mapped {
        Mapped { count: Arc::default(), most }
    }

    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

/// A file mapped from its beginning, possibly further than it reaches.
#[derive(Debug)]
pub(super) struct Mapping {
    map: Arc<Counted>,
}

#[derive(Debug)]
struct Counted {
    /// Dropped before the mapping is.
    registration: Registration,
    map: MmapRaw,
    count: Arc<AtomicUsize>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Mapping {
    /// Maps `len` bytes; `len` may exceed the file, as long as nothing beyond its end is read.
    pub(super) fn new(file: &File, len: usize) -> io::Result<Mapping> {
        Mapping::among(&Mapped::at_most(1), file, len)
    }

    /// As [`Mapping::new`], as one of many; an error if there are too many already.
    pub(super) fn among(mapped: &Mapped, file: &File, len: usize) -> io::Result<Mapping> {
        if mapped.count() >= mapped.most {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        let map = MmapOptions::new().len(len).map_raw_read_only(file)?;
        let registration = Registration::new(map.as_ptr(), map.len());
        mapped.count.fetch_add(1, Ordering::Relaxed);
        Ok(Mapping { map: Arc::new(Counted { registration, map, count: Arc::clone(&mapped.count) }) })
    }

    /// How many bytes are mapped.
    pub(super) fn len(&self) -> usize {
        self.map.map.len()
    }

    /// Whether a page of it could not be read: the file was cut, or the disk fails.
    pub(super) fn is_faulty(&self) -> bool {
        self.map.registration.is_faulty()
    }

    /// A view of bytes that stays valid however long it is held; `None` beyond what is published or mapped.
    pub(super) fn slice(&self, position: usize, len: usize, published: usize) -> Option<Bytes> {
        let end = position.checked_add(len).filter(|end| *end <= published.min(self.len()))?;
        Some(Bytes::from_owner(Range { map: Arc::clone(&self.map), position, end }))
    }
}

/// Published bytes of a mapping, kept mapped.
struct Range {
    map: Arc<Counted>,
    position: usize,
    end: usize,
}

impl AsRef<[u8]> for Range {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: `position <= end <= map.len()` held when the range was made and the mapping lives as long as
        // `self`. The bytes are published, so they are in the file and nobody writes them again; should somebody cut
        // the file, `faults` has zeros read in their place.
        unsafe { std::slice::from_raw_parts(self.map.map.as_ptr().add(self.position), self.end - self.position) }
    }
}
