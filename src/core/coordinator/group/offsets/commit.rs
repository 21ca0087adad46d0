//! OffsetCommit and TxnOffsetCommit.

use super::OffsetStore;
use crate::coordinator::GroupId;
use crate::coordinator::group::command::{PartitionCommit, TopicCommits, TopicResults};
use crate::coordinator::group::decision::Decision;
use crate::coordinator::group::error::GroupError;
use crate::coordinator::records::{CommittedOffset, GroupRecord};
use ottla_wire::types::{NO_TIMESTAMP, TimestampMs, TopicId};

impl OffsetStore {
    /// Writes the offsets. `retention_ms` is the retention time that the client requested.
    pub fn commit(
        &self,
        decision: &mut Decision,
        group: &GroupId,
        topics: Vec<TopicCommits>,
        retention_ms: Option<i64>,
    ) -> Vec<TopicResults> {
        let expires = retention_ms.filter(|&ms| ms >= 0).map(|ms| decision.now.wall.saturating_add(ms));
        let mut results = Vec::with_capacity(topics.len());
        for TopicCommits { topic, topic_id, partitions } in topics {
            let mut of_topic = Vec::with_capacity(partitions.len());
            for commit in partitions {
                let partition = commit.partition;
                let result = check_metadata(decision, &commit);
                if result.is_ok() {
                    let value = Some(committed(decision.now.wall, commit, topic_id, expires));
                    let (group, topic) = (group.clone(), topic.clone());
                    decision.record(GroupRecord::OffsetCommit { group, topic, partition, value });
                }
                of_topic.push((partition, result));
            }
            results.push(TopicResults { topic, partitions: of_topic });
        }
        results
    }
}

fn check_metadata(decision: &Decision, commit: &PartitionCommit) -> Result<(), GroupError> {
    let limit = decision.config.offset_metadata_max;
    let length = commit.metadata.as_deref().map_or(0, |metadata| metadata.encode_utf16().count());
    if length > limit { Err(GroupError::OffsetMetadataTooLarge) } else { Ok(()) }
}

fn committed(
    now: TimestampMs,
    commit: PartitionCommit,
    topic_id: TopicId,
    expires: Option<TimestampMs>,
) -> CommittedOffset {
    // Fields that the record does not have are dropped in memory, too: a restart would lose them.
    let (leader_epoch, topic_id) = match expires {
        None => (commit.leader_epoch, topic_id),
        Some(_) => (-1, TopicId::ZERO),
    };
    CommittedOffset {
        offset: commit.offset,
        leader_epoch,
        metadata: commit.metadata.unwrap_or_default(),
        commit_timestamp: commit.timestamp.filter(|&t| t != NO_TIMESTAMP).unwrap_or(now),
        expire_timestamp: expires,
        topic_id,
    }
}
