//! From what a log holds to what an old consumer reads (Kafka's `RecordsUtil.downConvert`, as of 3.9).

use bytes::Bytes;

use super::super::batch::{Batch, Record, batches};
use super::super::compress::{self, Codec};
use super::super::error::RecordError;
use super::message::Message;
use crate::types::{NO_TIMESTAMP, Offset};

/// A message format before 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldFormat {
    /// Without timestamps.
    V0,
    /// With timestamps, and offsets inside of a wrapper relative to its first message.
    V1,
}

impl OldFormat {
    /// What a Fetch of `version` expects, if it isn't format 2.
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

/// The batches in `bytes` as messages of an old format. Headers are dropped, control batches skipped,
/// compressed batches become one wrapper message in the same codec; bytes that end inside of a batch
/// end there.
///
/// `first_offset` is where the consumer reads on: records before it are left out of uncompressed
/// batches, but not of compressed ones, as in Kafka. The result may be empty though `bytes` aren't,
/// when all of it is control batches: then the caller should read on behind them, because an old
/// consumer can't.
///
/// `UnsupportedCompression` when a batch is compressed with zstd.
pub fn down_convert(bytes: &Bytes, format: OldFormat, first_offset: Offset) -> Result<Bytes, RecordError> {
    let mut out = Vec::new();
    for batch in batches(bytes) {
        match batch {
            Ok(batch) if batch.header().is_control() => {}
            Ok(batch) => convert(&batch, format, first_offset, &mut out)?,
            Err(RecordError::Truncated { .. }) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(out.into())
}

fn convert(batch: &Batch, format: OldFormat, first_offset: Offset, out: &mut Vec<u8>) -> Result<(), RecordError> {
    match batch.header().codec()? {
        Codec::Zstd => Err(RecordError::UnsupportedCompression(
            "zstd compressed batches can't be converted to an older message format".to_owned(),
        )),
        Codec::None => convert_plain(batch, format, first_offset, out),
        codec => convert_compressed(batch, codec, format, out),
    }
}

fn convert_plain(batch: &Batch, format: OldFormat, first_offset: Offset, out: &mut Vec<u8>) -> Result<(), RecordError> {
    for record in batch.records() {
        let record = record?;
        if record.offset >= first_offset {
            put_message(batch, format, &record, record.offset, out)?;
        }
    }
    Ok(())
}

fn convert_compressed(batch: &Batch, codec: Codec, format: OldFormat, out: &mut Vec<u8>) -> Result<(), RecordError> {
    let mut inner = Vec::new();
    let mut span: Option<(Offset, Offset)> = None;
    let mut max_timestamp = NO_TIMESTAMP;
    for record in batch.records() {
        let record = record?;
        let (first, _) = span.unwrap_or((record.offset, record.offset));
        span = Some((first, record.offset));
        max_timestamp = max_timestamp.max(record.timestamp);
        let inner_offset = if format == OldFormat::V0 { record.offset } else { record.offset - first };
        put_message(batch, format, &record, inner_offset, &mut inner)?;
    }
    let Some((_, last_offset)) = span else { return Ok(()) };
    let mut compressed = compress::compress(codec, None, &inner)?;
    if codec == Codec::Lz4 && format == OldFormat::V0 {
        compress::put_old_lz4_checksum(&mut compressed);
    }
    let wrapper = Message {
        offset: last_offset,
        magic: format.magic(),
        attributes: Message::attributes(format.magic(), codec, batch.header().timestamp_type()),
        timestamp: max_timestamp,
        key: None,
        value: Some(&compressed),
    };
    wrapper.write(out)
}

fn put_message(
    batch: &Batch,
    format: OldFormat,
    record: &Record,
    offset: Offset,
    out: &mut Vec<u8>,
) -> Result<(), RecordError> {
    let message = Message {
        offset,
        magic: format.magic(),
        attributes: Message::attributes(format.magic(), Codec::None, batch.header().timestamp_type()),
        timestamp: record.timestamp,
        key: record.key.as_deref(),
        value: record.value.as_deref(),
    };
    message.write(out)
}
