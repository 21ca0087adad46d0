//! Where a consumer stands in each of its partitions, and what it would fetch next. Pure.
//!
//! A partition has two positions: where the next fetch goes on, and what its reader has been given. The first runs ahead
//! of the second; only the second is ever committed.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use ottla_wire::types::{InOrder as _, LeaderEpoch, Offset, TimestampMs, TopicPartition};

/// Where to start in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Where the group has got to; `auto.offset.reset`, if nowhere.
    Committed,
    /// As `auto.offset.reset` says.
    Policy,
    /// The first record at or after a time, or what ListOffsets has special timestamps for.
    Timestamp(TimestampMs),
    At(Offset),
}

#[derive(Debug)]
struct Place {
    at: At,
    /// What the group has for certain.
    committed: Option<Offset>,
    /// When to fetch again, after an error.
    paused_until: Option<Duration>,
}

#[derive(Clone, Copy, Debug)]
enum At {
    Unknown(Start),
    Known { fetch: Offset, given: Offset, epoch: LeaderEpoch },
}

/// A position to commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    pub partition: TopicPartition,
    /// Of the next record to read.
    pub offset: Offset,
    /// Of the last record read; -1 if there was none.
    pub epoch: LeaderEpoch,
}

#[derive(Debug, Default)]
pub struct Positions {
    places: HashMap<TopicPartition, Place>,
    /// Who is served first: whoever had records goes to the end.
    order: VecDeque<TopicPartition>,
}

impl Positions {
    /// Adds partitions, to start at `start`.
    pub fn add(&mut self, partitions: &[TopicPartition], start: Start) {
        for partition in partitions {
            let place = Place { at: At::from(start), committed: None, paused_until: None };
            if self.places.insert(partition.clone(), place).is_none() {
                self.order.push_back(partition.clone());
            }
        }
    }

    pub fn remove(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            self.places.remove(partition);
        }
        self.order.retain(|partition| self.places.contains_key(partition));
    }

    /// Goes on elsewhere. Nothing happens if the partition isn't one of them.
    pub fn seek(&mut self, partition: &TopicPartition, start: Start) {
        if let Some(place) = self.places.get_mut(partition) {
            place.at = At::from(start);
        }
    }

    pub fn contains(&self, partition: &TopicPartition) -> bool {
        self.places.contains_key(partition)
    }

    pub fn partitions(&self) -> BTreeSet<TopicPartition> {
        self.places.keys().cloned().in_order()
    }

    /// Those whose position isn't known, and where each should start.
    pub fn unknown(&self) -> Vec<(TopicPartition, Start)> {
        let start = |partition: &TopicPartition| match self.places.get(partition)?.at {
            At::Unknown(start) => Some((partition.clone(), start)),
            At::Known { .. } => None,
        };
        self.order.iter().filter_map(start).collect()
    }

    /// The group has this offset, or none.
    pub fn found_committed(&mut self, partition: &TopicPartition, committed: Option<(Offset, LeaderEpoch)>) {
        let Some(place) = self.places.get_mut(partition) else { return };
        place.at = match committed {
            Some((offset, epoch)) => At::Known { fetch: offset, given: offset, epoch },
            None => At::Unknown(Start::Policy),
        };
        place.committed = committed.map(|(offset, _)| offset);
    }

    /// What to fetch, and from where.
    pub fn fetchable(&self, now: Duration) -> Vec<(TopicPartition, Offset)> {
        let offset = |partition: &TopicPartition| {
            let place = self.places.get(partition)?;
            match place.at {
                At::Known { fetch, .. } if place.paused_until.is_none_or(|until| until <= now) => {
                    Some((partition.clone(), fetch))
                }
                _ => None,
            }
        };
        self.order.iter().filter_map(offset).collect()
    }

    /// Whether what was fetched from `offset` is still wanted.
    pub fn wants(&self, partition: &TopicPartition, offset: Offset) -> bool {
        let place = self.places.get(partition);
        place.is_some_and(|place| matches!(place.at, At::Known { fetch, .. } if fetch == offset))
    }

    /// A fetch brought records up to `next`.
    pub fn fetched(&mut self, partition: &TopicPartition, next: Offset) {
        if let Some(Place { at: At::Known { fetch, .. }, paused_until, .. }) = self.places.get_mut(partition) {
            *fetch = next;
            *paused_until = None;
        }
        if let Some(at) = self.order.iter().position(|other| other == partition)
            && let Some(partition) = self.order.remove(at)
        {
            self.order.push_back(partition);
        }
    }

    /// The reader has everything before `next`.
    pub fn gave(&mut self, partition: &TopicPartition, next: Offset, last_epoch: LeaderEpoch) {
        if let Some(Place { at: At::Known { given, epoch, .. }, .. }) = self.places.get_mut(partition) {
            *given = next;
            *epoch = last_epoch;
        }
    }

    /// Leaves the partition alone until then.
    pub fn pause(&mut self, partition: &TopicPartition, until: Duration) {
        if let Some(place) = self.places.get_mut(partition) {
            place.paused_until = Some(until);
        }
    }

    pub fn is_paused(&self, partition: &TopicPartition, now: Duration) -> bool {
        let until = self.places.get(partition).and_then(|place| place.paused_until);
        until.is_some_and(|until| until > now)
    }

    /// What the reader is given next.
    pub fn position(&self, partition: &TopicPartition) -> Option<Offset> {
        match self.places.get(partition)?.at {
            At::Known { given, .. } => Some(given),
            At::Unknown(_) => None,
        }
    }

    /// Of the last record given; -1 if there was none.
    pub fn epoch(&self, partition: &TopicPartition) -> LeaderEpoch {
        match self.places.get(partition).map(|place| place.at) {
            Some(At::Known { epoch, .. }) => epoch,
            _ => -1,
        }
    }

    /// The first moment after `now` at which a partition may be fetched from again.
    pub fn next_resume(&self, now: Duration) -> Option<Duration> {
        self.places.values().filter_map(|place| place.paused_until).filter(|until| *until > now).min()
    }

    /// What the group doesn't have yet.
    pub fn uncommitted(&self) -> Vec<Progress> {
        let progress = |(partition, place): (&TopicPartition, &Place)| match place.at {
            At::Known { given, epoch, .. } if place.committed != Some(given) => {
                Some(Progress { partition: partition.clone(), offset: given, epoch })
            }
            _ => None,
        };
        self.places.iter().filter_map(progress).collect()
    }

    /// The group has it.
    pub fn committed(&mut self, progress: &[Progress]) {
        for progress in progress {
            if let Some(place) = self.places.get_mut(&progress.partition) {
                place.committed = Some(progress.offset);
            }
        }
    }
}

impl From<Start> for At {
    fn from(start: Start) -> At {
        match start {
            Start::At(offset) => At::Known { fetch: offset, given: offset, epoch: -1 },
            unknown => At::Unknown(unknown),
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
    fn positions_are_found_before_anything_is_fetched() {
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
    fn fetching_runs_ahead_of_what_was_given() {
        let mut positions = started(&[0], Start::At(0));
        assert!(positions.wants(&part(0), 0));
        positions.fetched(&part(0), 10);
        assert!(!positions.wants(&part(0), 0));
        positions.gave(&part(0), 4, 1);
        assert_eq!(positions.position(&part(0)), Some(4));
        assert_eq!(positions.fetchable(NOW), [(part(0), 10)]);
        let progress = Progress { partition: part(0), offset: 4, epoch: 1 };
        assert_eq!(positions.uncommitted(), std::slice::from_ref(&progress));
        positions.committed(&[progress]);
        assert_eq!(positions.uncommitted(), []);
    }

    #[test]
    fn a_seek_makes_what_is_under_way_unwanted() {
        let mut positions = started(&[0], Start::At(0));
        positions.seek(&part(0), Start::At(7));
        assert!(!positions.wants(&part(0), 0) && positions.wants(&part(0), 7));
        positions.remove(&[part(0)]);
        positions.seek(&part(0), Start::At(7));
        assert!(!positions.wants(&part(0), 7) && positions.partitions().is_empty());
    }

    #[test]
    fn whoever_had_records_goes_to_the_end() {
        let mut positions = started(&[0, 1, 2], Start::At(0));
        positions.fetched(&part(0), 1);
        assert_eq!(positions.fetchable(NOW), [(part(1), 0), (part(2), 0), (part(0), 1)]);
    }

    #[test]
    fn a_paused_partition_waits() {
        let mut positions = started(&[0, 1], Start::At(0));
        positions.pause(&part(0), NOW + Duration::from_secs(1));
        assert_eq!(positions.fetchable(NOW), [(part(1), 0)]);
        assert_eq!(positions.next_resume(NOW), Some(NOW + Duration::from_secs(1)));
        assert_eq!(positions.fetchable(NOW + Duration::from_secs(1)).len(), 2);
    }

    #[test]
    fn what_the_group_has_is_not_committed_again() {
        let mut positions = started(&[0], Start::Committed);
        positions.found_committed(&part(0), Some((5, -1)));
        assert_eq!(positions.uncommitted(), []);
        positions.seek(&part(0), Start::At(2));
        assert_eq!(positions.uncommitted().len(), 1);
    }
}
