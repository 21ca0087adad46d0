//! Creates the topics of `ottla.create.topics`, before the broker is ready and at a reset.

use std::sync::Arc;

use thiserror::Error;

use super::Broker;
use super::metadata::MetadataUnavailable;
use super::random::Random;
use super::topic_cause::TopicCause;
use ottla_config::StartTopic;
use ottla_core::metadata::{CreateTopics, MetadataError, NewTopic};
use ottla_wire::types::TopicName;

/// Why a topic of `ottla.create.topics` could not be created.
#[derive(Debug, Error)]
pub enum StartTopicError {
    #[error("cannot create topic {0}: {1}")]
    Refused(TopicName, MetadataError),
    #[error("cannot create topics: {0}")]
    Unavailable(#[from] MetadataUnavailable),
}

impl Broker {
    /// Creates the topics of `ottla.create.topics`. Topics that exist are not changed, even if their partitions or
    /// settings differ. Returns when the topics can be used.
    ///
    /// # Errors
    /// The first topic that could not be created; those after it may exist.
    pub async fn create_start_topics(self: &Arc<Self>) -> Result<(), StartTopicError> {
        let topics = self.start_topics();
        if topics.is_empty() {
            return Ok(());
        }
        let create = CreateTopics { topics, validate_only: false, quota: Default::default() };
        let results = self.metadata.create_topics(create, TopicCause::START_TOPICS).await?;
        for (name, result) in results {
            match result {
                Ok(created) => {
                    if let Some(requested) = created.clamped_from {
                        tracing::warn!(
                            "topic {name} has 1 replica instead of {requested}, because there is one broker"
                        );
                    }
                }
                Err(MetadataError::TopicAlreadyExists(_)) => {}
                Err(error) => return Err(StartTopicError::Refused(name, error)),
            }
        }
        Ok(())
    }

    /// The topics of `ottla.create.topics`, as commands.
    pub(super) fn start_topics(&self) -> Vec<NewTopic> {
        let topics = self.config.topics.create_at_start.iter();
        topics.map(|topic| new_topic(topic, &self.random)).collect()
    }
}

fn new_topic(topic: &StartTopic, random: &Random) -> NewTopic {
    let policy = topic.cleanup_policy.as_ref().map(|policy| ("cleanup.policy".to_owned(), Some(policy.clone())));
    NewTopic {
        partitions: topic.partitions.unwrap_or(-1),
        replication_factor: topic.replication_factor.unwrap_or(-1),
        configs: policy.into_iter().collect(),
        ..NewTopic::new(topic.name.as_str(), random.uuid())
    }
}
