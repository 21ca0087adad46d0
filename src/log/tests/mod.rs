//! Tests of a log, most of them on all backings.

mod append;
mod corruption;
mod crash;
mod crash_dir;
mod descriptors;
mod external_change;
mod log_dir;
mod loss;
pub(super) mod model;
mod old_formats;
mod producers;
pub(super) mod random;
mod read;
mod recovery;
mod reopen;
mod retention;
mod transactions;
mod txn_model;
mod txn_verification;
mod verify;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::*;
use ottla_wire::record::control::{ControlType, EndTxnMarker};
use ottla_wire::record::{BatchBuilder, Codec, Verified, batches};
use ottla_wire::types::{Offset, ProducerId, ProducerIdEpoch, TimestampMs, Uuid};

pub(super) const NOW: TimestampMs = 1_700_000_000_000;

/// The disk, folder and settings of one log under test.
pub(super) struct Fixture {
    pub(super) disk: Disk,
    pub(super) folder: PathBuf,
    pub(super) config: LogConfig,
    pub(super) at: OpenParams,
    _temporary: Option<tempfile::TempDir>,
}

impl Fixture {
    pub(super) fn simulated(disk: &Simulation) -> Fixture {
        Fixture::on(Disk::simulated(disk), PathBuf::from("/data/t-0"), None)
    }

    /// Creates a temporary folder beside the test program, which is on a disk (`/tmp` may be in memory).
    pub(super) fn real(disk: Disk) -> Fixture {
        let program = std::env::current_exe().expect("a program");
        let parent = program.parent().expect("a folder");
        let temporary = tempfile::tempdir_in(parent).expect("a temporary folder");
        let folder = temporary.path().join("t-0");
        Fixture::on(disk, folder, Some(temporary))
    }

    fn on(disk: Disk, folder: PathBuf, temporary: Option<tempfile::TempDir>) -> Fixture {
        let config = LogConfig { index_interval_bytes: 100, ..LogConfig::default() };
        Fixture { disk, folder, config, at: OpenParams::fresh(NOW), _temporary: temporary }
    }

    /// Returns the same fixture on another disk.
    pub(super) fn on_disk(&self, disk: Disk) -> Fixture {
        let (folder, config) = (self.folder.clone(), self.config.clone());
        Fixture { disk, folder, config, at: self.at, _temporary: None }
    }

    pub(super) fn open(&self) -> Log {
        self.try_open().expect("opens")
    }

    pub(super) fn try_open(&self) -> Result<Log, LogError> {
        Log::open(&self.disk, &self.folder, Arc::new(self.config.clone()), self.at)
    }

    /// Opens the log as after `kill -9` in the same boot, with `validated` from the positions file.
    pub(super) fn reopen_killed(&self, validated: Option<Validated>) -> Log {
        self.try_reopen_killed(validated).expect("opens")
    }

    pub(super) fn try_reopen_killed(&self, validated: Option<Validated>) -> Result<Log, LogError> {
        let at = OpenParams { clean_shutdown: false, validated, ..self.at };
        Log::open(&self.disk, &self.folder, Arc::new(self.config.clone()), at)
    }

    pub(super) fn close(&self, mut log: Log) {
        let synced = log.close().expect("closes").sync();
        log.mark_synced(synced);
        assert!(log.failure().is_none());
    }

    pub(super) fn names(&self) -> Vec<String> {
        let mut names = self.disk.list(&self.folder).expect("lists").unwrap_or_default();
        names.sort();
        names
    }
}

/// Runs a test on every backing.
pub(super) fn on_every_backing(test: impl Fn(Fixture)) {
    test(Fixture::real(Disk::mapped()));
    test(Fixture::real(Disk::plain()));
    // Each file is closed as soon as another one is used.
    test(Fixture::real(Disk::mapped().with_limits(OpenLimits { descriptors: 1, mappings: 1 })));
    test(Fixture::simulated(&Simulation::default()));
}

/// A client's batch, without the verification of transactions.
pub(super) const CLIENT: AppendParams =
    AppendParams { leader_epoch: 0, origin: Origin::Client, verification: TxnVerification::Disabled, now: NOW };
pub(super) const COORDINATOR: AppendParams = AppendParams { origin: Origin::Coordinator, ..CLIENT };

/// Builds a batch with these values, all at `timestamp`.
pub(super) fn batch_at(timestamp: TimestampMs, values: &[&str]) -> Verified {
    let mut builder = BatchBuilder::new(Codec::None);
    for value in values {
        builder.append(timestamp, None, Some(value.as_bytes()), &[]);
    }
    builder.build().expect("builds")
}

pub(super) fn batch(values: &[&str]) -> Verified {
    batch_at(NOW, values)
}

/// Builds a batch of `count` records by an idempotent producer.
pub(super) fn by_producer(producer_id: ProducerId, epoch: i16, sequence: i32, count: usize) -> Verified {
    idempotent(producer_id, epoch, sequence, count, false)
}

/// Builds a batch of `count` records in a transaction.
pub(super) fn in_txn(producer_id: ProducerId, epoch: i16, sequence: i32, count: usize) -> Verified {
    idempotent(producer_id, epoch, sequence, count, true)
}

fn idempotent(producer_id: ProducerId, epoch: i16, sequence: i32, count: usize, in_txn: bool) -> Verified {
    let mut builder = BatchBuilder::new(Codec::None).producer(ProducerIdEpoch { producer_id, epoch }, sequence);
    if in_txn {
        builder = builder.transactional();
    }
    for index in 0..count {
        builder.append(NOW, None, Some(format!("{producer_id}/{epoch}/{}", sequence as usize + index).as_bytes()), &[]);
    }
    builder.build().expect("builds")
}

pub(super) fn marker(producer_id: ProducerId, epoch: i16, control: ControlType, coordinator_epoch: i32) -> Verified {
    let producer = ProducerIdEpoch { producer_id, epoch };
    BatchBuilder::end_transaction(producer, control, EndTxnMarker { coordinator_epoch }, NOW).expect("builds")
}

/// Reads all records from `from` on as a consumer would, with checked CRCs; returns offset and value.
pub(super) fn records_from(log: &Log, from: Offset) -> Vec<(Offset, String)> {
    let mut found = Vec::new();
    let mut next = from;
    while next < log.end_offset() {
        let slice = log.read(next, 1000, true, Offset::MAX).expect("reads");
        if slice.bytes.is_empty() {
            // Compaction has removed all records up to the end.
            break;
        }
        assert!(slice.next_offset > next, "stuck at {next}");
        for batch in batches(&slice.bytes) {
            let batch = batch.expect("a whole batch");
            batch.check_crc().expect("a valid CRC");
            if batch.header().is_control() {
                continue;
            }
            for record in batch.records() {
                let record = record.expect("a record");
                let value = String::from_utf8_lossy(&record.value.unwrap_or_default()).into_owned();
                if record.offset >= next {
                    found.push((record.offset, value));
                }
            }
        }
        next = slice.next_offset;
    }
    found
}

/// Checks that a full scan of the same files finds the same records and producers as the log.
pub(super) fn assert_equals_full_scan(fixture: &Fixture, log: &Log) {
    let rescanned = full_scan(fixture);
    assert_eq!(rescanned.end_offset(), log.end_offset());
    assert_eq!(producers(&rescanned), producers(log));
    assert_eq!(rescanned.last_stable_offset(), log.last_stable_offset());
    assert_eq!(records_from(&rescanned, log.start_offset()), records_from(log, log.start_offset()));
}

/// Checks that a full scan writes the same indexes as the log has, byte for byte.
pub(super) fn assert_indexes_equal_full_scan(fixture: &Fixture, log: &Log) {
    let indexes = sealed_indexes(fixture, log);
    full_scan(fixture);
    for (name, bytes) in indexes {
        let found = fixture.disk.read(&file(fixture, &name)).expect("reads");
        assert_eq!(found, Some(bytes), "{name}, rebuilt by a scan (left) and before (right)");
    }
}

fn full_scan(fixture: &Fixture) -> Log {
    let mut full = Fixture::on(fixture.disk.clone(), fixture.folder.clone(), None);
    full.config = fixture.config.clone();
    full.at = OpenParams { clean_shutdown: false, recovery_point: 0, validated: None, ..fixture.at };
    full.open()
}

/// Returns the state of producers without their last timestamps, which a scan sets to now.
fn producers(log: &Log) -> Vec<ProducerDescription> {
    let mut producers = log.producers();
    producers.sort_by_key(|producer| producer.producer_id);
    producers.iter_mut().for_each(|producer| producer.last_timestamp = 0);
    producers
}

/// Reads the offset and time indexes of all sealed segments.
fn sealed_indexes(fixture: &Fixture, log: &Log) -> Vec<(String, Vec<u8>)> {
    let sealed = log.segments.iter().filter(|segment| !segment.is_active() && segment.size() > 0);
    let names = sealed.flat_map(|segment| ["index", "timeindex"].map(|kind| format!("{:020}.{kind}", segment.base())));
    let read = |name: String| Some((fixture.disk.read(&file(fixture, &name)).expect("reads")?, name));
    names.filter_map(read).map(|(bytes, name)| (name, bytes)).collect()
}

pub(super) fn file(fixture: &Fixture, name: &str) -> PathBuf {
    Path::new(&fixture.folder).join(name)
}
