//! The broker's state, time and tasks. It runs the pure state machines and uses no message structs.
//!
//! [`metadata`], [`groups`] and [`transactions`] run state machines with the [`runtime`]. [`publisher`] publishes the
//! metadata as a [`cluster`]. [`partition`] is a log with its waiting fetches. [`fetch`] reads and waits. `housekeeping` is
//! the background work, with `flushing`, the `checkpointer` and the `cleaner`. `reopening` opens failed logs again.
//! [`reset`] deletes everything. `registry` (Cargo's feature of that name) runs the schema registry over its topic.

pub mod advertised;
pub mod arriving_clients;
pub mod authentication;
mod checkpointer;
mod cleaner;
pub mod client_metrics;
pub mod cluster;
mod delegation_tokens;
pub mod fetch;
pub mod fetch_sessions;
pub mod figures;
mod flushing;
pub mod groups;
mod hosting;
mod housekeeping;
mod internal_topics;
pub mod loggers;
pub mod metadata;
mod metadata_check;
mod open;
pub mod partition;
pub mod producer_ids;
pub mod publisher;
pub mod quotas;
pub mod random;
mod recovering;
#[cfg(feature = "registry")]
pub mod registry;
mod reopening;
pub mod reset;
pub mod runtime;
mod scram_users;
pub mod silent_clients;
mod start_topics;
mod start_users;
pub mod storage_health;
pub mod topic_cause;
pub mod traffic;
pub mod transactions;
mod waiters;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::log_rate_limiter::LogRateLimiter;
use crate::otlp::Exporter;
use crate::stage::Stage;
use advertised::{Advertising, Endpoint};
use authentication::Authentication;
use checkpointer::Checkpointer;
use cleaner::Cleaner;
use client_metrics::ClientMetrics;
use cluster::Cluster;
use fetch_sessions::{Answered, FetchContext, FetchKey, FetchSessions, SessionError, SessionRequest};
use figures::{SessionFigures, WorkFigures};
use groups::Groups;
use loggers::Loggers;
use metadata::{Metadata, MetadataUnavailable};
pub use open::OpenError;
use ottla_config::BrokerConfig;
use ottla_core::metadata::{CreateTopics, CreatedTopic, MetadataError, MutationQuota, NewTopic, StartUser};
use ottla_log::{Appended, LogDir, LogError};
use ottla_wire::types::{Now, Offset, TopicName, Uuid};
use partition::Partition;
use producer_ids::ProducerIds;
use publisher::Publisher;
use quotas::Quotas;
use random::Random;
pub use scram_users::UserError;
pub use start_topics::StartTopicError;
pub use start_users::StartUserError;
use topic_cause::TopicCause;
use transactions::Transactions;

/// A running broker, shared by all connections.
pub struct Broker {
    config: Arc<BrokerConfig>,
    clock: Clock,
    random: Random,
    log_dir: Arc<LogDir>,
    publisher: Arc<Publisher>,
    metadata: Arc<Metadata>,
    groups: Arc<Groups>,
    transactions: Arc<Transactions>,
    producer_ids: ProducerIds,
    fetch_sessions: Mutex<FetchSessions>,
    session_figures: Arc<SessionFigures>,
    client_metrics: Arc<ClientMetrics>,
    otlp: Option<Arc<Exporter>>,
    advertising: Advertising,
    authentication: Authentication,
    loggers: Arc<dyn Loggers>,
    log_rate_limiter: Arc<LogRateLimiter>,
    housekeeping: housekeeping::Signals,
    cleaner: Arc<Cleaner>,
    stage: Stage,
    checkpointer: Arc<Checkpointer>,
    /// The SCRAM users of `kafka-storage format`.
    formatted_users: Vec<StartUser>,
    /// The SCRAM users of `ottla.users`, as the start has set them.
    start_users: Mutex<Vec<StartUser>>,
}

impl Broker {
    /// The settings at the start; [`Cluster::config`] has the current ones.
    pub fn config(&self) -> &BrokerConfig {
        &self.config
    }

    /// The current settings, as they change while the broker runs.
    pub fn settings(&self) -> watch::Receiver<Arc<BrokerConfig>> {
        self.publisher.settings()
    }

    pub fn now(&self) -> Now {
        self.clock.now()
    }

    /// The clock of all tasks.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    pub fn node_id(&self) -> i32 {
        self.config.node_id
    }

    pub fn cluster_id(&self) -> &str {
        &self.log_dir.meta().cluster_id
    }

    pub fn log_dir(&self) -> &LogDir {
        &self.log_dir
    }

    /// One consistent view of topics and settings.
    pub fn cluster(&self) -> Arc<Cluster> {
        self.publisher.current()
    }

    pub fn groups(&self) -> &Arc<Groups> {
        &self.groups
    }

    pub fn transactions(&self) -> &Arc<Transactions> {
        &self.transactions
    }

    /// The figures of syncs, waiting fetches and compactions.
    pub fn work_figures(&self) -> &Arc<WorkFigures> {
        self.publisher.work()
    }

    /// The metrics that clients push.
    pub fn client_metrics(&self) -> &Arc<ClientMetrics> {
        &self.client_metrics
    }

    /// Exports to a collector of OpenTelemetry, if there is one.
    pub fn otlp(&self) -> Option<&Arc<Exporter>> {
        self.otlp.as_ref()
    }

    /// The client quotas.
    pub fn quotas(&self) -> &Arc<Quotas> {
        self.publisher.quotas()
    }

    pub fn metadata(&self) -> &Arc<Metadata> {
        &self.metadata
    }

    pub fn authentication(&self) -> &Authentication {
        &self.authentication
    }

    pub fn producer_ids(&self) -> &ProducerIds {
        &self.producer_ids
    }

    /// The end of the metadata log at the published view.
    pub fn metadata_end_offset(&self) -> Offset {
        self.publisher.published_to()
    }

    /// The address to advertise to a client that connected from `peer` to `local` on a listener.
    pub fn endpoint_for(&self, listener: &str, peer: IpAddr, local: SocketAddr) -> Endpoint {
        self.advertising.endpoint_for(&self.cluster().config, listener, peer, local)
    }

    /// Begins a fetch in its session.
    pub fn begin_fetch(&self, request: SessionRequest) -> Result<FetchContext, SessionError> {
        self.fetch_sessions.lock().begin(self.clock.monotonic(), request)
    }

    /// What [`Broker::finish_fetch`] would return now.
    pub fn preview_fetch(
        &self,
        context: &FetchContext,
        answered: &[(FetchKey, Answered)],
    ) -> Result<(i32, Vec<bool>), SessionError> {
        self.fetch_sessions.lock().preview(context, answered)
    }

    /// Ends a fetch. Returns the session id of the response, and whether the response includes each partition.
    pub fn finish_fetch(
        &self,
        context: &FetchContext,
        answered: &[(FetchKey, Answered)],
    ) -> Result<(i32, Vec<bool>), SessionError> {
        self.fetch_sessions.lock().finish(self.clock.monotonic(), context, answered, || self.random.positive_i32())
    }

    /// The loggers, whose levels clients can change.
    pub fn loggers(&self) -> &dyn Loggers {
        &*self.loggers
    }

    /// The rate limiter for log lines that peers cause.
    pub fn log_rate_limiter(&self) -> &Arc<LogRateLimiter> {
        &self.log_rate_limiter
    }

    /// Queues the background work after an append.
    pub fn after_append(&self, partition: &Arc<Partition>, appended: &Appended) {
        if appended.rolled {
            self.housekeeping.rolled(partition);
        }
    }

    /// Creates topics on first use, as far as the quota of the client permits. Returns those that could not be created, and why.
    pub fn create_topics_by_use(
        self: &Arc<Self>,
        names: Vec<TopicName>,
        quota: MutationQuota,
        cause: TopicCause,
    ) -> impl Future<Output = Vec<(TopicName, NotCreated)>> + Send + use<> {
        let topics = names
            .iter()
            .map(|name| {
                let id = self.random.uuid();
                let internal = internal_topics::new_internal_topic(&self.config, name, id);
                internal.unwrap_or_else(|| NewTopic::new(Arc::clone(name), id))
            })
            .collect();
        let create = CreateTopics { topics, validate_only: false, quota };
        let submitted = self.metadata.create_topics(create, cause);
        async move {
            match submitted.await {
                Ok(results) => results
                    .into_iter()
                    .filter_map(|(name, result)| match result {
                        // Created by a concurrent request.
                        Ok(_) | Err(MetadataError::TopicAlreadyExists(_)) => None,
                        Err(error) => Some((name, NotCreated::Refused(error))),
                    })
                    .collect(),
                Err(error) => unavailable(names, &error),
            }
        }
    }

    /// Creates a topic for the administrator of this machine, who needs no authorization and has no quota. Returns when it
    /// can be used. It is created even if the caller drops the future.
    pub fn create_topic(
        self: &Arc<Self>,
        topic: NewTopic,
        cause: TopicCause,
    ) -> impl Future<Output = Result<CreatedTopic, NotCreated>> + Send + use<> {
        let create = CreateTopics { topics: vec![topic], validate_only: false, quota: Default::default() };
        let submitted = self.metadata.create_topics(create, cause);
        async move {
            let mut results = submitted.await.map_err(NotCreated::Unavailable)?;
            let result = results.pop().map(|(_, result)| result);
            result.unwrap_or(Err(MetadataError::UnknownTopicOrPartition)).map_err(NotCreated::Refused)
        }
    }

    /// A new random id.
    pub fn new_uuid(&self) -> Uuid {
        self.random.uuid()
    }

    /// Makes the current log start offsets durable.
    pub async fn make_log_starts_durable(&self) -> Result<(), LogError> {
        self.checkpointer.make_log_starts_durable().await
    }

    /// Random bits for a command.
    pub fn random_bits(&self) -> u128 {
        self.random.bits()
    }
}

/// Why a topic was not created.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NotCreated {
    #[error(transparent)]
    Refused(MetadataError),
    #[error(transparent)]
    Unavailable(MetadataUnavailable),
}

fn unavailable(names: Vec<TopicName>, error: &MetadataUnavailable) -> Vec<(TopicName, NotCreated)> {
    names.into_iter().map(|name| (name, NotCreated::Unavailable(error.clone()))).collect()
}
