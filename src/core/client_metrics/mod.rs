//! Client metrics (KIP-714): which metrics each client is to push, and when it may.
//!
//! A client instance is one client object of a program, under an id that the broker assigns. [`ClientInstances`] remembers
//! those that have asked lately. It is lost with the process: a client that pushes to a broker that does not know it is
//! added again, and its subscription id is the same as before, because it depends on the subscriptions and the client's id
//! only.
//!
//! Source of behaviour: `org.apache.kafka.server.ClientMetricsManager`. Its answers in Apache Kafka 4.3 were compared.

mod instances;
mod subscription;

pub use instances::{ClientInstances, Push, PushRefused, Subscribed, Throttled};
pub use subscription::{Client, Subscription};

/// The settings of all subscriptions, by name.
pub type SubscriptionSettings =
    std::sync::Arc<std::collections::BTreeMap<std::sync::Arc<str>, std::sync::Arc<crate::metadata::Settings>>>;

#[cfg(test)]
mod tests;
