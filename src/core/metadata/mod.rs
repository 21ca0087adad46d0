//! The metadata of this cluster of one broker.
//!
//! Topics, partitions, settings, feature levels, the broker's registration and blocks of producer
//! ids are stored as KRaft records in `__cluster_metadata-0`, as Apache Kafka writes and reads
//! them. [`MetadataMachine`] decides on changes; requests read the [`Image`].

mod acls;
mod batches;
mod brokers;
mod client_quotas;
mod commands;
mod configs;
mod errors;
mod feature_updates;
pub mod features;
mod image;
mod internal_topics;
mod machine;
mod min_insync;
pub mod names;
mod placement;
mod producer_ids;
pub mod records;
mod reset;
mod salvage;
mod settings;
mod snapshot;
mod tokens;
mod topics;
mod users;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use acls::MAX_ACLS_PER_REQUEST;
pub use batches::{MAX_BATCH_BYTES, batches};
pub use brokers::feature_record;
pub use client_quotas::quota_entity_hash;
pub use commands::*;
pub use configs::{check_broker_change, check_broker_name, check_without_resource, settings_after};
pub use errors::MetadataError;
pub use image::*;
pub use internal_topics::{CONSUMER_OFFSETS, TRANSACTION_STATE};
use machine::Decision;
pub use machine::MetadataMachine;
pub use placement::check_assignment;
pub use producer_ids::PRODUCER_ID_BLOCK_SIZE;
pub use salvage::{AddedPartitions, FoundFolder, Host, Salvage};
pub use snapshot::{SnapshotError, SnapshotId, read_snapshot, snapshot_records, write_bootstrap, write_snapshot};
pub use topics::MAX_PARTITIONS_PER_REQUEST;
pub use users::{SCRAM_LEVEL, scram_record, users_of};

use ottla_config::{BrokerConfig, ReplicationFactorPolicy};

/// The broker's id, and its defaults for requests.
#[derive(Clone, Debug)]
pub struct MetadataConfig {
    pub node_id: BrokerId,
    /// `num.partitions`.
    pub default_partitions: i32,
    /// `default.replication.factor`.
    pub default_replication_factor: i16,
    /// What to do with a replication factor above the number of brokers.
    pub replication: ReplicationFactorPolicy,
    /// `delete.topic.enable`.
    pub topic_deletion: bool,
    /// The broker's settings, which bound those of groups.
    pub broker: Arc<BrokerConfig>,
}
