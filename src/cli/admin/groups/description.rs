//! Describes a group's offsets: committed offset, end offset and owner of each partition.

use std::collections::BTreeSet;

use super::{Groups, GroupsError};
use ottla_client::{ClientError, CommittedOffset, GroupDescription, ListedOffset};
use ottla_wire::types::{ErrorCode, InOrder as _, Offset, TimestampMs, TopicPartition, sort_by_key};

/// The timestamp in ListOffsets for the end of a partition.
pub(super) const LATEST: TimestampMs = -1;
/// The timestamp in ListOffsets for the start of a partition.
pub(super) const EARLIEST: TimestampMs = -2;

/// A group and its partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupOffsets {
    pub group: GroupDescription,
    /// The assigned partitions, by member, the member with most partitions first; then partitions with only an offset.
    pub rows: Vec<PartitionRow>,
}

/// A partition of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionRow {
    pub partition: TopicPartition,
    /// `None` without a committed offset.
    pub committed: Option<CommittedOffset>,
    /// `None` if the partition has no leader.
    pub end: Option<Offset>,
    /// `None` if it is assigned to no member.
    pub owner: Option<Owner>,
}

impl PartitionRow {
    /// The number of offsets that are not consumed yet.
    pub fn lag(&self) -> Option<i64> {
        Some(self.end? - self.committed.as_ref()?.offset)
    }
}

/// The member that a partition is assigned to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    pub member_id: String,
    pub host: String,
    pub client_id: String,
}

impl Groups {
    /// Describes a group and its offsets.
    pub async fn offsets(&self, group: &str) -> Result<GroupOffsets, GroupsError> {
        let description = self.describe(group).await?;
        let committed = self.committed(group).await?;
        let mut members: Vec<_> = description.members.iter().collect();
        sort_by_key(&mut members, |member| std::cmp::Reverse(member.assignment.len()));
        let mut of_members = Vec::new();
        for member in members {
            let owner =
                Owner { member_id: member.id.clone(), host: member.host.clone(), client_id: member.client_id.clone() };
            of_members.extend(member.assignment.iter().map(|partition| (partition.clone(), Some(owner.clone()))));
        }
        let assigned: BTreeSet<&TopicPartition> = of_members.iter().map(|(partition, _)| partition).in_order();
        let unassigned = committed.keys().filter(|partition| !assigned.contains(partition));
        let unassigned: Vec<_> = unassigned.map(|partition| (partition.clone(), None)).collect();
        let listed: Vec<_> = of_members.into_iter().chain(unassigned).collect();
        let ends = self.ends(listed.iter().map(|(partition, _)| partition)).await?;
        let row = |((partition, owner), end): ((TopicPartition, _), _)| {
            let committed = committed.get(&partition).cloned();
            PartitionRow { partition, committed, end, owner }
        };
        let rows = listed.into_iter().zip(ends).map(row).collect();
        Ok(GroupOffsets { group: description, rows })
    }

    /// The end offsets of partitions; `None` without a leader.
    async fn ends(
        &self,
        partitions: impl Iterator<Item = &TopicPartition>,
    ) -> Result<Vec<Option<Offset>>, GroupsError> {
        let asked: Vec<_> = partitions.map(|it| (&*it.topic, it.partition, LATEST)).collect();
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        let listed = self.client.list_offsets(&asked).await.map_err(GroupsError::Step)?;
        let end = |result: Result<ListedOffset, ClientError>| match result {
            Ok(listed) => Ok(Some(listed.offset)),
            Err(error) if is_leaderless(&error) => Ok(None),
            Err(error) => Err(GroupsError::Step(error)),
        };
        listed.into_iter().map(end).collect()
    }
}

fn is_leaderless(error: &ClientError) -> bool {
    matches!(error.code(), Some(ErrorCode::LeaderNotAvailable | ErrorCode::NotLeaderOrFollower))
}

/// Formats a member's partitions as Kafka's tools do: `orders:0,1;payments:0`.
pub fn assignment_text(partitions: &[TopicPartition]) -> String {
    let mut text = String::new();
    let mut topic: Option<&str> = None;
    for partition in partitions {
        if topic == Some(&partition.topic) {
            text.push(',');
        } else {
            let separator = if topic.is_some() { ";" } else { "" };
            text += &format!("{separator}{}:", partition.topic);
            topic = Some(&partition.topic);
        }
        text += &partition.partition.to_string();
    }
    text
}
