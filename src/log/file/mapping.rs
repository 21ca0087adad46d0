//! The crate's only `unsafe`: a file's bytes as memory, written at the end while earlier bytes are read.
//!
//! Invariant: bytes below `published` never change again, and slices are only ever made of those. So the one
//! writer (`&mut self`) and any number of readers (`Bytes`, which outlive the lock) touch disjoint bytes. A
//! larger mapping of the same file replaces a smaller one; readers keep the smaller one alive.
//!
//! What the type can't rule out is another process that cuts or overwrites the file: `.lock` keeps other
//! brokers away, and the owner never cuts a file below `published`.

use std::fs::File;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use memmap2::{MmapOptions, MmapRaw};

/// A mapped file of which the first `published` bytes may be read.
#[derive(Debug)]
pub(super) struct Mapping {
    map: Arc<MmapRaw>,
    published: usize,
}

impl Mapping {
    /// Maps `len` bytes for writing; `len` may exceed the file, as long as nothing beyond its end is touched.
    pub(super) fn writable(file: &File, len: usize, published: usize) -> io::Result<Mapping> {
        if published > len {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        let map = MmapOptions::new().len(len).map_raw(file)?;
        Ok(Mapping { map: Arc::new(map), published })
    }

    /// Maps the whole of a file that doesn't change any more.
    pub(super) fn read_only(file: &File, len: usize) -> io::Result<Mapping> {
        let map = MmapOptions::new().len(len).map_raw_read_only(file)?;
        Ok(Mapping { map: Arc::new(map), published: len })
    }

    /// How many bytes are mapped.
    pub(super) fn len(&self) -> usize {
        self.map.len()
    }

    /// Stores the parts one after the other behind what is published, then publishes them.
    ///
    /// The caller has made sure that the file itself reaches that far; the mapping's own end is checked here.
    pub(super) fn append(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        let total: usize = parts.iter().map(|part| part.len()).sum();
        let end = self.published.checked_add(total).filter(|end| *end <= self.map.len());
        let end = end.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        let mut at = self.published;
        for part in parts {
            // SAFETY: `at + part.len() <= end <= map.len()`, so the destination is mapped. Nothing reads
            // there: slices end at `published`, which is at most `at`. `part` is borrowed memory that can't
            // overlap the unpublished bytes for the same reason.
            unsafe { std::ptr::copy_nonoverlapping(part.as_ptr(), self.map.as_mut_ptr().add(at), part.len()) };
            at += part.len();
        }
        self.published = end;
        Ok(())
    }

    /// A view of published bytes that stays valid however long it is held; `None` beyond them.
    pub(super) fn slice(&self, position: usize, len: usize) -> Option<Bytes> {
        let end = position.checked_add(len).filter(|end| *end <= self.published)?;
        Some(Bytes::from_owner(Range { map: Arc::clone(&self.map), position, end }))
    }
}

/// Published bytes of a mapping, kept mapped.
struct Range {
    map: Arc<MmapRaw>,
    position: usize,
    end: usize,
}

impl AsRef<[u8]> for Range {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: `position <= end <= published <= map.len()` held when the range was made, the mapping lives
        // as long as `self`, and published bytes are never written again.
        unsafe { std::slice::from_raw_parts(self.map.as_ptr().add(self.position), self.end - self.position) }
    }
}
