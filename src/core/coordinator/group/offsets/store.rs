//! The store of offsets: committed ones, and pending ones of open transactions.
//!
//! All of it is durable state: only records and transaction markers change it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::coordinator::records::CommittedOffset;
use crate::coordinator::{GroupId, Outcome, RecordMeta};
use ottla_wire::types::{InOrder as _, NO_PRODUCER_ID, Offset, PartitionIndex, ProducerId, TopicName};

/// One group's offsets.
type Topics = BTreeMap<TopicName, BTreeMap<PartitionIndex, Stored>>;

/// A committed offset, and the offset of its record.
#[derive(Clone, Debug, PartialEq)]
struct Stored {
    record_offset: Offset,
    value: CommittedOffset,
}

/// The offsets of all groups of one partition of `__consumer_offsets`.
#[derive(Debug, Default, PartialEq)]
pub(in crate::coordinator::group) struct OffsetStore {
    committed: HashMap<GroupId, Topics>,
    /// The offsets in open transactions, by producer.
    pending: HashMap<ProducerId, HashMap<GroupId, Topics>>,
    /// The producers with an open transaction, by group. Invariant: it has exactly the groups of `pending`.
    open: HashMap<GroupId, BTreeSet<ProducerId>>,
}

impl OffsetStore {
    /// The group's committed offset of a partition.
    pub fn get(&self, group: &str, topic: &str, partition: PartitionIndex) -> Option<&CommittedOffset> {
        Some(&self.committed.get(group)?.get(topic)?.get(&partition)?.value)
    }

    /// The group's committed offsets, by topic and partition.
    pub fn topics(&self, group: &str) -> impl Iterator<Item = (&TopicName, TopicView<'_>)> {
        self.committed.get(group).into_iter().flatten().map(|(topic, partitions)| (topic, TopicView(partitions)))
    }

    /// Whether an open transaction has offsets of the group.
    pub fn has_open_transaction(&self, group: &str) -> bool {
        self.open.contains_key(group)
    }

    /// Whether an open transaction may change this offset.
    pub fn is_pending(&self, group: &str, topic: &str, partition: PartitionIndex) -> bool {
        self.pending_topics(group).any(|topics| topics.get(topic).is_some_and(|p| p.contains_key(&partition)))
    }

    /// Every partition for which the group has an offset, committed or pending.
    pub fn partitions_of(&self, group: &str) -> BTreeSet<(TopicName, PartitionIndex)> {
        let all = self.committed.get(group).into_iter().chain(self.pending_topics(group));
        all.flat_map(|topics| topics.iter().flat_map(|(topic, p)| p.keys().map(|&index| (topic.clone(), index))))
            .in_order()
    }

    /// Every group, topic and partition with an offset, committed or pending, of one of `topics`.
    pub fn entries_of_topics(&self, topics: &[TopicName]) -> BTreeSet<(GroupId, TopicName, PartitionIndex)> {
        let mut found = BTreeSet::new();
        for (group, of_group) in self.all_topics() {
            for topic in topics {
                let partitions = of_group.get(topic).into_iter().flat_map(BTreeMap::keys);
                found.extend(partitions.map(|&partition| (group.clone(), topic.clone(), partition)));
            }
        }
        found
    }

    /// Every topic for which a group has an offset, committed or pending.
    pub fn all_topic_names(&self) -> BTreeSet<TopicName> {
        self.all_topics().flat_map(|(_, topics)| topics.keys().cloned()).in_order()
    }

    /// Applies a commit. In a transaction, it is pending until the transaction ends.
    pub fn replay_commit(
        &mut self,
        at: RecordMeta,
        group: &GroupId,
        topic: &TopicName,
        partition: PartitionIndex,
        value: &CommittedOffset,
    ) {
        let stored = Stored { record_offset: at.offset, value: value.clone() };
        let producer_id = at.producer.producer_id;
        if producer_id == NO_PRODUCER_ID {
            put(&mut self.committed, group, topic, partition, stored);
        } else {
            put(self.pending.entry(producer_id).or_default(), group, topic, partition, stored);
            self.open.entry(group.clone()).or_default().insert(producer_id);
        }
    }

    /// Applies a tombstone: removes the committed offset, and pending ones in open transactions.
    pub fn replay_tombstone(&mut self, group: &str, topic: &str, partition: PartitionIndex) {
        if let Some(topics) = self.committed.get_mut(group) {
            take(topics, topic, partition);
            if topics.is_empty() {
                self.committed.remove(group);
            }
        }
        for producer_id in self.open.get(group).into_iter().flatten() {
            if let Some(topics) = self.pending.get_mut(producer_id).and_then(|groups| groups.get_mut(group)) {
                take(topics, topic, partition);
            }
        }
    }

    /// Applies a transaction's end.
    ///
    /// A later commit outside the transaction is kept.
    pub fn replay_end_txn(&mut self, producer_id: ProducerId, outcome: Outcome) {
        let Some(groups) = self.pending.remove(&producer_id) else { return };
        for group in groups.keys() {
            if let Some(producers) = self.open.get_mut(group) {
                producers.remove(&producer_id);
                if producers.is_empty() {
                    self.open.remove(group);
                }
            }
        }
        if outcome == Outcome::Commit {
            for (group, topics) in groups {
                self.commit_pending(&group, topics);
            }
        }
    }

    fn commit_pending(&mut self, group: &GroupId, topics: Topics) {
        for (topic, partitions) in topics {
            for (partition, stored) in partitions {
                let present = self.committed.get(group).and_then(|t| t.get(&topic)?.get(&partition));
                if present.is_none_or(|present| present.record_offset < stored.record_offset) {
                    put(&mut self.committed, group, &topic, partition, stored);
                }
            }
        }
    }

    fn pending_topics(&self, group: &str) -> impl Iterator<Item = &Topics> {
        let producers = self.open.get(group).into_iter().flatten();
        producers.filter_map(move |producer_id| self.pending.get(producer_id)?.get(group))
    }

    fn all_topics(&self) -> impl Iterator<Item = (&GroupId, &Topics)> {
        self.committed.iter().chain(self.pending.values().flatten())
    }
}

/// One topic's committed offsets of one group.
#[derive(Clone, Copy)]
pub(in crate::coordinator::group) struct TopicView<'a>(&'a BTreeMap<PartitionIndex, Stored>);

impl<'a> TopicView<'a> {
    /// The partitions in order, with their offsets.
    pub fn partitions(self) -> impl Iterator<Item = (PartitionIndex, &'a CommittedOffset)> {
        self.0.iter().map(|(&partition, stored)| (partition, &stored.value))
    }
}

fn put(
    groups: &mut HashMap<GroupId, Topics>,
    group: &GroupId,
    topic: &TopicName,
    partition: PartitionIndex,
    stored: Stored,
) {
    let topics = match groups.get_mut(group) {
        Some(topics) => topics,
        None => groups.entry(group.clone()).or_default(),
    };
    // Looked up first, so that commits of one topic share one name.
    match topics.get_mut::<str>(topic) {
        Some(partitions) => drop(partitions.insert(partition, stored)),
        None => drop(topics.insert(Arc::clone(topic), BTreeMap::from([(partition, stored)]))),
    }
}

fn take(topics: &mut Topics, topic: &str, partition: PartitionIndex) {
    if let Some(partitions) = topics.get_mut(topic) {
        partitions.remove(&partition);
        if partitions.is_empty() {
            topics.remove(topic);
        }
    }
}
