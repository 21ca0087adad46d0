//! The topics in service: what the metadata image says exists, with the partitions behind it.

use std::collections::HashMap;
use std::sync::Arc;

use super::partition::Partition;
use crate::config::{self, BrokerConfig, CompressionType, TopicConfig};
use crate::metadata::{Image, TopicImage};
use crate::record::{Accepts, Codec, TimestampType, VerifyRules};
use crate::types::{PartitionIndex, TimestampMs, TopicId, TopicName};

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
#[derive(Debug, Default)]
pub struct Cluster {
    pub image: Image,
    /// The broker's settings, with what was changed of them while running.
    pub config: Arc<BrokerConfig>,
    by_name: HashMap<TopicName, Arc<Topic>>,
    by_id: HashMap<TopicId, Arc<Topic>>,
}

impl Cluster {
    pub fn new(image: Image, config: Arc<BrokerConfig>, topics: Vec<Arc<Topic>>) -> Cluster {
        let by_name = topics.iter().map(|topic| (Arc::clone(topic.name()), Arc::clone(topic))).collect();
        let by_id = topics.into_iter().map(|topic| (topic.id(), topic)).collect();
        Cluster { image, config, by_name, by_id }
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
        self.by_name.values()
    }

    /// Every topic, sorted by name.
    pub fn topics_by_name(&self) -> Vec<&Arc<Topic>> {
        let mut topics: Vec<_> = self.topics().collect();
        topics.sort_unstable_by(|a, b| a.name().cmp(b.name()));
        topics
    }
}
