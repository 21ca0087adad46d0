//! Binds the ports of the configured listeners, with errors that say what to do.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::http::admin::AdminPort;
use crate::http::metrics::MetricsPort;
#[cfg(feature = "registry")]
use crate::http::registry::RegistryPort;
use crate::http::rest_proxy::RestProxyPort;
use crate::http::scram_users::ScramUsers;
use crate::secure::ListenerAddress;
use crate::server;
use crate::tls::{TlsListener, TlsListeners};
use ottla_config::{BindAddress, BindHost, BrokerConfig, Listener};
use ottla_core::metadata::Endpoint;

/// A listener that got another port than the one that `ottla.secure` chose, because that is in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    pub listener: String,
    pub wanted: u16,
    pub port: u16,
}

/// Binds the port of every listener. Those in `tls` are encrypted. A listener that `ottla.secure` added gets a free port if
/// its own is in use. The error is one plain line.
pub fn bind_ports(
    config: &BrokerConfig,
    limits: &server::Limits,
    tls: &TlsListeners,
) -> Result<Vec<server::Listener>, String> {
    let bind = |listener: &Listener| {
        let bind_at = |at: &BindAddress| server::Listener::bind(listener.name.as_str(), at, limits);
        let bound = match bind_at(&listener.bind) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && listener.is_added => {
                bind_at(&BindAddress { port: 0, ..listener.bind.clone() })
            }
            bound => bound,
        };
        let mut bound = bound.map_err(|error| explain(listener, &error))?;
        if let Some(tls) = tls.get(&listener.name) {
            bound = bound.with_tls(Arc::clone(tls));
        }
        Ok(if listener.protocol.is_sasl() { bound.with_sasl() } else { bound })
    };
    config.listeners.iter().map(bind).collect()
}

/// The listeners that got another port than they should have.
pub fn moved(config: &BrokerConfig, ports: &[server::Listener]) -> Vec<Moved> {
    let moved = |(listener, bound): (&Listener, &server::Listener)| {
        let (wanted, port) = (listener.bind.port, bound.address().port());
        (wanted != 0 && wanted != port).then(|| Moved { listener: listener.name.clone(), wanted, port })
    };
    config.listeners.iter().zip(ports).filter_map(moved).collect()
}

/// Binds the admin port, if it is configured. The error is one plain line.
pub fn bind_admin_port(config: &BrokerConfig, users: &ScramUsers) -> Result<Option<AdminPort>, String> {
    let Some(admin) = &config.admin else { return Ok(None) };
    let port = admin.bind.port;
    let tls = admin.tls.clone().map(TlsListener::load).transpose().map_err(|why| format!("the admin port: {why}"))?;
    let bound = AdminPort::bind(admin, tls.map(Arc::new));
    let mut bound = bound.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("the admin port {port} is in use; stop the program that uses it, or choose another port with --admin-port")
        }
        _ => format!("cannot listen at the admin port {port}: {error}"),
    })?;
    if let Some(passwords) = users.allowed(&admin.scram_users) {
        bound.set_passwords(passwords);
    }
    if let Some(secure) = &config.secure {
        bound.allow_hosts(&secure.hosts);
    }
    // With the console, the start is refused for the same reason.
    if bound.is_unprotected() && admin.console.is_none() {
        tracing::warn!(
            url = bound.url(),
            "the admin port can be reached from other machines without a token; set ottla.admin.token, or bind \
             ottla.admin.listener to localhost"
        );
    }
    Ok(Some(bound))
}

/// Binds the port for metrics alone, if it is configured. The error is one plain line.
pub fn bind_metrics_port(config: &BrokerConfig) -> Result<Option<MetricsPort>, String> {
    let Some(metrics) = &config.metrics.port else { return Ok(None) };
    let port = metrics.bind.port;
    let tls = metrics.tls.clone().map(TlsListener::load).transpose();
    let tls = tls.map_err(|why| format!("the port for metrics: {why}"))?;
    let mut bound = MetricsPort::bind(metrics, tls.map(Arc::new)).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("the port {port} for metrics is in use; choose another one with ottla.metrics.listener")
        }
        _ => format!("cannot listen at the port {port} for metrics: {error}"),
    })?;
    if let Some(secure) = &config.secure {
        bound.allow_hosts(&secure.hosts);
    }
    if bound.is_unprotected() {
        tracing::warn!(
            url = bound.url(),
            "the metrics can be read from other machines without a token; set ottla.metrics.token, or bind \
             ottla.metrics.listener to localhost"
        );
    }
    Ok(Some(bound))
}

/// Binds the port of the schema registry, if it is configured. The error is one plain line.
#[cfg(feature = "registry")]
pub fn bind_registry_port(config: &BrokerConfig, users: &ScramUsers) -> Result<Option<RegistryPort>, String> {
    let Some(registry) = &config.registry else { return Ok(None) };
    let port = registry.bind.port;
    let tls = registry.tls.clone().map(TlsListener::load).transpose();
    let tls = tls.map_err(|why| format!("the schema registry: {why}"))?;
    let bound = RegistryPort::bind(registry, tls.map(Arc::new));
    if registry.is_optional && bound.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse) {
        tracing::info!("port {port} is in use, so there is no schema registry");
        return Ok(None);
    }
    let mut bound = bound.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!(
                "the schema registry's port {port} is in use; stop the program that uses it, or choose another port with \
                 --registry-port"
            )
        }
        _ => format!("cannot listen at the schema registry's port {port}: {error}"),
    })?;
    if let Some(passwords) = users.allowed(&registry.scram_users) {
        bound.set_passwords(passwords);
    }
    if let Some(secure) = &config.secure {
        bound.allow_hosts(&secure.hosts);
    }
    if bound.is_unprotected() && !registry.is_optional {
        tracing::warn!(
            url = bound.url(),
            "the schema registry can be reached from other machines without a password; set ottla.registry.users, or bind \
             ottla.registry.listener to localhost"
        );
    }
    Ok(Some(bound))
}

/// Binds the port of the REST proxy, if it is configured. The error is one plain line.
pub fn bind_rest_proxy_port(config: &BrokerConfig, users: &ScramUsers) -> Result<Option<RestProxyPort>, String> {
    let Some(proxy) = &config.rest_proxy else { return Ok(None) };
    let port = proxy.bind.port;
    let tls = proxy.tls.clone().map(TlsListener::load).transpose().map_err(|why| format!("the REST proxy: {why}"))?;
    let mut bound = RestProxyPort::bind(proxy, tls.map(Arc::new)).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "the REST proxy's port {port} is in use; stop the program that uses it, or choose another port with \
             ottla.rest.proxy.listener"
        ),
        _ => format!("cannot listen at the REST proxy's port {port}: {error}"),
    })?;
    if let Some(passwords) = users.allowed(&proxy.scram_users) {
        bound.set_passwords(passwords);
    }
    Ok(Some(bound))
}

/// Refuses a schema registry, which this program does not have.
#[cfg(not(feature = "registry"))]
pub fn refuse_registry(config: &BrokerConfig) -> Result<(), String> {
    match &config.registry {
        None => Ok(()),
        Some(_) => Err("this program was built without the schema registry (Cargo's feature registry)".to_owned()),
    }
}

/// Where clients reach each listener: the advertised address, or else the one for clients on this machine.
pub fn client_addresses(config: &BrokerConfig, ports: &[server::Listener]) -> Vec<ListenerAddress> {
    let address = |(listener, bound): (&Listener, &server::Listener)| {
        let port = listener.advertised.port.unwrap_or_else(|| bound.address().port());
        let address = match &listener.advertised.host {
            Some(host) if host.contains(':') => format!("[{host}]:{port}"),
            Some(host) => format!("{host}:{port}"),
            None => bootstrap_server(listener, port),
        };
        ListenerAddress { name: listener.name.clone(), protocol: listener.protocol, address }
    };
    config.listeners.iter().zip(ports).map(address).collect()
}

/// The `host:port` of each listener, for clients on this machine.
pub fn addresses(config: &BrokerConfig, ports: &[server::Listener]) -> Vec<String> {
    let address =
        |(listener, bound): (&Listener, &server::Listener)| bootstrap_server(listener, bound.address().port());
    config.listeners.iter().zip(ports).map(address).collect()
}

/// The bound addresses of all listeners.
pub fn bound(ports: &[server::Listener]) -> Vec<SocketAddr> {
    ports.iter().flat_map(server::Listener::addresses).collect()
}

/// The endpoints of the listeners for the metadata log: the advertised address, or else the bound one.
pub fn endpoints(config: &BrokerConfig, ports: &[server::Listener]) -> Vec<Endpoint> {
    let endpoint = |(listener, bound): (&Listener, &server::Listener)| Endpoint {
        listener: listener.name.clone(),
        host: listener.advertised.host.clone().unwrap_or_else(|| "localhost".to_owned()),
        port: listener.advertised.port.unwrap_or_else(|| bound.address().port()),
        security_protocol: listener.protocol.id(),
    };
    config.listeners.iter().zip(ports).map(endpoint).collect()
}

/// The `host:port` at which a client on this machine reaches a listener.
pub fn bootstrap_server(listener: &Listener, port: u16) -> String {
    match &listener.bind.host {
        BindHost::Any | BindHost::AnyV4 => format!("localhost:{port}"),
        BindHost::Named(host) if host.contains(':') => format!("[{host}]:{port}"),
        BindHost::Named(host) => format!("{host}:{port}"),
    }
}

fn explain(listener: &Listener, error: &io::Error) -> String {
    let (name, port) = (&listener.name, listener.bind.port);
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!(
                "port {port} is in use (listener {name}); stop the program that uses it, or choose another port with --port \
                 (first listener) or listeners"
            )
        }
        io::ErrorKind::PermissionDenied => {
            format!("port {port} is not allowed to this user (listener {name}); ports from 1024 up are")
        }
        _ => format!("cannot listen at {} (listener {name}): {error}", bootstrap_server(listener, port)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_config::{Sources, load};

    fn config(pairs: &[(&str, &str)]) -> BrokerConfig {
        let command_line = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        load(&Sources { command_line, ..Sources::default() }).unwrap().config
    }

    #[test]
    fn bootstrap_server_of_each_bind_address_is_reachable_locally() {
        let check = |listeners, expect: &str| {
            let config = config(&[("listeners", listeners)]);
            assert_eq!(bootstrap_server(&config.listeners[0], 7), expect, "{listeners}");
        };
        check("PLAINTEXT://:0", "localhost:7");
        check("PLAINTEXT://0.0.0.0:0", "localhost:7");
        check("PLAINTEXT://127.0.0.1:0", "127.0.0.1:7");
        check("PLAINTEXT://[::1]:0", "[::1]:7");
    }

    #[test]
    fn listener_port_in_use_returns_one_line_with_advice() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let config = config(&[("listeners", &format!("PLAINTEXT://127.0.0.1:{port}"))]);
        let error = bind_ports(&config, &server::Limits::default(), &TlsListeners::default()).unwrap_err();
        assert_eq!(
            error,
            format!(
                "port {port} is in use (listener PLAINTEXT); stop the program that uses it, or choose another port with \
                 --port (first listener) or listeners"
            )
        );
    }

    #[test]
    fn listener_of_the_secure_setting_gets_another_port_if_its_own_is_in_use() {
        let loopback = |port| std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
        let taken = loopback(0);
        let wanted = taken.local_addr().unwrap().port();
        let mut config = config(&[("listeners", &format!("SSL://127.0.0.1:{wanted}"))]);
        let bind = |config: &BrokerConfig| bind_ports(config, &server::Limits::default(), &TlsListeners::default());
        assert!(bind(&config).is_err());
        config.listeners[0].is_added = true;
        let ports = bind(&config).unwrap();
        let port = ports[0].address().port();
        assert_ne!(port, wanted);
        assert_eq!(moved(&config, &ports), [Moved { listener: "SSL".to_owned(), wanted, port }]);
        assert_eq!(addresses(&config, &ports), [format!("127.0.0.1:{port}")]);
    }

    #[test]
    fn admin_port_in_use_returns_one_line_with_advice() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let config = config(&[("ottla.admin.listener", &format!("127.0.0.1:{port}"))]);
        let error = bind_admin_port(&config, &ScramUsers::default()).unwrap_err();
        assert_eq!(
            error,
            format!(
                "the admin port {port} is in use; stop the program that uses it, or choose another port with --admin-port"
            )
        );
    }
}
