//! Operations on a disk with random faults: of reads, writes, syncs and renames; temporarily full; dropping dirty pages
//! after a failed sync. Everything that was acknowledged must still be in the log afterwards.

use std::sync::atomic::{AtomicBool, Ordering};

use super::checks::is_stored;
use super::oracle::{Batch, PRODUCERS};
use super::*;

/// The kinds of faults injected so far.
#[derive(Debug, Default)]
struct InjectedFaults {
    any: AtomicBool,
    /// A sync failed and reverted the file to its content on disk.
    reverted: AtomicBool,
    /// A sync failed and dropped its dirty pages: they can be read until the power is lost.
    dropped: AtomicBool,
}

/// Returns a random fault injector, with a fixed rate of faults per thousand operations.
fn fault_injector(seed: u64, injected: &Arc<InjectedFaults>) -> impl FnMut(DiskOp) -> Option<Fault> + Send + 'static {
    let (mut random, injected) = (Random(seed), Arc::clone(injected));
    let rate = [20, 100, 300][random.below(3) as usize];
    let (reads_fail, writes_fail, syncs_fail) = (random.below(2) == 0, random.below(2) == 0, random.below(2) == 0);
    let mut full_for = 0;
    move |op| {
        if matches!(op, DiskOp::Write | DiskOp::Change) && full_for > 0 {
            full_for -= 1;
            return Some(Fault::NoSpace);
        }
        if random.below(1000) >= rate {
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
        injected.any.store(true, Ordering::Relaxed);
        injected.reverted.fetch_or(fault == Fault::SyncReverts, Ordering::Relaxed);
        injected.dropped.fetch_or(fault == Fault::SyncDropsDirtyPages, Ordering::Relaxed);
        Some(fault)
    }
}

/// Operations that failed, but may have taken effect.
#[derive(Clone, Debug, Default)]
pub(in crate::tests) struct UnknownOutcomes {
    batch: Option<Batch>,
    /// Retention ran with this limit in ms.
    retention: Option<i64>,
    truncation: bool,
}

impl Run {
    /// Runs some operations on a failing disk, then opens the log again.
    pub(super) fn run_on_faulty_disk(&mut self) {
        let Some(disk) = self.simulation.clone() else { return };
        let injected = Arc::new(InjectedFaults::default());
        disk.inject_faults(fault_injector(self.random.next(), &injected));
        let mut unknown = UnknownOutcomes::default();
        for _ in 0..6 {
            if let Err(error) = self.try_operation(&mut unknown) {
                assert!(injected.any.load(Ordering::Relaxed), "nothing has failed, but: {error}");
                break;
            }
        }
        if self.log.failure().is_some() && self.random.below(3) > 0 {
            self.reopen_failed(&disk, &injected, &mut unknown);
        } else {
            self.restart_failed(&disk, &injected, &mut unknown);
        }
        disk.clear_faults();
        self.check_everything();
    }

    /// Runs one operation; it succeeds, or returns the error of the disk.
    fn try_operation(&mut self, unknown: &mut UnknownOutcomes) -> Result<(), LogError> {
        match self.random.below(12) {
            0..4 => self.try_append(unknown),
            4..6 => self.try_sync(),
            6 => self.try_retain(unknown),
            7..9 => self.try_read(),
            9..11 => self.try_compact(),
            _ => self.try_truncate(unknown),
        }
    }

    pub(in crate::tests) fn try_append(&mut self, unknown: &mut UnknownOutcomes) -> Result<(), LogError> {
        let producer_id = self.random.below(PRODUCERS as u64) as i64;
        let batch = if self.random.below(2) == 0 { self.new_batch() } else { self.next_of_producer(producer_id) };
        self.try_append_batch(batch, unknown)
    }

    /// Ends a transaction, if one is open.
    pub(in crate::tests) fn try_end_transaction(&mut self, unknown: &mut UnknownOutcomes) -> Result<(), LogError> {
        let open = (0..PRODUCERS).find(|id| self.oracle.open_transaction(*id).is_some());
        let Some(producer_id) = open else { return Ok(()) };
        let batch = self.marker(producer_id, 0);
        self.try_append_batch(batch, unknown)
    }

    fn try_append_batch(&mut self, batch: Batch, unknown: &mut UnknownOutcomes) -> Result<(), LogError> {
        let params = self.append_params(if batch.marker.is_some() { Origin::Coordinator } else { Origin::Client });
        match self.log.append(&batch.build(), params) {
            Ok(appended) => {
                assert_eq!((appended.base_offset, appended.duplicate), (batch.base, false));
                self.oracle.note_epoch(params.leader_epoch, batch.base);
                self.oracle.push(batch);
                Ok(())
            }
            Err(AppendError::Storage(error)) => {
                unknown.batch = Some(batch);
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

    fn try_retain(&mut self, unknown: &mut UnknownOutcomes) -> Result<(), LogError> {
        let cutoff = self.random.below(4000) as i64;
        self.try_retain_older_than(cutoff, unknown)
    }

    pub(in crate::tests) fn try_retain_older_than(
        &mut self,
        cutoff: i64,
        unknown: &mut UnknownOutcomes,
    ) -> Result<(), LogError> {
        let config = LogConfig { retention_ms: cutoff, ..self.fixture.config.clone() };
        self.log.set_config(Arc::new(config));
        let outcome = self.log.housekeep(self.now);
        self.log.set_config(Arc::new(self.fixture.config.clone()));
        unknown.retention = Some(cutoff);
        let deleted = outcome?;
        self.note_retention(cutoff);
        deleted.unlink()?;
        self.try_sync()
    }

    pub(in crate::tests) fn try_delete_records(&mut self) -> Result<(), LogError> {
        let before = self.oracle.start + (self.synced - self.oracle.start) / 3;
        match self.log.delete_records(before) {
            Ok(start) => {
                self.oracle.start = start;
                Ok(())
            }
            Err(ReadError::Storage(error)) => Err(error),
            Err(other) => panic!("{other}"),
        }
    }

    fn try_read(&mut self) -> Result<(), LogError> {
        let (from, stable) = (self.oracle.start, self.log.last_stable_offset());
        let slice = match self.log.read(from, 5000, true, stable) {
            Ok(slice) => slice,
            Err(ReadError::Storage(error)) => return Err(error),
            Err(other) => panic!("{other}"),
        };
        for batch in batches(&slice.bytes) {
            let batch = batch.expect("a batch");
            batch.check_crc().expect("a valid CRC");
            let base = batch.header().base_offset;
            assert!(self.oracle.batches.binary_search_by_key(&base, |batch| batch.base).is_ok(), "{base}");
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
        let mut unthrottled = |_| std::ops::ControlFlow::Continue(());
        while let Some(group) = work.next_group(&mut self.buffers, &mut unthrottled).map_err(storage)? {
            let (Replaced::InPlace(files) | Replaced::LogChanged(files)) = self.log.replace(group)?;
            files.unlink()?;
        }
        self.log.finish_compaction(&work)?;
        self.try_sync()
    }

    pub(in crate::tests) fn try_truncate(&mut self, unknown: &mut UnknownOutcomes) -> Result<(), LogError> {
        let new_start = self.oracle.end() + self.random.below(50) as i64;
        unknown.truncation = true;
        let deleted = self.log.truncate_fully(new_start, self.now)?;
        self.note_truncated(new_start);
        deleted.unlink()?;
        self.try_sync()
    }

    /// Reopens a failed log, at once or after the faults are cleared.
    fn reopen_failed(&mut self, disk: &Simulation, injected: &InjectedFaults, unknown: &mut UnknownOutcomes) {
        if self.random.below(2) == 0 {
            disk.clear_faults();
        }
        self.stopped();
        let again = self.log.reopen(self.now).or_else(|_| {
            disk.clear_faults();
            self.log.reopen(self.now)
        });
        disk.clear_faults();
        let lost = injected.reverted.load(Ordering::Relaxed);
        match again {
            Ok(log) => self.log = log,
            // Records are lost: only a restart continues without them.
            Err(error) => {
                let explained = lost || unknown.truncation;
                assert!(explained && matches!(error, LogError::Corrupt { .. } | LogError::Io { .. }), "{error}");
                return self.restart_failed(disk, injected, unknown);
            }
        }
        self.reconcile(unknown, lost);
        self.note_checkpoints();
    }

    /// Ends the process; a new one opens the log.
    fn restart_failed(&mut self, disk: &Simulation, injected: &InjectedFaults, unknown: &mut UnknownOutcomes) {
        let lost = || injected.reverted.load(Ordering::Relaxed);
        self.stopped();
        let mut opened = self.fixture.try_reopen_killed(self.validated.filter(|_| !lost()));
        for _ in 0..2 {
            if opened.is_err() {
                // Failed attempts must not damage the log.
                opened = self.fixture.try_reopen_killed(None);
                disk.clear_faults();
            }
        }
        disk.clear_faults();
        self.log = opened.expect("opens without faults");
        self.reconcile(unknown, lost());
        if injected.dropped.load(Ordering::Relaxed) {
            // Only the process whose sync failed knows what must be written again; a new process sees the loss only after
            // a reboot.
            self.lose_power();
        }
    }

    /// Determines which operations of unknown outcome took effect, and updates the oracle.
    pub(super) fn reconcile(&mut self, unknown: &mut UnknownOutcomes, lost: bool) {
        if lost {
            self.validated = None;
        }
        if std::mem::take(&mut unknown.truncation) {
            // It may have been half done: truncate again.
            return self.truncate();
        }
        if let Some(cutoff) = unknown.retention.take()
            && self.log.start_offset() > self.oracle.start
        {
            self.note_retention(cutoff);
        }
        if let Some(batch) = unknown.batch.take()
            && self.log.end_offset() > self.oracle.end()
            && is_stored(&self.log, &batch)
        {
            // The batch was stored before another operation failed.
            self.oracle.note_epoch(self.log.latest_epoch().unwrap_or(0), batch.base);
            self.oracle.push(batch);
        }
        if lost {
            return self.note_power_loss();
        }
        self.check_state();
    }
}
