//! Which records of each batch are kept: the rules of Kafka's `Cleaner.cleanInto` and `MemoryRecords.filterTo`.

use std::collections::HashMap;

use bytes::Bytes;

use super::CompactionStats;
use super::cleaned::CleanedSegment;
use super::key_map::KeyMap;
use super::transactions::{Control, Marker, Transactions};
use crate::producers::LastRecord;
use ottla_wire::record::control::ControlType;
use ottla_wire::record::{
    Batch, BatchHeader, Expanded, Record, RecordError, RecordView, SparseBatch, put_empty_batch, with_records,
};
use ottla_wire::types::{Offset, ProducerId, TimestampMs};

/// Filters the batches of a log, which are passed in order, and writes the kept records to cleaned segments.
pub(super) struct Filter<'a> {
    /// When the compaction began.
    pub(super) now: TimestampMs,
    pub(super) delete_retention_ms: i64,
    pub(super) map: &'a KeyMap,
    /// The map covers records below this offset; all records from here on are kept.
    pub(super) mapped_to: Offset,
    /// The first offset that may not be compacted. The last batch below is kept, without records if necessary, so that
    /// the log's end offset can be recovered.
    pub(super) upper: Offset,
    pub(super) producers: &'a HashMap<ProducerId, LastRecord>,
    /// Whether tombstones in formats 0 and 1, which have no horizon, are kept in the segment that is read.
    pub(super) keeps_old_tombstones: bool,
    pub(super) transactions: &'a mut Transactions,
    pub(super) stats: &'a mut CompactionStats,
}

/// Reused memory for one batch at a time.
#[derive(Debug, Default)]
pub(super) struct FilterBuffers {
    /// Decompressed records of the batch that is read.
    pub(super) expanded: Vec<u8>,
    /// Records of the batch that is written.
    sparse: Vec<u8>,
    /// For each record, whether it is kept.
    kept: Vec<bool>,
}

impl FilterBuffers {
    /// Frees memory that was allocated for unusually large batches.
    pub(super) fn shrink_to(&mut self, bytes: usize) {
        for buffer in [&mut self.expanded, &mut self.sparse] {
            buffer.clear();
            buffer.shrink_to(bytes);
        }
        self.kept.clear();
        self.kept.shrink_to(bytes);
    }
}

/// Counts of a batch's records.
#[derive(Default)]
struct Counts {
    records: u64,
    kept: u64,
    without_key: u64,
    keeps_tombstone: bool,
}

impl Filter<'_> {
    /// Appends the kept records of a batch to `to`. Fails if the batch can't be read or rebuilt.
    pub(super) fn batch(
        &mut self,
        header: &BatchHeader,
        batch: &[u8],
        buffers: &mut FilterBuffers,
        to: &mut CleanedSegment<'_>,
    ) -> Result<(), RecordError> {
        self.stats.bytes_read += batch.len() as u64;
        if header.is_old() {
            return self.old_batch(header, batch, to);
        }
        let past_horizon = header.delete_horizon().is_some_and(|horizon| horizon <= self.now);
        let (discards, is_done_marker) = if header.is_control() {
            let marker = self.transactions.on_control(header, control(header, batch, &mut buffers.expanded)?);
            if let Marker::NeededWithIndex(txn) = marker {
                to.aborted.push(txn);
            }
            let is_done = marker == Marker::Done;
            (is_done && past_horizon, is_done)
        } else {
            (self.transactions.on_batch(header), false)
        };
        let keeps_empty = self.is_last_of_producer(header) || header.next_offset() == self.upper;
        if discards {
            self.stats.records_read += u64::try_from(header.record_count).unwrap_or(0);
            return if keeps_empty { self.put_empty_batch(header, to) } else { Ok(()) };
        }
        let FilterBuffers { expanded, sparse, kept } = buffers;
        let expanded = Expanded::new(header, batch, expanded)?;
        let counts = self.select(header, &expanded, kept)?;
        self.stats.records_read += counts.records;
        self.stats.records_without_key += counts.without_key;
        if counts.kept == 0 {
            return if keeps_empty { self.put_empty_batch(header, to) } else { Ok(()) };
        }
        let begins_horizon = (counts.keeps_tombstone || is_done_marker) && header.delete_horizon().is_none();
        let size = if counts.kept == counts.records && !begins_horizon {
            to.add::<RecordError>(|out| {
                out.extend_from_slice(batch);
                Ok(*header)
            })?
        } else {
            let new_horizon = || self.now.saturating_add(self.delete_retention_ms.max(0));
            let horizon = header.delete_horizon().or_else(|| begins_horizon.then(new_horizon));
            let mut rest = SparseBatch::of(header, horizon, sparse);
            for (record, _) in expanded.records().zip(kept.iter()).filter(|(_, kept)| **kept) {
                rest.keep(&record?);
            }
            to.add(|out| rest.build(out))?
        };
        self.stats.records_written += counts.kept;
        self.stats.bytes_written += size;
        Ok(())
    }

    /// Filters a batch of format 0 or 1. In these formats a batch without records does not exist.
    fn old_batch(
        &mut self,
        header: &BatchHeader,
        batch: &[u8],
        to: &mut CleanedSegment<'_>,
    ) -> Result<(), RecordError> {
        self.transactions.on_batch(header);
        let records = old_records(batch)?;
        let is_last_below_upper = header.next_offset() == self.upper;
        let mut kept = Vec::new();
        for record in &records {
            let mut counts = Counts::default();
            let (offset, key) = (record.offset, record.key.as_deref());
            let keeps = self.keeps_key(offset, key, &mut counts)
                && (record.value.is_some() || self.keeps_old_tombstones || offset >= self.mapped_to);
            self.stats.records_without_key += counts.without_key;
            if keeps || is_last_below_upper && record.offset == header.last_offset() {
                kept.push(record.clone());
            }
        }
        self.stats.records_read += records.len() as u64;
        if kept.is_empty() {
            return Ok(());
        }
        self.stats.records_written += kept.len() as u64;
        self.stats.bytes_written += to.add(|out| {
            let begin = out.len();
            match kept.len() == records.len() {
                true => out.extend_from_slice(batch),
                false => out.extend_from_slice(&with_records(header, &kept)?),
            }
            BatchHeader::parse_any(out.get(begin..).unwrap_or_default())
        })?;
        Ok(())
    }

    fn put_empty_batch(&mut self, header: &BatchHeader, to: &mut CleanedSegment<'_>) -> Result<(), RecordError> {
        self.stats.bytes_written += to.add(|out| put_empty_batch(header, out))?;
        Ok(())
    }

    /// Sets `kept` for each record of the batch, and counts them.
    fn select(
        &self,
        header: &BatchHeader,
        expanded: &Expanded<'_>,
        kept: &mut Vec<bool>,
    ) -> Result<Counts, RecordError> {
        let mut counts = Counts::default();
        kept.clear();
        for record in expanded.records() {
            let record = record?;
            let keeps = header.is_control() || self.keeps(header, &record, &mut counts);
            kept.push(keeps);
            counts.records += 1;
            counts.kept += u64::from(keeps);
            counts.keeps_tombstone |= keeps && record.value.is_none();
        }
        Ok(counts)
    }

    /// Returns whether a record that isn't aborted is kept: the newest of its key, and tombstones until their horizon.
    fn keeps(&self, header: &BatchHeader, record: &RecordView<'_>, counts: &mut Counts) -> bool {
        let horizon_is_past = || header.delete_horizon().is_some_and(|horizon| horizon <= self.now);
        let is_newest = self.keeps_key(record.offset, record.key, counts);
        is_newest && (record.value.is_some() || record.offset >= self.mapped_to || !horizon_is_past())
    }

    /// Returns whether a record is the newest of its key according to the map. A mapped record without a key is not kept.
    fn keeps_key(&self, offset: Offset, key: Option<&[u8]>, counts: &mut Counts) -> bool {
        if offset >= self.mapped_to {
            return true;
        }
        counts.without_key += u64::from(key.is_none());
        key.is_some_and(|key| self.map.get(key).is_none_or(|newest| offset >= newest))
    }

    /// Returns whether recovery needs the batch for its producer's state: it has the producer's last sequence, or, if the
    /// producer has written no records in its epoch, that epoch.
    fn is_last_of_producer(&self, header: &BatchHeader) -> bool {
        let last = self.producers.get(&header.producer_id).filter(|_| header.has_producer_id());
        last.is_some_and(|last| match last.data_offset {
            Some(data_offset) => header.last_offset() == data_offset,
            None => header.is_control() && header.producer_epoch == last.epoch,
        })
    }
}

/// Parses the records of a batch of format 0 or 1.
pub(super) fn old_records(batch: &[u8]) -> Result<Vec<Record>, RecordError> {
    Batch::parse(&Bytes::copy_from_slice(batch))?.records().collect()
}

/// Parses the type of a control batch.
pub(super) fn control(header: &BatchHeader, batch: &[u8], buffer: &mut Vec<u8>) -> Result<Control, RecordError> {
    let Some(record) = Expanded::new(header, batch, buffer)?.records().next() else { return Ok(Control::Empty) };
    Ok(match ControlType::from_key(record?.key.unwrap_or_default())? {
        Some(ControlType::Abort) => Control::Abort,
        Some(ControlType::Commit) => Control::Commit,
        _ => Control::Other,
    })
}
