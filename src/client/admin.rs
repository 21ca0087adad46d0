//! Requests about topics and the cluster.

use super::{Client, ClientError, Result, check_error_code};
use ottla_wire::codec::Str;
use ottla_wire::protocol::ApiKey;
use ottla_wire::protocol::messages::create_topics::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use ottla_wire::protocol::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use ottla_wire::protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponseTopic};
use ottla_wire::types::TopicId;

/// How long the broker may take to create or delete topics.
const CHANGE_TIMEOUT_MS: i32 = 30_000;

/// The contents of a Metadata response.
#[derive(Clone, Debug)]
pub struct ClusterView {
    pub cluster_id: Option<String>,
    pub controller_id: i32,
    pub brokers: Vec<BrokerAddress>,
    pub topics: Vec<TopicView>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerAddress {
    pub node_id: i32,
    pub host: String,
    pub port: i32,
}

/// A topic, or the error code for it.
#[derive(Clone, Debug)]
pub struct TopicView {
    pub name: Option<String>,
    pub topic_id: TopicId,
    pub error_code: i16,
    pub partitions: Vec<i32>,
}

impl Client {
    /// Fetches the metadata of these topics, or of all topics. Does not create any.
    pub async fn metadata(&self, topics: Option<&[&str]>) -> Result<ClusterView> {
        self.metadata_with(topics, false).await
    }

    /// Fetches the metadata of these topics, or of all topics. With `create`, missing topics are created if the broker
    /// allows that (`auto.create.topics.enable`).
    pub async fn metadata_with(&self, topics: Option<&[&str]>, create: bool) -> Result<ClusterView> {
        let named = |name: &&str| MetadataRequestTopic { name: Some(Str::from(*name)), ..Default::default() };
        let request = MetadataRequest {
            topics: topics.map(|topics| topics.iter().map(named).collect()),
            allow_auto_topic_creation: create,
            ..Default::default()
        };
        let response = self.call(request).await?;
        check_error_code(ApiKey::Metadata, response.error_code, None)?;
        let broker = |broker: &ottla_wire::protocol::messages::metadata::MetadataResponseBroker| BrokerAddress {
            node_id: broker.node_id,
            host: broker.host.to_string(),
            port: broker.port,
        };
        Ok(ClusterView {
            cluster_id: response.cluster_id.map(|id| id.to_string()),
            controller_id: response.controller_id,
            brokers: response.brokers.iter().map(broker).collect(),
            topics: response.topics.iter().map(topic_view).collect(),
        })
    }

    /// Creates a topic with one replica and these settings.
    pub async fn create_topic(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) -> Result<TopicId> {
        let setting = |(name, value): &(&str, &str)| CreatableTopicConfig {
            name: Str::from(*name),
            value: Some(Str::from(*value)),
        };
        let topic = CreatableTopic {
            name: Str::from(name),
            num_partitions: partitions,
            replication_factor: 1,
            configs: settings.iter().map(setting).collect(),
            ..Default::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: CHANGE_TIMEOUT_MS, ..Default::default() };
        let response = self.call(request).await?;
        let topic = response.topics.first().ok_or(ClientError::Incomplete { key: ApiKey::CreateTopics })?;
        check_error_code(ApiKey::CreateTopics, topic.error_code, topic.error_message.as_ref())?;
        Ok(topic.topic_id)
    }

    /// Deletes a topic by name.
    pub async fn delete_topic(&self, name: &str) -> Result<()> {
        let request = DeleteTopicsRequest {
            topics: vec![DeleteTopicState { name: Some(Str::from(name)), ..Default::default() }],
            topic_names: vec![Str::from(name)],
            timeout_ms: CHANGE_TIMEOUT_MS,
        };
        let response = self.call(request).await?;
        let topic = response.responses.first().ok_or(ClientError::Incomplete { key: ApiKey::DeleteTopics })?;
        check_error_code(ApiKey::DeleteTopics, topic.error_code, topic.error_message.as_ref())
    }
}

fn topic_view(topic: &MetadataResponseTopic) -> TopicView {
    TopicView {
        name: topic.name.as_ref().map(Str::to_string),
        topic_id: topic.topic_id,
        error_code: topic.error_code,
        partitions: topic.partitions.iter().map(|partition| partition.partition_index).collect(),
    }
}
