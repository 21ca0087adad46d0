//! Operations on consumer groups: list, describe, reset and delete offsets, delete groups.
//!
//! Used by `ottla groups` and kafka-consumer-groups, which add flags and output.

mod deletion;
mod description;
mod moment;
mod reset;
mod reset_plan;

use std::time::Duration;

pub use deletion::OffsetsDeleted;
pub use description::{GroupOffsets, PartitionRow, assignment_text};
pub use moment::date_and_time;
pub use reset::{Note, Reset, Scope, Target, TopicSelection};
pub use reset_plan::{ResetPlan, to_csv};

use super::retry_coordinator;
use ottla_client::{BrokerAddress, Client, ClientError, GroupDescription, ListedGroup};

/// The protocol types of consumer groups; that of a group without any member ever is empty.
const CONSUMER_PROTOCOLS: [&str; 2] = ["", "consumer"];
/// The types of consumer groups.
pub const CONSUMER_TYPES: [&str; 2] = ["Classic", "Consumer"];
/// The states of consumer groups, as brokers spell them (`org.apache.kafka.common.GroupState`).
pub const CONSUMER_STATES: [&str; 7] =
    ["PreparingRebalance", "CompletingRebalance", "Stable", "Dead", "Empty", "Assigning", "Reconciling"];

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
pub enum GroupsError {
    /// The arguments are invalid.
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Refused(String),
    #[error("{0}")]
    Client(#[from] ClientError),
    /// An intermediate request failed; Kafka's tool prints one more exception name.
    #[error("{0}")]
    Step(ClientError),
}

/// The groups of a broker.
pub struct Groups {
    client: Client,
    coordinator_timeout: Duration,
}

impl Groups {
    /// `coordinator_timeout` is how long each request waits for a coordinator.
    pub fn new(client: Client, coordinator_timeout: Duration) -> Groups {
        Groups { client, coordinator_timeout }
    }

    /// The consumer groups in any of these states and of any of these types, in the broker's order; an empty filter matches
    /// all.
    pub async fn list(&self, states: &[&str], types: &[&str]) -> Result<Vec<ListedGroup>, ClientError> {
        let mut groups = self.retry_coordinator(None, async || self.client.list_groups(states, types).await).await?;
        groups.retain(|group| CONSUMER_PROTOCOLS.contains(&group.protocol_type.as_str()));
        Ok(groups)
    }

    /// The ids of all consumer groups, in the broker's order.
    pub async fn names(&self) -> Result<Vec<String>, GroupsError> {
        let groups = self.list(&[], &CONSUMER_TYPES).await.map_err(GroupsError::Step)?;
        Ok(groups.into_iter().map(|group| group.id).collect())
    }

    /// Describes a consumer group.
    pub async fn describe(&self, group: &str) -> Result<GroupDescription, ClientError> {
        self.retry_coordinator(Some(group), async || self.client.describe_consumer_group(group).await).await
    }

    /// The coordinator of a group.
    pub async fn coordinator(&self, group: &str) -> Result<BrokerAddress, ClientError> {
        self.retry_coordinator(Some(group), async || self.client.find_coordinator(group).await).await
    }

    /// Repeats `request` until the coordinator is ready. `group` is the group of the request, if it has one.
    async fn retry_coordinator<T>(
        &self,
        group: Option<&str>,
        request: impl AsyncFn() -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let find = async || match group {
            Some(group) => self.client.find_coordinator(group).await.map(|_| ()),
            None => Ok(()),
        };
        retry_coordinator(self.coordinator_timeout, request, find).await
    }
}
