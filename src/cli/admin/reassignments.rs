//! Partition reassignments.

use std::collections::BTreeMap;

use super::{CHANGE_TIMEOUT_MS, Result, accepted};
use crate::cli::tools::exceptions::Exception;
use ottla_client::Client;
use ottla_wire::codec::Str;
use ottla_wire::protocol::messages::alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, ReassignablePartition, ReassignableTopic,
};
use ottla_wire::protocol::messages::list_partition_reassignments::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsTopics,
};
use ottla_wire::types::{InOrder as _, TopicPartition};

/// The ongoing reassignment of a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reassignment {
    /// All current and future replicas.
    pub replicas: Vec<i32>,
    pub adding: Vec<i32>,
    pub removing: Vec<i32>,
}

/// The ongoing reassignments of these partitions, or of all.
pub async fn list(
    client: &Client,
    partitions: Option<&[TopicPartition]>,
) -> Result<BTreeMap<TopicPartition, Reassignment>> {
    let request = ListPartitionReassignmentsRequest { timeout_ms: CHANGE_TIMEOUT_MS, topics: partitions.map(by_topic) };
    let answer = client.call(request).await?;
    accepted(answer.error_code, answer.error_message.as_deref())?;
    let found = answer.topics.into_iter().flat_map(|topic| {
        let name = topic.name;
        topic.partitions.into_iter().map(move |partition| {
            let reassignment = Reassignment {
                replicas: partition.replicas,
                adding: partition.adding_replicas,
                removing: partition.removing_replicas,
            };
            (TopicPartition::new(&*name, partition.partition_index), reassignment)
        })
    });
    Ok(found.in_order())
}

/// Assigns partitions to these brokers; without brokers, cancels the reassignment. Returns the error of each refused
/// partition.
pub async fn alter(
    client: &Client,
    changes: &[(TopicPartition, Option<Vec<i32>>)],
    allow_replication_factor_change: bool,
) -> Result<BTreeMap<TopicPartition, Exception>> {
    let mut topics: BTreeMap<&str, Vec<ReassignablePartition>> = BTreeMap::new();
    for (partition, replicas) in changes {
        let asked = ReassignablePartition { partition_index: partition.partition, replicas: replicas.clone() };
        topics.entry(&partition.topic).or_default().push(asked);
    }
    let topics = topics.into_iter();
    let request = AlterPartitionReassignmentsRequest {
        timeout_ms: CHANGE_TIMEOUT_MS,
        allow_replication_factor_change,
        topics: topics.map(|(name, partitions)| ReassignableTopic { name: Str::from(name), partitions }).collect(),
    };
    let answer = client.call(request).await?;
    accepted(answer.error_code, answer.error_message.as_deref())?;
    let mut refused = BTreeMap::new();
    for topic in answer.responses {
        for partition in topic.partitions {
            if let Err(error) = accepted(partition.error_code, partition.error_message.as_deref()) {
                refused.insert(TopicPartition::new(&*topic.name, partition.partition_index), error);
            }
        }
    }
    Ok(refused)
}

fn by_topic(partitions: &[TopicPartition]) -> Vec<ListPartitionReassignmentsTopics> {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for partition in partitions {
        topics.entry(&partition.topic).or_default().push(partition.partition);
    }
    let topics = topics.into_iter();
    topics
        .map(|(name, partition_indexes)| ListPartitionReassignmentsTopics { name: Str::from(name), partition_indexes })
        .collect()
}
