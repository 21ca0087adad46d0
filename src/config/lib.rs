//! Settings: one table of Kafka's names, and the typed structs that every room reads.
//!
//! Code map: [`table`] has a row for each setting and [`setting`] checks a value against one; `load` gathers values
//! from file, environment and command line into [`Values`]; [`BrokerConfig`] and [`TopicConfig`] are the typed reading
//! of them; `listener` puts together what several settings say of listeners; [`validate`] judges what a client wants to
//! set while the broker runs, and `describe` is what it is told of what is set.
//!
//! Invariant: a value is checked where it comes in, so that reading one cannot fail. What is stored (a topic's own
//! settings, dynamic ones of the broker) may be another release's: what is not allowed there counts as not set.

mod admin;
mod broker;
mod check;
mod describe;
mod duration;
mod listener;
mod load;
mod protection;
pub mod setting;
mod start_topics;
pub mod table;
mod topic;
mod values;

pub use admin::AdminConfig;
pub use broker::{
    AnnouncementConfig, BrokerConfig, FetchConfig, GroupsConfig, LoggingConfig, NetworkConfig, ReplicationFactorPolicy,
    Resolved, StorageConfig, TopicsConfig,
};
pub use check::{Refused, check_retention, validate, validate_group, validate_topic, validate_topic_of};
pub use describe::{
    Described, DescribedSynonym, describe_broker, describe_group, describe_simple, describe_topic, origin_in_topic,
};
pub use listener::{Advertised, BindAddress, BindHost, Listener, SecurityProtocol};
pub use load::{LoadError, Sources, load, properties};
pub use setting::Setting;
pub use start_topics::StartTopic;
pub use table::Scope;
pub use topic::{CleanupPolicy, CompressionType, TimestampType, TopicConfig};
pub use values::{Origin, Source, Values};
