//! The age of what a group has not read: `kafka_consumergroup_group_lag_seconds`.
//!
//! It is the time since the timestamp of the first record of the batch that contains the committed offset: the next
//! record that the group will read. A group that has read everything has a lag of 0. kafka-lag-exporter has no timestamps,
//! and estimates when the log had that end.
//!
//! A batch is read from the log once for each committed offset, and at most [`MAX_READS`] in one scrape; groups for
//! which there are no more reads have no value in that scrape.

use std::collections::HashMap;

use parking_lot::Mutex;

use super::super::partition::{Isolation, LogFigures, Partition};
use ottla_wire::record::BatchHeader;
use ottla_wire::types::{Offset, TimestampMs, TopicPartition};

/// Batches that are read in one scrape.
const MAX_READS: usize = 1_000;

/// The timestamps at committed offsets, as the last scrape found them.
#[derive(Default)]
pub(super) struct Timestamps(Mutex<HashMap<(TopicPartition, Offset), TimestampMs>>);

/// The timestamps for one scrape.
pub(super) struct Lookup<'a> {
    last: &'a Timestamps,
    known: HashMap<(TopicPartition, Offset), TimestampMs>,
    found: HashMap<(TopicPartition, Offset), TimestampMs>,
    reads_left: usize,
}

impl Timestamps {
    pub fn begin(&self) -> Lookup<'_> {
        let known = std::mem::take(&mut *self.0.lock());
        Lookup { last: self, known, found: HashMap::new(), reads_left: MAX_READS }
    }
}

impl Lookup<'_> {
    /// The age in seconds of the record at a committed offset; 0 at the end of the log. `None` if it is not known.
    pub fn lag_seconds(
        &mut self,
        partition: &Partition,
        log: &LogFigures,
        committed: Offset,
        now: TimestampMs,
    ) -> Option<f64> {
        if committed >= log.end {
            return Some(0.0);
        }
        let key = (partition.id().clone(), committed.max(log.start));
        let timestamp = match self.found.get(&key).or_else(|| self.known.get(&key)) {
            Some(timestamp) => *timestamp,
            None => {
                self.reads_left = self.reads_left.checked_sub(1)?;
                timestamp_at(partition, key.1)?
            }
        };
        self.found.insert(key, timestamp);
        Some((now.saturating_sub(timestamp).max(0)) as f64 / 1e3)
    }
}

impl Drop for Lookup<'_> {
    fn drop(&mut self) {
        *self.last.0.lock() = std::mem::take(&mut self.found);
    }
}

/// The timestamp of the first record of the batch at an offset.
fn timestamp_at(partition: &Partition, offset: Offset) -> Option<TimestampMs> {
    let read = partition.read_copied(offset, 1, true, Isolation::ReadUncommitted).ok()?;
    let header = BatchHeader::parse_any(&read.slice.bytes).ok()?;
    let timestamp = if header.delete_horizon().is_some() { header.max_timestamp } else { header.base_timestamp };
    (timestamp >= 0).then_some(timestamp)
}
