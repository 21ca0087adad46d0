//! What the broker does to a log in the background: syncs, retention, DeleteRecords, compaction, emptying.

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

    /// What the checkpoints would say now.
    pub(super) fn note_checkpoints(&mut self) {
        let log = &self.log;
        self.synced = self.synced.max(log.durable_offset());
        self.shelf.at.recovery_point = log.recovery_point();
        self.shelf.at.first_dirty = log.first_dirty_offset();
        assert!(self.synced <= log.end_offset() && self.shelf.at.recovery_point <= self.synced);
    }

    pub(super) fn delete_records(&mut self) {
        let start = self.plain.start;
        let room = (self.synced.min(self.plain.end()) - start).max(0) as u64;
        let before = start + self.random.below(room + 1) as i64;
        assert_eq!(self.log.delete_records(before).expect("deletes"), before);
        self.plain.start = before;
    }

    pub(super) fn retain(&mut self) {
        let cutoff = self.random.below(4000) as i64;
        let config = LogConfig { retention_ms: cutoff, ..self.shelf.config.clone() };
        self.log.set_config(Arc::new(config));
        let deleted = self.log.housekeep(self.now).expect("keeps house");
        self.log.set_config(Arc::new(self.shelf.config.clone()));
        self.note_retention(cutoff);
        if self.random.below(2) == 0 {
            deleted.unlink().expect("unlinks");
        }
        // A new active segment is there for good only once it was synced: the log end depends on its name.
        self.sync();
    }

    /// What retention has removed was old enough.
    pub(super) fn note_retention(&mut self, cutoff: i64) {
        let new_start = self.log.start_offset();
        let (delete, now) = (self.shelf.config.cleanup_delete, self.now);
        let removed = self.plain.records().filter(|record| record.0 < new_start);
        let wrongly = removed.into_iter().find(|(_, record)| !delete || record.timestamp >= now - cutoff);
        assert_eq!(wrongly, None, "removed by retention");
        self.plain.start = new_start;
        self.note_log_changed();
    }

    pub(super) fn note_log_changed(&mut self) {
        if let Some(compacting) = &mut self.compacting {
            compacting.log_changed = true;
        }
    }

    pub(super) fn truncate(&mut self) {
        let ahead = self.random.below(50) as i64;
        let new_start = self.plain.end() + ahead;
        self.log.truncate_fully(new_start, self.now).expect("truncates").unlink().expect("unlinks");
        self.note_truncated(new_start);
        self.sync();
    }

    pub(super) fn note_truncated(&mut self, new_start: Offset) {
        self.plain.begin_at(new_start);
        self.rules.passes.clear();
        (self.synced, self.validated) = (0, None);
        (self.shelf.at.recovery_point, self.shelf.at.log_start) = (0, Some(new_start));
        self.shelf.at.first_dirty = None;
        self.note_log_changed();
    }

    /// Does the next bit of a compaction, or begins one.
    pub(in crate::tests) fn compact(&mut self) {
        let Some(mut compacting) = self.compacting.take() else { return self.begin_compaction() };
        // Often to the end at once: what comes in between is seldom of interest.
        loop {
            let at_once = self.random.below(4) > 0;
            match self.compact_on(&mut compacting) {
                ControlFlow::Break(()) => return,
                ControlFlow::Continue(()) if at_once => {}
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
        assert!(is_base && below <= self.plain.last_stable(), "{cleanable:?}");
        assert!(self.shelf.config.cleanup_compact && below <= segments[segments.len() - 1].base(), "{cleanable:?}");
        let lag = self.shelf.config.min_compaction_lag_ms;
        let young = self.plain.times().find(|(offset, time)| lag > 0 && *offset < below && *time > self.now - lag);
        assert_eq!(young, None, "too young to be compacted below {below}");
        self.note_pass(below);
        // Markers decide what goes: as whoever compacts does, they are synced before anything is replaced.
        let synced = self.log.flush_target().expect("a ticket").sync();
        self.log.mark_synced(synced);
        self.note_checkpoints();
        self.compacting = Some(Compacting { work, group: None, log_changed: false });
    }

    /// From now on what lies below may be compacted.
    pub(super) fn note_pass(&mut self, below: Offset) {
        self.rules.passes.push(Pass { at: self.now, below, done: None });
        self.knows_epochs = false;
    }

    /// Writes a group, or puts it in its place; `Break` at the end.
    fn compact_on(&mut self, compacting: &mut Compacting) -> ControlFlow<()> {
        if let Some(group) = compacting.group.take() {
            match self.log.replace(group).expect("replaces") {
                Replaced::InPlace(old) => self.unlink_perhaps(old),
                Replaced::LogChanged(new) => {
                    assert!(compacting.log_changed, "nothing has changed");
                    new.unlink().expect("unlinks");
                    return ControlFlow::Break(());
                }
            }
            self.rules.check(&mut self.plain, &self.log, false);
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
            // What it was to read is gone.
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
        self.rules.check(&mut self.plain, &self.log, true);
        self.check_state();
    }
}
