//! `leader-epoch-checkpoint`: the start offset of each leader epoch (Kafka's `LeaderEpochFileCache`).

use std::ops::Range;

use super::checkpoint;
use ottla_wire::types::{LeaderEpoch, Offset};

/// The file's name in a partition's folder.
pub(crate) const FILE_NAME: &str = "leader-epoch-checkpoint";

/// Leader epochs in ascending order, each with the offset of its first batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LeaderEpochs {
    entries: Vec<(LeaderEpoch, Offset)>,
}

impl LeaderEpochs {
    /// Parses the file's content; an error is the reason why it is invalid.
    pub(crate) fn parse(text: &[u8]) -> Result<LeaderEpochs, String> {
        let mut epochs = LeaderEpochs::default();
        for line in checkpoint::parse(text)? {
            let entry =
                line.split_once(' ').and_then(|(epoch, start)| Some((epoch.parse().ok()?, start.parse().ok()?)));
            let (epoch, start) = entry.ok_or_else(|| format!("no epoch and offset in {}", checkpoint::quoted(line)))?;
            if epochs.entries.last().is_some_and(|last| epoch <= last.0 || start < last.1) {
                return Err(format!("{} is out of order", checkpoint::quoted(line)));
            }
            epochs.entries.push((epoch, start));
        }
        Ok(epochs)
    }

    /// Formats the file's content.
    pub(crate) fn format(&self) -> String {
        checkpoint::format(self.entries.iter().map(|(epoch, start)| format!("{epoch} {start}")))
    }

    pub(crate) fn latest(&self) -> Option<LeaderEpoch> {
        self.entries.last().map(|entry| entry.0)
    }

    /// Adds `epoch` for the batch at `start`. Returns whether the epoch is new.
    pub(crate) fn assign(&mut self, epoch: LeaderEpoch, start: Offset) -> bool {
        let is_new = epoch >= 0 && self.latest().is_none_or(|latest| epoch > latest);
        if is_new {
            // Epochs without records are dropped.
            self.truncate_end(start);
            self.entries.push((epoch, start));
        }
        is_new
    }

    /// Copies the entries of `known` in `gap`, before a batch of `epoch`: compaction has removed the batches there.
    pub(crate) fn assign_gap(&mut self, known: &LeaderEpochs, gap: Range<Offset>, epoch: LeaderEpoch) {
        let from = known.entries.partition_point(|entry| entry.1 < gap.start);
        let in_gap = |entry: &&(LeaderEpoch, Offset)| entry.1 < gap.end && entry.0 <= epoch;
        for (epoch, start) in known.entries[from..].iter().take_while(in_gap) {
            self.assign(*epoch, *start);
        }
    }

    /// The epoch of the batch at `offset`; -1 when unknown.
    pub(crate) fn at(&self, offset: Offset) -> LeaderEpoch {
        let after = self.entries.partition_point(|entry| entry.1 <= offset);
        after.checked_sub(1).map_or(-1, |at| self.entries[at].0)
    }

    /// The largest epoch at or below `asked`, and its end offset. An epoch below all known ones ends where the first known
    /// one starts; an epoch above all known ones is unknown.
    pub(crate) fn end_of(&self, asked: LeaderEpoch, log_end: Offset) -> Option<(LeaderEpoch, Offset)> {
        if asked < 0 {
            return None;
        }
        if self.latest() == Some(asked) {
            return Some((asked, log_end));
        }
        let higher = self.entries.partition_point(|entry| entry.0 <= asked);
        let end = self.entries.get(higher)?.1;
        let floor = higher.checked_sub(1).map_or(asked, |at| self.entries[at].0);
        Some((floor, end))
    }

    /// Removes epochs that end before the new log start offset. Returns whether anything changed.
    pub(crate) fn truncate_start(&mut self, start: Offset) -> bool {
        let started = self.entries.partition_point(|entry| entry.1 <= start);
        // The last of these is the epoch of the batch at `start`: it is kept with `start` as its start offset.
        let Some(kept) = started.checked_sub(1) else { return false };
        if kept == 0 && self.entries[0].1 == start {
            return false;
        }
        self.entries.drain(..kept);
        self.entries[0].1 = start;
        true
    }

    /// Removes epochs that start at `end` or later. Returns whether anything changed.
    pub(crate) fn truncate_end(&mut self, end: Offset) -> bool {
        let kept = self.entries.partition_point(|entry| entry.1 < end);
        let changed = kept < self.entries.len();
        self.entries.truncate(kept);
        changed
    }

    /// Whether these epochs are consistent with those `derived` from the batches, in a log that ends at `end`. With
    /// `incomplete`, batches are missing, and this file may have epochs that `derived` lacks.
    pub(crate) fn agrees_with(&self, derived: &LeaderEpochs, end: Offset, incomplete: bool) -> bool {
        let same = derived.entries.iter().all(|(epoch, start)| self.at(*start) == *epoch);
        // An epoch that starts at `end` has no record yet; no epoch may start after it.
        let first = derived.entries.first().map_or(Offset::MAX, |entry| entry.1);
        let known = |entry: &&(LeaderEpoch, Offset)| entry.1 >= first && entry.1 < end;
        same && (incomplete || self.entries.iter().filter(known).all(|(epoch, start)| derived.at(*start) == *epoch))
            && self.entries.last().is_none_or(|last| last.1 <= end)
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epochs(entries: &[(LeaderEpoch, Offset)]) -> LeaderEpochs {
        LeaderEpochs { entries: entries.to_vec() }
    }

    #[test]
    fn assign_of_an_epoch_not_above_the_latest_changes_nothing() {
        let mut known = LeaderEpochs::default();
        assert!(known.assign(0, 0));
        assert!(!known.assign(0, 5));
        assert!(known.assign(3, 10));
        assert!(!known.assign(2, 11));
        assert!(!known.assign(-1, 12));
        assert_eq!(known, epochs(&[(0, 0), (3, 10)]));
        assert!(known.assign(5, 10));
        assert_eq!(known, epochs(&[(0, 0), (5, 10)]));
    }

    #[test]
    fn format_is_kafkas_and_parses_to_the_same_epochs() {
        let known = epochs(&[(0, 0), (3, 10)]);
        assert_eq!(known.format(), "0\n2\n0 0\n3 10\n");
        assert_eq!(LeaderEpochs::parse(known.format().as_bytes()), Ok(known));
        assert!(LeaderEpochs::parse(b"0\n2\n3 10\n0 0\n").is_err());
        assert!(LeaderEpochs::parse(b"0\n1\nx\n").is_err());
    }

    #[test]
    fn end_of_returns_largest_epoch_at_or_below_and_its_end() {
        let known = epochs(&[(2, 5), (4, 10), (7, 30)]);
        for (asked, answer) in [
            (-1, None),
            (0, Some((0, 5))),
            (2, Some((2, 10))),
            (3, Some((2, 10))),
            (5, Some((4, 30))),
            (7, Some((7, 99))),
            (8, None),
        ] {
            assert_eq!(known.end_of(asked, 99), answer, "epoch {asked}");
        }
        assert_eq!(LeaderEpochs::default().end_of(0, 0), None);
    }

    #[test]
    fn at_returns_epoch_of_the_batch_or_minus_one() {
        let known = epochs(&[(2, 5), (4, 10)]);
        assert_eq!([4, 5, 9, 10, 11].map(|offset| known.at(offset)), [-1, 2, 2, 4, 4]);
    }

    #[test]
    fn truncate_removes_epochs_outside_the_log() {
        let mut known = epochs(&[(2, 5), (4, 10), (7, 30)]);
        assert!(known.truncate_start(12));
        assert_eq!(known, epochs(&[(4, 12), (7, 30)]));
        assert!(!known.truncate_start(12));
        assert!(!known.truncate_start(3));
        assert!(known.truncate_end(30));
        assert!(!known.truncate_end(30));
        assert_eq!(known, epochs(&[(4, 12)]));
    }
}
