//! What can be done to groups of consumers from a command line: list, describe, move and delete their offsets, delete
//! them.
//!
//! `ottla groups` and kafka-consumer-groups both stand on this and add how things are asked for and printed.

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

use super::settled;
use ottla_client::{BrokerAddress, Client, ClientError, GroupDescription, ListedGroup};

/// Protocols of the groups that are groups of consumers; a group that nobody has ever joined has none.
const CONSUMER_PROTOCOLS: [&str; 2] = ["", "consumer"];
/// Types of such groups.
pub const CONSUMER_TYPES: [&str; 2] = ["Classic", "Consumer"];
/// States of such groups, as brokers spell them (`org.apache.kafka.common.GroupState`).
pub const CONSUMER_STATES: [&str; 7] =
    ["PreparingRebalance", "CompletingRebalance", "Stable", "Dead", "Empty", "Assigning", "Reconciling"];

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum GroupsError {
    /// What was asked for makes no sense.
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Refused(String),
    #[error("{0}")]
    Client(#[from] ClientError),
    /// The question was only a step of the work; Kafka's tool names one exception more.
    #[error("{0}")]
    Step(ClientError),
}

/// The groups of a broker.
pub struct Groups {
    client: Client,
    patience: Duration,
}

impl Groups {
    /// `patience` is how long to wait for a coordinator to be ready, for each question.
    pub fn new(client: Client, patience: Duration) -> Groups {
        Groups { client, patience }
    }

    /// Groups of consumers in any of these states and of any of these types, in the broker's order; empty filters
    /// let everything through.
    pub async fn list(&self, states: &[&str], types: &[&str]) -> Result<Vec<ListedGroup>, ClientError> {
        let mut groups = self.settled(None, async || self.client.list_groups(states, types).await).await?;
        groups.retain(|group| CONSUMER_PROTOCOLS.contains(&group.protocol_type.as_str()));
        Ok(groups)
    }

    /// The names of all groups of consumers, in the broker's order.
    pub async fn names(&self) -> Result<Vec<String>, GroupsError> {
        let groups = self.list(&[], &CONSUMER_TYPES).await.map_err(GroupsError::Step)?;
        Ok(groups.into_iter().map(|group| group.id).collect())
    }

    pub async fn describe(&self, group: &str) -> Result<GroupDescription, ClientError> {
        self.settled(Some(group), async || self.client.describe_consumer_group(group).await).await
    }

    pub async fn coordinator(&self, group: &str) -> Result<BrokerAddress, ClientError> {
        self.settled(Some(group), async || self.client.find_coordinator(group).await).await
    }

    /// Asks until the coordinator is ready, of the group if it is about one.
    async fn settled<T>(
        &self,
        group: Option<&str>,
        ask: impl AsyncFn() -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let find = async || match group {
            Some(group) => self.client.find_coordinator(group).await.map(|_| ()),
            None => Ok(()),
        };
        settled(self.patience, ask, find).await
    }
}
