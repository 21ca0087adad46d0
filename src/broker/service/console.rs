//! The console's way to the broker: connections from within this process, once clients are served.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock, Weak};

use axum::Router;
use tokio::io::DuplexStream;

use super::registry::RegistryService;
use crate::blocking;
use crate::server::{InProcessClient, InProcessConnector, NotConnected, Server};
use crate::state::Broker;
#[cfg(feature = "registry")]
use crate::state::registry::SchemaRegistry;
use ottla_config::{BrokerConfig, ConsoleConfig};
use ottla_core::security::Principal;
use ottla_wire::types::{Offset, TopicPartition};

/// Makes the routes of the console, which uses the connector for all that it does.
pub type ConsoleRoutes = Box<dyn FnOnce(Arc<ConsoleConnector>) -> Router + Send>;

/// Opens the console's connections, and has what the Kafka protocol does not say.
#[derive(Default)]
pub struct ConsoleConnector(OnceLock<Serving>);

/// What the connector needs of a broker that serves clients.
struct Serving {
    clients: InProcessConnector,
    broker: Weak<Broker>,
    #[cfg(feature = "registry")]
    registry: Option<ConsoleRegistry>,
}

/// The schema registry, for the console.
#[cfg(feature = "registry")]
#[derive(Clone)]
pub struct ConsoleRegistry {
    pub registry: Weak<SchemaRegistry>,
    /// Whether the registry's port demands passwords while the console demands nothing. Then the console must not be a way
    /// around them.
    pub needs_password: bool,
}

impl ConsoleConnector {
    /// Opens a connection on behalf of a client at this address. Needs a tokio runtime.
    pub fn connect(&self, peer: IpAddr) -> Result<DuplexStream, NotConnected> {
        self.0.get().ok_or(NotConnected::NotServing)?.clients.connect(peer)
    }

    /// The lag in seconds at each committed offset, as `kafka_consumergroup_group_lag_seconds` has it; `None` where it is not
    /// known.
    pub async fn lag_seconds(&self, committed: Vec<(TopicPartition, Offset)>) -> Vec<Option<f64>> {
        let unknown = vec![None; committed.len()];
        let Some(broker) = self.0.get().and_then(|serving| serving.broker.upgrade()) else { return unknown };
        blocking::run(move || broker.lag_seconds(&committed)).await.unwrap_or(unknown)
    }

    /// The schema registry, if the broker has one.
    #[cfg(feature = "registry")]
    pub fn registry(&self) -> Option<ConsoleRegistry> {
        self.0.get()?.registry.clone()
    }

    /// Uses this broker from now on. Connections are to the first listener.
    pub(super) fn serve(
        &self,
        broker: &Arc<Broker>,
        server: &Server,
        console: &ConsoleConfig,
        bound: &[SocketAddr],
        registry: &RegistryService,
    ) {
        let config = broker.settings().borrow().clone();
        let Some(listener) = config.listeners.first() else { return };
        let local = bound.first().copied().unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let principal = Principal::parse(&console.principal);
        let client = InProcessClient { listener: listener.name.as_str().into(), local, principal };
        let serving = Serving {
            clients: server.connector(client),
            broker: Arc::downgrade(broker),
            #[cfg(feature = "registry")]
            registry: registry.registry().map(|registry| ConsoleRegistry {
                registry: Arc::downgrade(registry),
                needs_password: needs_password(&config),
            }),
        };
        #[cfg(not(feature = "registry"))]
        let _ = registry;
        // A service starts once.
        let _ = self.0.set(serving);
    }
}

#[cfg(feature = "registry")]
fn needs_password(config: &BrokerConfig) -> bool {
    let registry = config.registry.as_ref().is_some_and(|it| !it.users.is_empty() || !it.scram_users.is_empty());
    let admin = config.admin.as_ref().is_some_and(|it| it.token.is_some() || !it.scram_users.is_empty());
    registry && !admin
}

/// The routes of the console, if it is enabled, and their connector. The error is one line.
pub(super) fn routes(
    config: &BrokerConfig,
    unprotected: bool,
    routes: Option<ConsoleRoutes>,
) -> Result<Option<(Router, Arc<ConsoleConnector>)>, String> {
    if config.admin.as_ref().is_none_or(|admin| admin.console.is_none()) {
        return Ok(None);
    }
    if unprotected {
        return Err("ottla.console.enable=true needs a token, because other machines can reach the admin port; set \
                    ottla.admin.token, or bind ottla.admin.listener to localhost"
            .to_owned());
    }
    let routes = routes.ok_or("ottla.console.enable=true: this program was built without the console")?;
    let connector = Arc::<ConsoleConnector>::default();
    Ok(Some((routes(Arc::clone(&connector)), connector)))
}
