//! Lists, describes, creates and deletes topics.

use super::{CHANGE_TIMEOUT_MS, Result, accepted, incomplete};
use crate::cli::tools::exceptions::Exception;
use ottla_client::Client;
use ottla_wire::codec::Str;
use ottla_wire::protocol::ApiKey;
use ottla_wire::protocol::messages::create_partitions::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic,
};
use ottla_wire::protocol::messages::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use ottla_wire::protocol::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use ottla_wire::protocol::messages::describe_topic_partitions::{
    DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponsePartition, TopicRequest,
};
use ottla_wire::protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponseTopic};
use ottla_wire::types::{ErrorCode, PartitionIndex, TopicId, sort_by, sort_by_key};

/// A topic in a list.
#[derive(Clone, Debug)]
pub struct TopicListing {
    pub name: String,
    pub id: TopicId,
    pub partitions: usize,
    pub is_internal: bool,
}

/// A topic with its partitions, sorted.
#[derive(Clone, Debug)]
pub struct TopicDescription {
    pub name: String,
    pub id: TopicId,
    pub partitions: Vec<PartitionDescription>,
}

/// A partition and its replicas.
#[derive(Clone, Debug)]
pub struct PartitionDescription {
    pub index: PartitionIndex,
    pub leader: Option<i32>,
    pub replicas: Vec<i32>,
    pub isr: Vec<i32>,
    /// `None` if the broker doesn't report it.
    pub eligible_leader_replicas: Option<Vec<i32>>,
    pub last_known_elr: Option<Vec<i32>>,
}

/// A topic to create; the broker chooses the values that are not given.
#[derive(Clone, Debug, Default)]
pub struct NewTopic {
    pub name: String,
    pub partitions: Option<i32>,
    pub replication_factor: Option<i16>,
    /// The replicas of each partition, instead of the two numbers.
    pub assignment: Vec<Vec<i32>>,
    pub configs: Vec<(String, String)>,
}

/// All topics, sorted by name.
pub async fn list(client: &Client) -> Result<Vec<TopicListing>> {
    let topics = metadata(client, None).await?;
    let listing = |topic: MetadataResponseTopic| {
        let is_internal = topic.is_internal;
        let name = topic.name?.to_string();
        Some(TopicListing { name, id: topic.topic_id, partitions: topic.partitions.len(), is_internal })
    };
    let mut topics: Vec<_> = topics.into_iter().filter_map(listing).collect();
    sort_by(&mut topics, |a, b| a.name.cmp(&b.name));
    Ok(topics)
}

/// Describes these topics, sorted by name. Each request asks for at most `partitions_at_a_time` partitions.
pub async fn describe(client: &Client, names: &[String], partitions_at_a_time: i32) -> Result<Vec<TopicDescription>> {
    if client.version_up_to(ApiKey::DescribeTopicPartitions, i16::MAX).is_err() {
        let named = |name: &String| MetadataRequestTopic { name: Some(Str::from(name.as_str())), ..Default::default() };
        let topics = metadata(client, Some(names.iter().map(named).collect())).await?;
        return topics.into_iter().map(of_metadata).collect();
    }
    let mut asked: Vec<_> = names.iter().map(|name| TopicRequest { name: Str::from(name.as_str()) }).collect();
    sort_by(&mut asked, |a, b| a.name.cmp(&b.name));
    let mut described: Vec<TopicDescription> = Vec::new();
    let mut cursor = None;
    loop {
        let request = DescribeTopicPartitionsRequest {
            topics: asked.clone(),
            response_partition_limit: partitions_at_a_time,
            cursor,
        };
        let answer = client.call(request).await?;
        for topic in answer.topics {
            accepted(topic.error_code, None)?;
            let Some(name) = topic.name else { continue };
            let partitions = topic.partitions.into_iter().map(of_page);
            match described.last_mut().filter(|last| *last.name == *name) {
                Some(begun) => begun.partitions.extend(partitions),
                None => described.push(TopicDescription {
                    name: name.to_string(),
                    id: topic.topic_id,
                    partitions: partitions.collect(),
                }),
            }
        }
        let Some(next) = answer.next_cursor else { break };
        asked.retain(|topic| topic.name >= next.topic_name);
        cursor = Some(next);
    }
    for topic in &mut described {
        sort_by_key(&mut topic.partitions, |partition| partition.index);
    }
    Ok(described)
}

/// Describes the topic with this id.
pub async fn describe_by_id(client: &Client, id: TopicId) -> Result<TopicDescription> {
    let asked = MetadataRequestTopic { topic_id: id, name: None };
    let topics = metadata(client, Some(vec![asked])).await?;
    topics.into_iter().next().map_or_else(|| Err(incomplete(ApiKey::Metadata)), of_metadata)
}

/// Creates a topic.
pub async fn create(client: &Client, topic: &NewTopic) -> Result<()> {
    let assignment = |(index, nodes): (usize, &Vec<i32>)| CreatableReplicaAssignment {
        partition_index: i32::try_from(index).unwrap_or(i32::MAX),
        broker_ids: nodes.clone(),
    };
    let config = |(name, value): &(String, String)| CreatableTopicConfig {
        name: Str::from(name.as_str()),
        value: Some(Str::from(value.as_str())),
    };
    let asked = CreatableTopic {
        name: Str::from(topic.name.as_str()),
        num_partitions: topic.partitions.unwrap_or(-1),
        replication_factor: topic.replication_factor.unwrap_or(-1),
        assignments: topic.assignment.iter().enumerate().map(assignment).collect(),
        configs: topic.configs.iter().map(config).collect(),
    };
    let request = CreateTopicsRequest { topics: vec![asked], timeout_ms: CHANGE_TIMEOUT_MS, validate_only: false };
    let answer = client.call(request).await?;
    let created = answer.topics.first().ok_or_else(|| incomplete(ApiKey::CreateTopics))?;
    accepted(created.error_code, created.error_message.as_deref())
}

/// An increase of a topic's partitions: the new total, and optionally the replicas of the new ones.
#[derive(Clone, Debug)]
pub struct MorePartitions {
    pub topic: String,
    pub total: i32,
    pub assignment: Option<Vec<Vec<i32>>>,
}

/// Adds partitions; returns the first error.
pub async fn create_partitions(client: &Client, topics: &[MorePartitions]) -> Result<()> {
    let asked = |topic: &MorePartitions| CreatePartitionsTopic {
        name: Str::from(topic.topic.as_str()),
        count: topic.total,
        assignments: topic.assignment.as_ref().map(|assignment| {
            assignment.iter().map(|nodes| CreatePartitionsAssignment { broker_ids: nodes.clone() }).collect()
        }),
    };
    let request = CreatePartitionsRequest {
        topics: topics.iter().map(asked).collect(),
        timeout_ms: CHANGE_TIMEOUT_MS,
        validate_only: false,
    };
    let answer = client.call(request).await?;
    answer.results.iter().try_for_each(|topic| accepted(topic.error_code, topic.error_message.as_deref()))
}

/// Deletes topics; returns the first error.
pub async fn delete(client: &Client, names: &[String]) -> Result<()> {
    let named = |name: &String| DeleteTopicState { name: Some(Str::from(name.as_str())), ..Default::default() };
    let request = DeleteTopicsRequest {
        topics: names.iter().map(named).collect(),
        topic_names: names.iter().map(|name| Str::from(name.as_str())).collect(),
        timeout_ms: CHANGE_TIMEOUT_MS,
    };
    let answer = client.call(request).await?;
    answer.responses.iter().try_for_each(|topic| accepted(topic.error_code, topic.error_message.as_deref()))
}

async fn metadata(client: &Client, topics: Option<Vec<MetadataRequestTopic>>) -> Result<Vec<MetadataResponseTopic>> {
    let request = MetadataRequest { topics, allow_auto_topic_creation: false, ..Default::default() };
    let answer = client.call(request).await?;
    accepted(answer.error_code, None)?;
    Ok(answer.topics)
}

fn of_metadata(topic: MetadataResponseTopic) -> Result<TopicDescription> {
    accepted(topic.error_code, None)?;
    let name = topic.name.ok_or_else(|| {
        let message = format!("TopicId {} not found.", topic.topic_id);
        Exception::refused(ErrorCode::UnknownTopicId.code(), Some(&message))
    })?;
    let mut partitions: Vec<_> = topic.partitions.into_iter().collect();
    sort_by_key(&mut partitions, |partition| partition.partition_index);
    let partitions = partitions.into_iter().map(|partition| PartitionDescription {
        index: partition.partition_index,
        leader: Some(partition.leader_id).filter(|leader| *leader >= 0),
        replicas: partition.replica_nodes,
        isr: partition.isr_nodes,
        eligible_leader_replicas: None,
        last_known_elr: None,
    });
    Ok(TopicDescription { name: name.to_string(), id: topic.topic_id, partitions: partitions.collect() })
}

fn of_page(partition: DescribeTopicPartitionsResponsePartition) -> PartitionDescription {
    PartitionDescription {
        index: partition.partition_index,
        leader: Some(partition.leader_id).filter(|leader| *leader >= 0),
        replicas: partition.replica_nodes,
        isr: partition.isr_nodes,
        eligible_leader_replicas: partition.eligible_leader_replicas,
        last_known_elr: partition.last_known_elr,
    }
}
