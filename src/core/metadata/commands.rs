//! What the metadata machine is asked, and what it answers.
//!
//! Nothing here is a wire struct: handlers turn requests into commands and replies into responses.
//! Ids and times that Kafka draws at random or from a clock come in with the command.

use std::collections::HashSet;
use std::sync::Arc;

use super::errors::MetadataError;
use super::image::{BrokerId, ConfigResource, Settings};
use super::records::MetadataRecord;
use ottla_wire::types::{PartitionIndex, ProducerId, TopicId, TopicName, Uuid};

/// A request to the metadata machine. Each has its own variant of [`Reply`].
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// This broker is up: [`Reply::BrokerRegistered`].
    RegisterBroker(RegisterBroker),
    /// Another broker is gone for good: [`Reply::BrokerUnregistered`].
    UnregisterBroker(BrokerId),
    /// [`Reply::TopicsCreated`].
    CreateTopics(CreateTopics),
    /// [`Reply::TopicsDeleted`].
    DeleteTopics(Vec<TopicRef>),
    /// [`Reply::PartitionsCreated`].
    CreatePartitions(CreatePartitions),
    /// AlterConfigs and IncrementalAlterConfigs: [`Reply::ConfigsAltered`].
    AlterConfigs(AlterConfigs),
    /// [`Reply::FeaturesUpdated`].
    UpdateFeatures(UpdateFeatures),
    /// The next block of producer ids: [`Reply::ProducerIds`].
    AllocateProducerIds,
    /// Every topic and every dynamic setting goes, and these topics come: [`Reply::Reset`].
    Reset(Vec<NewTopic>),
}

/// The answer to a [`Command`], sent once its records are applied.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    BrokerRegistered(Result<BrokerEpoch, MetadataError>),
    BrokerUnregistered(Result<(), MetadataError>),
    /// One result for each distinct name, in the order of the request.
    TopicsCreated(Vec<(TopicName, Result<CreatedTopic, MetadataError>)>),
    /// One result for each distinct topic named, in the order of the request.
    TopicsDeleted(Vec<TopicDeletion>),
    /// One result for each distinct name, in the order of the request.
    PartitionsCreated(Vec<(TopicName, Result<(), MetadataError>)>),
    /// One result for each resource, in the order of the request.
    ConfigsAltered(Vec<(ConfigResource, Result<(), MetadataError>)>),
    /// All of them, or none.
    FeaturesUpdated(Result<(), MetadataError>),
    ProducerIds(Result<ProducerIdBlock, MetadataError>),
    Reset(ResetResult),
}

/// Identifies one registration of a broker; grows with each.
pub type BrokerEpoch = i64;

/// What this broker tells of itself when it starts (KRaft `RegisterBrokerRecord`).
///
/// The first registration in an empty log also writes the feature levels of a new cluster.
#[derive(Clone, Debug, PartialEq)]
pub struct RegisterBroker {
    /// Random, one for each start of the process.
    pub incarnation_id: Uuid,
    pub endpoints: Vec<Endpoint>,
    /// The feature levels this broker can read.
    pub features: Vec<SupportedFeature>,
    pub rack: Option<String>,
    /// `directory.id` of the log directory, from its `meta.properties`.
    pub directory_id: Uuid,
    /// Whether the metadata log lies in that log directory itself.
    pub has_metadata_log: bool,
    /// Partitions whose folders are in that log directory, although their records have them in another.
    pub found_in_directory: HashSet<(TopicId, PartitionIndex)>,
    /// What an empty log shall begin with, if the directory was formatted (`bootstrap.checkpoint`).
    pub bootstrap_records: Vec<MetadataRecord>,
}

/// Where a listener can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The listener's name, such as `PLAINTEXT`.
    pub listener: String,
    pub host: String,
    pub port: u16,
    /// Kafka's id of the security protocol: 0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL.
    pub security_protocol: i16,
}

/// The levels of one feature that a broker can work at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SupportedFeature {
    pub name: String,
    pub min: i16,
    pub max: i16,
}

/// CreateTopics.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct CreateTopics {
    pub topics: Vec<NewTopic>,
    /// Check, answer, but leave everything as it is.
    pub validate_only: bool,
}

/// One topic to create.
#[derive(Clone, Debug, PartialEq)]
pub struct NewTopic {
    pub name: TopicName,
    /// Random; becomes the topic's id when it is created.
    pub id: TopicId,
    /// -1: the broker's `num.partitions`, or as many as `assignments` has.
    pub partitions: i32,
    /// -1: the broker's `default.replication.factor`, or as `assignments` says.
    pub replication_factor: i16,
    /// Partition and its replicas; when not empty the two counts above must be -1.
    pub assignments: Vec<(i32, Vec<i32>)>,
    /// Overrides of the topic's settings; a null value is an error, as in Kafka.
    pub configs: Vec<(String, Option<String>)>,
}

impl NewTopic {
    /// A topic with the broker's defaults.
    pub fn new(name: impl Into<TopicName>, id: TopicId) -> Self {
        NewTopic {
            name: name.into(),
            id,
            partitions: -1,
            replication_factor: -1,
            assignments: Vec::new(),
            configs: Vec::new(),
        }
    }
}

/// A topic that was created, or would have been with `validate_only`.
#[derive(Clone, Debug, PartialEq)]
pub struct CreatedTopic {
    pub id: TopicId,
    pub partitions: i32,
    pub replication_factor: i16,
    /// The replication factor that was asked for, when this one machine could only give less and
    /// [`Clamp`](ottla_config::ReplicationFactorPolicy::Clamp) is in force: worth a warning.
    pub clamped_from: Option<i16>,
    /// The overrides it was created with.
    pub configs: Arc<Settings>,
}

/// How a request names a topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TopicRef {
    Name(TopicName),
    Id(TopicId),
}

/// What became of one topic that was to be deleted.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicDeletion {
    /// None when it was named by an id that no topic has.
    pub name: Option<TopicName>,
    /// [`Uuid::ZERO`] when it was named by a name that no topic has.
    pub id: TopicId,
    pub result: Result<(), MetadataError>,
}

/// CreatePartitions.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct CreatePartitions {
    pub topics: Vec<NewPartitions>,
    /// Check, answer, but leave everything as it is.
    pub validate_only: bool,
}

/// The growth of one topic.
#[derive(Clone, Debug, PartialEq)]
pub struct NewPartitions {
    pub name: TopicName,
    /// How many partitions the topic shall have altogether.
    pub count: i32,
    /// The replicas of each added partition; None lets the broker choose.
    pub assignments: Option<Vec<Vec<i32>>>,
}

/// AlterConfigs and IncrementalAlterConfigs.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct AlterConfigs {
    pub changes: Vec<ConfigChange>,
    /// Check, answer, but leave everything as it is.
    pub validate_only: bool,
}

/// The change of one resource's settings: all of it takes effect, or none.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigChange {
    pub resource: ConfigResource,
    pub how: Alteration,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Alteration {
    /// AlterConfigs: these are all the overrides from now on; others go.
    Replace(Vec<(String, Option<String>)>),
    /// IncrementalAlterConfigs: others stay.
    Incremental(Vec<ConfigOp>),
}

/// One step of IncrementalAlterConfigs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigOp {
    pub name: String,
    pub kind: OpKind,
    /// None is right for [`OpKind::Delete`] only.
    pub value: Option<String>,
}

/// What to do with a setting (KIP-339).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpKind {
    Set,
    /// Back to the default.
    Delete,
    /// Add to a list what it does not have yet.
    Append,
    /// Take from a list.
    Subtract,
}

impl OpKind {
    /// The operation with that number on the wire.
    pub fn from_code(code: i8) -> Option<OpKind> {
        match code {
            0 => Some(OpKind::Set),
            1 => Some(OpKind::Delete),
            2 => Some(OpKind::Append),
            3 => Some(OpKind::Subtract),
            _ => None,
        }
    }
}

/// What a reset did.
#[derive(Clone, Debug, PartialEq)]
pub struct ResetResult {
    /// How many topics there were.
    pub removed: usize,
    /// As in [`Reply::TopicsCreated`].
    pub created: Vec<(TopicName, Result<CreatedTopic, MetadataError>)>,
}

/// UpdateFeatures: all of it takes effect, or none.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct UpdateFeatures {
    pub updates: Vec<FeatureUpdate>,
    /// The levels that this broker serves.
    pub supported: Vec<SupportedFeature>,
    /// Check, answer, but leave everything as it is.
    pub validate_only: bool,
}

/// The new level of one feature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureUpdate {
    pub name: String,
    /// 0 switches it off.
    pub level: i16,
    /// None is a way that Kafka doesn't know.
    pub upgrade: Option<UpgradeType>,
}

/// Which way a feature's level may go (KIP-778).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpgradeType {
    Upgrade,
    /// Down, if nothing is lost.
    SafeDowngrade,
    UnsafeDowngrade,
}

impl UpgradeType {
    /// Its number on the wire.
    pub fn code(self) -> i8 {
        match self {
            UpgradeType::Upgrade => 1,
            UpgradeType::SafeDowngrade => 2,
            UpgradeType::UnsafeDowngrade => 3,
        }
    }

    /// The way with that number on the wire.
    pub fn from_code(code: i8) -> Option<UpgradeType> {
        match code {
            1 => Some(UpgradeType::Upgrade),
            2 => Some(UpgradeType::SafeDowngrade),
            3 => Some(UpgradeType::UnsafeDowngrade),
            _ => None,
        }
    }
}

/// Producer ids that are this broker's to hand out; durable before anybody sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerIdBlock {
    pub first: ProducerId,
    pub count: i64,
}
