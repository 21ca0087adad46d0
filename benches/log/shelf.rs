//! Logs in directories of their own, and batches for them.

use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use ottla_log::{AppendAs, Disk, Log, LogConfig, OpenAt, Origin, TxnVerification};
use ottla_wire::record::{BATCH_OVERHEAD, BatchBuilder, Codec, Verified};
use ottla_wire::types::TimestampMs;
use tempfile::TempDir;

/// What a record takes beside its value, if both are small.
const RECORD_OVERHEAD: usize = 8;
const LARGEST_RECORD: usize = 1024;

/// A directory that is removed when dropped, and with it what was not written to the disk yet.
pub fn scratch() -> TempDir {
    TempDir::with_prefix_in("log-", env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory")
}

pub fn now() -> TimestampMs {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_millis() as TimestampMs
}

/// How a client's batch is appended.
pub fn by_client() -> AppendAs {
    AppendAs { leader_epoch: 0, origin: Origin::Client, verification: TxnVerification::NotVerified, now: now() }
}

/// A log in `folder`, opened as after a clean stop.
pub fn open(disk: &Disk, folder: &Path, config: LogConfig) -> Log {
    Log::open(disk, folder, Arc::new(config), OpenAt { clean_shutdown: true, ..OpenAt::fresh(now()) }).expect("opens")
}

/// The best way to use files there, as a broker would.
pub fn disk(folder: &Path) -> Disk {
    Disk::probe(folder).0
}

/// A batch of about `bytes`, in records of at most 1 KiB that don't compress well.
pub fn batch(bytes: usize, codec: Codec) -> Verified {
    let mut builder = BatchBuilder::new(codec);
    let mut left = bytes.saturating_sub(BATCH_OVERHEAD);
    let mut noise = 1_u64;
    while left > RECORD_OVERHEAD {
        let len = left.min(LARGEST_RECORD) - RECORD_OVERHEAD;
        let value: Vec<u8> = (0..len).map(|_| random(&mut noise)).collect();
        builder.append(now(), None, Some(&value), &[]);
        left = left.saturating_sub(LARGEST_RECORD);
    }
    builder.build().expect("a batch")
}

/// Four bits of noise in each byte: about half of it can be compressed away.
fn random(state: &mut u64) -> u8 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    b'a' + (*state >> 60) as u8
}

/// A log of about `bytes` in batches of `batch_bytes`, not synced and not closed, in segments of `segment_bytes`.
pub fn filled(disk: &Disk, folder: &Path, bytes: u64, batch_bytes: usize, segment_bytes: u32) -> Log {
    crate::system::warm(bytes as usize);
    let mut log = open(disk, folder, LogConfig { segment_bytes, ..LogConfig::default() });
    let (batch, how) = (batch(batch_bytes, Codec::None), by_client());
    while log.size() < bytes {
        log.append(&batch, how).expect("appends");
    }
    log
}
