//! The internal topics: created when a coordinator first needs them.

use std::sync::Arc;

use super::Broker;
use super::metadata::MetadataUnavailable;
use super::topic_cause::TopicCause;
use ottla_config::BrokerConfig;
use ottla_core::metadata::{CONSUMER_OFFSETS, MutationQuota, NewTopic, TRANSACTION_STATE};
use ottla_wire::types::Uuid;

/// An internal topic with the settings of this broker and a new id; `None` for every other topic.
pub(super) fn new_internal_topic(config: &BrokerConfig, name: &str, id: Uuid) -> Option<NewTopic> {
    match name {
        CONSUMER_OFFSETS => {
            let groups = &config.groups;
            let (partitions, segment_bytes) = (groups.offsets_topic_num_partitions, groups.offsets_topic_segment_bytes);
            Some(NewTopic::consumer_offsets(id, partitions, segment_bytes))
        }
        TRANSACTION_STATE => {
            let transactions = &config.transactions;
            let (partitions, segment_bytes) =
                (transactions.state_log_num_partitions, transactions.state_log_segment_bytes);
            Some(NewTopic::transaction_state(id, partitions, segment_bytes))
        }
        _ => None,
    }
}

impl Broker {
    /// Whether an internal topic exists.
    pub fn has_internal_topic(&self, name: &str) -> bool {
        self.cluster().topic(name).is_some()
    }

    /// Creates an internal topic if it does not exist.
    pub async fn ensure_internal_topic(
        self: &Arc<Self>,
        name: &str,
        cause: TopicCause,
    ) -> Result<(), MetadataUnavailable> {
        if self.has_internal_topic(name) {
            return Ok(());
        }
        match self.create_topics_by_use(vec![name.into()], MutationQuota::default(), cause).await.first() {
            None => Ok(()),
            Some(_) => Err(MetadataUnavailable::NotWritten),
        }
    }
}
