//! Random operations on a log and on a plain list of batches, which must never disagree.
//!
//! `LOG_MODEL_RUNS` and `LOG_MODEL_SEED` make it longer or repeat one run.

use super::random::Random;
use super::*;
use crate::types::NO_PRODUCER_ID;

const STEPS: u64 = 250;

/// A batch as the model remembers it.
#[derive(Clone, Debug)]
struct Batch {
    base: Offset,
    records: Vec<(TimestampMs, String)>,
    producer_id: ProducerId,
    epoch: i16,
    sequence: i32,
    transactional: bool,
    marker: Option<ControlType>,
}

impl Batch {
    fn next_offset(&self) -> Offset {
        self.base + self.records.len().max(1) as i64
    }

    fn build(&self, codec: Codec) -> Verified {
        if let Some(control) = self.marker {
            return marker(self.producer_id, self.epoch, control, 1);
        }
        let mut builder = BatchBuilder::new(codec);
        if self.producer_id != NO_PRODUCER_ID {
            let producer = ProducerIdEpoch { producer_id: self.producer_id, epoch: self.epoch };
            builder = builder.producer(producer, self.sequence);
        }
        if self.transactional {
            builder = builder.transactional();
        }
        for (timestamp, value) in &self.records {
            builder.append(*timestamp, None, Some(value.as_bytes()), &[]);
        }
        builder.build().expect("builds")
    }
}

struct Run {
    random: Random,
    disk: Simulation,
    shelf: Shelf,
    log: Log,
    /// Every batch ever appended, also those that retention has removed.
    history: Vec<Batch>,
    start: Offset,
    /// The log end when the last batches of the history were dropped from it.
    floor: Offset,
    /// Everything below survives a power loss.
    synced: Offset,
    /// What a positions file would say, if one was written in this boot.
    validated: Option<Validated>,
    now: TimestampMs,
}

#[test]
fn random_operations_agree_with_a_plain_list() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (runs, first) = (number("LOG_MODEL_RUNS").unwrap_or(80), number("LOG_MODEL_SEED").unwrap_or(1));
    for seed in first..first + runs {
        println!("seed {seed}");
        let mut run = Run::new(seed);
        for _ in 0..STEPS {
            run.step();
        }
        run.check_everything();
    }
}

impl Run {
    fn new(seed: u64) -> Run {
        let mut random = Random(seed);
        let disk = Simulation::default();
        let mut shelf = Shelf::simulated(&disk);
        shelf.config.segment_bytes = 7000 + random.below(10_000) as u32;
        shelf.config.index_interval_bytes = random.below(3000) as u32;
        shelf.config.retention_ms = -1;
        shelf.config.producer_id_expiration_ms = i64::MAX;
        let log = shelf.open();
        Run { random, disk, shelf, log, history: Vec::new(), start: 0, floor: 0, synced: 0, validated: None, now: NOW }
    }

    fn step(&mut self) {
        self.now += self.random.below(50) as i64;
        match self.random.below(100) {
            0..25 => self.append_plain(),
            25..50 => self.append_idempotent(),
            50..58 => self.end_transaction(),
            58..70 => self.check_read(),
            70..75 => self.check_times(),
            75..79 => self.sync(),
            79..82 => self.delete_records(),
            82..85 => self.retain(),
            85..87 => self.validated = self.log.validated(),
            87..91 => self.reopen_clean(),
            91..94 => self.kill(),
            94..96 => self.lose_power(),
            96..98 => self.fail_and_reopen(),
            _ => self.check_everything(),
        }
    }

    fn end(&self) -> Offset {
        self.history.last().map_or(0, Batch::next_offset).max(self.floor)
    }

    fn new_batch(&mut self) -> Batch {
        let count = 1 + self.random.below(4);
        let records = (0..count).map(|_| self.new_record()).collect();
        let (producer_id, epoch, sequence) = (NO_PRODUCER_ID, -1, -1);
        Batch { base: self.end(), records, producer_id, epoch, sequence, transactional: false, marker: None }
    }

    fn new_record(&mut self) -> (TimestampMs, String) {
        let timestamp = self.now - self.random.below(200) as i64;
        let len = if self.random.below(20) == 0 { 1500 } else { self.random.below(60) };
        (timestamp, format!("{}-{}", self.random.next(), "x".repeat(len as usize)))
    }

    fn codec(&mut self) -> Codec {
        [Codec::None, Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd][self.random.below(6) as usize]
    }

    /// Appends a batch that the log must take.
    fn append(&mut self, batch: Batch) {
        let verified = batch.build(self.codec());
        let how = AppendAs { now: self.now, ..CLIENT };
        let appended = self.log.append(&verified, how).expect("appends");
        assert_eq!((appended.base_offset, appended.duplicate), (batch.base, false));
        self.history.push(batch);
        assert_eq!(self.log.end_offset(), self.end());
    }

    fn append_plain(&mut self) {
        let batch = self.new_batch();
        self.append(batch);
    }

    /// The batches of a producer's newest epoch, of which the last five are recognised.
    fn window(&self, producer_id: ProducerId) -> (i16, Vec<&Batch>) {
        let mine = || self.history.iter().filter(move |batch| batch.producer_id == producer_id);
        let epoch = mine().next_back().map_or(-1, |batch| batch.epoch);
        let of_epoch = mine().filter(|batch| batch.epoch == epoch && batch.marker.is_none()).collect::<Vec<_>>();
        (epoch, of_epoch)
    }

    fn append_idempotent(&mut self) {
        let producer_id = self.random.below(4) as i64;
        let (epoch, window) = self.window(producer_id);
        let next = window.last().map_or(0, |batch| batch.sequence + batch.records.len() as i32);
        let recent: Vec<Batch> = window.into_iter().rev().take(5).cloned().collect();
        let open = self.open_transaction(producer_id).is_some();
        let mut batch = self.new_batch();
        (batch.producer_id, batch.epoch, batch.sequence) = (producer_id, epoch.max(0), next);
        batch.transactional = open || self.random.below(3) == 0;
        match self.random.below(10) {
            0..2 if !recent.is_empty() => {
                let which = self.random.below(recent.len() as u64) as usize;
                self.repeat(&recent[which]);
            }
            2 if epoch >= 0 => self.refused(Batch { sequence: next + 1, ..batch }),
            3 if epoch > 0 => self.refused(Batch { epoch: epoch - 1, ..batch }),
            4 if epoch >= 0 => self.append(Batch { epoch: epoch + 1, sequence: 0, ..batch }),
            _ => self.append(batch),
        }
    }

    /// Sends a batch again. It is recognised unless the files it was in are gone.
    fn repeat(&mut self, batch: &Batch) {
        if batch.base < self.log.segments[0].base() {
            return;
        }
        let appended = self.log.append(&batch.build(Codec::None), CLIENT).expect("is recognised");
        assert_eq!((appended.base_offset, appended.duplicate), (batch.base, true), "{batch:?}");
        assert_eq!(appended.last_offset + 1, batch.next_offset());
    }

    fn refused(&mut self, batch: Batch) {
        let refused = self.log.append(&batch.build(Codec::None), CLIENT);
        let expected =
            matches!(refused, Err(AppendError::OutOfOrderSequence { .. } | AppendError::InvalidProducerEpoch { .. }));
        assert!(expected, "{batch:?} -> {refused:?}");
        assert_eq!(self.log.end_offset(), self.end());
    }

    /// Where a producer's open transaction begins.
    fn open_transaction(&self, producer_id: ProducerId) -> Option<Offset> {
        let mut open = None;
        for batch in self.history.iter().filter(|batch| batch.producer_id == producer_id) {
            match batch.marker {
                Some(_) => open = None,
                None if batch.transactional => open = open.or(Some(batch.base)),
                None => {}
            }
        }
        open
    }

    fn end_transaction(&mut self) {
        let producer_id = self.random.below(4) as i64;
        let (epoch, _) = self.window(producer_id);
        if epoch < 0 {
            return;
        }
        let control = if self.random.below(2) == 0 { ControlType::Abort } else { ControlType::Commit };
        let mut batch = self.new_batch();
        batch.records.clear();
        (batch.producer_id, batch.epoch, batch.sequence, batch.marker) = (producer_id, epoch, -1, Some(control));
        let verified = batch.build(Codec::None);
        let appended = self.log.append(&verified, COORDINATOR).expect("appends");
        assert_eq!(appended.base_offset, batch.base);
        self.history.push(batch);
    }

    fn last_stable(&self) -> Offset {
        (0..4).filter_map(|id| self.open_transaction(id)).min().unwrap_or(self.end()).max(self.start)
    }

    /// Aborted transactions as (producer, first offset, offset of the marker).
    fn aborted(&self) -> Vec<(ProducerId, Offset, Offset)> {
        let mut open = std::collections::HashMap::new();
        let mut aborted = Vec::new();
        for batch in &self.history {
            match batch.marker {
                Some(control) => {
                    let first = open.remove(&batch.producer_id);
                    aborted.extend(
                        first
                            .filter(|_| control == ControlType::Abort)
                            .map(|first| (batch.producer_id, first, batch.base)),
                    );
                }
                None if batch.transactional => {
                    open.entry(batch.producer_id).or_insert(batch.base);
                }
                None => {}
            }
        }
        aborted
    }

    fn records(&self) -> impl Iterator<Item = (Offset, TimestampMs, &str)> {
        let records = self.history.iter().flat_map(|batch| {
            let offsets = batch.base..;
            offsets.zip(&batch.records).map(|(offset, (timestamp, value))| (offset, *timestamp, value.as_str()))
        });
        records.filter(|record| record.0 >= self.start)
    }

    fn check_read(&mut self) {
        let from = self.start + self.random.below((self.end() - self.start) as u64 + 1) as i64;
        let up_to = if self.random.below(2) == 0 { Offset::MAX } else { self.last_stable() };
        let max = self.random.below(4000) as usize;
        let slice = self.log.read(from, max, true, up_to).expect("reads");
        let first = self.history.iter().find(|batch| batch.next_offset() > from);
        match first.filter(|first| first.base < up_to && from < up_to) {
            None => assert!(slice.bytes.is_empty(), "from {from} up to {up_to}"),
            Some(first) => {
                let found: Vec<Offset> =
                    batches(&slice.bytes).map(|batch| batch.expect("a batch").header().base_offset).collect();
                assert_eq!(found.first(), Some(&first.base));
                let expected =
                    self.history.iter().filter(|batch| batch.base >= first.base && batch.base < slice.next_offset);
                assert_eq!(found, expected.map(|batch| batch.base).collect::<Vec<_>>());
                assert!(found.len() == 1 || slice.bytes.len() <= max);
                assert!(found.iter().all(|base| *base < up_to));
                self.check_aborted(from, slice.next_offset);
            }
        }
    }

    fn check_aborted(&self, from: Offset, up_to: Offset) {
        let told = self.log.aborted_transactions(from, up_to).expect("looks up");
        for aborted in self.aborted().into_iter().filter(|txn| txn.2 >= from && txn.1 < up_to) {
            let found = told.iter().any(|txn| (txn.producer_id, txn.first_offset, txn.last_offset) == aborted);
            assert!(found, "{aborted:?} in {from}..{up_to} not among {told:?}");
        }
        for txn in told {
            assert!(self.aborted().contains(&(txn.producer_id, txn.first_offset, txn.last_offset)), "{txn:?}");
        }
    }

    fn check_times(&mut self) {
        let timestamp = self.now - self.random.below(3000) as i64;
        let expected = self.records().find(|record| record.1 >= timestamp).map(|record| (record.0, record.1));
        let found = self.log.offset_for_timestamp(TimestampQuery::At(timestamp)).expect("looks up");
        let markers = self.history.iter().filter(|batch| batch.marker.is_some() && batch.base >= self.start);
        let marker = markers.map(|batch| batch.base).next().filter(|_| timestamp <= NOW);
        // Markers are records too: the model's are all at NOW.
        let expected = match (expected, marker) {
            (Some(record), Some(marker)) if marker < record.0 => Some((marker, NOW)),
            (None, Some(marker)) => Some((marker, NOW)),
            (expected, _) => expected,
        };
        assert_eq!(found.map(|found| (found.offset, found.timestamp)), expected, "at {timestamp}");
    }

    fn sync(&mut self) {
        let ticket = if self.random.below(3) == 0 { self.log.flush_sealed() } else { self.log.flush_target() };
        let synced = ticket.expect("a ticket").sync();
        self.log.mark_synced(synced);
        self.synced = self.synced.max(self.log.durable_offset());
        self.shelf.at.recovery_point = self.log.recovery_point();
    }

    fn delete_records(&mut self) {
        let room = (self.synced.min(self.end()) - self.start).max(0) as u64;
        let before = self.start + self.random.below(room + 1) as i64;
        assert_eq!(self.log.delete_records(before).expect("deletes"), before);
        self.start = before;
    }

    fn retain(&mut self) {
        let mut config = (**self.log.config()).clone();
        let cutoff = self.random.below(4000) as i64;
        config.retention_ms = cutoff;
        self.log.set_config(Arc::new(config));
        let deleted = self.log.housekeep(self.now).expect("keeps house");
        if self.random.below(2) == 0 {
            deleted.unlink().expect("unlinks");
        }
        self.log.set_config(Arc::new(self.shelf.config.clone()));
        let new_start = self.log.start_offset();
        let too_young = self.records().find(|record| record.0 < new_start && record.1 >= self.now - cutoff);
        assert_eq!(too_young, None, "removed by retention");
        self.start = new_start;
        // A new active segment is there for good only once it was synced: the log end depends on its name.
        self.sync();
    }

    fn reopen_clean(&mut self) {
        let synced = self.log.close().expect("closes").sync();
        self.log.mark_synced(synced);
        self.synced = self.log.end_offset();
        self.shelf.at.recovery_point = self.log.recovery_point();
        self.shelf.at.log_start = Some(self.start);
        self.log = self.shelf.open();
        self.validated = None;
        self.check_state();
    }

    fn kill(&mut self) {
        self.shelf.at.log_start = Some(self.start);
        self.log = self.shelf.reopen_killed(self.validated);
        self.check_state();
    }

    fn lose_power(&mut self) {
        self.shelf.at.log_start = Some(self.start);
        self.disk = self.disk.power_loss(&mut || self.random.next());
        self.shelf.disk = Disk::simulated(&self.disk);
        self.validated = None;
        self.log = self.shelf.reopen_killed(None);
        let end = self.log.end_offset();
        assert!(end >= self.synced, "{end} of {} synced", self.synced);
        self.history.retain(|batch| batch.next_offset() <= end);
        self.floor = 0;
        assert_eq!(self.end().max(self.start), end, "the log ends with a whole batch");
        self.floor = end;
        // What a snapshot held of producers whose batches were removed may be lost with it.
        let first = self.log.segments[0].base();
        let known: Vec<ProducerId> = self.log.producers().iter().map(|producer| producer.producer_id).collect();
        self.history.retain(|batch| batch.base >= first || known.contains(&batch.producer_id));
        self.check_state();
    }

    /// Lets the disk fail in the middle of something, then opens what is there.
    fn fail_and_reopen(&mut self) {
        self.disk.fail_after_changes(Some(self.random.below(6)));
        let mut batch = self.new_batch();
        for _ in 0..10 {
            batch = self.new_batch();
            match self.log.append(&batch.build(Codec::None), CLIENT) {
                Ok(_) => self.history.push(batch.clone()),
                Err(AppendError::Storage(_)) => break,
                Err(other) => panic!("{other}"),
            }
        }
        self.disk.fail_after_changes(None);
        self.shelf.at.log_start = Some(self.start);
        self.log = self.shelf.reopen_killed(self.validated);
        if self.log.end_offset() > self.end() {
            // It was stored before something else failed; nobody was told.
            self.history.push(batch);
        }
        self.check_state();
    }

    fn check_state(&self) {
        assert_eq!((self.log.start_offset(), self.log.end_offset()), (self.start, self.end().max(self.start)));
        assert_eq!(self.log.last_stable_offset(), self.last_stable());
        for producer in self.log.producers() {
            let (epoch, window) = self.window(producer.producer_id);
            let last = window.last().map_or(-1, |batch| batch.sequence + batch.records.len() as i32 - 1);
            assert_eq!((producer.epoch, producer.last_sequence), (epoch, last), "{producer:?}");
        }
    }

    fn check_everything(&mut self) {
        self.check_state();
        let expected: Vec<(Offset, String)> = self.records().map(|record| (record.0, record.2.to_owned())).collect();
        assert_eq!(records_from(&self.log, self.start), expected);
        self.check_aborted(self.start, self.end());
    }
}
