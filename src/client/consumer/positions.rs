//! A consumer's positions in its partitions, and what to fetch next. Pure.
//!
//! A partition has two positions: the fetch position, and the position after the last delivered record. The fetch position
//! runs ahead; only the delivered position is committed.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use ottla_wire::types::{InOrder as _, LeaderEpoch, Offset, TimestampMs, TopicPartition};

/// The start position in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// The group's committed offset; without one, `auto.offset.reset` decides.
    Committed,
    /// As `auto.offset.reset` says.
    Policy,
    /// The first record at or after a timestamp, or one of ListOffsets' special timestamps.
    Timestamp(TimestampMs),
    At(Offset),
}

#[derive(Debug)]
struct PartitionState {
    position: Position,
    /// The committed offset, if known.
    committed: Option<Offset>,
    /// No fetches before this time, after an error.
    paused_until: Option<Duration>,
}

#[derive(Clone, Copy, Debug)]
enum Position {
    Unknown(Start),
    Known { fetch: Offset, delivered: Offset, epoch: LeaderEpoch },
}

/// A position to commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    pub partition: TopicPartition,
    /// The offset of the next record to read.
    pub offset: Offset,
    /// The leader epoch of the last record read; -1 if there was none.
    pub epoch: LeaderEpoch,
}

#[derive(Debug, Default)]
pub struct Positions {
    partitions: HashMap<TopicPartition, PartitionState>,
    /// The order of partitions in the next fetch. A partition that returned records moves to the end.
    order: VecDeque<TopicPartition>,
}

impl Positions {
    /// Adds partitions with this start position.
    pub fn add(&mut self, partitions: &[TopicPartition], start: Start) {
        for partition in partitions {
            let state = PartitionState { position: Position::from(start), committed: None, paused_until: None };
            if self.partitions.insert(partition.clone(), state).is_none() {
                self.order.push_back(partition.clone());
            }
        }
    }

    pub fn remove(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            self.partitions.remove(partition);
        }
        self.order.retain(|partition| self.partitions.contains_key(partition));
    }

    /// Moves a partition's position. Ignores partitions that are not assigned.
    pub fn seek(&mut self, partition: &TopicPartition, start: Start) {
        if let Some(state) = self.partitions.get_mut(partition) {
            state.position = Position::from(start);
        }
    }

    pub fn contains(&self, partition: &TopicPartition) -> bool {
        self.partitions.contains_key(partition)
    }

    pub fn partitions(&self) -> BTreeSet<TopicPartition> {
        self.partitions.keys().cloned().in_order()
    }

    /// The partitions without a known position, and where each should start.
    pub fn unknown(&self) -> Vec<(TopicPartition, Start)> {
        let start = |partition: &TopicPartition| match self.partitions.get(partition)?.position {
            Position::Unknown(start) => Some((partition.clone(), start)),
            Position::Known { .. } => None,
        };
        self.order.iter().filter_map(start).collect()
    }

    /// Sets the position from the group's committed offset, if it has one.
    pub fn found_committed(&mut self, partition: &TopicPartition, committed: Option<(Offset, LeaderEpoch)>) {
        let Some(state) = self.partitions.get_mut(partition) else { return };
        state.position = match committed {
            Some((offset, epoch)) => Position::Known { fetch: offset, delivered: offset, epoch },
            None => Position::Unknown(Start::Policy),
        };
        state.committed = committed.map(|(offset, _)| offset);
    }

    /// The partitions to fetch, with their fetch positions.
    pub fn fetchable(&self, now: Duration) -> Vec<(TopicPartition, Offset)> {
        let offset = |partition: &TopicPartition| {
            let state = self.partitions.get(partition)?;
            match state.position {
                Position::Known { fetch, .. } if state.paused_until.is_none_or(|until| until <= now) => {
                    Some((partition.clone(), fetch))
                }
                _ => None,
            }
        };
        self.order.iter().filter_map(offset).collect()
    }

    /// Whether `offset` is still the fetch position, so that records fetched from there are not outdated.
    pub fn expects(&self, partition: &TopicPartition, offset: Offset) -> bool {
        let state = self.partitions.get(partition);
        state.is_some_and(|state| matches!(state.position, Position::Known { fetch, .. } if fetch == offset))
    }

    /// Moves the fetch position to `next`, after a fetch returned records up to there.
    pub fn fetched(&mut self, partition: &TopicPartition, next: Offset) {
        if let Some(PartitionState { position: Position::Known { fetch, .. }, paused_until, .. }) =
            self.partitions.get_mut(partition)
        {
            *fetch = next;
            *paused_until = None;
        }
        if let Some(at) = self.order.iter().position(|other| other == partition)
            && let Some(partition) = self.order.remove(at)
        {
            self.order.push_back(partition);
        }
    }

    /// Moves the delivered position to `next`.
    pub fn delivered(&mut self, partition: &TopicPartition, next: Offset, last_epoch: LeaderEpoch) {
        if let Some(PartitionState { position: Position::Known { delivered, epoch, .. }, .. }) =
            self.partitions.get_mut(partition)
        {
            *delivered = next;
            *epoch = last_epoch;
        }
    }

    /// Pauses fetches from the partition until this time.
    pub fn pause(&mut self, partition: &TopicPartition, until: Duration) {
        if let Some(state) = self.partitions.get_mut(partition) {
            state.paused_until = Some(until);
        }
    }

    pub fn is_paused(&self, partition: &TopicPartition, now: Duration) -> bool {
        let until = self.partitions.get(partition).and_then(|state| state.paused_until);
        until.is_some_and(|until| until > now)
    }

    /// The offset of the next record to deliver.
    pub fn position(&self, partition: &TopicPartition) -> Option<Offset> {
        match self.partitions.get(partition)?.position {
            Position::Known { delivered, .. } => Some(delivered),
            Position::Unknown(_) => None,
        }
    }

    /// The leader epoch of the last delivered record; -1 if there was none.
    pub fn epoch(&self, partition: &TopicPartition) -> LeaderEpoch {
        match self.partitions.get(partition).map(|state| state.position) {
            Some(Position::Known { epoch, .. }) => epoch,
            _ => -1,
        }
    }

    /// When the next pause ends.
    pub fn next_resume(&self, now: Duration) -> Option<Duration> {
        self.partitions.values().filter_map(|state| state.paused_until).filter(|until| *until > now).min()
    }

    /// The delivered positions that are not committed.
    pub fn uncommitted(&self) -> Vec<Progress> {
        let progress = |(partition, state): (&TopicPartition, &PartitionState)| match state.position {
            Position::Known { delivered, epoch, .. } if state.committed != Some(delivered) => {
                Some(Progress { partition: partition.clone(), offset: delivered, epoch })
            }
            _ => None,
        };
        self.partitions.iter().filter_map(progress).collect()
    }

    /// Records that these offsets are committed.
    pub fn committed(&mut self, progress: &[Progress]) {
        for progress in progress {
            if let Some(state) = self.partitions.get_mut(&progress.partition) {
                state.committed = Some(progress.offset);
            }
        }
    }
}

impl From<Start> for Position {
    fn from(start: Start) -> Position {
        match start {
            Start::At(offset) => Position::Known { fetch: offset, delivered: offset, epoch: -1 },
            unknown => Position::Unknown(unknown),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(9);

    fn part(partition: i32) -> TopicPartition {
        TopicPartition::new("t", partition)
    }

    fn started(partitions: &[i32], start: Start) -> Positions {
        let mut positions = Positions::default();
        positions.add(&partitions.iter().map(|partition| part(*partition)).collect::<Vec<_>>(), start);
        positions
    }

    #[test]
    fn partition_is_fetchable_once_its_position_is_known() {
        let mut positions = started(&[0, 1], Start::Committed);
        assert_eq!(positions.unknown(), [(part(0), Start::Committed), (part(1), Start::Committed)]);
        assert_eq!(positions.fetchable(NOW), []);
        positions.found_committed(&part(0), Some((5, 2)));
        positions.found_committed(&part(1), None);
        assert_eq!(positions.unknown(), [(part(1), Start::Policy)]);
        positions.seek(&part(1), Start::At(3));
        assert_eq!(positions.fetchable(NOW), [(part(0), 5), (part(1), 3)]);
    }

    #[test]
    fn fetch_position_runs_ahead_and_delivered_position_is_committed() {
        let mut positions = started(&[0], Start::At(0));
        assert!(positions.expects(&part(0), 0));
        positions.fetched(&part(0), 10);
        assert!(!positions.expects(&part(0), 0));
        positions.delivered(&part(0), 4, 1);
        assert_eq!(positions.position(&part(0)), Some(4));
        assert_eq!(positions.fetchable(NOW), [(part(0), 10)]);
        let progress = Progress { partition: part(0), offset: 4, epoch: 1 };
        assert_eq!(positions.uncommitted(), std::slice::from_ref(&progress));
        positions.committed(&[progress]);
        assert_eq!(positions.uncommitted(), []);
    }

    #[test]
    fn seek_makes_a_fetch_in_flight_outdated() {
        let mut positions = started(&[0], Start::At(0));
        positions.seek(&part(0), Start::At(7));
        assert!(!positions.expects(&part(0), 0) && positions.expects(&part(0), 7));
        positions.remove(&[part(0)]);
        positions.seek(&part(0), Start::At(7));
        assert!(!positions.expects(&part(0), 7) && positions.partitions().is_empty());
    }

    #[test]
    fn partition_with_records_moves_to_the_end_of_the_order() {
        let mut positions = started(&[0, 1, 2], Start::At(0));
        positions.fetched(&part(0), 1);
        assert_eq!(positions.fetchable(NOW), [(part(1), 0), (part(2), 0), (part(0), 1)]);
    }

    #[test]
    fn paused_partition_is_fetched_after_the_pause() {
        let mut positions = started(&[0, 1], Start::At(0));
        positions.pause(&part(0), NOW + Duration::from_secs(1));
        assert_eq!(positions.fetchable(NOW), [(part(1), 0)]);
        assert_eq!(positions.next_resume(NOW), Some(NOW + Duration::from_secs(1)));
        assert_eq!(positions.fetchable(NOW + Duration::from_secs(1)).len(), 2);
    }

    #[test]
    fn committed_offset_is_not_committed_again() {
        let mut positions = started(&[0], Start::Committed);
        positions.found_committed(&part(0), Some((5, -1)));
        assert_eq!(positions.uncommitted(), []);
        positions.seek(&part(0), Start::At(2));
        assert_eq!(positions.uncommitted().len(), 1);
    }
}
