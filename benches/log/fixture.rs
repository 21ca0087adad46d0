//! Logs in temporary directories, and batches for them.

use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use ottla_log::{AppendParams, Disk, Log, LogConfig, OpenParams, Origin, TxnVerification};
use ottla_wire::record::{BATCH_OVERHEAD, BatchBuilder, Codec, Verified};
use ottla_wire::types::TimestampMs;
use tempfile::TempDir;

/// Bytes of a record besides its value, if both are small.
const RECORD_OVERHEAD: usize = 8;
const MAX_RECORD_BYTES: usize = 1024;

/// Makes a temporary directory. Its removal also discards dirty pages, which are then not written to the disk.
pub fn scratch() -> TempDir {
    TempDir::with_prefix_in("log-", env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory")
}

pub fn now() -> TimestampMs {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_millis() as TimestampMs
}

/// Returns the options of a client's append.
pub fn as_client() -> AppendParams {
    AppendParams { leader_epoch: 0, origin: Origin::Client, verification: TxnVerification::NotVerified, now: now() }
}

/// Opens a log in `dir`, as after a clean stop.
pub fn open(disk: &Disk, dir: &Path, config: LogConfig) -> Log {
    Log::open(disk, dir, Arc::new(config), OpenParams { clean_shutdown: true, ..OpenParams::fresh(now()) })
        .expect("opens")
}

/// Returns the kind of file access that a broker would use in this directory.
pub fn disk(dir: &Path) -> Disk {
    Disk::probe(dir).0
}

/// Builds a batch of about `bytes`, with records of at most 1 KiB that do not compress well.
pub fn batch(bytes: usize, codec: Codec) -> Verified {
    let mut builder = BatchBuilder::new(codec);
    let mut left = bytes.saturating_sub(BATCH_OVERHEAD);
    let mut noise = 1_u64;
    while left > RECORD_OVERHEAD {
        let len = left.min(MAX_RECORD_BYTES) - RECORD_OVERHEAD;
        let value: Vec<u8> = (0..len).map(|_| random(&mut noise)).collect();
        builder.append(now(), None, Some(&value), &[]);
        left = left.saturating_sub(MAX_RECORD_BYTES);
    }
    builder.build().expect("a batch")
}

/// Returns a byte with four random bits: compression about halves such bytes.
fn random(state: &mut u64) -> u8 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    b'a' + (*state >> 60) as u8
}

/// Makes a log of about `bytes` in batches of `batch_bytes` and segments of `segment_bytes`, not synced and not closed.
pub fn fill(disk: &Disk, dir: &Path, bytes: u64, batch_bytes: usize, segment_bytes: u32) -> Log {
    crate::system::warm(bytes as usize);
    let mut log = open(disk, dir, LogConfig { segment_bytes, ..LogConfig::default() });
    let (batch, append_as) = (batch(batch_bytes, Codec::None), as_client());
    while log.size() < bytes {
        log.append(&batch, append_as).expect("appends");
    }
    log
}
