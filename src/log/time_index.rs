//! `.timeindex`: from a timestamp to an offset before which nothing is newer.
//!
//! An entry is 12 bytes: `i64` the greatest timestamp so far, `i32` last offset (relative to the segment's base)
//! of the batch that has it. Entries come with those of the offset index, when the timestamp has grown; a
//! segment that is sealed or closed gets a final one.

use std::io;

use super::file::Disk;
use super::index_file::{Entry, IndexFile, field};
use ottla_wire::types::{NO_TIMESTAMP, Offset, TimestampMs};

pub(crate) type TimeIndex = IndexFile<TimeEntry>;

/// "Up to the batch that ends with `offset`, nothing is newer than `timestamp`, which that batch has."
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeEntry {
    pub(crate) timestamp: TimestampMs,
    pub(crate) offset: Offset,
}

impl TimeEntry {
    /// What a segment without timestamps starts from.
    pub(crate) fn none(base: Offset) -> TimeEntry {
        TimeEntry { timestamp: NO_TIMESTAMP, offset: base }
    }
}

impl Entry for TimeEntry {
    const SIZE: usize = 12;

    fn encode(&self, base: Offset, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.timestamp.to_be_bytes());
        out.extend_from_slice(&((self.offset - base) as i32).to_be_bytes());
    }

    fn decode(base: Offset, bytes: &[u8]) -> TimeEntry {
        let relative = i32::from_be_bytes(field(bytes, 8));
        TimeEntry { timestamp: i64::from_be_bytes(field(bytes, 0)), offset: base.saturating_add(i64::from(relative)) }
    }
}

impl TimeIndex {
    /// Adds an entry if its timestamp is greater than the last one's.
    pub(crate) fn advance(&mut self, entry: TimeEntry) {
        if entry.timestamp > self.newest().timestamp {
            self.push(entry);
        }
    }

    /// The last entry, or "no timestamp".
    pub(crate) fn newest(&self) -> TimeEntry {
        self.last().unwrap_or(TimeEntry::none(self.base()))
    }

    /// The last entry whose timestamp is not above `timestamp`.
    pub(crate) fn at_or_before(&self, disk: &Disk, timestamp: TimestampMs) -> io::Result<Option<TimeEntry>> {
        Ok(self.floor(disk, |entry| entry.timestamp <= timestamp)?.map(|(_, entry)| entry))
    }
}
