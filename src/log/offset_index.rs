//! `.index`: maps an offset to the position of a batch at or before it.
//!
//! An entry is 8 bytes: `i32` last offset of the batch, relative to the segment's base offset, and `i32` position of the
//! batch. An entry is added when more than `index.interval.bytes` were appended since the last one.

use std::io;

use super::file::Disk;
use super::index_file::{Entry, IndexFile, field};
use ottla_wire::types::Offset;

pub(crate) type OffsetIndex = IndexFile<OffsetEntry>;

/// The last offset and the position of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OffsetEntry {
    pub(crate) offset: Offset,
    pub(crate) position: u64,
}

impl Entry for OffsetEntry {
    const SIZE: usize = 8;

    fn encode(&self, base: Offset, out: &mut Vec<u8>) {
        // Segments are rolled before a value exceeds an i32.
        out.extend_from_slice(&((self.offset - base) as i32).to_be_bytes());
        out.extend_from_slice(&(self.position as i32).to_be_bytes());
    }

    fn decode(base: Offset, bytes: &[u8]) -> OffsetEntry {
        let relative = i32::from_be_bytes(field(bytes, 0));
        let position = i32::from_be_bytes(field(bytes, 4));
        OffsetEntry { offset: base.saturating_add(i64::from(relative)), position: u64::from(position.max(0) as u32) }
    }
}

impl OffsetIndex {
    /// The last entry with an offset at or below `offset`.
    pub(crate) fn at_or_before(&self, disk: &Disk, offset: Offset) -> io::Result<Option<OffsetEntry>> {
        Ok(self.floor(disk, |entry| entry.offset <= offset)?.map(|(_, entry)| entry))
    }

    /// Whether the last entry is possible in a segment of `size` bytes. Preallocated zeros (from Kafka) and entries beyond
    /// the data are not.
    pub(crate) fn is_plausible(&self, size: u64) -> bool {
        self.last().is_none_or(|last| last.position > 0 && last.position < size && last.offset >= self.base())
    }
}
