//! Apache Kafka's dump-log on transactions that the log crate wrote.

use std::path::Path;
use std::sync::Arc;

use ottla_log::{AppendParams, Disk, Log, LogConfig, OpenParams, Origin, TxnVerification};
use ottla_wire::record::control::{ControlType, EndTxnMarker};
use ottla_wire::record::{BatchBuilder, Codec, Verified};
use ottla_wire::types::ProducerIdEpoch;
use tempfile::TempDir;

use crate::harness::trials;
use crate::java::dump_log::{dump, dumped_records, files};
use crate::java::java;
use libtest_mimic::Trial;

const NOW: i64 = 1_795_000_000_000;
const PRODUCERS: i64 = 4;
const ROUNDS: i32 = 20;
const RECORDS: i32 = 5;

fn dump_log_finds_no_fault_in_transactions() {
    let Some(java) = java() else { return };
    let dir = TempDir::with_prefix("ottla-test-").unwrap();
    write(&dir.path().join("transactions-0"));

    let logs = files(dir.path(), "transactions-0", &["log"]);
    assert!(logs.len() > 3, "{logs:?}");
    let markers = (PRODUCERS as i32 - 1) * ROUNDS;
    let written = PRODUCERS as i32 * ROUNDS * RECORDS;
    let output = dump(java, &["--deep-iteration"], &logs);
    assert_eq!(dumped_records(&output), written + markers);
    let ends = |word: &str| output.matches(&format!("endTxnMarker: {word}")).count() as i32;
    assert_eq!((ends("COMMIT") + ends("ABORT"), ends("ABORT")), (markers, markers / 2));

    let aborted = dump(java, &[], &files(dir.path(), "transactions-0", &["txnindex"]));
    let entries = aborted.lines().filter(|line| line.starts_with("version: 0 producerId: ")).count() as i32;
    assert_eq!(entries, markers / 2, "{aborted}");
    let snapshots = dump(java, &[], &files(dir.path(), "transactions-0", &["snapshot"]));
    assert!(snapshots.contains("producerId: 0 producerEpoch: 0 coordinatorEpoch: -1"), "{snapshots}");
    assert!(snapshots.contains("currentTxnFirstOffset: OptionalLong[0]"), "{snapshots}");
    let indexes = files(dir.path(), "transactions-0", &["index", "timeindex"]);
    for flag in ["--index-sanity-check", "--verify-index-only"] {
        dump(java, &[flag], &indexes);
    }
}

/// Producer 0 leaves a transaction open from the first record on; the others end one transaction each round, half of
/// them by an abort.
fn write(directory: &Path) {
    let config = LogConfig { segment_bytes: 5_000, index_interval_bytes: 500, ..LogConfig::default() };
    let mut log = Log::open(&Disk::mapped(), directory, Arc::new(config), OpenParams::fresh(NOW)).unwrap();
    let append_by =
        |origin| AppendParams { leader_epoch: 3, origin, verification: TxnVerification::Disabled, now: NOW };
    for round in 0..ROUNDS {
        for producer_id in 0..PRODUCERS {
            log.append(&records(producer_id, round), append_by(Origin::Client)).unwrap();
        }
        for producer_id in 1..PRODUCERS {
            let end = if (i64::from(round) + producer_id) % 2 == 0 { ControlType::Abort } else { ControlType::Commit };
            log.append(&marker(producer_id, end, round), append_by(Origin::Coordinator)).unwrap();
        }
    }
    let synced = log.close().unwrap().sync();
    log.mark_synced(synced);
    assert!(log.failure().is_none());
}

fn records(producer_id: i64, round: i32) -> Verified {
    let codec = [Codec::None, Codec::Gzip, Codec::Lz4, Codec::Zstd][round as usize % 4];
    let mut batch = BatchBuilder::new(codec);
    batch = batch.producer(ProducerIdEpoch { producer_id, epoch: 0 }, round * RECORDS).transactional();
    for number in 0..RECORDS {
        let time = NOW + i64::from(round * RECORDS + number);
        batch.append(time, Some(format!("{number}").as_bytes()), Some(&[b'v'; 100]), &[]);
    }
    batch.build().unwrap()
}

fn marker(producer_id: i64, end: ControlType, round: i32) -> Verified {
    let marker = EndTxnMarker { coordinator_epoch: round };
    BatchBuilder::end_transaction(ProducerIdEpoch { producer_id, epoch: 0 }, end, marker, NOW).unwrap()
}

pub fn tests() -> Vec<Trial> {
    trials![
        plain: dump_log_finds_no_fault_in_transactions
    ]
}
