//! The address that is advertised to a client.
//!
//! A configured address takes precedence. Without one, a client on this machine, or one that connects through the
//! gateway of a container's network (the container's host, by a mapped port), gets `localhost`. Other clients get the
//! address that they connected to.
//!
//! There is one exception (`ottla.advertised.localhost.rewrite`). Configurations for a container whose clients are all
//! on its host advertise `localhost`. With this address, a client in another container would connect to itself, so it
//! gets the address that it connected to.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};

use ottla_config::{Advertised, BrokerConfig};

/// A host and port, as in Metadata responses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub host: String,
    pub port: u16,
}

/// Chooses the advertised address, and logs each choice once.
#[derive(Debug)]
pub struct Advertising {
    /// For each listener, a bit for each kind of [`Peer`] that was logged.
    logged: HashMap<String, AtomicU8>,
    gateways: Vec<IpAddr>,
}

/// Where a client runs, according to its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    ThisMachine = 1,
    /// On the host of this container, or beyond it, by a mapped port.
    ThroughGateway = 2,
    Elsewhere = 4,
}

/// Why an address is advertised.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Reason {
    Configured,
    NothingConfigured,
    /// This endpoint is configured, but the client cannot reach it.
    Loopback(Endpoint),
}

impl Advertising {
    /// Reads the listeners from the settings and the gateways from the system.
    pub fn new(config: &BrokerConfig) -> Advertising {
        let logged = config.listeners.iter().map(|listener| (listener.name.clone(), 0.into())).collect();
        Advertising { logged, gateways: gateways() }
    }

    /// The address to advertise to a client that connected from `peer` to `local` on a listener, with the current
    /// settings.
    pub fn endpoint_for(&self, config: &BrokerConfig, listener: &str, peer: IpAddr, local: SocketAddr) -> Endpoint {
        let peer = self.classify(peer);
        let configured = config.listeners.iter().find(|configured| configured.name == listener);
        let Some(configured) = configured else { return default_endpoint(peer, local) };
        let (endpoint, reason) =
            choose(&configured.advertised, peer, local, config.network.advertised_localhost_rewrite);
        let logged = self.logged.get(listener).map(|logged| logged.fetch_or(peer as u8, Ordering::Relaxed));
        if logged.is_some_and(|logged| logged & peer as u8 == 0) {
            tracing::info!(listener, advertised = %endpoint, %reason, "advertised address for clients {peer}");
        }
        endpoint
    }

    fn classify(&self, peer: IpAddr) -> Peer {
        let peer = peer.to_canonical();
        match peer.is_loopback() {
            true => Peer::ThisMachine,
            false if self.gateways.contains(&peer) => Peer::ThroughGateway,
            false => Peer::Elsewhere,
        }
    }
}

/// The address to advertise, and the reason.
fn choose(configured: &Advertised, peer: Peer, local: SocketAddr, rewrites_loopback: bool) -> (Endpoint, Reason) {
    let port = configured.port.unwrap_or(local.port());
    let Some(host) = &configured.host else {
        return (Endpoint { port, ..default_endpoint(peer, local) }, Reason::NothingConfigured);
    };
    let advertised = Endpoint { host: host.clone(), port };
    match rewrites_loopback && peer == Peer::Elsewhere && is_loopback(host) {
        true => (default_endpoint(peer, local), Reason::Loopback(advertised)),
        false => (advertised, Reason::Configured),
    }
}

/// The address to advertise if none is configured.
fn default_endpoint(peer: Peer, local: SocketAddr) -> Endpoint {
    let host = match peer {
        Peer::ThisMachine | Peer::ThroughGateway => "localhost".to_owned(),
        Peer::Elsewhere => local.ip().to_canonical().to_string(),
    };
    Endpoint { host, port: local.port() }
}

fn is_loopback(host: &str) -> bool {
    let name = host.trim_end_matches('.');
    name.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|ip: IpAddr| ip.to_canonical().is_loopback())
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Peer::ThisMachine => "on this machine",
            Peer::ThroughGateway => "behind this container's gateway",
            Peer::Elsewhere => "elsewhere",
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Configured => f.write_str("advertised.listeners has this address"),
            Reason::NothingConfigured => f.write_str("advertised.listeners names no host"),
            Reason::Loopback(endpoint) => write!(
                f,
                "advertised.listeners has {endpoint}, which they cannot reach \
                 (ottla.advertised.localhost.rewrite=false advertises it nevertheless)"
            ),
        }
    }
}

/// The gateways through which a container's host reaches it.
fn gateways() -> Vec<IpAddr> {
    let table = |path| std::fs::read_to_string(Path::new(path)).unwrap_or_default();
    let v4 = gateway_v4(&table("/proc/net/route")).map(IpAddr::from);
    let v6 = gateway_v6(&table("/proc/net/ipv6_route")).map(IpAddr::from);
    v4.into_iter().chain(v6).collect()
}

/// The default gateway in the text of Linux's `/proc/net/route`, if it has one.
fn gateway_v4(route_table: &str) -> Option<Ipv4Addr> {
    route_table.lines().skip(1).find_map(|line| {
        let mut columns = line.split_whitespace();
        let (_interface, destination, gateway) = (columns.next()?, columns.next()?, columns.next()?);
        if destination != "00000000" {
            return None;
        }
        // The kernel prints the bytes of the address as a number of the machine's byte order.
        u32::from_str_radix(gateway, 16).ok().map(|bits| Ipv4Addr::from(bits.to_ne_bytes()))
    })
}

/// The default gateway in the text of Linux's `/proc/net/ipv6_route`, if it has one. Its lines have the destination,
/// its prefix length, the source, its prefix length, and the next hop.
fn gateway_v6(route_table: &str) -> Option<Ipv6Addr> {
    route_table.lines().find_map(|line| {
        let mut columns = line.split_whitespace();
        let is_default = columns.next()?.bytes().all(|digit| digit == b'0') && columns.next()? == "00";
        let next_hop = columns.nth(2).filter(|_| is_default)?;
        u128::from_str_radix(next_hop, 16).ok().map(Ipv6Addr::from).filter(|gateway| !gateway.is_unspecified())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_config::{Sources, load};

    fn advertising(config: &BrokerConfig) -> Advertising {
        Advertising { gateways: vec![Ipv4Addr::new(172, 17, 0, 1).into()], ..Advertising::new(config) }
    }

    fn address_for(settings: &[(&str, &str)], peer: &str, local: &str) -> String {
        let command_line = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let config = load(&Sources { command_line, ..Sources::default() }).unwrap().config;
        let (peer, local) = (peer.parse().unwrap(), local.parse().unwrap());
        advertising(&config).endpoint_for(&config, "PLAINTEXT", peer, local).to_string()
    }

    fn check(host: Option<&str>, peer: &str, local: &str, expect: &str) {
        let advertised = host.map(|host| format!("PLAINTEXT://{host}:19092"));
        let settings: Vec<_> = advertised.iter().map(|value| ("advertised.listeners", value.as_str())).collect();
        assert_eq!(address_for(&settings, peer, local), expect, "{host:?} from {peer}");
    }

    #[test]
    fn clients_without_configured_address_get_one_that_they_can_reach() {
        check(None, "127.0.0.1", "127.0.0.1:9092", "localhost:9092");
        check(None, "::1", "[::1]:9092", "localhost:9092");
        check(None, "::ffff:127.0.0.1", "[::ffff:127.0.0.1]:9092", "localhost:9092");
        check(None, "172.17.0.1", "172.17.0.2:9092", "localhost:9092");
        check(None, "::ffff:172.17.0.3", "[::ffff:172.17.0.2]:9092", "172.17.0.2:9092");
        check(None, "fd00::3", "[fd00::2]:9092", "[fd00::2]:9092");
    }

    #[test]
    fn configured_address_takes_precedence() {
        check(Some("broker"), "127.0.0.1", "127.0.0.1:9092", "broker:19092");
        check(Some("broker"), "172.17.0.3", "172.17.0.2:9092", "broker:19092");
        check(Some("localhost"), "127.0.0.1", "127.0.0.1:9092", "localhost:19092");
    }

    #[test]
    fn configured_loopback_address_is_replaced_for_clients_that_cannot_reach_it() {
        for host in ["localhost", "LOCALHOST.", "127.0.0.1", "127.1.2.3", "[::1]", "[::ffff:127.0.0.1]"] {
            check(Some(host), "172.17.0.3", "172.17.0.2:9092", "172.17.0.2:9092");
        }
        check(Some("localhost"), "172.17.0.1", "172.17.0.2:9092", "localhost:19092");
        check(Some("localhost.example"), "172.17.0.3", "172.17.0.2:9092", "localhost.example:19092");
        let without_rewrite =
            [("advertised.listeners", "PLAINTEXT://localhost:29092"), ("ottla.advertised.localhost.rewrite", "false")];
        assert_eq!(address_for(&without_rewrite, "172.17.0.3", "172.17.0.2:9092"), "localhost:29092");
    }

    #[test]
    fn configured_port_without_host_is_advertised() {
        let mapped = [("advertised.listeners", "PLAINTEXT://:19092")];
        assert_eq!(address_for(&mapped, "127.0.0.1", "127.0.0.1:9092"), "localhost:19092");
        assert_eq!(address_for(&mapped, "172.17.0.3", "172.17.0.2:9092"), "172.17.0.2:19092");
    }

    #[test]
    fn address_is_logged_once_for_each_kind_of_peer() {
        let config = BrokerConfig::default();
        let advertising = advertising(&config);
        let logged_after = |peer: &str| {
            let local = "172.17.0.2:9092".parse().unwrap();
            advertising.endpoint_for(&config, "PLAINTEXT", peer.parse().unwrap(), local);
            advertising.logged["PLAINTEXT"].load(Ordering::Relaxed)
        };
        assert_eq!(logged_after("127.0.0.1"), Peer::ThisMachine as u8);
        assert_eq!(logged_after("172.17.0.3"), Peer::ThisMachine as u8 | Peer::Elsewhere as u8);
        assert_eq!(logged_after("172.17.0.4"), Peer::ThisMachine as u8 | Peer::Elsewhere as u8);
    }

    #[test]
    fn gateways_are_read_from_the_route_tables() {
        let table = "Iface\tDestination\tGateway \tFlags\n\
                     eth0\t000011AC\t00000000\t0001\n\
                     eth0\t00000000\t010011AC\t0003\n";
        assert_eq!(gateway_v4(table), Some(Ipv4Addr::new(172, 17, 0, 1)));
        assert_eq!(gateway_v4("Iface\tDestination\tGateway\n"), None);
        let zeros = "0".repeat(32);
        let table = format!(
            "fd000000000000000000000000000000 40 {zeros} 00 {zeros} 00000100 00000001 00000000 00000001 eth0\n\
             {zeros} 00 {zeros} 00 fd000000000000000000000000000001 00000400 00000001 00000000 00000003 eth0\n\
             {zeros} 00 {zeros} 00 {zeros} ffffffff 00000001 00000000 00200200 lo\n"
        );
        assert_eq!(gateway_v6(&table), "fd00::1".parse().ok());
        assert_eq!(gateway_v6(&format!("{zeros} 00 {zeros} 00 {zeros} ffffffff lo\n")), None);
    }
}
