//! Settings: one table with Kafka's names, and typed structs with the values.
//!
//! Code map: [`table`] has a row for each setting, and [`setting`] checks a value against its row. `load` reads file,
//! environment and command line into [`Values`]. [`BrokerConfig`] and [`TopicConfig`] are typed views of them. `listener`
//! combines the settings about listeners. [`validate`] checks values that a client sets at runtime, and `describe`
//! returns settings for DescribeConfigs.
//!
//! Invariant: values are checked when they are set, so that reading them cannot fail. Stored values (topic overrides,
//! dynamic broker settings) may come from another release: an invalid one is treated as not set.

mod admin;
mod authorizer;
mod broker;
mod check;
mod describe;
mod http_ports;
mod java_classes;
mod listener;
pub mod listener_values;
mod load;
mod metrics;
mod otlp;
mod password;
mod protection;
mod registry;
mod rest_proxy;
mod retention;
mod sasl;
pub mod secure;
pub mod setting;
mod start_topics;
pub mod table;
mod text;
mod tls;
mod topic;
mod values;

pub use admin::{AdminConfig, ConsoleConfig};
pub use authorizer::AuthorizerConfig;
pub use broker::{
    AnnouncementConfig, BrokerConfig, ClientMetricsConfig, FetchConfig, GroupsConfig, LoggingConfig, NetworkConfig,
    QuotasConfig, ReplicationFactorPolicy, Resolved, StorageConfig, TokensConfig, TopicsConfig, TransactionsConfig,
};
pub use check::{
    Refused, check_class, check_schema_validation, validate, validate_group, validate_topic, validate_topic_on_broker,
};
pub use describe::{
    Described, DescribedSynonym, describe_broker, describe_group, describe_simple, describe_topic, origin_in_topic,
};
pub use listener::{Advertised, BindAddress, BindHost, Listener, SecurityProtocol};
pub use listener_values::{ListenerValues, MechanismValues};
pub use load::{LoadError, Sources, load, properties};
pub use metrics::{MetricsConfig, MetricsPortConfig};
pub use otlp::OtlpConfig;
pub use password::Password;
pub use protection::is_of_tls;
pub use registry::RegistryConfig;
pub use rest_proxy::RestProxyConfig;
pub use retention::check_retention;
pub use secure::{IssuerConfig, SecureConfig, User};
pub use setting::Setting;
pub use start_topics::StartTopic;
pub use table::Scope;
pub use tls::{ClientAuth, Named, StoreConfig, TlsConfig};
pub use topic::{CleanupPolicy, CompressionType, SchemaValidation, SubjectNameStrategy, TimestampType, TopicConfig};
pub use values::{Origin, Source, Values};
