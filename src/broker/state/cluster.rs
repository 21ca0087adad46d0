//! A published view of the cluster: the topics of a metadata image, with their partitions.

use std::sync::Arc;

use thiserror::Error;

use super::partition::Partition;
use super::traffic::TopicTraffic;
use ottla_config::{self as config, BrokerConfig, CompressionType, TopicConfig};
use ottla_core::metadata::{BrokerId, Image, SharedMap, TopicImage};
use ottla_wire::record::{Accepts, Codec, TimestampType, VerifyRules};
use ottla_wire::types::{PartitionIndex, TimestampMs, TopicId, TopicName, sort_by};

/// A topic and its partitions.
#[derive(Debug)]
pub struct Topic {
    pub image: Arc<TopicImage>,
    pub config: Arc<TopicConfig>,
    pub traffic: Arc<TopicTraffic>,
    /// This broker's node id.
    node: BrokerId,
    /// By partition index.
    locations: Vec<Location>,
}

/// Where the log of a partition is.
#[derive(Clone, Debug)]
pub enum Location {
    /// In the log directory.
    Here {
        partition: Arc<Partition>,
        /// Whether this broker is its leader.
        leads: bool,
    },
    /// On other brokers.
    OtherNode,
    /// In a log directory that this broker does not have.
    AbsentDirectory,
}

/// Why a partition cannot be read or written here. Each has a Kafka error code of the same meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotServed {
    #[error("no such topic or partition")]
    Unknown,
    #[error("this broker is not the leader of the partition")]
    NotLeader,
    #[error("the partition is in a log directory that this broker does not have")]
    AbsentDirectory,
}

impl Topic {
    pub fn name(&self) -> &TopicName {
        &self.image.name
    }

    pub fn id(&self) -> TopicId {
        self.image.id
    }

    /// Creates a topic. `locations` has one for each partition, by index.
    pub fn new(
        image: Arc<TopicImage>,
        config: Arc<TopicConfig>,
        traffic: Arc<TopicTraffic>,
        node: BrokerId,
        locations: Vec<Location>,
    ) -> Topic {
        Topic { image, config, traffic, node, locations }
    }

    /// The partition, if this broker serves it.
    pub fn partition(&self, index: PartitionIndex) -> Result<&Arc<Partition>, NotServed> {
        match usize::try_from(index).ok().and_then(|index| self.locations.get(index)) {
            Some(Location::Here { partition, leads: true }) => Ok(partition),
            Some(Location::Here { leads: false, .. } | Location::OtherNode) => Err(NotServed::NotLeader),
            Some(Location::AbsentDirectory) => Err(NotServed::AbsentDirectory),
            None => Err(NotServed::Unknown),
        }
    }

    /// The leader for clients: this broker or none, because no other broker runs.
    pub fn leader(&self, index: PartitionIndex) -> Option<BrokerId> {
        self.partition(index).ok().map(|_| self.node)
    }

    /// The replicas that are offline: those on other brokers, and one in a log directory that this broker does not
    /// have.
    pub fn offline_replicas(&self, index: PartitionIndex) -> Vec<BrokerId> {
        let replicas = self.image.partition(index).map_or(&[][..], |partition| &partition.replicas);
        let is_here = |id: BrokerId| id == self.node && self.local_partition(index).is_some();
        replicas.iter().copied().filter(|id| !is_here(*id)).collect()
    }

    /// The partition, served or not, if its log is in the log directory.
    pub fn local_partition(&self, index: PartitionIndex) -> Option<&Arc<Partition>> {
        self.locations.get(usize::try_from(index).ok()?)?.local()
    }

    /// All partitions whose logs are in the log directory.
    pub fn local_partitions(&self) -> impl Iterator<Item = &Arc<Partition>> {
        self.locations.iter().filter_map(Location::local)
    }

    /// All partitions that this broker serves.
    pub fn served_partitions(&self) -> impl Iterator<Item = &Arc<Partition>> {
        self.locations.iter().filter_map(|location| match location {
            Location::Here { partition, leads: true } => Some(partition),
            _ => None,
        })
    }

    /// The rules for batches, from the topic's settings.
    pub fn verify_rules(&self, accepts: Accepts, now: TimestampMs) -> VerifyRules {
        let config = &self.config;
        VerifyRules {
            accepts,
            max_message_bytes: config.max_message_bytes,
            max_decompressed_message_bytes: config.max_decompressed_message_bytes,
            timestamp_type: match config.message_timestamp_type {
                config::TimestampType::CreateTime => TimestampType::CreateTime,
                config::TimestampType::LogAppendTime => TimestampType::LogAppendTime,
            },
            now,
            before_max_ms: config.message_timestamp_before_max_ms,
            after_max_ms: config.message_timestamp_after_max_ms,
            target_codec: target_codec(config),
            compacted: config.cleanup_policy.compact,
            large_batch_memory: None,
        }
    }
}

impl Location {
    fn local(&self) -> Option<&Arc<Partition>> {
        match self {
            Location::Here { partition, .. } => Some(partition),
            Location::OtherNode | Location::AbsentDirectory => None,
        }
    }
}

/// The codec of stored batches, and its level. `None` if the producer's is kept.
fn target_codec(config: &TopicConfig) -> Option<(Codec, Option<i32>)> {
    match config.compression_type {
        CompressionType::Producer => None,
        CompressionType::Uncompressed => Some((Codec::None, None)),
        CompressionType::Gzip => Some((Codec::Gzip, Some(config.compression_gzip_level))),
        CompressionType::Snappy => Some((Codec::Snappy, None)),
        CompressionType::Lz4 => Some((Codec::Lz4, Some(config.compression_lz4_level))),
        CompressionType::Zstd => Some((Codec::Zstd, Some(config.compression_zstd_level))),
    }
}

/// One consistent view of the cluster. A request uses the same one until its end.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    pub image: Image,
    /// The broker's current settings, with the dynamic ones.
    pub config: Arc<BrokerConfig>,
    by_name: SharedMap<TopicName, Arc<Topic>>,
    by_id: SharedMap<TopicId, Arc<Topic>>,
    /// The topics that set `flush.ms`: few, if any.
    with_flush_ms: SharedMap<TopicId, Arc<Topic>>,
}

impl Cluster {
    /// Creates a view without topics.
    pub fn new(config: Arc<BrokerConfig>) -> Cluster {
        Cluster { config, ..Cluster::default() }
    }

    /// Creates a view with the same topics, another image and other settings. The caller then puts and removes the
    /// topics that differ. The others are shared, so the cost depends on the number of changes.
    pub fn with(&self, image: Image, config: Arc<BrokerConfig>) -> Cluster {
        Cluster { image, config, ..self.clone() }
    }

    /// Adds a topic, or replaces the one with the same id.
    pub fn put(&mut self, topic: Arc<Topic>) {
        match topic.config.flush_ms {
            i64::MAX => drop(self.with_flush_ms.remove(&topic.id())),
            _ => drop(self.with_flush_ms.insert(topic.id(), Arc::clone(&topic))),
        }
        self.by_name.insert(Arc::clone(topic.name()), Arc::clone(&topic));
        self.by_id.insert(topic.id(), topic);
    }

    /// Removes a topic. No other topic may have been added under its name.
    pub fn remove(&mut self, id: TopicId) -> Option<Arc<Topic>> {
        let topic = self.by_id.remove(&id)?;
        self.by_name.remove(topic.name());
        self.with_flush_ms.remove(&id);
        Some(topic)
    }

    /// The topic with that id, or with that name if the id is zero.
    pub fn topic_of(&self, name: &str, id: TopicId) -> Option<&Arc<Topic>> {
        if id == TopicId::ZERO { self.topic(name) } else { self.topic_by_id(id) }
    }

    /// The topics with `flush.ms`.
    pub fn with_flush_ms(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.with_flush_ms.iter().map(|(_, topic)| topic)
    }

    pub fn topic(&self, name: &str) -> Option<&Arc<Topic>> {
        self.by_name.get(name)
    }

    pub fn topic_by_id(&self, id: TopicId) -> Option<&Arc<Topic>> {
        self.by_id.get(&id)
    }

    /// The partition, if this broker serves it.
    pub fn partition(&self, name: &str, index: PartitionIndex) -> Result<&Arc<Partition>, NotServed> {
        self.topic(name).ok_or(NotServed::Unknown)?.partition(index)
    }

    /// All partitions whose logs are in the log directory, in any order.
    pub fn local_partitions(&self) -> impl Iterator<Item = &Arc<Partition>> {
        self.topics().flat_map(|topic| topic.local_partitions())
    }

    /// All topics, in any order.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.by_id.iter().map(|(_, topic)| topic)
    }

    /// All topics, sorted by name.
    pub fn topics_by_name(&self) -> Vec<&Arc<Topic>> {
        let mut topics: Vec<_> = self.topics().collect();
        sort_by(&mut topics, |a, b| a.name().cmp(b.name()));
        topics
    }
}
