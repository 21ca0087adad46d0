//! Batches and messages whose fields can all be set, also to invalid values.

use bytes::{BufMut, Bytes};
use ottla_wire::codec::varint::{put_varint, put_varlong};
use ottla_wire::record::{Codec, compress};

/// A batch of format 2. Its length and CRC are always right.
#[derive(Clone)]
pub struct Handmade {
    pub base_offset: i64,
    pub leader_epoch: i32,
    pub magic: i8,
    pub attributes: i16,
    pub last_offset_delta: i32,
    pub base_timestamp: i64,
    pub max_timestamp: i64,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
    pub count: i32,
    /// The bytes after the header, as they are sent.
    pub payload: Vec<u8>,
}

/// A record of such a batch.
#[derive(Clone)]
pub struct HandmadeRecord {
    pub attributes: u8,
    pub timestamp_delta: i64,
    pub offset_delta: i32,
    pub key: Option<&'static [u8]>,
    pub value: Option<Vec<u8>>,
    /// The encoded header count and headers.
    pub headers: Vec<u8>,
    /// Is added to the correct length.
    pub length_error: i32,
}

/// A valid record at `offset_delta`.
pub fn record(offset_delta: i32) -> HandmadeRecord {
    HandmadeRecord {
        attributes: 0,
        timestamp_delta: i64::from(offset_delta),
        offset_delta,
        key: Some(b"key"),
        value: Some(b"value".to_vec()),
        headers: vec![0],
        length_error: 0,
    }
}

impl HandmadeRecord {
    pub fn bytes(&self) -> Vec<u8> {
        let mut body = vec![self.attributes];
        put_varlong(&mut body, self.timestamp_delta);
        put_varint(&mut body, self.offset_delta);
        put_field(&mut body, self.key);
        put_field(&mut body, self.value.as_deref());
        body.extend(&self.headers);
        let mut bytes = Vec::new();
        put_varint(&mut bytes, body.len() as i32 + self.length_error);
        bytes.extend(body);
        bytes
    }
}

fn put_field(out: &mut Vec<u8>, field: Option<&[u8]>) {
    put_varint(out, field.map_or(-1, |field| field.len() as i32));
    out.extend(field.unwrap_or_default());
}

/// An uncompressed batch of these records.
pub fn batch_of(base_timestamp: i64, records: &[HandmadeRecord]) -> Handmade {
    let newest = records.iter().map(|record| record.timestamp_delta).max().unwrap_or_default();
    Handmade {
        base_offset: 0,
        leader_epoch: -1,
        magic: 2,
        attributes: 0,
        last_offset_delta: records.len() as i32 - 1,
        base_timestamp,
        max_timestamp: base_timestamp.wrapping_add(newest),
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        count: records.len() as i32,
        payload: records.iter().flat_map(HandmadeRecord::bytes).collect(),
    }
}

impl Handmade {
    /// Compresses the payload, which must be uncompressed.
    pub fn compressed(mut self, codec: Codec) -> Handmade {
        self.attributes |= i16::from(codec.id());
        self.payload = compress::compress(codec, None, &self.payload).unwrap();
        self
    }

    /// Applies a change.
    pub fn with(mut self, change: impl FnOnce(&mut Handmade)) -> Handmade {
        change(&mut self);
        self
    }

    pub fn bytes(&self) -> Bytes {
        let mut covered = Vec::new();
        covered.put_i16(self.attributes);
        covered.put_i32(self.last_offset_delta);
        covered.put_i64(self.base_timestamp);
        covered.put_i64(self.max_timestamp);
        covered.put_i64(self.producer_id);
        covered.put_i16(self.producer_epoch);
        covered.put_i32(self.base_sequence);
        covered.put_i32(self.count);
        covered.extend(&self.payload);
        let mut bytes = Vec::new();
        bytes.put_i64(self.base_offset);
        bytes.put_i32(covered.len() as i32 + 9);
        bytes.put_i32(self.leader_epoch);
        bytes.put_i8(self.magic);
        bytes.put_u32(crc32c::crc32c(&covered));
        bytes.extend(covered);
        bytes.into()
    }
}

/// Replaces some bytes without changing any checksum.
pub fn corrupted(bytes: &Bytes, at: usize, with: &[u8]) -> Bytes {
    let mut bytes = bytes.to_vec();
    bytes[at..at + with.len()].copy_from_slice(with);
    bytes.into()
}

/// A message of format 0 or 1.
#[derive(Clone)]
pub struct Message {
    pub offset: i64,
    pub magic: u8,
    pub attributes: u8,
    pub timestamp: i64,
    pub key: Option<&'static [u8]>,
    pub value: Option<Vec<u8>>,
}

/// A valid message.
pub fn message(magic: u8, timestamp: i64, offset: i64) -> Message {
    Message { offset, magic, attributes: 0, timestamp, key: Some(b"key"), value: Some(b"value".to_vec()) }
}

impl Message {
    pub fn with(mut self, change: impl FnOnce(&mut Message)) -> Message {
        change(&mut self);
        self
    }

    pub fn bytes(&self) -> Bytes {
        let mut covered = vec![self.magic, self.attributes];
        if self.magic == 1 {
            covered.put_i64(self.timestamp);
        }
        for field in [self.key, self.value.as_deref()] {
            covered.put_i32(field.map_or(-1, |field| field.len() as i32));
            covered.extend(field.unwrap_or_default());
        }
        let mut bytes = Vec::new();
        bytes.put_i64(self.offset);
        bytes.put_i32(covered.len() as i32 + 4);
        bytes.put_u32(ieee_crc(&covered));
        bytes.extend(covered);
        bytes.into()
    }
}

/// A wrapper message that contains these messages compressed.
pub fn wrapper(codec: Codec, inner: &[Message]) -> Message {
    let plain: Vec<u8> = inner.iter().flat_map(Message::bytes).collect();
    let last = inner.last().unwrap();
    let mut compressed = compress::compress(codec, None, &plain).unwrap();
    if codec == Codec::Lz4 && last.magic == 0 {
        // Kafka's clients of format 0 include the frame magic in the checksum, and its readers do not verify it (KAFKA-3160).
        compressed[LZ4_HEADER_CHECKSUM] ^= 0xff;
    }
    Message { attributes: codec.id(), key: None, value: Some(compressed), ..last.clone() }
}

/// The position of the header checksum in an LZ4 frame without a content size.
const LZ4_HEADER_CHECKSUM: usize = 6;

fn ieee_crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 })
    })
}
