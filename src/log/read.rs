//! Reading by offset and by timestamp, and the aborted transactions of a range.

use std::collections::VecDeque;

use super::error::IoContext;
use super::offset_index::OffsetEntry;
use super::segment::{Files, Located, Purpose, Segment};
use super::walk::Step;
use super::{AbortedTxn, Log, LogError, ReadError, Slice, TimestampOffset, TimestampQuery};
use ottla_wire::record::{BatchHeader, RecordError};
use ottla_wire::types::{Offset, TimestampMs};

/// Bytes to read back at most when a producer's window is refilled, and the size of the first step.
const MAX_LOOKBACK: u64 = 256 << 20;
const FIRST_LOOKBACK: u64 = 1 << 20;

impl Log {
    /// Reads whole batches of one segment, starting with the one that contains `from` or, in a gap, the next one. Returns
    /// at most `max_bytes`, and no batch that begins at `up_to` or later. With `at_least_one`, a first batch larger than
    /// `max_bytes` is returned whole.
    ///
    /// Only send the bytes, don't inspect them: they may be mapped from a file that another process can truncate.
    pub fn read(&self, from: Offset, max_bytes: usize, at_least_one: bool, up_to: Offset) -> Result<Slice, ReadError> {
        self.read_with_purpose(Purpose::Send, from, max_bytes, at_least_one, up_to)
    }

    /// Like [`Log::read`], but copies the bytes, so that the caller may inspect them.
    pub fn read_copied(
        &self,
        from: Offset,
        max_bytes: usize,
        at_least_one: bool,
        up_to: Offset,
    ) -> Result<Slice, ReadError> {
        self.read_with_purpose(Purpose::Inspect, from, max_bytes, at_least_one, up_to)
    }

    fn read_with_purpose(
        &self,
        purpose: Purpose,
        from: Offset,
        max_bytes: usize,
        at_least_one: bool,
        up_to: Offset,
    ) -> Result<Slice, ReadError> {
        self.check_readable()?;
        if from < self.start || from > self.end {
            return Err(ReadError::OutOfRange { asked: from, start: self.start, end: self.end });
        }
        let nothing = Slice { bytes: bytes::Bytes::new(), next_offset: from };
        if from >= up_to.min(self.end) {
            return Ok(nothing);
        }
        let Some((segment, located)) = self.locate(from)? else { return Ok(nothing) };
        if located.header.base_offset >= up_to {
            return Ok(nothing);
        }
        let files = segment.files(&self.folder)?;
        match files.read(&self.folder, segment.base(), &located, max_bytes, up_to, purpose)? {
            Some(slice) => Ok(slice),
            None if at_least_one => Ok(files.read_one(&self.folder, segment.base(), &located, purpose)?),
            None => Ok(nothing),
        }
    }

    /// Finds the first batch that ends at `from` or later, and its segment.
    fn locate(&self, from: Offset) -> Result<Option<(&Segment, Located)>, LogError> {
        for segment in self.segments[self.segment_of(from)..].iter().filter(|segment| segment.size() > 0) {
            if let Some(located) = segment.files(&self.folder)?.locate(&self.folder, segment.base(), from)? {
                return Ok(Some((segment, located)));
            }
        }
        Ok(None)
    }

    /// Finds an offset for ListOffsets. `Latest` is the log end offset; for read_committed, the caller limits it to
    /// [`Log::last_stable_offset`].
    pub fn offset_for_timestamp(&self, query: TimestampQuery) -> Result<Option<TimestampOffset>, LogError> {
        self.check_readable()?;
        match query {
            TimestampQuery::Earliest => Ok(Some(TimestampOffset::end_of_log(self.start, self.epochs.at(self.start)))),
            TimestampQuery::Latest => {
                Ok(Some(TimestampOffset::end_of_log(self.end, self.epochs.latest().unwrap_or(-1))))
            }
            TimestampQuery::Max => self.newest_record(),
            TimestampQuery::At(timestamp) => self.first_at_or_after(timestamp),
        }
    }

    /// The first readable offset and the largest timestamp of each segment, oldest first, for ListOffsets version 0. If no
    /// record has a timestamp, the file's modification time is used.
    pub fn segment_timestamps(&self) -> Result<Vec<(Offset, TimestampMs)>, LogError> {
        self.check_readable()?;
        let mark = |segment: &Segment| Ok((segment.base().max(self.start), segment.largest_timestamp(&self.folder)?));
        self.segments.iter().map(mark).collect()
    }

    fn newest_record(&self) -> Result<Option<TimestampOffset>, LogError> {
        let mut newest: Option<(TimestampMs, Offset)> = None;
        for segment in &self.segments {
            let entry = segment.newest(&self.folder)?;
            if entry.timestamp >= 0 && newest.is_none_or(|(timestamp, _)| entry.timestamp > timestamp) {
                newest = Some((entry.timestamp, entry.offset));
            }
        }
        let Some((_, offset)) = newest else { return Ok(None) };
        let Some((segment, located)) = self.locate(offset)? else { return Ok(None) };
        let batch = segment.files(&self.folder)?.batch(&self.folder, segment.base(), &located)?;
        let found = batch.max_timestamp_record().map_err(|error| self.unreadable(segment, &located, &error))?;
        Ok(found.map(|record| timestamp_offset(record.offset, record.timestamp, &located)))
    }

    fn first_at_or_after(&self, timestamp: TimestampMs) -> Result<Option<TimestampOffset>, LogError> {
        for segment in self.segments.iter().filter(|segment| segment.size() > 0) {
            let newest = segment.newest(&self.folder)?.timestamp;
            if newest < 0 && segment.largest_timestamp(&self.folder)? >= timestamp {
                // As in Kafka: no record has a timestamp (format 0), but by the file's time the record is in this segment.
                return Ok(None);
            }
            if newest < timestamp {
                continue;
            }
            if let Some(found) = self.first_in_segment(segment, timestamp)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn first_in_segment(&self, segment: &Segment, timestamp: TimestampMs) -> Result<Option<TimestampOffset>, LogError> {
        let files = segment.files(&self.folder)?;
        let disk = &self.folder.disk;
        let before =
            files.times.at_or_before(disk, timestamp.saturating_sub(1)).doing("reading", files.times.path())?;
        // All records up to the entry's batch are older.
        let from = before.map_or(self.start, |entry| entry.offset.saturating_add(1).max(self.start));
        let Some(first) = files.locate(&self.folder, segment.base(), from)? else { return Ok(None) };
        let mut walk = files.walk(first.position, segment.base());
        while let Step::Batch { position, header } = walk.step().doing("reading", files.offsets.path())? {
            if header.max_timestamp < timestamp {
                continue;
            }
            let located = Located { position, header };
            let batch = files.batch(&self.folder, segment.base(), &located)?;
            let found = batch
                .first_at_or_after(timestamp, self.start)
                .map_err(|error| self.unreadable(segment, &located, &error))?;
            if let Some(record) = found {
                return Ok(Some(timestamp_offset(record.offset, record.timestamp, &located)));
            }
        }
        Ok(None)
    }

    fn unreadable(&self, segment: &Segment, located: &Located, error: &RecordError) -> LogError {
        let path = self.folder.file(segment.base(), super::names::LOG);
        LogError::corrupt(&path, format!("the batch at position {}: {error}", located.position))
    }

    /// Aborted transactions with records in `from..up_to` (`up_to` = `Slice::next_offset`).
    pub fn aborted_transactions(&self, from: Offset, up_to: Offset) -> Result<Vec<AbortedTxn>, LogError> {
        let mut found = Vec::new();
        for segment in &self.segments[self.segment_of(from)..] {
            let aborted = segment.aborted(&self.folder)?;
            // The entries are in the order of their markers, and those before `from` cannot end the search: the last stable
            // offset never passes a marker.
            let first = aborted.partition_point(|txn| txn.last_offset < from);
            for txn in aborted.get(first..).unwrap_or_default() {
                if txn.first_offset < up_to {
                    found.push(*txn);
                }
                if txn.last_stable_offset >= up_to {
                    return Ok(found);
                }
            }
        }
        Ok(found)
    }

    /// The last `count` batches before `before` that are `wanted`, oldest first. Searches at most [`MAX_LOOKBACK`] bytes.
    pub(super) fn batches_before(
        &self,
        before: Offset,
        count: usize,
        wanted: impl Fn(&BatchHeader) -> bool,
    ) -> Result<Vec<BatchHeader>, LogError> {
        let mut found = VecDeque::new();
        let mut walked = 0;
        for segment in self.segments[..=self.segment_of(before.saturating_sub(1))].iter().rev() {
            if segment.size() == 0 || found.len() >= count || walked >= MAX_LOOKBACK {
                continue;
            }
            let files = segment.files(&self.folder)?;
            let mut end = match files.locate(&self.folder, segment.base(), before)? {
                Some(located) => located.position,
                None => segment.size(),
            };
            let mut step = FIRST_LOOKBACK;
            while end > 0 && found.len() < count && walked < MAX_LOOKBACK {
                let (start, headers) = self.headers_back(segment, files, end, step)?;
                for header in headers.into_iter().rev().filter(|header| wanted(header)) {
                    if found.len() < count {
                        found.push_front(header);
                    }
                }
                walked += end - start;
                (end, step) = (start, step * 2);
            }
        }
        Ok(found.into())
    }

    /// The batch headers in about `step` bytes before position `end`, and the position of the first one.
    fn headers_back(
        &self,
        segment: &Segment,
        files: &Files,
        end: u64,
        step: u64,
    ) -> Result<(u64, Vec<BatchHeader>), LogError> {
        let aim = end.saturating_sub(step);
        let indexed = files.offsets.floor(&self.folder.disk, |entry: &OffsetEntry| entry.position <= aim);
        let start = indexed.doing("reading", files.offsets.path())?.map_or(0, |(_, entry)| entry.position);
        let mut headers = Vec::new();
        let mut walk = files.walk(start, segment.base());
        while walk.position() < end {
            match walk.step().doing("reading", files.offsets.path())? {
                Step::Batch { header, .. } => headers.push(header),
                Step::End => break,
                Step::Broken { position } => return Err(files.no_batch_at(&self.folder, segment.base(), position)),
            }
        }
        Ok((start, headers))
    }
}

fn timestamp_offset(offset: Offset, timestamp: TimestampMs, located: &Located) -> TimestampOffset {
    TimestampOffset { offset, timestamp, leader_epoch: located.header.partition_leader_epoch }
}
