//! A disk that fails in the middle of something: reads, writes, syncs and renames; full for a while; or forgetting what
//! a failed sync was to write. Whatever is told afterwards must still be true.

use std::sync::atomic::{AtomicBool, Ordering};

use super::asking::is_stored;
use super::plain::{Batch, PRODUCERS};
use super::*;

/// What has gone wrong so far.
#[derive(Debug, Default)]
struct Mishaps {
    any: AtomicBool,
    /// A sync failed, and what it was to write can't be read any more.
    reverted: AtomicBool,
    /// A sync failed, and what it was to write can be read only until the power goes.
    forgot: AtomicBool,
}

/// How often what goes wrong, of a thousand acts each.
fn mishaps(seed: u64, noted: &Arc<Mishaps>) -> impl FnMut(DiskOp) -> Option<Fault> + Send + 'static {
    let (mut random, noted) = (Random(seed), Arc::clone(noted));
    let often = [20, 100, 300][random.below(3) as usize];
    let (reads_fail, writes_fail, syncs_fail) = (random.below(2) == 0, random.below(2) == 0, random.below(2) == 0);
    let mut full_for = 0;
    move |op| {
        if matches!(op, DiskOp::Write | DiskOp::Change) && full_for > 0 {
            full_for -= 1;
            return Some(Fault::NoSpace);
        }
        if random.below(1000) >= often {
            return (random.below(8) == 0)
                .then_some(Fault::Short)
                .filter(|_| matches!(op, DiskOp::Read | DiskOp::Write));
        }
        let fault = match op {
            DiskOp::Lookup | DiskOp::Read if reads_fail => Fault::Error,
            DiskOp::Write | DiskOp::Change if writes_fail && random.below(3) == 0 => {
                full_for = random.below(6);
                Fault::NoSpace
            }
            DiskOp::Write | DiskOp::Change if writes_fail => Fault::Error,
            DiskOp::Sync if syncs_fail => {
                [Fault::Error, Fault::SyncDropsDirtyPages, Fault::SyncReverts][random.below(3) as usize]
            }
            _ => return None,
        };
        noted.any.store(true, Ordering::Relaxed);
        noted.reverted.fetch_or(fault == Fault::SyncReverts, Ordering::Relaxed);
        noted.forgot.fetch_or(fault == Fault::SyncDropsDirtyPages, Ordering::Relaxed);
        Some(fault)
    }
}

/// What may have happened although nobody was told.
#[derive(Clone, Debug, Default)]
pub(in crate::tests) struct Unsure {
    batch: Option<Batch>,
    /// Retention was at work with this limit.
    retention: Option<i64>,
    /// The log was to be emptied.
    truncation: bool,
}

impl Run {
    /// Does some things on a failing disk, then goes on with what is left of the log.
    pub(super) fn trouble(&mut self) {
        let Some(disk) = self.simulation.clone() else { return };
        let noted = Arc::new(Mishaps::default());
        disk.inject_faults(mishaps(self.random.next(), &noted));
        let mut unsure = Unsure::default();
        for _ in 0..6 {
            if let Err(error) = self.try_something(&mut unsure) {
                assert!(noted.any.load(Ordering::Relaxed), "nothing has failed, but: {error}");
                break;
            }
        }
        if self.log.failure().is_some() && self.random.below(3) > 0 {
            self.reopen_failed(&disk, &noted, &mut unsure);
        } else {
            self.restart_failed(&disk, &noted, &mut unsure);
        }
        disk.clear_faults();
        self.check_everything();
    }

    /// One operation; it does what it should, or fails for the disk's sake.
    fn try_something(&mut self, unsure: &mut Unsure) -> Result<(), LogError> {
        match self.random.below(12) {
            0..4 => self.try_append(unsure),
            4..6 => self.try_sync(),
            6 => self.try_retain(unsure),
            7..9 => self.try_read(),
            9..11 => self.try_compact(),
            _ => self.try_truncate(unsure),
        }
    }

    pub(in crate::tests) fn try_append(&mut self, unsure: &mut Unsure) -> Result<(), LogError> {
        let producer_id = self.random.below(PRODUCERS as u64) as i64;
        let batch = if self.random.below(2) == 0 { self.new_batch() } else { self.next_of_producer(producer_id) };
        self.try_append_batch(batch, unsure)
    }

    /// Ends a transaction, if one is open.
    pub(in crate::tests) fn try_end_transaction(&mut self, unsure: &mut Unsure) -> Result<(), LogError> {
        let open = (0..PRODUCERS).find(|id| self.plain.open_transaction(*id).is_some());
        let Some(producer_id) = open else { return Ok(()) };
        let batch = self.marker(producer_id, 0);
        self.try_append_batch(batch, unsure)
    }

    fn try_append_batch(&mut self, batch: Batch, unsure: &mut Unsure) -> Result<(), LogError> {
        let how = self.how(if batch.marker.is_some() { Origin::Coordinator } else { Origin::Client });
        match self.log.append(&batch.build(), how) {
            Ok(appended) => {
                assert_eq!((appended.base_offset, appended.duplicate), (batch.base, false));
                self.plain.note_epoch(how.leader_epoch, batch.base);
                self.plain.push(batch);
                Ok(())
            }
            Err(AppendError::Storage(error)) => {
                unsure.batch = Some(batch);
                Err(error)
            }
            Err(other) => panic!("{other}"),
        }
    }

    pub(in crate::tests) fn try_sync(&mut self) -> Result<(), LogError> {
        let outcome = self.log.flush_target()?.sync();
        let failed = outcome.as_ref().err().cloned();
        self.log.mark_synced(outcome);
        match failed {
            Some(error) => Err(error),
            None => {
                self.note_checkpoints();
                Ok(())
            }
        }
    }

    fn try_retain(&mut self, unsure: &mut Unsure) -> Result<(), LogError> {
        let cutoff = self.random.below(4000) as i64;
        self.try_retain_older_than(cutoff, unsure)
    }

    pub(in crate::tests) fn try_retain_older_than(&mut self, cutoff: i64, unsure: &mut Unsure) -> Result<(), LogError> {
        let config = LogConfig { retention_ms: cutoff, ..self.shelf.config.clone() };
        self.log.set_config(Arc::new(config));
        let outcome = self.log.housekeep(self.now);
        self.log.set_config(Arc::new(self.shelf.config.clone()));
        unsure.retention = Some(cutoff);
        let deleted = outcome?;
        self.note_retention(cutoff);
        deleted.unlink()?;
        self.try_sync()
    }

    pub(in crate::tests) fn try_delete_records(&mut self) -> Result<(), LogError> {
        let before = self.plain.start + (self.synced - self.plain.start) / 3;
        match self.log.delete_records(before) {
            Ok(start) => {
                self.plain.start = start;
                Ok(())
            }
            Err(ReadError::Storage(error)) => Err(error),
            Err(other) => panic!("{other}"),
        }
    }

    fn try_read(&mut self) -> Result<(), LogError> {
        let (from, stable) = (self.plain.start, self.log.last_stable_offset());
        let slice = match self.log.read(from, 5000, true, stable) {
            Ok(slice) => slice,
            Err(ReadError::Storage(error)) => return Err(error),
            Err(other) => panic!("{other}"),
        };
        for batch in batches(&slice.bytes) {
            let batch = batch.expect("a batch");
            batch.check_crc().expect("a right CRC");
            let base = batch.header().base_offset;
            assert!(self.plain.batches.binary_search_by_key(&base, |batch| batch.base).is_ok(), "{base}");
        }
        self.log.aborted_transactions(from, slice.next_offset)?;
        self.log.offset_for_timestamp(TimestampQuery::At(self.now - 500))?;
        self.log.offset_for_timestamp(TimestampQuery::Max).map(drop)
    }

    pub(in crate::tests) fn try_compact(&mut self) -> Result<(), LogError> {
        let storage = |error| match error {
            CompactError::Storage(error) => error,
            other => panic!("{other}"),
        };
        self.compacting = None;
        self.try_sync()?;
        let Some(cleanable) = self.log.cleanable(self.now)? else { return Ok(()) };
        let Some(mut work) = self.log.begin_compaction(self.now)? else { return Ok(()) };
        let below = cleanable.first_uncleanable;
        self.note_pass(below);
        let mut pace = |_| std::ops::ControlFlow::Continue(());
        while let Some(group) = work.next_group(&mut self.buffers, &mut pace).map_err(storage)? {
            let (Replaced::InPlace(files) | Replaced::LogChanged(files)) = self.log.replace(group)?;
            files.unlink()?;
        }
        self.log.finish_compaction(&work)?;
        self.try_sync()
    }

    pub(in crate::tests) fn try_truncate(&mut self, unsure: &mut Unsure) -> Result<(), LogError> {
        let new_start = self.plain.end() + self.random.below(50) as i64;
        unsure.truncation = true;
        let deleted = self.log.truncate_fully(new_start, self.now)?;
        self.note_truncated(new_start);
        deleted.unlink()?;
        self.try_sync()
    }

    /// The broker opens a log again that has failed, at once or when the disk is well.
    fn reopen_failed(&mut self, disk: &Simulation, noted: &Mishaps, unsure: &mut Unsure) {
        if self.random.below(2) == 0 {
            disk.clear_faults();
        }
        self.stopped();
        let again = self.log.reopen(self.now).or_else(|_| {
            disk.clear_faults();
            self.log.reopen(self.now)
        });
        disk.clear_faults();
        let lost = noted.reverted.load(Ordering::Relaxed);
        match again {
            Ok(log) => self.log = log,
            // Records are gone: going on without them is for a restart to say.
            Err(error) => {
                let explained = lost || unsure.truncation;
                assert!(explained && matches!(error, LogError::Corrupt { .. } | LogError::Io { .. }), "{error}");
                return self.restart_failed(disk, noted, unsure);
            }
        }
        self.reconcile(unsure, lost);
        self.note_checkpoints();
    }

    /// The process ends, and another one opens the log.
    fn restart_failed(&mut self, disk: &Simulation, noted: &Mishaps, unsure: &mut Unsure) {
        let lost = || noted.reverted.load(Ordering::Relaxed);
        self.stopped();
        let mut opened = self.shelf.try_reopen_killed(self.validated.filter(|_| !lost()));
        for _ in 0..2 {
            if opened.is_err() {
                // However often it is tried on a failing disk, it changes nothing for the worse.
                opened = self.shelf.try_reopen_killed(None);
                disk.clear_faults();
            }
        }
        disk.clear_faults();
        self.log = opened.expect("the disk is well again");
        self.reconcile(unsure, lost());
        if noted.forgot.load(Ordering::Relaxed) {
            // Only who saw the sync fail can know what has to be written again; nobody else can, short of a reboot.
            self.lose_power();
        }
    }

    /// Finds out what became of what nobody was told of.
    pub(super) fn reconcile(&mut self, unsure: &mut Unsure, lost: bool) {
        if lost {
            self.validated = None;
        }
        if std::mem::take(&mut unsure.truncation) {
            // Half of it may have been done: whoever wanted the log empty wants it still.
            return self.truncate();
        }
        if let Some(cutoff) = unsure.retention.take()
            && self.log.start_offset() > self.plain.start
        {
            self.note_retention(cutoff);
        }
        if let Some(batch) = unsure.batch.take()
            && self.log.end_offset() > self.plain.end()
            && is_stored(&self.log, &batch)
        {
            // It was stored before something else failed.
            self.plain.note_epoch(self.log.latest_epoch().unwrap_or(0), batch.base);
            self.plain.push(batch);
        }
        if lost {
            return self.note_loss();
        }
        self.check_state();
    }
}
