//! The console's way to the broker: connections from within this process, once clients are served.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};

use axum::Router;
use tokio::io::DuplexStream;

use crate::server::{InProcessClient, InProcessConnector, NotConnected, Server};
use ottla_config::{BrokerConfig, ConsoleConfig};
use ottla_core::security::Principal;

/// Makes the routes of the console, which uses the connector for all that it does.
pub type ConsoleRoutes = Box<dyn FnOnce(Arc<ConsoleConnector>) -> Router + Send>;

/// Opens the console's connections.
#[derive(Default)]
pub struct ConsoleConnector(OnceLock<InProcessConnector>);

impl ConsoleConnector {
    /// Opens a connection on behalf of a client at this address. Needs a tokio runtime.
    pub fn connect(&self, peer: IpAddr) -> Result<DuplexStream, NotConnected> {
        self.0.get().ok_or(NotConnected::NotServing)?.connect(peer)
    }

    /// Connects to this server from now on, with the first listener's name.
    pub(super) fn serve(&self, server: &Server, config: &BrokerConfig, console: &ConsoleConfig, bound: &[SocketAddr]) {
        let Some(listener) = config.listeners.first() else { return };
        let local = bound.first().copied().unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let principal = Principal::parse(&console.principal);
        let client = InProcessClient { listener: listener.name.as_str().into(), local, principal };
        // A service starts once.
        let _ = self.0.set(server.connector(client));
    }
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
