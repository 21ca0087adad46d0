//! Settings: one table of Kafka's names, and the typed structs that every room reads.

mod broker;
mod check;
mod describe;
mod duration;
mod listener;
mod load;
pub mod setting;
pub mod table;
mod topic;
mod values;

pub use broker::{
    BrokerConfig, FetchConfig, GroupsConfig, NetworkConfig, ReplicationFactorPolicy, Resolved, StorageConfig,
    TopicsConfig,
};
pub use check::{Refused, validate, validate_topic};
pub use describe::{Described, DescribedSynonym, describe_broker, describe_simple, describe_topic};
pub use listener::{Advertised, BindAddress, BindHost, Listener, SecurityProtocol};
pub use load::{LoadError, Sources, load};
pub use setting::Setting;
pub use table::Scope;
pub use topic::{CleanupPolicy, CompressionType, TimestampType, TopicConfig};
pub use values::{Origin, Source, Values};
