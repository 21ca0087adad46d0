//! Background operations on a log: syncs, retention, DeleteRecords, compaction, truncation.

use std::ops::ControlFlow;

use super::compaction::Pass;
use super::*;

impl Run {
    pub(in crate::tests) fn sync(&mut self) {
        let ticket = if self.random.below(3) == 0 { self.log.flush_sealed() } else { self.log.flush_target() };
        let synced = ticket.expect("a ticket").sync();
        self.log.mark_synced(synced);
        self.note_checkpoints();
    }

    /// Sets the fixture's checkpoints to the log's current values.
    pub(super) fn note_checkpoints(&mut self) {
        let log = &self.log;
        self.synced = self.synced.max(log.durable_offset());
        self.fixture.at.recovery_point = log.recovery_point();
        self.fixture.at.first_dirty = log.first_dirty_offset();
        assert!(self.synced <= log.end_offset() && self.fixture.at.recovery_point <= self.synced);
    }

    pub(super) fn delete_records(&mut self) {
        let start = self.oracle.start;
        let deletable = (self.synced.min(self.oracle.end()) - start).max(0) as u64;
        let before = start + self.random.below(deletable + 1) as i64;
        assert_eq!(self.log.delete_records(before).expect("deletes"), before);
        self.oracle.start = before;
    }

    pub(super) fn retain(&mut self) {
        let cutoff = self.random.below(4000) as i64;
        let config = LogConfig { retention_ms: cutoff, ..self.fixture.config.clone() };
        self.log.set_config(Arc::new(config));
        let deleted = self.log.housekeep(self.now).expect("housekeeps");
        self.log.set_config(Arc::new(self.fixture.config.clone()));
        self.note_retention(cutoff);
        if self.random.below(2) == 0 {
            deleted.unlink().expect("unlinks");
        }
        // The name of a new active segment, which has the log's end offset, is durable only after a sync.
        self.sync();
    }

    /// Checks that retention removed only records older than `cutoff`, and updates the oracle.
    pub(super) fn note_retention(&mut self, cutoff: i64) {
        let new_start = self.log.start_offset();
        let (delete, now) = (self.fixture.config.cleanup_delete, self.now);
        let removed = self.oracle.records().filter(|record| record.0 < new_start);
        let wrongly = removed.into_iter().find(|(_, record)| !delete || record.timestamp >= now - cutoff);
        assert_eq!(wrongly, None, "removed by retention");
        self.oracle.start = new_start;
        self.note_log_changed();
    }

    pub(super) fn note_log_changed(&mut self) {
        if let Some(compacting) = &mut self.compacting {
            compacting.log_changed = true;
        }
    }

    pub(super) fn truncate(&mut self) {
        let ahead = self.random.below(50) as i64;
        let new_start = self.oracle.end() + ahead;
        self.log.truncate_fully(new_start, self.now).expect("truncates").unlink().expect("unlinks");
        self.note_truncated(new_start);
        self.sync();
    }

    pub(super) fn note_truncated(&mut self, new_start: Offset) {
        self.oracle.begin_at(new_start);
        self.rules.passes.clear();
        (self.synced, self.validated) = (0, None);
        (self.fixture.at.recovery_point, self.fixture.at.log_start) = (0, Some(new_start));
        self.fixture.at.first_dirty = None;
        self.note_log_changed();
    }

    /// Does the next step of the compaction, or begins one.
    pub(in crate::tests) fn compact(&mut self) {
        let Some(mut compacting) = self.compacting.take() else { return self.begin_compaction() };
        // Usually several steps at once, with no operation in between.
        loop {
            let goes_on = self.random.below(4) > 0;
            match self.compaction_step(&mut compacting) {
                ControlFlow::Break(()) => return,
                ControlFlow::Continue(()) if goes_on => {}
                ControlFlow::Continue(()) => break,
            }
        }
        self.compacting = Some(compacting);
    }

    fn begin_compaction(&mut self) {
        if self.random.below(3) > 0 {
            self.sync();
        }
        let cleanable = self.log.cleanable(self.now).expect("looks");
        let Some(work) = self.log.begin_compaction(self.now).expect("begins") else { return };
        let cleanable = cleanable.expect("there is something to compact");
        let below = cleanable.first_uncleanable;
        let segments = &self.log.segments;
        let is_base = segments.iter().any(|segment| segment.base() == below);
        assert!(is_base && below <= self.oracle.last_stable(), "{cleanable:?}");
        assert!(self.fixture.config.cleanup_compact && below <= segments[segments.len() - 1].base(), "{cleanable:?}");
        let lag = self.fixture.config.min_compaction_lag_ms;
        let young = self.oracle.times().find(|(offset, time)| lag > 0 && *offset < below && *time > self.now - lag);
        assert_eq!(young, None, "too young to be compacted below {below}");
        self.note_pass(below);
        // As the cleaner does: markers, which decide what is removed, are synced before segments are replaced.
        let synced = self.log.flush_target().expect("a ticket").sync();
        self.log.mark_synced(synced);
        self.note_checkpoints();
        self.compacting = Some(Compacting { work, group: None, log_changed: false });
    }

    /// Records that a pass may compact batches below this offset.
    pub(super) fn note_pass(&mut self, below: Offset) {
        self.rules.passes.push(Pass { at: self.now, below, done: None });
        self.knows_epochs = false;
    }

    /// Writes a group, or replaces its sources by it; `Break` at the end.
    fn compaction_step(&mut self, compacting: &mut Compacting) -> ControlFlow<()> {
        if let Some(group) = compacting.group.take() {
            match self.log.replace(group).expect("replaces") {
                Replaced::InPlace(old) => self.unlink_perhaps(old),
                Replaced::LogChanged(new) => {
                    assert!(compacting.log_changed, "nothing has changed");
                    new.unlink().expect("unlinks");
                    return ControlFlow::Break(());
                }
            }
            self.rules.check(&mut self.oracle, &self.log, false);
            return ControlFlow::Continue(());
        }
        match compacting.work.next_group(&mut self.buffers, &mut |_| ControlFlow::Continue(())) {
            Ok(Some(group)) => {
                compacting.group = Some(group);
                ControlFlow::Continue(())
            }
            Ok(None) => {
                self.finish_compaction(compacting);
                ControlFlow::Break(())
            }
            // The segment that it was to read was deleted.
            Err(CompactError::Abandoned) if compacting.log_changed => ControlFlow::Break(()),
            Err(other) => panic!("{other}"),
        }
    }

    fn unlink_perhaps(&mut self, files: DeletedFiles) {
        if self.random.below(2) == 0 {
            files.unlink().expect("unlinks");
        }
    }

    fn finish_compaction(&mut self, compacting: &Compacting) {
        self.log.finish_compaction(&compacting.work).expect("finishes");
        let synced = self.log.flush_target().expect("a ticket").sync();
        self.log.mark_synced(synced);
        self.note_checkpoints();
        let to = compacting.work.stats().to;
        let Some(pass) = self.rules.passes.last_mut() else { return };
        assert!(to <= pass.below, "compacted to {to} of {}", pass.below);
        if compacting.log_changed {
            return;
        }
        pass.done = Some(to);
        assert_eq!(self.log.first_dirty_offset(), Some(to));
        self.rules.check(&mut self.oracle, &self.log, true);
        self.check_state();
    }
}
