//! The schema registry of a service. Without the Cargo feature `registry`, there is none.

use std::sync::Arc;

use super::bind;
use crate::clock::Clock;
use crate::handlers::RecordSchemas;
use crate::http::scram_users::ScramUsers;
#[cfg(feature = "registry")]
use crate::http::{listener::HttpServer, registry::RegistryPort};
use crate::log_rate_limiter::LogRateLimiter;
use crate::state::Broker;
#[cfg(feature = "registry")]
use crate::state::registry::SchemaRegistry;
use ottla_config::BrokerConfig;

/// The number of topics that a log line names.
const MAX_NAMED_TOPICS: usize = 10;

/// The schema registry's port before the broker is open.
#[derive(Default)]
pub(super) struct BoundRegistry {
    #[cfg(feature = "registry")]
    port: Option<RegistryPort>,
    schemas: RecordSchemas,
}

/// Logs which topics' records are validated by schemas, if there is no registry for that.
pub(super) fn warn_of_unchecked_topics(broker: &Broker, registry: &RegistryService) {
    if registry.url().is_some() {
        return;
    }
    let cluster = broker.cluster();
    let demand = |topic: &&Arc<crate::state::cluster::Topic>| topic.config.schema_validation().is_some();
    let mut topics: Vec<&str> = cluster.topics().filter(demand).map(|topic| &**topic.name()).collect();
    if topics.is_empty() {
        return;
    }
    topics.sort_unstable();
    let count = topics.len();
    topics.truncate(MAX_NAMED_TOPICS);
    tracing::warn!(
        count,
        topics = topics.join(", "),
        "topics have schema validation and this broker has no schema registry, so it refuses their records; start it with --registry-port, or set confluent.key.schema.validation and confluent.value.schema.validation of the topics to false"
    );
}

/// A running schema registry, if there is one. Dropping it closes its port.
#[derive(Default)]
pub(super) struct RegistryService {
    url: Option<String>,
    #[cfg(feature = "registry")]
    registry: Option<Arc<SchemaRegistry>>,
    #[cfg(feature = "registry")]
    _server: Option<HttpServer>,
}

impl RegistryService {
    pub fn url(&self) -> Option<&str> {
        self.url.as_deref()
    }

    #[cfg(feature = "registry")]
    pub fn registry(&self) -> Option<&Arc<SchemaRegistry>> {
        self.registry.as_ref()
    }
}

#[cfg(feature = "registry")]
impl BoundRegistry {
    /// Binds the port, if it is configured. The error is one plain line.
    pub fn bind(config: &BrokerConfig, users: &ScramUsers) -> Result<BoundRegistry, String> {
        Ok(BoundRegistry { port: bind::bind_registry_port(config, users)?, schemas: RecordSchemas::default() })
    }

    /// Makes the registry of the opened broker. Returns the schemas by which it validates records.
    pub fn make(&mut self, broker: &Arc<Broker>) -> RecordSchemas {
        if let (Some(_), Some(config)) = (&self.port, &broker.config().registry) {
            self.schemas.registry = Some(Arc::new(SchemaRegistry::new(broker, config)));
        }
        self.schemas.clone()
    }

    /// Accepts requests, and loads the registry meanwhile.
    pub fn open(self, clock: Clock, limiter: Arc<LogRateLimiter>) -> Result<RegistryService, String> {
        let (Some(port), Some(registry)) = (self.port, self.schemas.registry) else {
            return Ok(RegistryService::default());
        };
        let url = port.url();
        let server = port.open(Arc::clone(&registry) as _, clock, limiter);
        let server =
            server.map_err(|error| format!("cannot accept connections at the schema registry's port: {error}"))?;
        let loading = Arc::clone(&registry);
        tokio::spawn(async move { loading.load().await });
        Ok(RegistryService { url: Some(url), registry: Some(registry), _server: Some(server) })
    }
}

#[cfg(not(feature = "registry"))]
impl BoundRegistry {
    /// Refuses a schema registry, which this program does not have. The error is one plain line.
    pub fn bind(config: &BrokerConfig, _: &ScramUsers) -> Result<BoundRegistry, String> {
        bind::refuse_registry(config).map(|()| BoundRegistry::default())
    }

    pub fn make(&mut self, _: &Arc<Broker>) -> RecordSchemas {
        self.schemas.clone()
    }

    pub fn open(self, _: Clock, _: Arc<LogRateLimiter>) -> Result<RegistryService, String> {
        Ok(RegistryService::default())
    }
}
