//! Arbitrary bytes as a partition's directory: opened or refused, without a panic. An opened log serves only complete
//! batches in order, accepts appends, is compacted, loses segments to retention, is closed, and opens again with the
//! same end offset.
//!
//! The input is a byte of options, followed by files: each has one byte for its name, two for its length, and the
//! content. Records are used as they are or built into batches with right lengths and checksums, because nearly all
//! other inputs would fail the checksum.

#![no_main]

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use ottla_log::{
    AppendParams, AppendError, CompactionBuffers, Disk, Log, LogConfig, LogError, OpenParams, Origin, Replaced, Simulation,
    TimestampQuery, TxnVerification, Validated,
};
use ottla_wire::record::{BATCH_OVERHEAD, BatchBuilder, Codec, Verified, batches};
use ottla_wire::types::ProducerIdEpoch;

const NOW: i64 = 1_700_000_000_000;
/// The option bit that makes the topic a compacted one.
const COMPACTED: u8 = 2;
const DIRECTORY: &str = "/data/t-0";
const CRC_AT: usize = 17;
const CRC_START: usize = 21;
const APPEND: AppendParams = AppendParams { leader_epoch: i32::MAX, origin: Origin::Client, verification: TxnVerification::Disabled, now: NOW };

fuzz_target!(|input: &[u8]| {
    let Some((&choice, mut rest)) = input.split_first() else { return };
    let disk = Simulation::default();
    while let [file, high, low, content @ ..] = rest {
        let len = usize::from(u16::from_be_bytes([*high, *low])).min(content.len());
        put(&disk, *file, &content[..len]);
        rest = &content[len..];
    }
    let clean = choice & 1 == 1;
    let at = open_at(choice, clean);
    let Some(log) = open(&disk, choice, at) else { return };
    let closed = use_log(log, at);
    // After recovery, use and a clean close the log is valid, for each way to open it.
    let log_start = closed.map(|closed| closed.start).or(at.log_start);
    let found = open(&disk, choice, OpenParams { validated: None, clean_shutdown: true, log_start, ..at });
    let found = found.expect("a closed log opens again");
    assert!(closed.is_none_or(|closed| closed.end == found.end_offset()), "{closed:?}, then {}", found.end_offset());
    if let Some(closed) = closed.filter(|_| !clean && at.recovery_point == 0 && at.validated.is_none()) {
        drop(found);
        // The topic's policy or the recovery point decides which gaps compaction made.
        let recovery_point = if choice & COMPACTED == 0 { closed.recovery_point } else { 0 };
        let scanned = open(&disk, choice, OpenParams { clean_shutdown: false, recovery_point, log_start, ..at });
        assert_eq!(scanned.expect("opens").end_offset(), closed.end, "a scan finds the end of the closed log");
    }
});

/// The offsets that the checkpoints have for a closed log.
#[derive(Clone, Copy, Debug)]
struct Closed {
    start: i64,
    end: i64,
    recovery_point: i64,
}

fn open(disk: &Simulation, choice: u8, at: OpenParams) -> Option<Log> {
    let config = LogConfig {
        segment_bytes: 2000,
        index_interval_bytes: 100,
        retention_ms: -1,
        cleanup_compact: choice & COMPACTED != 0,
        ..LogConfig::default()
    };
    match Log::open(&Disk::simulated(disk), Path::new(DIRECTORY), Arc::new(config), at) {
        Ok(log) => Some(log),
        Err(LogError::Corrupt { why, .. }) => {
            assert!(!why.is_empty());
            None
        }
        Err(other) => panic!("the simulated disk has no faults: {other}"),
    }
}

fn open_at(choice: u8, clean: bool) -> OpenParams {
    let validated = Validated { segment: 0, position: 140, next_offset: 2 };
    OpenParams {
        clean_shutdown: clean,
        recovery_point: if choice & 4 == 0 { 0 } else { 3 },
        validated: (choice & 8 != 0).then_some(validated),
        log_start: (choice & 16 != 0).then_some(i64::from(choice >> 5)),
        ..OpenParams::fresh(NOW)
    }
}

/// Calls all operations of a log and closes it; returns `None` if its files contradict each other.
fn use_log(mut log: Log, at: OpenParams) -> Option<Closed> {
    let unchecked = at.clean_shutdown || at.recovery_point > 0 || at.validated.is_some();
    read_all(&log, unchecked);
    for query in [TimestampQuery::Earliest, TimestampQuery::Latest, TimestampQuery::Max, TimestampQuery::At(NOW)] {
        let _ = log.offset_for_timestamp(query);
    }
    let _ = log.segment_timestamps();
    let _ = log.aborted_transactions(log.start_offset(), log.end_offset());
    for epoch in [-1, 0, 1, i32::MAX] {
        let _ = log.end_offset_for_epoch(epoch);
    }
    let mut end = log.end_offset();
    assert!(log.start_offset() <= log.last_stable_offset() && log.last_stable_offset() <= end);
    for batch in [batch(None), batch(Some(0)), batch(Some(1)), batch(None)] {
        match log.append(&batch, APPEND) {
            Ok(appended) if appended.duplicate => {}
            Ok(appended) => {
                assert_eq!(appended.base_offset, end);
                end = log.end_offset();
            }
            // Indexes and records that were not checked at opening may contradict each other.
            Err(AppendError::Storage(_)) => return None,
            Err(_) => {}
        }
    }
    let middle = log.start_offset() + (end - log.start_offset()) / 2;
    log.delete_records(middle).ok()?;
    log.housekeep(NOW).ok()?.unlink().expect("removes");
    read_all(&log, unchecked);
    compact(&mut log)?;
    read_all(&log, unchecked);
    let synced = log.close().ok()?.sync();
    log.mark_synced(synced);
    Some(Closed { start: log.start_offset(), end: log.end_offset(), recovery_point: log.recovery_point() })
}

/// Compacts the log; returns `None` if a failure has closed it.
fn compact(log: &mut Log) -> Option<()> {
    let synced = log.flush_target().ok()?.sync();
    log.mark_synced(synced);
    let (start, end) = (log.start_offset(), log.end_offset());
    let mut buffers = CompactionBuffers::new(1 << 12, 0.9, 1 << 12, 7);
    if let Some(mut compaction) = log.begin_compaction(NOW).ok()? {
        // It does not change segments that it can't read.
        while let Ok(Some(group)) = compaction.next_group(&mut buffers, &mut |_| ControlFlow::Continue(())) {
            match log.replace(group).ok()? {
                Replaced::InPlace(old) => old.unlink().expect("removes"),
                Replaced::LogChanged(_) => panic!("the log has not changed"),
            }
        }
    }
    assert_eq!((log.start_offset(), log.end_offset()), (start, end));
    Some(())
}

fn batch(sequence: Option<i32>) -> Verified {
    let mut builder = BatchBuilder::new(Codec::None);
    if let Some(sequence) = sequence {
        builder = builder.producer(ProducerIdEpoch { producer_id: 1, epoch: 0 }, sequence);
    }
    builder.append(NOW, Some(b"key"), Some(b"value"), &[]);
    builder.build().expect("builds")
}

/// Reads as a consumer does. After a scan the files have only complete batches, in order; without one they may end with
/// corrupt bytes.
fn read_all(log: &Log, unchecked: bool) {
    let mut next = log.start_offset();
    while next < log.end_offset() {
        let slice = match log.read(next, 500, true, i64::MAX) {
            Ok(slice) => slice,
            Err(error) => {
                assert!(unchecked, "{error}");
                return;
            }
        };
        for batch in batches(&slice.bytes) {
            let batch = batch.expect("complete batches");
            assert!(unchecked || batch.check_crc().is_ok(), "a corrupt batch at {next}");
            let _ = batch.records().count();
        }
        if slice.next_offset <= next {
            assert!(unchecked || slice.bytes.is_empty(), "no progress at {next}");
            return;
        }
        next = slice.next_offset;
    }
}

fn put(disk: &Simulation, which: u8, content: &[u8]) {
    const KINDS: [&str; 16] = [
        "log", "log", "log", "log", "index", "timeindex", "txnindex", "snapshot", "log.swap", "index.swap",
        "log.cleaned", "log.deleted", "timeindex.swap", "txnindex.cleaned", "snapshot.deleted", "",
    ];
    const BASES: [i64; 8] = [0, 2, 5, 40, 1 << 31, (1 << 31) + 2, i64::MAX - (1 << 40), i64::MAX];
    const SMALL: [&str; 4] = ["leader-epoch-checkpoint", "partition.metadata", "leader-epoch-checkpoint.tmp", "x"];
    let kind = KINDS[usize::from(which & 15)];
    let base = BASES[usize::from(which >> 4 & 7)];
    let name = if kind.is_empty() { SMALL[usize::from(which >> 4 & 3)].to_owned() } else { format!("{base:020}.{kind}") };
    let content = if kind.starts_with("log") && which >> 7 == 1 { to_batches(content, base) } else { content.to_vec() };
    disk.put(&Path::new(DIRECTORY).join(name), &content);
}

/// Builds batches from arbitrary bytes. Of each batch, the first byte is the gap before its offset, the second the
/// length of its records, and the next ones the rest of its header and its records.
fn to_batches(mut bytes: &[u8], base: i64) -> Vec<u8> {
    let mut out = Vec::new();
    let mut offset = base;
    while let [skip, len, content @ ..] = bytes {
        let header = BATCH_OVERHEAD - CRC_START;
        if content.len() < header {
            out.extend_from_slice(bytes);
            break;
        }
        let covered = content.len().min(header + usize::from(*len));
        offset = offset.wrapping_add(i64::from(skip >> 4));
        out.extend_from_slice(&batch_with_crc(offset, &content[..covered]));
        let delta = i32::from_be_bytes([content[2], content[3], content[4], content[5]]);
        offset = offset.wrapping_add(i64::from(delta)).wrapping_add(1);
        bytes = &content[covered..];
        if skip & 15 == 15 {
            // A partly written batch.
            out.truncate(out.len() - out.len().min(usize::from(*len) / 2));
        }
    }
    out
}

/// Makes a batch at `offset` whose bytes from the attributes on, which the CRC covers, are `covered`.
fn batch_with_crc(offset: i64, covered: &[u8]) -> Vec<u8> {
    let mut batch = Vec::with_capacity(CRC_START + covered.len());
    batch.extend_from_slice(&offset.to_be_bytes());
    batch.extend_from_slice(&((CRC_START + covered.len() - 12) as i32).to_be_bytes());
    batch.extend_from_slice(&0_i32.to_be_bytes());
    batch.push(2);
    debug_assert_eq!(batch.len(), CRC_AT);
    batch.extend_from_slice(&crc32c::crc32c(covered).to_be_bytes());
    batch.extend_from_slice(covered);
    batch
}
