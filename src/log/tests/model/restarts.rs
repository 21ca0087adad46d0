//! Restarts of a log: after a clean close, a kill, or a power loss.

use super::compaction::stored;
use super::*;

impl Run {
    pub(in crate::tests) fn reopen_clean(&mut self) {
        let synced = self.log.close().expect("closes").sync();
        self.log.mark_synced(synced);
        assert!(self.log.failure().is_none());
        self.note_checkpoints();
        self.synced = self.log.end_offset();
        self.stopped();
        self.log = self.fixture.open();
        self.validated = None;
        self.check_state();
    }

    pub(in crate::tests) fn kill(&mut self) {
        self.stopped();
        self.log = self.fixture.reopen_killed(self.validated);
        self.check_state();
        self.rules.check(&mut self.oracle, &self.log, false);
    }

    pub(in crate::tests) fn lose_power(&mut self) {
        let Some(simulation) = self.simulation.clone() else { return self.kill() };
        let survivor = simulation.power_loss(&mut || self.random.next());
        self.fixture.disk = Disk::simulated(&survivor);
        self.simulation = Some(survivor);
        self.stopped();
        self.validated = None;
        self.log = self.fixture.reopen_killed(None);
        self.note_power_loss();
    }

    /// Drops the state that ends with the process.
    pub(super) fn stopped(&mut self) {
        self.compacting = None;
        self.fixture.at.now = self.now;
        self.fixture.at.log_start = Some(self.oracle.start);
    }

    /// Adapts the oracle to a power loss: unsynced records may be lost, from the end, and compacted ones may be back.
    pub(super) fn note_power_loss(&mut self) {
        let end = self.log.end_offset();
        assert!(end >= self.synced, "{end} of {} synced", self.synced);
        let has_gaps = self.fixture.config.cleanup_compact;
        self.oracle.end_at(end, has_gaps);
        if has_gaps {
            self.drop_holes();
        }
        for pass in &mut self.rules.passes {
            pass.done = None;
        }
        // The state of producers whose batches were removed is lost with the snapshot that had it.
        let first = self.log.segments[0].base();
        let known: Vec<ProducerId> = self.log.producers().iter().map(|producer| producer.producer_id).collect();
        self.oracle.batches.retain(|batch| batch.base >= first || known.contains(&batch.producer_id));
        self.check_state();
        self.rules.check(&mut self.oracle, &self.log, false);
    }

    /// Removes batches from the oracle that an unsynced segment lost at its end although a later segment exists: recovery
    /// accepts the gap, because segments of a compacted topic may have gaps between them. As in Kafka; these records were
    /// never guaranteed to be durable.
    fn drop_holes(&mut self) {
        let found = stored(&self.log, self.oracle.start.max(self.log.segments[0].base()));
        let is_found = |base: Offset| found.binary_search_by_key(&base, |batch| batch.header().base_offset).is_ok();
        let (start, synced) = (self.oracle.start, self.synced);
        let count = self.oracle.batches.len();
        self.oracle.batches.retain(|batch| batch.base < synced.max(start) || is_found(batch.base));
        // An epoch may have begun in a hole.
        self.knows_epochs &= count == self.oracle.batches.len();
    }

    /// Returns the run as a broker would find it after a power loss now.
    pub(in crate::tests) fn after_power_loss(&self, seed: u64, unknown: &UnknownOutcomes) -> Run {
        let mut random = Random(seed);
        let disk = self.simulation.as_ref().expect("a simulated disk");
        let mut run = self.opened_again(disk.power_loss(&mut || random.next()), None);
        run.reconcile(&mut unknown.clone(), true);
        run
    }

    /// Returns the run as a broker would find it after `kill -9` now.
    pub(in crate::tests) fn after_kill(&self, unknown: &UnknownOutcomes) -> Run {
        let disk = self.simulation.clone().expect("a simulated disk");
        let mut run = self.opened_again(disk, self.validated);
        run.reconcile(&mut unknown.clone(), false);
        run
    }

    fn opened_again(&self, disk: Simulation, validated: Option<Validated>) -> Run {
        let mut fixture = self.fixture.on_disk(Disk::simulated(&disk));
        fixture.at.log_start = Some(self.oracle.start);
        let log = fixture.reopen_killed(validated);
        Run {
            random: Random(disk.changes()),
            simulation: Some(disk),
            fixture,
            log,
            oracle: self.oracle.clone(),
            rules: self.rules.clone(),
            compacting: None,
            buffers: CompactionBuffers::new(1 << 20, 0.9, 1000, 0),
            knows_epochs: self.knows_epochs,
            synced: self.synced,
            validated: None,
            now: self.now,
        }
    }

    pub(in crate::tests) fn try_close_and_open(&mut self) -> Result<(), LogError> {
        let synced = self.log.close()?.sync()?;
        self.log.mark_synced(Ok(synced));
        self.note_checkpoints();
        self.stopped();
        self.log = self.fixture.try_open()?;
        Ok(())
    }
}
