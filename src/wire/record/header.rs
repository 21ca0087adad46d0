//! The header of a batch of format 2, and its equivalent for a message of format 0 or 1.

use bytes::{Buf, BufMut};

use super::compress::Codec;
use super::error::RecordError;
use crate::types::{
    LeaderEpoch, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, NO_SEQUENCE, NO_TIMESTAMP, Offset, ProducerId, TimestampMs,
};

/// The bytes that `batch_length` does not count: base offset and the length itself.
pub const LOG_OVERHEAD: usize = 8 + 4;
/// The start of the part that the CRC covers: after leader epoch, magic and the CRC.
pub(super) const CRC_START: usize = LOG_OVERHEAD + 4 + 1 + 4;
/// The size of a v2 batch header: the CRC is followed by attributes, last offset delta, two timestamps, producer id, epoch,
/// sequence and record count.
pub const BATCH_OVERHEAD: usize = CRC_START + 2 + 4 + 8 + 8 + 8 + 2 + 4 + 4;
const _: () = assert!(BATCH_OVERHEAD == 61);

/// The position of the magic byte in every message format.
pub(super) const MAGIC_OFFSET: usize = LOG_OVERHEAD + 4;
/// The magic byte of format 2.
pub const MAGIC_V2: i8 = 2;

/// The minimum length of a message in formats 0 and 1: CRC, magic, attributes, a timestamp in format 1, key length, value
/// length.
const MIN_MESSAGE_LENGTH: [i32; 2] = [4 + 1 + 1 + 4 + 4, 4 + 1 + 1 + 8 + 4 + 4];

/// The codec and the timestamp type have the same bits in every format.
pub(super) const CODEC_MASK: i16 = 0b111;
pub(super) const LOG_APPEND_TIME: i16 = 1 << 3;
const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;
const DELETE_HORIZON: i16 = 1 << 6;

/// The clock of a batch's timestamps (`message.timestamp.type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum TimestampType {
    /// The producer's.
    #[default]
    CreateTime,
    /// The broker's, at the time of the append; every record has the batch's max timestamp.
    LogAppendTime,
}

/// The header of a batch, with the fields in the order of format 2.
///
/// A message of format 0 or 1 in a log, plain or a wrapper of compressed ones, is treated as a batch, as in Kafka
/// (`AbstractLegacyRecordBatch`). It has length, magic, CRC, codec and timestamps, but neither leader epoch nor producer.
/// Its only offset, which is that of its last record, is both `base_offset` and [`BatchHeader::last_offset`]. The real
/// base offset of a wrapper ([`BatchHeader::has_exact_base_offset`]) and its number of records are only in its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    pub base_offset: Offset,
    /// The size of the batch after this field, in bytes.
    pub batch_length: i32,
    pub partition_leader_epoch: LeaderEpoch,
    pub magic: i8,
    /// CRC-32C of everything after this field; before format 2, CRC-32 of everything from the magic on.
    pub crc: u32,
    pub attributes: i16,
    /// The offset of the last record relative to `base_offset`. Compaction keeps it when it removes records.
    pub last_offset_delta: i32,
    /// The base of the records' timestamp deltas; the delete horizon if that is set.
    pub base_timestamp: TimestampMs,
    pub max_timestamp: TimestampMs,
    pub producer_id: ProducerId,
    pub producer_epoch: i16,
    /// The sequence number of the record at `base_offset`; -1 without a producer id.
    pub base_sequence: i32,
    /// -1 for a wrapper, where it is unknown.
    pub record_count: i32,
}

impl BatchHeader {
    /// Parses the header of any format at the front of `bytes`. The records may be missing.
    ///
    /// `Truncated` if the bytes end within the header, `Corrupt` if the magic is not 0 to 2 or the length is too small for a
    /// header. Does not check the CRC; see [`check_crc`].
    #[inline]
    pub fn parse_any(bytes: &[u8]) -> Result<BatchHeader, RecordError> {
        match bytes.get(MAGIC_OFFSET) {
            Some(0 | 1) => BatchHeader::parse_message(bytes),
            _ => BatchHeader::parse(bytes),
        }
    }

    /// Like [`BatchHeader::parse_any`], for format 2 only.
    pub fn parse(bytes: &[u8]) -> Result<BatchHeader, RecordError> {
        let Some(mut fields) = bytes.get(..BATCH_OVERHEAD) else {
            return Err(RecordError::Truncated { needed: BATCH_OVERHEAD, available: bytes.len() });
        };
        let header = BatchHeader {
            base_offset: fields.get_i64(),
            batch_length: fields.get_i32(),
            partition_leader_epoch: fields.get_i32(),
            magic: fields.get_i8(),
            crc: fields.get_u32(),
            attributes: fields.get_i16(),
            last_offset_delta: fields.get_i32(),
            base_timestamp: fields.get_i64(),
            max_timestamp: fields.get_i64(),
            producer_id: fields.get_i64(),
            producer_epoch: fields.get_i16(),
            base_sequence: fields.get_i32(),
            record_count: fields.get_i32(),
        };
        if header.magic != MAGIC_V2 {
            return Err(RecordError::unknown_magic(header.magic));
        }
        if header.batch_length < (BATCH_OVERHEAD - LOG_OVERHEAD) as i32 {
            return Err(RecordError::corrupt(format!("batch length {} is less than its header", header.batch_length)));
        }
        Ok(header)
    }

    /// Like [`BatchHeader::parse_any`], for a message of format 0 or 1.
    fn parse_message(bytes: &[u8]) -> Result<BatchHeader, RecordError> {
        /// Offset, length, CRC, magic, attributes.
        const FRONT: usize = MAGIC_OFFSET + 1 + 1;
        let needed = |needed| RecordError::Truncated { needed, available: bytes.len() };
        let Some(mut front) = bytes.get(..FRONT) else { return Err(needed(FRONT)) };
        let (offset, length, crc) = (front.get_i64(), front.get_i32(), front.get_u32());
        let (magic, attributes) = (front.get_i8(), i16::from(front.get_u8()));
        let min_length = MIN_MESSAGE_LENGTH.get(usize::from(magic.unsigned_abs()));
        let min_length = *min_length.ok_or_else(|| RecordError::unknown_magic(magic))?;
        if length < min_length {
            return Err(RecordError::corrupt(format!("a message of magic {magic} can't be {length} bytes long")));
        }
        let (mask, timestamp) = match magic {
            // No timestamp, so no timestamp type.
            0 => (CODEC_MASK, NO_TIMESTAMP),
            _ => {
                let timestamp = bytes.get(FRONT..).and_then(|rest| rest.first_chunk::<8>());
                let timestamp = timestamp.ok_or_else(|| needed(FRONT + 8))?;
                (CODEC_MASK | LOG_APPEND_TIME, i64::from_be_bytes(*timestamp))
            }
        };
        let attributes = attributes & mask;
        Ok(BatchHeader {
            base_offset: offset,
            batch_length: length,
            magic,
            crc,
            attributes,
            base_timestamp: timestamp,
            max_timestamp: timestamp,
            record_count: if attributes & CODEC_MASK == 0 { 1 } else { -1 },
            ..BatchHeader::default()
        })
    }

    /// Encodes the header.
    pub fn to_bytes(&self) -> [u8; BATCH_OVERHEAD] {
        let mut bytes = [0; BATCH_OVERHEAD];
        let mut out = &mut bytes[..];
        out.put_i64(self.base_offset);
        out.put_i32(self.batch_length);
        out.put_i32(self.partition_leader_epoch);
        out.put_i8(self.magic);
        out.put_u32(self.crc);
        out.put_i16(self.attributes);
        out.put_i32(self.last_offset_delta);
        out.put_i64(self.base_timestamp);
        out.put_i64(self.max_timestamp);
        out.put_i64(self.producer_id);
        out.put_i16(self.producer_epoch);
        out.put_i32(self.base_sequence);
        out.put_i32(self.record_count);
        bytes
    }

    /// Encodes a batch from header and payload, and sets the length and the CRC. `TooLarge` beyond the limit of the length
    /// field.
    pub(super) fn assemble(self, payload: &[u8]) -> Result<(BatchHeader, Vec<u8>), RecordError> {
        let mut bytes = Vec::with_capacity(BATCH_OVERHEAD + payload.len());
        let header = self.append_to(payload, &mut bytes)?;
        Ok((header, bytes))
    }

    /// Like [`BatchHeader::assemble`], appended to `out`.
    pub(super) fn append_to(mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<BatchHeader, RecordError> {
        let size = BATCH_OVERHEAD + payload.len();
        self.batch_length =
            i32::try_from(size - LOG_OVERHEAD).map_err(|_| RecordError::TooLarge { size, limit: i32::MAX as usize })?;
        let header_bytes = self.to_bytes();
        self.crc = crc32c::crc32c_append(crc32c::crc32c(&header_bytes[CRC_START..]), payload);
        out.reserve(size);
        out.extend_from_slice(&self.to_bytes());
        out.extend_from_slice(payload);
        Ok(self)
    }

    /// The size of the whole batch in bytes.
    pub fn size(&self) -> usize {
        LOG_OVERHEAD + usize::try_from(self.batch_length).unwrap_or(0)
    }

    /// The offset of the batch's last record, or of the last one before compaction.
    pub fn last_offset(&self) -> Offset {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta))
    }

    /// The offset after the batch.
    pub fn next_offset(&self) -> Offset {
        self.last_offset().saturating_add(1)
    }

    /// The codec of the records. `UnsupportedCompression` for an unknown id.
    pub fn codec(&self) -> Result<Codec, RecordError> {
        Codec::from_id((self.attributes & CODEC_MASK) as u8)
    }

    /// Whether this is a message of format 0 or 1.
    pub fn is_old(&self) -> bool {
        self.magic < MAGIC_V2
    }

    /// Whether `base_offset` is the offset of the first record. In a wrapper it is that of the last one.
    pub fn has_exact_base_offset(&self) -> bool {
        !self.is_old() || self.attributes & CODEC_MASK == 0
    }

    /// The clock of the timestamps.
    pub fn timestamp_type(&self) -> TimestampType {
        if self.attributes & LOG_APPEND_TIME == 0 { TimestampType::CreateTime } else { TimestampType::LogAppendTime }
    }

    /// The timestamp of a record with this timestamp delta. Wraps on overflow, as in Java.
    pub(super) fn record_timestamp(&self, delta: i64) -> TimestampMs {
        match self.timestamp_type() {
            TimestampType::CreateTime => self.base_timestamp.wrapping_add(delta),
            TimestampType::LogAppendTime => self.max_timestamp,
        }
    }

    /// Whether the batch belongs to a transaction.
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    /// Whether the batch contains control records: transaction markers, or KRaft's.
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    /// When compaction may remove the batch's tombstones, if it has set that (KIP-534).
    pub fn delete_horizon(&self) -> Option<TimestampMs> {
        (self.attributes & DELETE_HORIZON != 0).then_some(self.base_timestamp)
    }

    /// Whether an idempotent or transactional producer wrote it.
    pub fn has_producer_id(&self) -> bool {
        self.producer_id > NO_PRODUCER_ID
    }

    /// The sequence number of the last record; -1 without a sequence. Sequence numbers wrap to 0 after `i32::MAX`.
    pub fn last_sequence(&self) -> i32 {
        if self.base_sequence == NO_SEQUENCE {
            return NO_SEQUENCE;
        }
        (i64::from(self.base_sequence) + i64::from(self.last_offset_delta)).rem_euclid(1 << 31) as i32
    }

    /// The header of a batch that replaces this one, without records yet: keeps offsets, producer, epoch and the attributes of
    /// all records.
    pub(super) fn without_records(&self) -> BatchHeader {
        let kept = CODEC_MASK | LOG_APPEND_TIME | TRANSACTIONAL | CONTROL;
        let max_timestamp = match self.timestamp_type() {
            TimestampType::CreateTime => NO_TIMESTAMP,
            TimestampType::LogAppendTime => self.max_timestamp,
        };
        BatchHeader { attributes: self.attributes & kept, max_timestamp, record_count: 0, ..*self }
    }

    /// Updates the max timestamp for a record with this timestamp.
    pub(super) fn update_max_timestamp(&mut self, timestamp: TimestampMs) {
        if self.timestamp_type() == TimestampType::CreateTime {
            self.max_timestamp = self.max_timestamp.max(timestamp).max(NO_TIMESTAMP);
        }
    }

    pub(super) fn set_delete_horizon(&mut self, horizon: Option<TimestampMs>) {
        match horizon {
            Some(_) => self.attributes |= DELETE_HORIZON,
            None => self.attributes &= !DELETE_HORIZON,
        }
    }

    pub(super) fn set_codec(&mut self, codec: Codec) {
        self.attributes = (self.attributes & !CODEC_MASK) | i16::from(codec.id());
    }

    pub(super) fn set_timestamp_type(&mut self, timestamp_type: TimestampType) {
        match timestamp_type {
            TimestampType::CreateTime => self.attributes &= !LOG_APPEND_TIME,
            TimestampType::LogAppendTime => self.attributes |= LOG_APPEND_TIME,
        }
    }

    pub(super) fn set_transactional(&mut self) {
        self.attributes |= TRANSACTIONAL;
    }

    pub(super) fn set_control(&mut self) {
        self.attributes |= CONTROL;
    }
}

impl Default for BatchHeader {
    /// The header of an empty batch at offset 0 without a producer.
    fn default() -> BatchHeader {
        BatchHeader {
            base_offset: 0,
            batch_length: (BATCH_OVERHEAD - LOG_OVERHEAD) as i32,
            partition_leader_epoch: -1,
            magic: MAGIC_V2,
            crc: 0,
            attributes: 0,
            last_offset_delta: 0,
            base_timestamp: -1,
            max_timestamp: -1,
            producer_id: NO_PRODUCER_ID,
            producer_epoch: NO_PRODUCER_EPOCH,
            base_sequence: NO_SEQUENCE,
            record_count: 0,
        }
    }
}

/// Compares the CRC of `batch` with its header; `Corrupt` if they differ.
pub fn check_crc(header: &BatchHeader, batch: &[u8]) -> Result<(), RecordError> {
    let mut crc = BatchCrc::of(header);
    let covered = batch
        .get(crc.start()..header.size())
        .ok_or(RecordError::Truncated { needed: header.size(), available: batch.len() })?;
    crc.update(covered);
    let computed = crc.sum();
    if computed != header.crc {
        let message =
            format!("the batch is corrupt: stored crc is {:#010x}, computed crc is {computed:#010x}", header.crc);
        return Err(RecordError::Corrupt(message));
    }
    Ok(())
}

/// The running checksum of a batch, by its format.
pub enum BatchCrc {
    /// CRC-32C.
    V2(u32),
    /// CRC-32.
    Old(flate2::Crc),
}

impl BatchCrc {
    /// The initial checksum for the header's format.
    pub fn of(header: &BatchHeader) -> BatchCrc {
        if header.is_old() { BatchCrc::Old(flate2::Crc::new()) } else { BatchCrc::V2(0) }
    }

    /// The start of the bytes that it covers, up to the end of the batch.
    pub fn start(&self) -> usize {
        match self {
            BatchCrc::V2(_) => CRC_START,
            BatchCrc::Old(_) => MAGIC_OFFSET,
        }
    }

    /// Adds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            BatchCrc::V2(crc) => *crc = crc32c::crc32c_append(*crc, bytes),
            BatchCrc::Old(crc) => crc.update(bytes),
        }
    }

    pub fn sum(&self) -> u32 {
        match self {
            BatchCrc::V2(crc) => *crc,
            BatchCrc::Old(crc) => crc.sum(),
        }
    }
}

/// Iterates over the headers of the batches in `bytes`, of any format, each with its position.
///
/// Ends after the last complete batch. An incomplete batch is returned as a last `Truncated`, an invalid header as a last
/// `Corrupt`. Checks no CRC and copies nothing.
pub fn headers(bytes: &[u8]) -> impl Iterator<Item = Result<(usize, BatchHeader), RecordError>> + '_ {
    let mut position = 0;
    std::iter::from_fn(move || {
        let rest = bytes.get(position..).filter(|rest| !rest.is_empty())?;
        let header = match BatchHeader::parse_any(rest) {
            Ok(header) if header.size() <= rest.len() => header,
            Ok(header) => {
                position = bytes.len();
                return Some(Err(RecordError::Truncated { needed: header.size(), available: rest.len() }));
            }
            Err(error) => {
                position = bytes.len();
                return Some(Err(error));
            }
        };
        let at = position;
        position += header.size();
        Some(Ok((at, header)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_round_trips() {
        let header = BatchHeader {
            base_offset: 1 << 40,
            partition_leader_epoch: 3,
            crc: 0xdead_beef,
            attributes: 0b111_1011,
            last_offset_delta: 8,
            base_timestamp: 9,
            max_timestamp: 10,
            producer_id: 11,
            producer_epoch: 12,
            base_sequence: 13,
            record_count: 14,
            ..BatchHeader::default()
        };
        let bytes = header.to_bytes();
        assert_eq!(BatchHeader::parse(&bytes), Ok(header));
        assert_eq!((header.size(), header.last_offset(), header.next_offset()), (61, (1 << 40) + 8, (1 << 40) + 9));
        assert_eq!(header.codec(), Ok(Codec::Lz4));
        assert_eq!(header.timestamp_type(), TimestampType::LogAppendTime);
        assert!(header.is_transactional() && header.is_control() && header.has_producer_id());
        assert_eq!(header.delete_horizon(), Some(9));
        for end in 0..BATCH_OVERHEAD {
            assert_eq!(
                BatchHeader::parse(&bytes[..end]),
                Err(RecordError::Truncated { needed: BATCH_OVERHEAD, available: end })
            );
        }
    }

    #[test]
    fn last_sequence_wraps_to_zero() {
        let last = |base_sequence, last_offset_delta| {
            BatchHeader { base_sequence, last_offset_delta, ..BatchHeader::default() }.last_sequence()
        };
        assert_eq!(last(0, 0), 0);
        assert_eq!(last(5, 3), 8);
        assert_eq!(last(i32::MAX, 0), i32::MAX);
        assert_eq!(last(i32::MAX, 1), 0);
        assert_eq!(last(i32::MAX - 1, 4), 2);
        assert_eq!(last(NO_SEQUENCE, 4), NO_SEQUENCE);
    }

    #[test]
    fn extreme_lengths_and_offsets_do_not_overflow() {
        let header = BatchHeader { batch_length: i32::MAX, base_offset: i64::MAX, ..BatchHeader::default() };
        let header = BatchHeader { last_offset_delta: i32::MAX, ..header };
        assert_eq!((header.last_offset(), header.next_offset()), (i64::MAX, i64::MAX));
        let found: Vec<_> = headers(&header.to_bytes()).collect();
        assert!(matches!(found[..], [Err(RecordError::Truncated { available: 61, .. })]), "{found:?}");
    }
}
