//! The schema registry's driver: runs `ottla_registry::api` over the topic `_schemas` of this broker.
//!
//! The topic is an ordinary one. Clients and other registries may write to it, delete it and create it again, so each
//! request first replays what was appended since the last one, and a decision is appended only if the log still ends where
//! it was replayed to; otherwise it is decided again. The coordinators' runtime is not used, because it is the only writer
//! of its logs, and decides on the runtime's threads: a comparison of large schemas may take seconds.
//!
//! Requests are decided on blocking threads, each kind a few at a time (module `turns`): one that reads does not wait for a
//! comparison, which has a snapshot of the registry. Those that wait for their turn hold no thread.
//!
//! Produced records are validated by the same schemas (module `validation`).

mod replica;
#[cfg(test)]
mod tests;
mod turns;
mod validation;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Weak};

use thiserror::Error;

use super::cluster::NotServed;
use super::partition::{Partition, PartitionError};
use super::topic_cause::TopicCause;
use super::{Broker, NotCreated};
use crate::blocking;
use crate::log_rate_limiter::log_limited;
use ottla_config::RegistryConfig;
use ottla_core::metadata::{MetadataError, NewTopic};
use ottla_registry::api::{OwnedRequest, Response};
use ottla_registry::codec::SchemaIdentifier;
use ottla_registry::compatibility::CompatibilityLevel;
use ottla_registry::schema::ParsedSchema;
use ottla_registry::store::RegistrySettings;
use ottla_wire::record::RecordError;
use ottla_wire::types::{Offset, TopicName};
use replica::{Replica, Source, Step};
pub use turns::Turns;
pub use validation::{CurrentSchemas, NotCurrent};

/// How often a request is tried again because its topic was deleted, or is missing.
const MAX_ATTEMPTS: usize = 10;

/// The schema registry of a broker.
pub struct SchemaRegistry {
    broker: Weak<Broker>,
    topic: TopicName,
    settings: Arc<RegistrySettings>,
    replica: Arc<Replica>,
    turns: Turns,
    /// Whether the topic is being read because a produced record needs its schemas.
    is_loading: Arc<AtomicBool>,
}

/// Why the topic could not be read or written.
#[derive(Debug, Error)]
enum StoreError {
    #[error("{0}")]
    Partition(#[from] PartitionError),
    #[error("{0}")]
    NotServed(#[from] NotServed),
    #[error("the topic {0} cannot be created: {1}")]
    NotCreated(TopicName, NotCreated),
    #[error("the topic {topic} must have one partition, and has {count}")]
    Partitions { topic: TopicName, count: i32 },
    #[error("the batch at offset {offset} of the topic {topic} cannot be read: {error}")]
    Unreadable { topic: TopicName, offset: Offset, error: RecordError },
    #[error("the records cannot be written: {0}")]
    Unwritable(RecordError),
    #[error("others write to the topic {0} all the time")]
    Contended(TopicName),
    #[error("the topic {0} is deleted all the time")]
    Deleted(TopicName),
    #[error("the broker is stopping")]
    Stopping,
}

impl SchemaRegistry {
    pub fn new(broker: &Arc<Broker>, config: &RegistryConfig) -> SchemaRegistry {
        let defaults = RegistrySettings::default();
        let level = CompatibilityLevel::from_name(&config.compatibility_level);
        let settings = RegistrySettings {
            // The setting's rule allows known levels only.
            compatibility_level: level.unwrap_or(defaults.compatibility_level),
            mode_mutability: config.mode_mutability,
            kafka_cluster_id: broker.cluster_id().to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..defaults
        };
        SchemaRegistry {
            broker: Arc::downgrade(broker),
            topic: config.topic.as_str().into(),
            settings: Arc::new(settings),
            replica: Arc::default(),
            turns: Turns::default(),
            is_loading: Arc::default(),
        }
    }

    /// Answers a request. The response is returned when its records are written, and synced if the topic requires it.
    pub async fn respond(&self, request: OwnedRequest) -> Response {
        match self.decide(Some(Arc::new(request))).await {
            Ok(Some(response)) => response,
            Ok(None) => Response::store_error("no decision"),
            Err(error) => Response::store_error(&error.to_string()),
        }
    }

    /// Reads the topic, so that the first request does not wait for it.
    pub async fn load(&self) {
        // The error is logged.
        let _ = self.decide(None).await;
    }

    /// Returns the schema that a key or a value names, with its id; `None` if no such schema was registered. Blocks while
    /// records of the topic are replayed.
    pub fn parsed_schema(&self, schema: SchemaIdentifier) -> Option<(i32, Arc<ParsedSchema>)> {
        let broker = self.broker.upgrade()?;
        match self.replica.parsed_schema(&self.source(&broker), schema) {
            Ok(found) => found,
            Err(error) => {
                self.log_failure(&broker, &error);
                None
            }
        }
    }

    /// The topic with the schemas.
    pub fn topic(&self) -> &TopicName {
        &self.topic
    }

    fn log_failure(&self, broker: &Broker, error: &StoreError) {
        log_limited!(
            ERROR, broker.log_rate_limiter(), None, "failures of the schema registry's topic",
            topic = %self.topic, %error, "failed to read or write the schema registry's topic"
        );
    }

    /// Replays the topic and decides on a request, if there is one.
    async fn decide(&self, request: Option<Arc<OwnedRequest>>) -> Result<Option<Response>, StoreError> {
        let Some(broker) = self.broker.upgrade() else { return Err(StoreError::Stopping) };
        let decided = self.decide_on(&broker, request).await;
        if let Err(error) = &decided {
            self.log_failure(&broker, error);
        }
        decided
    }

    async fn decide_on(
        &self,
        broker: &Arc<Broker>,
        request: Option<Arc<OwnedRequest>>,
    ) -> Result<Option<Response>, StoreError> {
        for _ in 0..MAX_ATTEMPTS {
            let turn = self.turns.of(request.as_deref()).await.ok_or(StoreError::Stopping)?;
            let (replica, source, request) = (Arc::clone(&self.replica), self.source(broker), request.clone());
            let stepped = blocking::run(move || {
                // Until the decision ends, even if the client disconnects.
                let _turn = turn;
                replica.step(&source, request.as_deref())
            })
            .await;
            match stepped.map_err(|_| StoreError::Stopping)? {
                Ok(Step::Done { response, unsynced }) => {
                    if let Some((partition, end)) = unsynced {
                        sync(&partition, end).await?;
                    }
                    return Ok(response);
                }
                Ok(Step::NeedsTopic) => self.create_topic(broker).await?,
                // While the request was decided; the next attempt sees no topic, or another one.
                Err(StoreError::Partition(PartitionError::Deleted)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Deleted(Arc::clone(&self.topic)))
    }

    fn source(&self, broker: &Arc<Broker>) -> Source {
        Source { broker: Arc::clone(broker), topic: Arc::clone(&self.topic), settings: Arc::clone(&self.settings) }
    }

    /// Creates the topic as Confluent's registry does.
    async fn create_topic(&self, broker: &Arc<Broker>) -> Result<(), StoreError> {
        let topic = NewTopic {
            partitions: 1,
            replication_factor: 1,
            configs: vec![("cleanup.policy".to_owned(), Some("compact".to_owned()))],
            ..NewTopic::new(Arc::clone(&self.topic), broker.new_uuid())
        };
        match broker.create_topic(topic, TopicCause::SCHEMA_REGISTRY).await {
            Ok(_) | Err(NotCreated::Refused(MetadataError::TopicAlreadyExists(_))) => Ok(()),
            Err(error) => Err(StoreError::NotCreated(Arc::clone(&self.topic), error)),
        }
    }
}

async fn sync(partition: &Arc<Partition>, end: Offset) -> Result<(), StoreError> {
    match partition.must_sync_before_ack(end) {
        true => Ok(partition.sync_to(end).await?),
        false => Ok(()),
    }
}
