//! The topics in service: what the metadata image says exists, with the partitions behind it.

use std::sync::Arc;

use super::partition::Partition;
use crate::config::{self, BrokerConfig, CompressionType, TopicConfig};
use crate::metadata::{Image, SharedMap, TopicImage};
use crate::record::{Accepts, Codec, TimestampType, VerifyRules};
use crate::types::{PartitionIndex, TimestampMs, TopicId, TopicName, sort_by};

/// A topic in service.
#[derive(Debug)]
pub struct Topic {
    pub image: Arc<TopicImage>,
    pub config: Arc<TopicConfig>,
    /// By number.
    pub partitions: Vec<Arc<Partition>>,
}

impl Topic {
    pub fn name(&self) -> &TopicName {
        &self.image.name
    }

    pub fn id(&self) -> TopicId {
        self.image.id
    }

    pub fn partition(&self, index: PartitionIndex) -> Option<&Arc<Partition>> {
        self.partitions.get(usize::try_from(index).ok()?)
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

    pub fn partition(&self, name: &str, index: PartitionIndex) -> Option<&Arc<Partition>> {
        self.topic(name)?.partition(index)
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
