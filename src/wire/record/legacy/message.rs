//! One message of format 0 or 1, big-endian: `i64 offset, i32 length, u32 crc, i8 magic,
//! i8 attributes, [format 1: i64 timestamp,] i32 key length, key, i32 value length, value`; -1 is null.
//! The CRC is the one of zip and covers magic to end.
//!
//! Messages follow each other without a count. Compressed messages are the value of a wrapper message, whose attributes
//! have the codec.

use std::borrow::Cow;

use bytes::{Buf, BufMut};

use super::super::compress::{self, Codec};
use super::super::error::RecordError;
use super::super::header::{CODEC_MASK, LOG_APPEND_TIME, LOG_OVERHEAD, TimestampType};
use crate::types::{NO_TIMESTAMP, Offset, TimestampMs};

/// The start of the bytes that the CRC covers: after offset, length and CRC.
const CRC_START: usize = LOG_OVERHEAD + 4;

/// A message's fields as slices of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    pub offset: Offset,
    /// 0 or 1.
    pub magic: i8,
    pub attributes: u8,
    /// -1 in format 0, which has none.
    pub timestamp: TimestampMs,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
}

/// Reads the message at the front of `bytes`. Returns `None` and leaves `bytes` unchanged if it is incomplete. `Corrupt`
/// if the CRC or the magic is wrong, `Invalid` if the fields don't fill it.
pub fn take_message<'a>(bytes: &mut &'a [u8]) -> Result<Option<Message<'a>>, RecordError> {
    take(bytes, check_crc)
}

/// Like [`take_message`] without checking the CRC: for messages of a log it was checked before, and Kafka never checks
/// those in a wrapper.
pub fn take_stored_message<'a>(bytes: &mut &'a [u8]) -> Result<Option<Message<'a>>, RecordError> {
    take(bytes, |_, _| Ok(()))
}

fn take<'a>(
    bytes: &mut &'a [u8],
    check: impl FnOnce(u32, &[u8]) -> Result<(), RecordError>,
) -> Result<Option<Message<'a>>, RecordError> {
    let Some(mut front) = bytes.get(..CRC_START) else { return Ok(None) };
    let offset = front.get_i64();
    let length = front.get_i32();
    let crc = front.get_u32();
    let size = usize::try_from(length).ok().filter(|&length| length >= 4).map(|length| LOG_OVERHEAD + length);
    let size = size.ok_or_else(|| RecordError::corrupt(format!("a message can't be {length} bytes long")))?;
    let Some((message, rest)) = bytes.split_at_checked(size) else { return Ok(None) };
    let body = message.get(CRC_START..).unwrap_or_default();
    check(crc, body)?;
    let message = Message::parse(offset, body)?;
    *bytes = rest;
    Ok(Some(message))
}

fn check_crc(stored: u32, body: &[u8]) -> Result<(), RecordError> {
    let computed = crc32(body);
    if stored != computed {
        let message = format!("the message is corrupt: stored crc is {stored:#010x}, computed crc is {computed:#010x}");
        return Err(RecordError::Corrupt(message));
    }
    Ok(())
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

impl<'a> Message<'a> {
    /// Parses the message in `bytes` and returns whether its CRC is right, to inspect corrupt messages. `Corrupt` if the magic
    /// is wrong, `Invalid` if the fields don't fill it.
    pub fn parse_unchecked(bytes: &'a [u8]) -> Result<(Message<'a>, bool), RecordError> {
        let (mut front, body) = bytes
            .split_at_checked(CRC_START)
            .ok_or(RecordError::Truncated { needed: CRC_START, available: bytes.len() })?;
        let offset = front.get_i64();
        let _length = front.get_i32();
        let crc = front.get_u32();
        Ok((Message::parse(offset, body)?, crc == crc32(body)))
    }

    fn parse(offset: Offset, mut body: &'a [u8]) -> Result<Message<'a>, RecordError> {
        let cut_short = || RecordError::invalid("invalid message: a field is cut short");
        let magic = body.try_get_i8().map_err(|_| cut_short())?;
        if !(0..=1).contains(&magic) {
            return Err(RecordError::unknown_magic(magic));
        }
        let attributes = body.try_get_u8().map_err(|_| cut_short())?;
        let timestamp = if magic == 0 { NO_TIMESTAMP } else { body.try_get_i64().map_err(|_| cut_short())? };
        let key = take_nullable(&mut body).ok_or_else(cut_short)?;
        let value = take_nullable(&mut body).ok_or_else(cut_short)?;
        if !body.is_empty() {
            return Err(RecordError::invalid("invalid message: it is longer than its fields"));
        }
        Ok(Message { offset, magic, attributes, timestamp, key, value })
    }

    /// The codec of its value; `None` if it is not a wrapper.
    pub fn codec(&self) -> Result<Codec, RecordError> {
        Codec::from_id(self.attributes & CODEC_MASK as u8)
    }

    pub fn timestamp_type(&self) -> TimestampType {
        if self.magic > 0 && self.attributes & LOG_APPEND_TIME as u8 != 0 {
            TimestampType::LogAppendTime
        } else {
            TimestampType::CreateTime
        }
    }

    /// Appends the encoded message with its CRC. `TooLarge` beyond the limit of the length field.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), RecordError> {
        let start = out.len();
        out.put_i64(self.offset);
        out.put_i32(0);
        out.put_u32(0);
        out.put_i8(self.magic);
        out.put_u8(self.attributes);
        if self.magic > 0 {
            out.put_i64(self.timestamp);
        }
        put_nullable(out, self.key);
        put_nullable(out, self.value);
        let size = out.len() - start;
        let length =
            i32::try_from(size - LOG_OVERHEAD).map_err(|_| RecordError::TooLarge { size, limit: i32::MAX as usize })?;
        let crc = crc32(&out[start + CRC_START..]);
        out[start + 8..start + LOG_OVERHEAD].copy_from_slice(&length.to_be_bytes());
        out[start + LOG_OVERHEAD..start + CRC_START].copy_from_slice(&crc.to_be_bytes());
        Ok(())
    }

    /// The attributes of a message of `magic`; format 0 has no timestamp type.
    pub fn attributes(magic: i8, codec: Codec, timestamp_type: TimestampType) -> u8 {
        let append_time = magic > 0 && timestamp_type == TimestampType::LogAppendTime;
        codec.id() | if append_time { LOG_APPEND_TIME as u8 } else { 0 }
    }
}

/// Any negative length is null, as in Kafka.
fn take_nullable<'a>(body: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let Ok(length) = usize::try_from(body.try_get_i32().ok()?) else { return Some(None) };
    let (field, rest) = body.split_at_checked(length)?;
    *body = rest;
    Some(Some(field))
}

fn put_nullable(out: &mut Vec<u8>, field: Option<&[u8]>) {
    match field {
        None => out.put_i32(-1),
        Some(bytes) => {
            // A length beyond i32 makes the whole message too large, which is checked at the end.
            out.put_i32(bytes.len() as i32);
            out.put_slice(bytes);
        }
    }
}

/// Decompresses the messages in `wrapper`. `Invalid` if the value is null or corrupt, `ExpandsTooFar` beyond `limit` bytes.
pub fn expand_wrapper(wrapper: &Message<'_>, codec: Codec, limit: usize) -> Result<Vec<u8>, RecordError> {
    if codec == Codec::Zstd {
        return Err(RecordError::invalid("message formats 0 and 1 don't have zstd compression"));
    }
    let value = wrapper.value.ok_or_else(|| RecordError::invalid("a compressed message has a null value"))?;
    let value = match (codec, wrapper.magic) {
        (Codec::Lz4, 0) => compress::with_right_lz4_checksum(value),
        _ => Cow::Borrowed(value),
    };
    compress::decompress_within(codec, &value, limit)
}
