//! `.snapshot`: the producers of a partition at the offset in the file's name.
//!
//! ```text
//! 0  i16 version 1
//! 2  u32 CRC-32C of everything from byte 6
//! 6  i32 number of producers, then for each 46 bytes:
//!    i64 producer id, i16 epoch, i32 last sequence, i64 last offset, i32 offset delta, i64 timestamp,
//!    i32 coordinator epoch, i64 first offset of the open transaction (-1: none)
//! ```

use bytes::{Buf, BufMut};

use super::{Producer, Producers, WrittenBatch};
use ottla_wire::types::TimestampMs;

const VERSION: i16 = 1;
const CRC_COVERS_FROM: usize = 2 + 4;
const ENTRY: usize = 8 + 2 + 4 + 8 + 4 + 8 + 4 + 8;
const _: () = assert!(ENTRY == 46);

impl Producers {
    /// Formats the file's content.
    pub(crate) fn to_snapshot(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(CRC_COVERS_FROM + 4 + self.by_id.len() * ENTRY);
        out.put_i16(VERSION);
        out.put_u32(0);
        out.put_i32(self.by_id.len() as i32);
        let mut ids: Vec<_> = self.by_id.iter().collect();
        ids.sort_unstable_by_key(|(id, _)| **id);
        for (&id, producer) in ids {
            let batch = producer.last_batch();
            out.put_i64(id);
            out.put_i16(producer.epoch);
            out.put_i32(batch.map_or(-1, |batch| batch.last_sequence));
            out.put_i64(batch.map_or(-1, |batch| batch.last_offset));
            out.put_i32(batch.map_or(0, |batch| batch.offset_delta));
            out.put_i64(producer.last_seen);
            out.put_i32(producer.coordinator_epoch);
            out.put_i64(producer.txn_start.unwrap_or(-1));
        }
        let crc = crc32c::crc32c(&out[CRC_COVERS_FROM..]);
        out[2..CRC_COVERS_FROM].copy_from_slice(&crc.to_be_bytes());
        out
    }

    /// Parses the file's content, without producers that have expired by `now`. An error is the reason why the content is
    /// invalid.
    pub(crate) fn from_snapshot(bytes: &[u8], now: TimestampMs, expiration_ms: i64) -> Result<Producers, String> {
        let mut fields = bytes;
        if fields.len() < CRC_COVERS_FROM + 4 {
            return Err(format!("its length of {} bytes is too short", bytes.len()));
        }
        let version = fields.get_i16();
        if version != VERSION {
            return Err(format!("its version {version} is unknown"));
        }
        if fields.get_u32() != crc32c::crc32c(&bytes[CRC_COVERS_FROM..]) {
            return Err("its CRC doesn't match".to_owned());
        }
        let count = fields.get_i32();
        let mut producers = Producers::default();
        for _ in 0..count {
            if fields.len() < ENTRY {
                return Err(format!("it has fewer than {count} producers, the number in its header"));
            }
            let id = fields.get_i64();
            let producer = read_producer(&mut fields);
            if producer.is_expired(now, expiration_ms) {
                continue;
            }
            if let Some(start) = producer.txn_start {
                producers.open_txns.insert(start, id);
            }
            producers.by_id.insert(id, producer);
        }
        Ok(producers)
    }
}

/// Reads the fields of an entry after the producer id. The caller has checked the length.
fn read_producer(fields: &mut &[u8]) -> Producer {
    let epoch = fields.get_i16();
    let last_sequence = fields.get_i32();
    let last_offset = fields.get_i64();
    let offset_delta = fields.get_i32();
    let timestamp = fields.get_i64();
    let coordinator_epoch = fields.get_i32();
    let txn_start = fields.get_i64();
    let batch = WrittenBatch { last_sequence, last_offset, offset_delta, timestamp };
    Producer::restored(
        epoch,
        coordinator_epoch,
        timestamp,
        (txn_start >= 0).then_some(txn_start),
        (last_offset >= 0).then_some(batch),
    )
}
