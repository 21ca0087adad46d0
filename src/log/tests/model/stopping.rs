//! How a log ends and begins again: closed, killed, or with the power gone.

use super::compaction::stored;
use super::*;

impl Run {
    pub(super) fn reopen_clean(&mut self) {
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

    pub(super) fn kill(&mut self) {
        self.stopped();
        self.log = self.shelf.reopen_killed(self.validated);
        self.check_state();
        self.rules.check(&mut self.plain, &self.log, false);
    }

    pub(super) fn lose_power(&mut self) {
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
        self.plain.end_at(end);
        if self.shelf.config.cleanup_compact {
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
        self.plain.batches.retain(|batch| batch.base < synced.max(start) || is_found(batch.base));
    }
}
