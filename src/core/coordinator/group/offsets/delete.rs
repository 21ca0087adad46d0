//! Deletion of offsets: by OffsetDelete, with their group, or with their topic.

use super::OffsetStore;
use crate::coordinator::GroupId;
use crate::coordinator::group::command::TopicResults;
use crate::coordinator::group::decision::Decision;
use crate::coordinator::group::error::GroupError;
use crate::coordinator::records::GroupRecord;
use ottla_wire::types::{PartitionIndex, TopicName};

impl OffsetStore {
    /// OffsetDelete: deletes offsets, except those of topics that the group is subscribed to.
    pub fn delete(
        &self,
        decision: &mut Decision,
        group: &GroupId,
        topics: Vec<(TopicName, Vec<PartitionIndex>)>,
        is_subscribed: impl Fn(&str) -> bool,
    ) -> Vec<TopicResults> {
        let mut results = Vec::with_capacity(topics.len());
        for (topic, partitions) in topics {
            let result = if is_subscribed(&topic) { Err(GroupError::GroupSubscribedToTopic) } else { Ok(()) };
            for &partition in &partitions {
                let known = self.get(group, &topic, partition).is_some() || self.is_pending(group, &topic, partition);
                if result.is_ok() && known {
                    tombstone(decision, group.clone(), topic.clone(), partition);
                }
            }
            let partitions = partitions.into_iter().map(|partition| (partition, result)).collect();
            results.push(TopicResults { topic, partitions });
        }
        results
    }

    /// Deletes all offsets of a group.
    pub fn delete_all(&self, decision: &mut Decision, group: &GroupId) {
        for (topic, partition) in self.partitions_of(group) {
            tombstone(decision, group.clone(), topic, partition);
        }
    }

    /// Deletes the offsets of these topics, in all groups.
    pub fn delete_topics(&self, decision: &mut Decision, topics: &[TopicName]) {
        for (group, topic, partition) in self.entries_of_topics(topics) {
            tombstone(decision, group, topic, partition);
        }
    }
}

pub(super) fn tombstone(decision: &mut Decision, group: GroupId, topic: TopicName, partition: PartitionIndex) {
    decision.record(GroupRecord::OffsetCommit { group, topic, partition, value: None });
}
