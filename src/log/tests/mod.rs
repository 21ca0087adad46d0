//! A log seen from outside. Every story is told on all backings.

mod append;
mod corruption;
mod crash;
mod crash_dir;
mod cut;
mod descriptors;
mod log_dir;
mod loss;
mod model;
mod old_formats;
mod producers;
pub(super) mod random;
mod read;
mod recovery;
mod reopen;
mod retention;
mod transactions;
mod verify;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::*;
use ottla_wire::record::control::{ControlType, EndTxnMarker};
use ottla_wire::record::{BatchBuilder, Codec, Verified, batches};
use ottla_wire::types::{Offset, ProducerId, ProducerIdEpoch, TimestampMs, Uuid};

pub(super) const NOW: TimestampMs = 1_700_000_000_000;

/// A place for one log, and how it is opened.
pub(super) struct Shelf {
    pub(super) disk: Disk,
    pub(super) folder: PathBuf,
    pub(super) config: LogConfig,
    pub(super) at: OpenAt,
    _temporary: Option<tempfile::TempDir>,
}

impl Shelf {
    pub(super) fn simulated(disk: &Simulation) -> Shelf {
        Shelf::on(Disk::simulated(disk), PathBuf::from("/data/t-0"), None)
    }

    /// In a folder of its own beside what was compiled: where the tests are, a disk is.
    pub(super) fn real(disk: Disk) -> Shelf {
        let program = std::env::current_exe().expect("a program");
        let beside = program.parent().expect("a folder");
        let temporary = tempfile::tempdir_in(beside).expect("a temporary folder");
        let folder = temporary.path().join("t-0");
        Shelf::on(disk, folder, Some(temporary))
    }

    fn on(disk: Disk, folder: PathBuf, temporary: Option<tempfile::TempDir>) -> Shelf {
        let config = LogConfig { index_interval_bytes: 100, ..LogConfig::default() };
        Shelf { disk, folder, config, at: OpenAt::fresh(NOW), _temporary: temporary }
    }

    /// The same place on another disk.
    pub(super) fn on_disk(&self, disk: Disk) -> Shelf {
        let (folder, config) = (self.folder.clone(), self.config.clone());
        Shelf { disk, folder, config, at: self.at, _temporary: None }
    }

    pub(super) fn open(&self) -> Log {
        self.try_open().expect("opens")
    }

    pub(super) fn try_open(&self) -> Result<Log, LogError> {
        Log::open(&self.disk, &self.folder, Arc::new(self.config.clone()), self.at)
    }

    /// Opens as after `kill -9` in the same boot, with what a positions file would have said at `validated`.
    pub(super) fn reopen_killed(&self, validated: Option<Validated>) -> Log {
        self.try_reopen_killed(validated).expect("opens")
    }

    pub(super) fn try_reopen_killed(&self, validated: Option<Validated>) -> Result<Log, LogError> {
        let at = OpenAt { clean_shutdown: false, validated, ..self.at };
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

/// Tells a story on every backing.
pub(super) fn on_every_backing(story: impl Fn(Shelf)) {
    story(Shelf::real(Disk::mapped()));
    story(Shelf::real(Disk::plain()));
    // Every file is closed again as soon as another is used.
    story(Shelf::real(Disk::mapped().with_limits(OpenLimits { descriptors: 1, mappings: 1 })));
    story(Shelf::simulated(&Simulation::default()));
}

pub(super) const CLIENT: AppendAs = AppendAs { leader_epoch: 0, origin: Origin::Client, now: NOW };
pub(super) const COORDINATOR: AppendAs = AppendAs { leader_epoch: 0, origin: Origin::Coordinator, now: NOW };

/// A batch with these values, all at `timestamp`.
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

/// A batch of `count` records by an idempotent producer.
pub(super) fn by_producer(producer_id: ProducerId, epoch: i16, sequence: i32, count: usize) -> Verified {
    idempotent(producer_id, epoch, sequence, count, false)
}

/// A batch of `count` records in a transaction.
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

/// Every record from `from` on, as a consumer would get them: CRCs checked, offset and value.
pub(super) fn records_from(log: &Log, from: Offset) -> Vec<(Offset, String)> {
    let mut found = Vec::new();
    let mut next = from;
    while next < log.end_offset() {
        let slice = log.read(next, 1000, true, Offset::MAX).expect("reads");
        if slice.bytes.is_empty() {
            // Compaction has left nothing up to the end.
            break;
        }
        assert!(slice.next_offset > next, "stuck at {next}");
        for batch in batches(&slice.bytes) {
            let batch = batch.expect("a whole batch");
            batch.check_crc().expect("a right CRC");
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

/// What a log knows of its records and producers, which a fresh scan of the same files must find too.
pub(super) fn same_as_a_full_scan(shelf: &Shelf, log: &Log) {
    let rescanned = full_scan(shelf);
    assert_eq!(rescanned.end_offset(), log.end_offset());
    assert_eq!(producers(&rescanned), producers(log));
    assert_eq!(rescanned.last_stable_offset(), log.last_stable_offset());
    assert_eq!(records_from(&rescanned, log.start_offset()), records_from(log, log.start_offset()));
}

/// What a log has for indexes, which a fresh scan must write byte for byte.
pub(super) fn indexes_of_a_full_scan(shelf: &Shelf, log: &Log) {
    let indexes = sealed_indexes(shelf, log);
    full_scan(shelf);
    for (name, bytes) in indexes {
        let found = shelf.disk.read(&file(shelf, &name)).expect("reads");
        assert_eq!(found, Some(bytes), "{name}, which was there, and what a scan makes of it");
    }
}

fn full_scan(shelf: &Shelf) -> Log {
    let mut full = Shelf::on(shelf.disk.clone(), shelf.folder.clone(), None);
    full.config = shelf.config.clone();
    full.at = OpenAt { clean_shutdown: false, recovery_point: 0, validated: None, ..shelf.at };
    full.open()
}

/// What is known of producers, but for when they were last seen: a scan has to count them as seen now.
fn producers(log: &Log) -> Vec<ProducerDescription> {
    let mut producers = log.producers();
    producers.sort_by_key(|producer| producer.producer_id);
    producers.iter_mut().for_each(|producer| producer.last_timestamp = 0);
    producers
}

/// The indexes of offsets and times of all segments that nothing is appended to any more.
fn sealed_indexes(shelf: &Shelf, log: &Log) -> Vec<(String, Vec<u8>)> {
    let sealed = log.segments.iter().filter(|segment| !segment.is_active() && segment.size() > 0);
    let names = sealed.flat_map(|segment| ["index", "timeindex"].map(|kind| format!("{:020}.{kind}", segment.base())));
    let read = |name: String| Some((shelf.disk.read(&file(shelf, &name)).expect("reads")?, name));
    names.filter_map(read).map(|(bytes, name)| (name, bytes)).collect()
}

pub(super) fn file(shelf: &Shelf, name: &str) -> PathBuf {
    Path::new(&shelf.folder).join(name)
}
