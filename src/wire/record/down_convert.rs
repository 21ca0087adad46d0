//! Conversion of batches for old consumers (Kafka's `RecordsUtil.downConvert`, as of 3.9).

use bytes::Bytes;

use super::batch::{Batch, batches};
use super::compress::{self, Codec};
use super::decoded::Record;
use super::error::RecordError;
use super::header::{BatchHeader, TimestampType};
use super::legacy::Message;
use super::limits::limit_in_memory;
use crate::types::{NO_TIMESTAMP, Offset};

/// A message format before 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldFormat {
    /// Without timestamps.
    V0,
    /// With timestamps; offsets in a wrapper are relative to its first message.
    V1,
}

impl OldFormat {
    /// The format for Fetch `version`; `None` is format 2.
    pub fn for_fetch(version: i16) -> Option<OldFormat> {
        match version {
            ..=1 => Some(OldFormat::V0),
            2..=3 => Some(OldFormat::V1),
            _ => None,
        }
    }

    fn magic(self) -> i8 {
        match self {
            OldFormat::V0 => 0,
            OldFormat::V1 => 1,
        }
    }
}

/// Converts the batches in `bytes` to messages of an old format. Batches that have it or an older one are copied unchanged.
/// Record headers are dropped, control batches are skipped, and a compressed batch becomes one wrapper message with the same
/// codec. An incomplete last batch is ignored.
///
/// Records before the consumer's position `first_offset` are removed from uncompressed batches, but not from compressed
/// ones, as in Kafka. The result may be empty though `bytes` is not, see [`converts_to_nothing`].
///
/// `UnsupportedCompression` if a batch is compressed with zstd.
pub fn down_convert(bytes: &Bytes, format: OldFormat, first_offset: Offset) -> Result<Bytes, RecordError> {
    let mut out = Vec::new();
    for batch in batches(bytes) {
        match batch {
            Ok(batch) if batch.header().is_control() => {}
            Ok(batch) if batch.header().magic <= format.magic() => out.extend_from_slice(batch.bytes()),
            Ok(batch) => convert(&batch, format, first_offset, &mut out)?,
            Err(RecordError::Truncated { .. }) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(out.into())
}

/// Whether [`down_convert`] returns no records for these batches: all are control batches, empty, or before `first_offset`.
/// An old consumer would request them again forever, because it gets no record to advance its position.
pub fn converts_to_nothing(bytes: &Bytes, first_offset: Offset) -> bool {
    let is_skipped = |record: Result<Record, _>| record.is_ok_and(|record| record.offset < first_offset);
    batches(bytes).all(|batch| {
        let Ok(batch) = batch else { return false };
        let header = batch.header();
        let plain = !header.is_old() && header.codec() == Ok(Codec::None);
        header.is_control() || header.record_count == 0 || plain && batch.records().all(is_skipped)
    })
}

/// Encodes a batch of format 0 or 1 with only these of its records, for compaction. The result has the offset of the last
/// record, and is empty without records. `Invalid` for a batch of format 2.
pub fn with_records(header: &BatchHeader, records: &[Record]) -> Result<Vec<u8>, RecordError> {
    let format = match header.magic {
        0 => OldFormat::V0,
        1 => OldFormat::V1,
        magic => return Err(RecordError::invalid(format!("a batch of magic {magic} isn't made of messages"))),
    };
    let mut out = Vec::new();
    Target::of(header, format)?.put(records, &mut out)?;
    Ok(out)
}

fn convert(batch: &Batch, format: OldFormat, first_offset: Offset, out: &mut Vec<u8>) -> Result<(), RecordError> {
    let target = Target::of(batch.header(), format)?;
    let mut records = Vec::new();
    // Limited, because the batch is in memory twice, as records and as messages.
    for record in batch.records_within(limit_in_memory(batch.bytes().len())) {
        let record = record?;
        if target.codec != Codec::None || record.offset >= first_offset {
            records.push(record);
        }
    }
    target.put(&records, out)
}

/// The properties of the converted batch.
struct Target {
    format: OldFormat,
    codec: Codec,
    timestamp_type: TimestampType,
}

impl Target {
    fn of(header: &BatchHeader, format: OldFormat) -> Result<Target, RecordError> {
        match header.codec()? {
            Codec::Zstd => Err(RecordError::UnsupportedCompression(
                "zstd compressed batches can't be converted to an older message format".to_owned(),
            )),
            codec => Ok(Target { format, codec, timestamp_type: header.timestamp_type() }),
        }
    }

    fn put(&self, records: &[Record], out: &mut Vec<u8>) -> Result<(), RecordError> {
        match self.codec {
            Codec::None => records.iter().try_for_each(|record| self.put_message(record, record.offset, out)),
            _ => self.put_wrapper(records, out),
        }
    }

    fn put_wrapper(&self, records: &[Record], out: &mut Vec<u8>) -> Result<(), RecordError> {
        let [first, ..] = records else { return Ok(()) };
        let base = if self.format == OldFormat::V0 { 0 } else { first.offset };
        let mut inner = Vec::new();
        let (mut last_offset, mut max_timestamp) = (first.offset, NO_TIMESTAMP);
        for record in records {
            (last_offset, max_timestamp) = (record.offset, max_timestamp.max(record.timestamp));
            self.put_message(record, record.offset.saturating_sub(base), &mut inner)?;
        }
        let mut compressed = compress::compress(self.codec, None, &inner)?;
        if self.codec == Codec::Lz4 && self.format == OldFormat::V0 {
            compress::put_old_lz4_checksum(&mut compressed);
        }
        let wrapper = Message {
            offset: last_offset,
            magic: self.format.magic(),
            attributes: Message::attributes(self.format.magic(), self.codec, self.timestamp_type),
            timestamp: max_timestamp,
            key: None,
            value: Some(&compressed),
        };
        wrapper.write(out)
    }

    fn put_message(&self, record: &Record, offset: Offset, out: &mut Vec<u8>) -> Result<(), RecordError> {
        let message = Message {
            offset,
            magic: self.format.magic(),
            attributes: Message::attributes(self.format.magic(), Codec::None, self.timestamp_type),
            timestamp: record.timestamp,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
        };
        message.write(out)
    }
}
