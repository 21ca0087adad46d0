//! What stays of each batch: the rules of Kafka's `Cleaner.cleanInto` and `MemoryRecords.filterTo`.

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

/// Decides about the batches of a log, which come in order, and puts what stays into cleaned segments.
pub(super) struct Filter<'a> {
    /// When the compaction began.
    pub(super) now: TimestampMs,
    pub(super) delete_retention_ms: i64,
    pub(super) map: &'a KeyMap,
    /// Keys below are in the map; nothing from here on is judged by it.
    pub(super) mapped_to: Offset,
    /// The first offset that may not be compacted. The last batch below is kept, if only without records: where the
    /// log ends mustn't be forgotten.
    pub(super) upper: Offset,
    pub(super) producers: &'a HashMap<ProducerId, LastRecord>,
    /// Whether tombstones in formats 0 and 1, which know no horizon, stay in the segment that is read.
    pub(super) keeps_old_tombstones: bool,
    pub(super) transactions: &'a mut Transactions,
    pub(super) stats: &'a mut CompactionStats,
}

/// Memory for one batch at a time.
#[derive(Debug, Default)]
pub(super) struct Rooms {
    /// Expanded records of the batch that is read.
    pub(super) plain: Vec<u8>,
    /// Records of the batch that is written.
    sparse: Vec<u8>,
    /// Which of the records stay.
    kept: Vec<bool>,
}

impl Rooms {
    /// Gives memory back that only an uncommonly large batch needed.
    pub(super) fn shrink_to(&mut self, bytes: usize) {
        for room in [&mut self.plain, &mut self.sparse] {
            room.clear();
            room.shrink_to(bytes);
        }
        self.kept.clear();
        self.kept.shrink_to(bytes);
    }
}

/// What was found out about a batch's records.
#[derive(Default)]
struct Looked {
    records: u64,
    kept: u64,
    without_key: u64,
    keeps_tombstone: bool,
}

impl Filter<'_> {
    /// Puts what stays of a batch into `to`. An error says why the batch can't be read, or written anew.
    pub(super) fn batch(
        &mut self,
        header: &BatchHeader,
        batch: &[u8],
        rooms: &mut Rooms,
        to: &mut CleanedSegment<'_>,
    ) -> Result<(), RecordError> {
        self.stats.bytes_read += batch.len() as u64;
        if header.is_old() {
            return self.old_batch(header, batch, to);
        }
        let past_horizon = header.delete_horizon().is_some_and(|horizon| horizon <= self.now);
        let (discards, is_done_marker) = if header.is_control() {
            let marker = self.transactions.on_control(header, control(header, batch, &mut rooms.plain)?);
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
        let Rooms { plain, sparse, kept } = rooms;
        let expanded = Expanded::new(header, batch, plain)?;
        let looked = self.look(header, &expanded, kept)?;
        self.stats.records_read += looked.records;
        self.stats.records_without_key += looked.without_key;
        if looked.kept == 0 {
            return if keeps_empty { self.put_empty_batch(header, to) } else { Ok(()) };
        }
        let begins_horizon = (looked.keeps_tombstone || is_done_marker) && header.delete_horizon().is_none();
        let size = if looked.kept == looked.records && !begins_horizon {
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
        self.stats.records_written += looked.kept;
        self.stats.bytes_written += size;
        Ok(())
    }

    /// A batch of format 0 or 1, which can't be left without records.
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
            let mut looked = Looked::default();
            let (offset, key) = (record.offset, record.key.as_deref());
            let stays = self.keeps_key(offset, key, &mut looked)
                && (record.value.is_some() || self.keeps_old_tombstones || offset >= self.mapped_to);
            self.stats.records_without_key += looked.without_key;
            if stays || is_last_below_upper && record.offset == header.last_offset() {
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

    /// Notes in `kept` which records stay.
    fn look(&self, header: &BatchHeader, expanded: &Expanded<'_>, kept: &mut Vec<bool>) -> Result<Looked, RecordError> {
        let mut looked = Looked::default();
        kept.clear();
        for record in expanded.records() {
            let record = record?;
            let stays = header.is_control() || self.keeps(header, &record, &mut looked);
            kept.push(stays);
            looked.records += 1;
            looked.kept += u64::from(stays);
            looked.keeps_tombstone |= stays && record.value.is_none();
        }
        Ok(looked)
    }

    /// Whether a record that isn't aborted stays: the newest of its key, and tombstones until their horizon.
    fn keeps(&self, header: &BatchHeader, record: &RecordView<'_>, looked: &mut Looked) -> bool {
        let horizon_is_past = || header.delete_horizon().is_some_and(|horizon| horizon <= self.now);
        let stays = self.keeps_key(record.offset, record.key, looked);
        stays && (record.value.is_some() || record.offset >= self.mapped_to || !horizon_is_past())
    }

    /// Whether a record is the newest of its key, as far as the map knows. One without a key has none.
    fn keeps_key(&self, offset: Offset, key: Option<&[u8]>, looked: &mut Looked) -> bool {
        if offset >= self.mapped_to {
            return true;
        }
        looked.without_key += u64::from(key.is_none());
        key.is_some_and(|key| self.map.get(key).is_none_or(|newest| offset >= newest))
    }

    /// Whether the batch says how far its producer's sequence has come, or, where it has written nothing in its
    /// epoch, which epoch that is.
    fn is_last_of_producer(&self, header: &BatchHeader) -> bool {
        let last = self.producers.get(&header.producer_id).filter(|_| header.has_producer_id());
        last.is_some_and(|last| match last.data_offset {
            Some(data_offset) => header.last_offset() == data_offset,
            None => header.is_control() && header.producer_epoch == last.epoch,
        })
    }
}

/// The records of a batch of format 0 or 1.
pub(super) fn old_records(batch: &[u8]) -> Result<Vec<Record>, RecordError> {
    Batch::parse(&Bytes::copy_from_slice(batch))?.records().collect()
}

/// What a control batch says.
pub(super) fn control(header: &BatchHeader, batch: &[u8], room: &mut Vec<u8>) -> Result<Control, RecordError> {
    let Some(record) = Expanded::new(header, batch, room)?.records().next() else { return Ok(Control::Nothing) };
    Ok(match ControlType::from_key(record?.key.unwrap_or_default())? {
        Some(ControlType::Abort) => Control::Abort,
        Some(ControlType::Commit) => Control::Commit,
        _ => Control::Other,
    })
}
