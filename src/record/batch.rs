//! Reading what a log holds: batches, and the records inside.

use bytes::Bytes;

use super::compress::{Codec, decompress};
use super::error::RecordError;
use super::header::{BATCH_OVERHEAD, BatchHeader, TimestampType, check_crc, headers};
use super::parse::{RawRecord, take_body};
use crate::types::{NO_TIMESTAMP, Offset, TimestampMs};

/// One v2 batch: its header and all of its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    header: BatchHeader,
    bytes: Bytes,
}

/// A record, its fields slices of the (expanded) batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub offset: Offset,
    /// The broker's when the batch has `LogAppendTime`, else the producer's.
    pub timestamp: TimestampMs,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Vec<Header>,
}

/// A record's header; the key is UTF-8 by convention, which nobody checks on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub key: Bytes,
    pub value: Option<Bytes>,
}

/// Where a record stands, in the two ways a consumer looks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordOffset {
    pub offset: Offset,
    pub timestamp: TimestampMs,
}

/// The batches that stand one after another in `bytes`; see [`headers`] for how it ends.
pub fn batches(bytes: &Bytes) -> Batches<'_> {
    Batches { bytes, position: 0 }
}

/// Iterator of [`batches`].
pub struct Batches<'a> {
    bytes: &'a Bytes,
    position: usize,
}

impl Iterator for Batches<'_> {
    type Item = Result<Batch, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.bytes.get(self.position..)?;
        let header = match headers(rest).next()? {
            Ok((_, header)) => header,
            Err(error) => {
                self.position = self.bytes.len();
                return Some(Err(error));
            }
        };
        let start = self.position;
        self.position += header.size();
        Some(Ok(Batch { header, bytes: self.bytes.slice(start..self.position) }))
    }
}

impl Batch {
    /// Reads one batch from the front of `bytes`. `Truncated` when it isn't all there.
    pub fn parse(bytes: &Bytes) -> Result<Batch, RecordError> {
        let missing = RecordError::Truncated { needed: BATCH_OVERHEAD, available: 0 };
        batches(bytes).next().unwrap_or(Err(missing))
    }

    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The whole batch.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// `Corrupt` when the bytes aren't those the CRC was made from.
    pub fn check_crc(&self) -> Result<(), RecordError> {
        check_crc(&self.header, &self.bytes)
    }

    /// The records as they stand, compressed or not.
    pub(super) fn payload(&self) -> Bytes {
        self.bytes.slice(BATCH_OVERHEAD.min(self.bytes.len())..)
    }

    /// The records in order. An error, of the stream or of a record, ends the iteration.
    pub fn records(&self) -> Records {
        let payload = self.header.codec().and_then(|codec| match codec {
            Codec::None => Ok(self.payload()),
            codec => decompress(codec, &self.payload()).map(Bytes::from),
        });
        let (plain, failed) = match payload {
            Ok(plain) => (plain, None),
            Err(error) => (Bytes::new(), Some(error)),
        };
        Records { header: self.header, plain, position: 0, left: self.header.record_count.max(0), failed }
    }

    /// The first record at or after `timestamp` whose offset is at least `from`: what ListOffsets
    /// answers for a time. `None` when the batch has none.
    pub fn first_at_or_after(&self, timestamp: TimestampMs, from: Offset) -> Result<Option<RecordOffset>, RecordError> {
        if self.header.max_timestamp < timestamp || self.header.last_offset() < from {
            return Ok(None);
        }
        self.find(|record| record.timestamp >= timestamp && record.offset >= from)
    }

    /// The first record that has the batch's max timestamp: what ListOffsets answers for the
    /// greatest time. With `LogAppendTime`, where all records have it, the last offset, as in Kafka.
    pub fn max_timestamp_record(&self) -> Result<Option<RecordOffset>, RecordError> {
        let max = self.header.max_timestamp;
        if max == NO_TIMESTAMP {
            return Ok(None);
        }
        if self.header.timestamp_type() == TimestampType::LogAppendTime {
            return Ok(Some(RecordOffset { offset: self.header.last_offset(), timestamp: max }));
        }
        self.find(|record| record.timestamp == max)
    }

    fn find(&self, wanted: impl Fn(&Record) -> bool) -> Result<Option<RecordOffset>, RecordError> {
        for record in self.records() {
            let record = record?;
            if wanted(&record) {
                return Ok(Some(RecordOffset { offset: record.offset, timestamp: record.timestamp }));
            }
        }
        Ok(None)
    }
}

/// Iterator of [`Batch::records`].
pub struct Records {
    header: BatchHeader,
    plain: Bytes,
    position: usize,
    left: i32,
    failed: Option<RecordError>,
}

impl Iterator for Records {
    type Item = Result<Record, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.failed.take() {
            self.left = 0;
            return Some(Err(error));
        }
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        let record = self.read_one();
        if record.is_err() {
            self.left = 0;
        }
        Some(record)
    }
}

impl Records {
    fn read_one(&mut self) -> Result<Record, RecordError> {
        let mut rest = self.plain.get(self.position..).unwrap_or_default();
        let body =
            take_body(&mut rest)?.ok_or_else(|| RecordError::invalid("the batch ends before its last record"))?;
        self.position = self.plain.len() - rest.len();
        let raw = RawRecord::parse(body)?;
        let own = |slice: &[u8]| self.plain.slice_ref(slice);
        Ok(Record {
            offset: self.header.base_offset.saturating_add(i64::from(raw.offset_delta)),
            timestamp: self.header.record_timestamp(raw.timestamp_delta),
            key: raw.key.map(own),
            value: raw.value.map(own),
            headers: raw.headers().map(|(key, value)| Header { key: own(key), value: value.map(own) }).collect(),
        })
    }
}
