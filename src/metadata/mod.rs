//! The metadata machine: what there is in this cluster of one.
//!
//! Topics, partitions, settings, feature levels, the broker's registration and blocks of producer
//! ids are remembered as KRaft records in `__cluster_metadata-0`, as Apache Kafka writes and reads
//! them. [`MetadataMachine`] decides over them; [`Image`] is what every request reads.

mod commands;
mod errors;
pub mod features;
mod image;

use std::sync::Arc;

pub use commands::*;
pub use errors::MetadataError;
pub use image::*;

/// Who this broker is, and what it does where a request leaves it open.
#[derive(Clone, Debug)]
pub struct MetadataConfig {
    pub node_id: BrokerId,
    /// From `meta.properties`.
    pub cluster_id: Arc<str>,
    /// `num.partitions`.
    pub default_partitions: i32,
    /// `default.replication.factor`.
    pub default_replication_factor: i16,
    pub replication: ReplicationPolicy,
    /// `delete.topic.enable`.
    pub topic_deletion: bool,
}

/// What to do when more replicas are asked for than there are brokers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReplicationPolicy {
    /// Give what there is: programs written for a cluster of three run on a laptop.
    #[default]
    Clamp,
    /// Refuse, as Apache Kafka does.
    Strict,
}
