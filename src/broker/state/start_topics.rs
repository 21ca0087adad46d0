//! The topics that `ottla.create.topics` wants: made before the broker says that it is ready, and again by whoever
//! takes everything away.

use std::sync::Arc;

use thiserror::Error;

use super::metadata::MetadataUnavailable;
use super::{Broker, random};
use ottla_config::StartTopic;
use ottla_core::metadata::{CreateTopics, MetadataError, NewTopic};
use ottla_wire::types::TopicName;

/// Why a topic that was wanted is not there.
#[derive(Debug, Error)]
pub enum StartTopicError {
    #[error("cannot create topic {0}: {1}")]
    Refused(TopicName, MetadataError),
    #[error("cannot create topics: {0}")]
    Unavailable(#[from] MetadataUnavailable),
}

impl Broker {
    /// Creates the topics of `ottla.create.topics`; those that exist are left alone, whatever their partitions and
    /// settings. Returns when they can be used.
    ///
    /// # Errors
    /// The first topic that could not be created; those after it may exist.
    pub async fn create_start_topics(self: &Arc<Self>) -> Result<(), StartTopicError> {
        let topics = self.start_topics();
        if topics.is_empty() {
            return Ok(());
        }
        let create = CreateTopics { topics, validate_only: false };
        let results = self.metadata.submit(create).await?;
        for (name, result) in results {
            match result {
                Ok(created) => {
                    if let Some(asked) = created.clamped_from {
                        tracing::warn!("topic {name} has 1 replica, not {asked}: there is one broker");
                    }
                }
                Err(MetadataError::TopicAlreadyExists(_)) => {}
                Err(error) => return Err(StartTopicError::Refused(name, error)),
            }
        }
        Ok(())
    }

    /// The topics of `ottla.create.topics`, yet to be created.
    pub(super) fn start_topics(&self) -> Vec<NewTopic> {
        self.config.topics.create_at_start.iter().map(new_topic).collect()
    }
}

fn new_topic(wanted: &StartTopic) -> NewTopic {
    let policy = wanted.cleanup_policy.as_ref().map(|policy| ("cleanup.policy".to_owned(), Some(policy.clone())));
    NewTopic {
        partitions: wanted.partitions.unwrap_or(-1),
        replication_factor: wanted.replication_factor.unwrap_or(-1),
        configs: policy.into_iter().collect(),
        ..NewTopic::new(wanted.name.as_str(), random::uuid())
    }
}
