//! Reading of batches and their records.

use bytes::Bytes;

use super::compress::{Codec, MAX_EXPANSION, decompress_within};
use super::decoded::{Header, Record, RecordOffset};
use super::error::RecordError;
use super::header::{BATCH_OVERHEAD, BatchHeader, check_crc, headers};
use super::legacy::Messages;
use super::parse::{RawRecord, take_body};
use super::partial::RecordHeads;
use crate::types::{NO_TIMESTAMP, Offset, TimestampMs};

/// One batch of any format: its header and all of its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    header: BatchHeader,
    bytes: Bytes,
}

/// Iterates over the batches in `bytes`; ends as [`headers`] does.
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
    /// Parses one batch from the front of `bytes`. `Truncated` if it is incomplete.
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

    /// Checks the CRC; `Corrupt` if it is wrong.
    pub fn check_crc(&self) -> Result<(), RecordError> {
        check_crc(&self.header, &self.bytes)
    }

    /// The encoded records, compressed or not.
    pub(super) fn payload(&self) -> Bytes {
        self.bytes.slice(BATCH_OVERHEAD.min(self.bytes.len())..)
    }

    /// Iterates over the records in order. An error, of the stream or of a record, ends the iteration.
    pub fn records(&self) -> Records {
        self.records_within(MAX_EXPANSION)
    }

    /// Like [`Batch::records`]; returns an error if a batch of format 2 expands to more than `limit` bytes.
    pub(super) fn records_within(&self, limit: usize) -> Records {
        Records(match self.header.is_old() {
            true => Format::Old(Messages::of(&self.bytes)),
            false => Format::V2(self.records_v2(limit)),
        })
    }

    fn records_v2(&self, limit: usize) -> RecordsV2 {
        let payload = self.header.codec().and_then(|codec| match codec {
            Codec::None => Ok(self.payload()),
            codec => decompress_within(codec, &self.payload(), limit).map(Bytes::from),
        });
        let (plain, failed) = match payload {
            Ok(plain) => (plain, None),
            Err(error) => (Bytes::new(), Some(error)),
        };
        RecordsV2 { header: self.header, plain, position: 0, left: self.header.record_count.max(0), failed }
    }

    /// Finds the first record at or after `timestamp` with an offset of at least `from`, for ListOffsets. `None` if there is
    /// none in the batch.
    pub fn first_at_or_after(&self, timestamp: TimestampMs, from: Offset) -> Result<Option<RecordOffset>, RecordError> {
        if self.header.max_timestamp < timestamp || self.header.last_offset() < from {
            return Ok(None);
        }
        self.find(|record| record.timestamp >= timestamp && record.offset >= from)
    }

    /// Finds the first record with the batch's max timestamp, for ListOffsets.
    pub fn max_timestamp_record(&self) -> Result<Option<RecordOffset>, RecordError> {
        let max = self.header.max_timestamp;
        if max == NO_TIMESTAMP {
            return Ok(None);
        }
        self.find(|record| record.timestamp == max)
    }

    fn find(&self, wanted: impl Fn(&RecordOffset) -> bool) -> Result<Option<RecordOffset>, RecordError> {
        let codec = self.header.codec()?;
        if !self.header.is_old() && codec != Codec::None {
            let payload = self.payload();
            let heads = RecordHeads::new(codec, &payload, MAX_EXPANSION)?;
            return heads.find(self.header.record_count, |head| {
                let offset = self.header.base_offset.saturating_add(i64::from(head.offset_delta));
                let at = RecordOffset { offset, timestamp: self.header.record_timestamp(head.timestamp_delta) };
                wanted(&at).then_some(at)
            });
        }
        for record in self.records() {
            let record = record?;
            let at = RecordOffset { offset: record.offset, timestamp: record.timestamp };
            if wanted(&at) {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }
}

/// Iterator of [`Batch::records`].
pub struct Records(Format);

enum Format {
    V2(RecordsV2),
    Old(Messages),
}

impl Iterator for Records {
    type Item = Result<Record, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Format::V2(records) => records.next(),
            Format::Old(messages) => messages.next(),
        }
    }
}

struct RecordsV2 {
    header: BatchHeader,
    plain: Bytes,
    position: usize,
    left: i32,
    failed: Option<RecordError>,
}

impl RecordsV2 {
    fn next(&mut self) -> Option<Result<Record, RecordError>> {
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

#[cfg(test)]
mod tests {
    use super::super::fixtures::{NOW, sample, sent};
    use super::*;
    use crate::record::BatchBuilder;

    fn batch_at(offset: Offset, codec: Codec) -> Bytes {
        sent(sample(codec).placed_at(offset, 3))
    }

    #[track_caller]
    fn check_first(timestamp: TimestampMs, from: Offset, expect: Option<Offset>) {
        for codec in Codec::ALL {
            let batch = Batch::parse(&batch_at(100, codec)).expect("parses");
            let found = batch.first_at_or_after(timestamp, from).expect("readable");
            assert_eq!(found.map(|record| record.offset), expect);
        }
    }

    #[test]
    fn consecutive_batches_are_read_in_order() {
        let log: Bytes = [batch_at(0, Codec::None), batch_at(3, Codec::Zstd), batch_at(9, Codec::Gzip)].concat().into();
        let read: Vec<_> = batches(&log).collect::<Result<_, _>>().expect("three whole batches");
        assert_eq!(read.iter().map(|batch| batch.header().base_offset).collect::<Vec<_>>(), [0, 3, 9]);
        assert_eq!(read.iter().map(|batch| batch.bytes().len()).sum::<usize>(), log.len());
        assert_eq!(read[2].records().map(|r| r.map(|r| r.offset)).collect::<Vec<_>>(), [Ok(9), Ok(10), Ok(11)]);
    }

    #[test]
    fn torn_tail_is_truncated_and_garbage_is_corrupt() {
        let whole = batch_at(0, Codec::None);
        let torn: Bytes = [&whole[..], &whole[..whole.len() - 1]].concat().into();
        let mut read = batches(&torn).skip(1);
        let needed = whole.len();
        assert_eq!(read.next(), Some(Err(RecordError::Truncated { needed, available: needed - 1 })));
        assert_eq!(read.next(), None);
        let wrong: Bytes = [&whole[..], &[0; 200]].concat().into();
        let read: Vec<_> = batches(&wrong).collect();
        assert!(matches!(read[..], [Ok(_), Err(RecordError::Corrupt(_))]), "{read:?}");
        assert!(Batch::parse(&Bytes::new()).is_err());
    }

    #[test]
    fn first_record_is_found_by_timestamp_and_offset() {
        check_first(NOW - 9, 0, Some(100));
        check_first(NOW - 5, 0, Some(100));
        check_first(NOW - 5, 101, Some(101));
        check_first(NOW - 4, 0, Some(101));
        check_first(NOW - 9, 102, Some(102));
        check_first(NOW - 8, 102, None);
        check_first(NOW + 8, 0, None);
        check_first(NOW - 9, 103, None);
    }

    #[test]
    fn record_with_the_max_timestamp_is_found() {
        let latest = |bytes: Bytes| Batch::parse(&bytes).expect("parses").max_timestamp_record().expect("readable");
        for codec in Codec::ALL {
            let expect = RecordOffset { offset: 101, timestamp: NOW + 7 };
            assert_eq!(latest(batch_at(100, codec)), Some(expect));
        }
        let appended = sent(sample(Codec::None).log_append_time(NOW + 50));
        assert_eq!(latest(appended), Some(RecordOffset { offset: 0, timestamp: NOW + 50 }));
        let mut without = BatchBuilder::new(Codec::None);
        without.append(NO_TIMESTAMP, None, None, &[]);
        assert_eq!(latest(sent(without)), None);
    }

    #[test]
    fn iteration_ends_with_the_first_error() {
        let mut bytes = batch_at(0, Codec::None).to_vec();
        let end = bytes.len() - 1;
        bytes[end] = 9;
        let read: Vec<_> = Batch::parse(&bytes.into()).expect("parses").records().collect();
        assert!(matches!(read[..], [Ok(_), Ok(_), Err(RecordError::Invalid(_))]), "{read:?}");
        let mut bytes = batch_at(0, Codec::Gzip).to_vec();
        bytes[62] = 9;
        let read: Vec<_> = Batch::parse(&bytes.into()).expect("parses").records().collect();
        assert!(matches!(read[..], [Err(RecordError::Invalid(_))]), "{read:?}");
    }
}
