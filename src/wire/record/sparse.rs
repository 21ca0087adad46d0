//! Compacted batches, from which records were removed.
//!
//! The batch keeps its first and last offset, producer fields and leader epoch, even if the records with these offsets
//! were removed: Kafka's `MemoryRecords.filterTo`, and KIP-534 for the delete horizon.

use super::compress::{Codec, Expansion, MAX_EXPANSION, compress};
use super::error::RecordError;
use super::header::{BATCH_OVERHEAD, BatchHeader};
use super::parse::{RawRecord, take_body};
use crate::codec::varint::{MAX_VARINT, put_varint, put_varlong, take_varlong, varlong_len};
use crate::types::{NO_TIMESTAMP, Offset, TimestampMs};

/// The decompressed records of a batch, which are read without copying.
#[derive(Clone, Copy, Debug)]
pub struct Expanded<'a> {
    header: &'a BatchHeader,
    plain: &'a [u8],
}

/// A record as slices of its batch.
#[derive(Clone, Copy, Debug)]
pub struct RecordView<'a> {
    pub offset: Offset,
    /// Like [`super::Record::timestamp`].
    pub timestamp: TimestampMs,
    pub key: Option<&'a [u8]>,
    /// `None` in a tombstone.
    pub value: Option<&'a [u8]>,
    timestamp_delta: i64,
    /// The encoded record with its length.
    encoded: &'a [u8],
    /// The fields after the timestamp.
    rest: &'a [u8],
}

impl<'a> Expanded<'a> {
    /// Decompresses the records of `batch`, which has this header. Compressed records are written to `buffer`, whose
    /// content is replaced. Fails with `Invalid` if the stream is corrupt, and with `ExpandsTooFar` if the records are
    /// larger than [`super::compress::MAX_EXPANSION`].
    pub fn new(header: &'a BatchHeader, batch: &'a [u8], buffer: &'a mut Vec<u8>) -> Result<Expanded<'a>, RecordError> {
        let payload = batch.get(BATCH_OVERHEAD..).unwrap_or_default();
        let codec = header.codec()?;
        if codec == Codec::None || payload.is_empty() {
            return Ok(Expanded { header, plain: payload });
        }
        buffer.clear();
        let mut expansion = Expansion::new(codec, payload, MAX_EXPANSION)?;
        while expansion.read_more(buffer)? > 0 {}
        Ok(Expanded { header, plain: buffer })
    }

    /// Iterates over the records in order; an error ends the iteration. Returns an error if their number differs from
    /// the header's.
    pub fn records(&self) -> impl Iterator<Item = Result<RecordView<'a>, RecordError>> + use<'a> {
        let (header, mut rest) = (self.header, self.plain);
        let mut left = header.record_count.max(0);
        std::iter::from_fn(move || {
            if left == 0 {
                let excess = !std::mem::take(&mut rest).is_empty();
                return excess.then(|| Err(RecordError::invalid("the batch has bytes after its last record")));
            }
            left -= 1;
            let record = RecordView::take(header, &mut rest);
            if record.is_err() {
                (left, rest) = (0, &[]);
            }
            Some(record)
        })
    }
}

impl<'a> RecordView<'a> {
    fn take(header: &BatchHeader, rest: &mut &'a [u8]) -> Result<RecordView<'a>, RecordError> {
        let before = *rest;
        let body = take_body(rest)?.ok_or_else(|| RecordError::invalid("the batch ends before its last record"))?;
        let raw = RawRecord::parse(body)?;
        if raw.offset_delta < 0 || raw.offset_delta > header.last_offset_delta {
            return Err(RecordError::invalid("a record has an offset outside of its batch's offsets"));
        }
        let mut after_timestamp = body.get(1..).unwrap_or_default();
        take_varlong(&mut after_timestamp);
        Ok(RecordView {
            offset: header.base_offset.saturating_add(i64::from(raw.offset_delta)),
            timestamp: header.record_timestamp(raw.timestamp_delta),
            key: raw.key,
            value: raw.value,
            timestamp_delta: raw.timestamp_delta,
            encoded: before.get(..before.len() - rest.len()).unwrap_or_default(),
            rest: after_timestamp,
        })
    }

    /// Appends the record with another timestamp delta.
    fn put(&self, timestamp_delta: i64, out: &mut Vec<u8>) {
        if timestamp_delta == self.timestamp_delta {
            out.extend_from_slice(self.encoded);
            return;
        }
        let size = 1 + varlong_len(timestamp_delta) + self.rest.len();
        out.reserve(MAX_VARINT + size);
        put_varint(out, size as i32);
        // The attributes, which no record uses.
        out.push(0);
        put_varlong(out, timestamp_delta);
        out.extend_from_slice(self.rest);
    }
}

/// Builds a batch from some of the records of another.
#[derive(Debug)]
pub struct SparseBatch<'a> {
    header: BatchHeader,
    horizon: Option<TimestampMs>,
    records: &'a mut Vec<u8>,
}

impl<'a> SparseBatch<'a> {
    /// A copy of the `original` batch without its records; [`SparseBatch::keep`] collects the records to keep in
    /// `buffer`. A `delete_horizon` (milliseconds since the epoch, not negative) is stored in the batch as the base of
    /// its timestamps.
    pub fn of(original: &BatchHeader, delete_horizon: Option<TimestampMs>, buffer: &'a mut Vec<u8>) -> SparseBatch<'a> {
        buffer.clear();
        let mut header = original.without_records();
        header.set_delete_horizon(delete_horizon);
        SparseBatch { header, horizon: delete_horizon, records: buffer }
    }

    /// Appends a record of the original batch. Call it in order.
    pub fn keep(&mut self, record: &RecordView<'_>) {
        if self.header.record_count == 0 {
            self.header.base_timestamp = self.horizon.unwrap_or(record.timestamp);
        }
        self.header.record_count += 1;
        self.header.update_max_timestamp(record.timestamp);
        record.put(record.timestamp.wrapping_sub(self.header.base_timestamp), self.records);
    }

    /// The number of records.
    pub fn len(&self) -> usize {
        self.header.record_count as usize
    }

    pub fn is_empty(&self) -> bool {
        self.header.record_count == 0
    }

    /// Appends the batch to `out`, compressed with the original's codec at Kafka's default level. `TooLarge` beyond the
    /// limit of the length field.
    pub fn build(self, out: &mut Vec<u8>) -> Result<BatchHeader, RecordError> {
        match self.header.codec()? {
            Codec::None => self.header.append_to(self.records, out),
            codec => self.header.append_to(&compress(codec, None, self.records)?, out),
        }
    }
}

/// Appends a batch without records. It keeps the original's offsets and producer fields, which sequence checks need
/// after compaction, and its max timestamp. It is not compressed.
pub fn put_empty_batch(original: &BatchHeader, out: &mut Vec<u8>) -> Result<BatchHeader, RecordError> {
    let mut header = original.without_records();
    header.set_codec(Codec::None);
    header.base_timestamp = NO_TIMESTAMP;
    header.max_timestamp = original.max_timestamp;
    header.append_to(&[], out)
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{NOW, sample, sent};
    use super::super::header::TimestampType;
    use super::super::{Batch, Record};
    use super::*;
    use crate::types::ProducerIdEpoch;

    const HORIZON: TimestampMs = NOW + 1000;

    /// Builds a batch from the records with these indexes.
    fn keep(batch: &Batch, indexes: &[usize], horizon: Option<TimestampMs>) -> Batch {
        let (mut plain, mut buffer, mut out) = (Vec::new(), Vec::new(), b"what was there".to_vec());
        let expanded = Expanded::new(batch.header(), batch.bytes(), &mut plain).expect("expands");
        let mut rest = SparseBatch::of(batch.header(), horizon, &mut buffer);
        for (_, record) in expanded.records().enumerate().filter(|(index, _)| indexes.contains(index)) {
            rest.keep(&record.expect("a record"));
        }
        assert_eq!((rest.len(), rest.is_empty()), (indexes.len(), indexes.is_empty()));
        let header = rest.build(&mut out).expect("builds");
        let built = Batch::parse(&out.split_off(b"what was there".len()).into()).expect("parses");
        assert_eq!(*built.header(), header);
        built.check_crc().expect("a right CRC");
        built
    }

    fn records(batch: &Batch) -> Vec<Record> {
        batch.records().map(|record| record.expect("a record")).collect()
    }

    #[track_caller]
    fn check(original: &Batch, indexes: &[usize], horizon: Option<TimestampMs>) -> Batch {
        let rest = keep(original, indexes, horizon);
        let expect: Vec<Record> = indexes.iter().map(|index| records(original)[*index].clone()).collect();
        assert_eq!(records(&rest), expect);
        let (old, new) = (original.header(), rest.header());
        let of_all = |header: &BatchHeader| {
            let producer = (header.producer_id, header.producer_epoch, header.base_sequence, header.last_sequence());
            (header.base_offset, header.last_offset(), header.partition_leader_epoch, header.codec(), producer)
        };
        assert_eq!(of_all(new), of_all(old));
        assert_eq!(new.delete_horizon(), horizon);
        rest
    }

    #[test]
    fn kept_records_and_batch_fields_are_unchanged() {
        for codec in Codec::ALL {
            let producer = ProducerIdEpoch { producer_id: 7, epoch: 3 };
            let original = sample(codec).producer(producer, 40).transactional().placed_at(100, 5);
            let original = Batch::parse(&sent(original)).expect("parses");
            for indexes in [&[0, 1, 2][..], &[0, 2], &[1], &[2], &[1, 2]] {
                let rest = check(&original, indexes, None);
                let newest = records(&rest).iter().map(|record| record.timestamp).max();
                assert_eq!(Some(rest.header().max_timestamp), newest);
                assert_eq!(rest.header().base_timestamp, records(&rest)[0].timestamp);
                let with_horizon = check(&original, indexes, Some(HORIZON));
                let again: Vec<usize> = (0..indexes.len()).collect();
                assert_eq!(keep(&with_horizon, &again, Some(HORIZON)), with_horizon);
            }
        }
    }

    #[test]
    fn log_append_time_is_kept() {
        let original = Batch::parse(&sent(sample(Codec::None).log_append_time(NOW + 50))).expect("parses");
        for horizon in [None, Some(HORIZON)] {
            let rest = check(&original, &[2], horizon);
            assert_eq!(
                (rest.header().timestamp_type(), rest.header().max_timestamp),
                (TimestampType::LogAppendTime, NOW + 50)
            );
        }
    }

    #[test]
    fn empty_batch_keeps_its_header_fields() {
        let producer = ProducerIdEpoch { producer_id: 7, epoch: 3 };
        let original = sample(Codec::Zstd).producer(producer, 40).transactional().placed_at(100, 5);
        let original = Batch::parse(&sent(original)).expect("parses");
        let mut out = Vec::new();
        let header = put_empty_batch(original.header(), &mut out).expect("fits");
        assert_eq!(out.len(), BATCH_OVERHEAD);
        let emptied = Batch::parse(&out.into()).expect("parses");
        emptied.check_crc().expect("a right CRC");
        assert_eq!((emptied.header(), records(&emptied)), (&header, vec![]));
        assert_eq!((header.base_offset, header.last_offset(), header.partition_leader_epoch), (100, 102, 5));
        assert_eq!((header.producer_id, header.producer_epoch, header.last_sequence()), (7, 3, 42));
        assert_eq!((header.base_timestamp, header.max_timestamp), (NO_TIMESTAMP, original.header().max_timestamp));
        assert_eq!((header.codec(), header.is_transactional(), header.is_control()), (Ok(Codec::None), true, false));
    }

    #[test]
    fn wrong_record_count_is_an_error() {
        let original = Batch::parse(&sent(sample(Codec::None))).expect("parses");
        for (count, readable) in [(2, false), (3, true), (4, false), (-1, false)] {
            let header = BatchHeader { record_count: count, ..*original.header() };
            let mut buffer = Vec::new();
            let expanded = Expanded::new(&header, original.bytes(), &mut buffer).expect("needs no expanding");
            assert_eq!(expanded.records().all(|record| record.is_ok()), readable, "{count}");
        }
        let header = BatchHeader { last_offset_delta: 1, ..*original.header() };
        let mut buffer = Vec::new();
        let expanded = Expanded::new(&header, original.bytes(), &mut buffer).expect("needs no expanding");
        assert!(expanded.records().any(|record| record.is_err()), "an offset beyond the batch");
    }
}
