//! One published view: topics of the metadata image with their partitions.

use std::sync::Arc;

use thiserror::Error;

use super::partition::Partition;
use ottla_config::{self as config, BrokerConfig, CompressionType, TopicConfig};
use ottla_core::metadata::{BrokerId, Image, SharedMap, TopicImage};
use ottla_wire::record::{Accepts, Codec, TimestampType, VerifyRules};
use ottla_wire::types::{PartitionIndex, TimestampMs, TopicId, TopicName, sort_by};

/// A topic and its partitions.
#[derive(Debug)]
pub struct Topic {
    pub image: Arc<TopicImage>,
    pub config: Arc<TopicConfig>,
    /// This broker's node id.
    node: BrokerId,
    /// By partition index.
    places: Vec<Place>,
}

/// Where the log of a partition is.
#[derive(Clone, Debug)]
pub enum Place {
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
    #[error("the partition lies in a log directory that this broker does not have")]
    AbsentDirectory,
}

impl Topic {
    pub fn name(&self) -> &TopicName {
        &self.image.name
    }

    pub fn id(&self) -> TopicId {
        self.image.id
    }

    /// `places`: where each partition is, by number.
    pub fn new(image: Arc<TopicImage>, config: Arc<TopicConfig>, node: BrokerId, places: Vec<Place>) -> Topic {
        Topic { image, config, node, places }
    }

    /// The partition, if this broker serves it.
    pub fn partition(&self, index: PartitionIndex) -> Result<&Arc<Partition>, NotServed> {
        match usize::try_from(index).ok().and_then(|index| self.places.get(index)) {
            Some(Place::Here { partition, leads: true }) => Ok(partition),
            Some(Place::Here { leads: false, .. } | Place::OtherNode) => Err(NotServed::NotLeader),
            Some(Place::AbsentDirectory) => Err(NotServed::AbsentDirectory),
            None => Err(NotServed::Unknown),
        }
    }

    /// The leader that clients see: this broker, or none, since no other broker runs.
    pub fn leader(&self, index: PartitionIndex) -> Option<BrokerId> {
        self.partition(index).ok().map(|_| self.node)
    }

    /// The replicas that can't be reached: those of brokers that don't run, and one in a log directory that isn't here.
    pub fn offline_replicas(&self, index: PartitionIndex) -> Vec<BrokerId> {
        let replicas = self.image.partition(index).map_or(&[][..], |partition| &partition.replicas);
        let is_here = |id: BrokerId| id == self.node && self.local_partition(index).is_some();
        replicas.iter().copied().filter(|id| !is_here(*id)).collect()
    }

    /// The partition, if its log is in the log directory, whether it is served or not.
    pub fn local_partition(&self, index: PartitionIndex) -> Option<&Arc<Partition>> {
        self.places.get(usize::try_from(index).ok()?)?.local()
    }

    /// Every partition whose log is in the log directory.
    pub fn local_partitions(&self) -> impl Iterator<Item = &Arc<Partition>> {
        self.places.iter().filter_map(Place::local)
    }

    /// Every partition that this broker serves.
    pub fn served_partitions(&self) -> impl Iterator<Item = &Arc<Partition>> {
        self.places.iter().filter_map(|place| match place {
            Place::Here { partition, leads: true } => Some(partition),
            _ => None,
        })
    }

    /// What the topic's settings demand of a batch.
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
            target: stored_as(config),
            compacted: config.cleanup_policy.compact,
            large: None,
        }
    }
}

impl Place {
    fn local(&self) -> Option<&Arc<Partition>> {
        match self {
            Place::Here { partition, .. } => Some(partition),
            Place::OtherNode | Place::AbsentDirectory => None,
        }
    }
}

/// The codec that batches are stored in, and its level; none where it is the producer's.
fn stored_as(config: &TopicConfig) -> Option<(Codec, Option<i32>)> {
    match config.compression_type {
        CompressionType::Producer => None,
        CompressionType::Uncompressed => Some((Codec::None, None)),
        CompressionType::Gzip => Some((Codec::Gzip, Some(config.compression_gzip_level))),
        CompressionType::Snappy => Some((Codec::Snappy, None)),
        CompressionType::Lz4 => Some((Codec::Lz4, Some(config.compression_lz4_level))),
        CompressionType::Zstd => Some((Codec::Zstd, Some(config.compression_zstd_level))),
    }
}

/// One consistent view of the cluster, as a request sees it from beginning to end.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    pub image: Image,
    /// The broker's settings, with what was changed of them while running.
    pub config: Arc<BrokerConfig>,
    by_name: SharedMap<TopicName, Arc<Topic>>,
    by_id: SharedMap<TopicId, Arc<Topic>>,
    /// Those that have a `flush.ms`: few, if any.
    flushed_in_time: SharedMap<TopicId, Arc<Topic>>,
}

impl Cluster {
    /// No topics yet.
    pub fn new(config: Arc<BrokerConfig>) -> Cluster {
        Cluster { config, ..Cluster::default() }
    }

    /// The same topics, with another image and other settings: those that differ are to be put and removed. What stays
    /// is shared, so this costs as much as there are changes.
    pub fn with(&self, image: Image, config: Arc<BrokerConfig>) -> Cluster {
        Cluster { image, config, ..self.clone() }
    }

    /// Takes a topic in, in the place of one with the same id.
    pub fn put(&mut self, topic: Arc<Topic>) {
        match topic.config.flush_ms {
            i64::MAX => drop(self.flushed_in_time.remove(&topic.id())),
            _ => drop(self.flushed_in_time.insert(topic.id(), Arc::clone(&topic))),
        }
        self.by_name.insert(Arc::clone(topic.name()), Arc::clone(&topic));
        self.by_id.insert(topic.id(), topic);
    }

    /// Forgets a topic, which no other has followed under its name yet.
    pub fn remove(&mut self, id: TopicId) -> Option<Arc<Topic>> {
        let topic = self.by_id.remove(&id)?;
        self.by_name.remove(topic.name());
        self.flushed_in_time.remove(&id);
        Some(topic)
    }

    /// The topic with that id, or with that name if the id is zero.
    pub fn topic_of(&self, name: &str, id: TopicId) -> Option<&Arc<Topic>> {
        if id == TopicId::ZERO { self.topic(name) } else { self.topic_by_id(id) }
    }

    /// The topics that have a `flush.ms`.
    pub fn flushed_in_time(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.flushed_in_time.iter().map(|(_, topic)| topic)
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

    /// Every partition whose log is in the log directory, in no order that means anything.
    pub fn local_partitions(&self) -> impl Iterator<Item = &Arc<Partition>> {
        self.topics().flat_map(|topic| topic.local_partitions())
    }

    /// Every topic, in no order that means anything.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.by_id.iter().map(|(_, topic)| topic)
    }

    /// Every topic, sorted by name.
    pub fn topics_by_name(&self) -> Vec<&Arc<Topic>> {
        let mut topics: Vec<_> = self.topics().collect();
        sort_by(&mut topics, |a, b| a.name().cmp(b.name()));
        topics
    }
}
