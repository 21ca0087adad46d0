//! How a log ends and begins again: closed, killed, or with the power gone.

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
        self.log = self.shelf.open();
        self.validated = None;
        self.check_state();
    }

    pub(in crate::tests) fn kill(&mut self) {
        self.stopped();
        self.log = self.shelf.reopen_killed(self.validated);
        self.check_state();
        self.rules.check(&mut self.plain, &self.log, false);
    }

    pub(in crate::tests) fn lose_power(&mut self) {
        let Some(simulation) = self.simulation.clone() else { return self.kill() };
        let survivor = simulation.power_loss(&mut || self.random.next());
        self.shelf.disk = Disk::simulated(&survivor);
        self.simulation = Some(survivor);
        self.stopped();
        self.validated = None;
        self.log = self.shelf.reopen_killed(None);
        self.note_loss();
    }

    /// What is not in memory any more when the process has ended.
    pub(super) fn stopped(&mut self) {
        self.compacting = None;
        self.shelf.at.now = self.now;
        self.shelf.at.log_start = Some(self.plain.start);
    }

    /// What wasn't synced may be gone, from the end, and what compaction removed may be back.
    pub(super) fn note_loss(&mut self) {
        let end = self.log.end_offset();
        assert!(end >= self.synced, "{end} of {} synced", self.synced);
        let has_gaps = self.shelf.config.cleanup_compact;
        self.plain.end_at(end, has_gaps);
        if has_gaps {
            self.drop_holes();
        }
        for pass in &mut self.rules.passes {
            pass.done = None;
        }
        // What a snapshot held of producers whose batches were removed may be lost with it.
        let first = self.log.segments[0].base();
        let known: Vec<ProducerId> = self.log.producers().iter().map(|producer| producer.producer_id).collect();
        self.plain.batches.retain(|batch| batch.base >= first || known.contains(&batch.producer_id));
        self.check_state();
        self.rules.check(&mut self.plain, &self.log, false);
    }
    /// Of a compacted topic, whose segments may have gaps between them, a segment that wasn't synced may have lost
    /// its end although one behind it is there. Kafka's rule, too: nobody was promised these records.
    fn drop_holes(&mut self) {
        let found = stored(&self.log, self.plain.start.max(self.log.segments[0].base()));
        let is_found = |base: Offset| found.binary_search_by_key(&base, |batch| batch.header().base_offset).is_ok();
        let (start, synced) = (self.plain.start, self.synced);
        let count = self.plain.batches.len();
        self.plain.batches.retain(|batch| batch.base < synced.max(start) || is_found(batch.base));
        // An epoch may have begun in a hole.
        self.knows_epochs &= count == self.plain.batches.len();
    }

    /// What a broker would find after a power loss now.
    pub(in crate::tests) fn after_power_loss(&self, seed: u64, unsure: &Unsure) -> Run {
        let mut random = Random(seed);
        let disk = self.simulation.as_ref().expect("a simulated disk");
        let mut run = self.opened_again(disk.power_loss(&mut || random.next()), None);
        run.reconcile(&mut unsure.clone(), true);
        run
    }

    /// What a broker would find after `kill -9` now.
    pub(in crate::tests) fn after_kill(&self, unsure: &Unsure) -> Run {
        let disk = self.simulation.clone().expect("a simulated disk");
        let mut run = self.opened_again(disk, self.validated);
        run.reconcile(&mut unsure.clone(), false);
        run
    }

    fn opened_again(&self, disk: Simulation, validated: Option<Validated>) -> Run {
        let mut shelf = self.shelf.on_disk(Disk::simulated(&disk));
        shelf.at.log_start = Some(self.plain.start);
        let log = shelf.reopen_killed(validated);
        Run {
            random: Random(disk.changes()),
            simulation: Some(disk),
            shelf,
            log,
            plain: self.plain.clone(),
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
        self.log = self.shelf.try_open()?;
        Ok(())
    }
}
