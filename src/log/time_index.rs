//! `.timeindex`: maps a timestamp to an offset up to which no record is newer.
//!
//! An entry is 12 bytes: `i64` largest timestamp so far, and `i32` last offset (relative to the segment's base offset) of
//! the batch with that timestamp. An entry is added together with an offset index entry, if the timestamp has grown. A
//! final one is added when a segment is sealed or closed.

use std::io;

use super::file::Disk;
use super::index_file::{Entry, IndexFile, field};
use ottla_wire::types::{NO_TIMESTAMP, Offset, TimestampMs};

pub(crate) type TimeIndex = IndexFile<TimeEntry>;

/// The largest timestamp up to and including the batch that ends with `offset`, which has that timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeEntry {
    pub(crate) timestamp: TimestampMs,
    pub(crate) offset: Offset,
}

impl TimeEntry {
    /// The entry of a segment without timestamps.
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
    /// Adds an entry if its timestamp is larger than that of the last entry.
    pub(crate) fn advance(&mut self, entry: TimeEntry) {
        if entry.timestamp > self.newest().timestamp {
            self.push(entry);
        }
    }

    /// The last entry, or "no timestamp".
    pub(crate) fn newest(&self) -> TimeEntry {
        self.last().unwrap_or(TimeEntry::none(self.base()))
    }

    /// The last entry with a timestamp at or below `timestamp`.
    pub(crate) fn at_or_before(&self, disk: &Disk, timestamp: TimestampMs) -> io::Result<Option<TimeEntry>> {
        Ok(self.floor(disk, |entry| entry.timestamp <= timestamp)?.map(|(_, entry)| entry))
    }
}
