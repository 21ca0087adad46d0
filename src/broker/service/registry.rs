//! The schema registry of a service. Without the Cargo feature `registry`, there is none.

use std::sync::Arc;

use super::bind;
use crate::clock::Clock;
use crate::http::scram_users::ScramUsers;
#[cfg(feature = "registry")]
use crate::http::{listener::HttpServer, registry::RegistryPort};
use crate::log_rate_limiter::LogRateLimiter;
use crate::state::Broker;
#[cfg(feature = "registry")]
use crate::state::registry::SchemaRegistry;
use ottla_config::BrokerConfig;

/// The schema registry's port before the broker is open.
#[derive(Default)]
pub(super) struct BoundRegistry {
    #[cfg(feature = "registry")]
    port: Option<RegistryPort>,
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
        Ok(BoundRegistry { port: bind::bind_registry_port(config, users)? })
    }

    /// Accepts requests, and loads the registry meanwhile.
    pub fn open(
        self,
        broker: &Arc<Broker>,
        clock: Clock,
        limiter: Arc<LogRateLimiter>,
    ) -> Result<RegistryService, String> {
        let (Some(port), Some(config)) = (self.port, &broker.config().registry) else {
            return Ok(RegistryService::default());
        };
        let url = port.url();
        let registry = Arc::new(SchemaRegistry::new(broker, config));
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

    pub fn open(self, _: &Arc<Broker>, _: Clock, _: Arc<LogRateLimiter>) -> Result<RegistryService, String> {
        Ok(RegistryService::default())
    }
}
