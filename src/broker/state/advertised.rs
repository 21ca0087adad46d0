//! The address that is advertised to a client.
//!
//! A configured address wins. Otherwise the address depends on the client: a peer on
//! this machine, or one that comes in through a container bridge's gateway (the host, by a mapped
//! port), gets `localhost`; any other gets the address that it reached.
//!
//! One thing configured is not believed (`ottla.advertised.localhost.rewrite`): files written for a
//! container whose clients are all on its host advertise `localhost`, where a client in another
//! container would find itself. Such a client gets the address that it reached.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};

use ottla_config::{Advertised, BrokerConfig};

/// A host and port as metadata answers carry them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub host: String,
    pub port: u16,
}

/// The advertised address of each listener, and what was logged about it.
#[derive(Debug)]
pub struct Advertising {
    /// For each listener a bit for each kind of [`Peer`] that was logged.
    logged: HashMap<String, AtomicU8>,
    gateways: Vec<IpAddr>,
}

/// Where a client runs, judged by its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    Here = 1,
    /// The host of the container that this is, or someone beyond it, by a mapped port.
    ThroughGateway = 2,
    Elsewhere = 4,
}

/// Why an address is advertised.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Reason {
    Configured,
    NothingConfigured,
    /// This endpoint is configured, and of no use to the client.
    OnlyLoopback(Endpoint),
}

impl Advertising {
    /// For these listeners, on this machine.
    pub fn new(config: &BrokerConfig) -> Advertising {
        let logged = config.listeners.iter().map(|listener| (listener.name.clone(), 0.into())).collect();
        Advertising { logged, gateways: gateways() }
    }

    /// The address to advertise to a client that connected from `peer` to `local` by the listener of that name, with the
    /// settings in force.
    pub fn endpoint_for(&self, config: &BrokerConfig, listener: &str, peer: IpAddr, local: SocketAddr) -> Endpoint {
        let peer = self.whereabouts(peer);
        let Some(at) = config.listeners.iter().find(|at| at.name == listener) else { return reached(peer, local) };
        let (endpoint, reason) = choose(&at.advertised, peer, local, config.network.advertised_localhost_rewrite);
        let logged = self.logged.get(listener).map(|logged| logged.fetch_or(peer as u8, Ordering::Relaxed));
        if logged.is_some_and(|logged| logged & peer as u8 == 0) {
            tracing::info!(listener, advertised = %endpoint, %reason, "advertised address for clients {peer}");
        }
        endpoint
    }

    fn whereabouts(&self, peer: IpAddr) -> Peer {
        let peer = peer.to_canonical();
        match peer.is_loopback() {
            true => Peer::Here,
            false if self.gateways.contains(&peer) => Peer::ThroughGateway,
            false => Peer::Elsewhere,
        }
    }
}

fn choose(configured: &Advertised, peer: Peer, local: SocketAddr, rewrites_loopback: bool) -> (Endpoint, Reason) {
    let port = configured.port.unwrap_or(local.port());
    let Some(host) = &configured.host else {
        return (Endpoint { port, ..reached(peer, local) }, Reason::NothingConfigured);
    };
    let advertised = Endpoint { host: host.clone(), port };
    match rewrites_loopback && peer == Peer::Elsewhere && is_loopback(host) {
        true => (reached(peer, local), Reason::OnlyLoopback(advertised)),
        false => (advertised, Reason::Configured),
    }
}

/// The address by which a client reaches us.
fn reached(peer: Peer, local: SocketAddr) -> Endpoint {
    let host = match peer {
        Peer::Here | Peer::ThroughGateway => "localhost".to_owned(),
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
            Peer::Here => "on this machine",
            Peer::ThroughGateway => "behind this container's gateway",
            Peer::Elsewhere => "on other machines",
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Configured => f.write_str("configured in advertised.listeners"),
            Reason::NothingConfigured => f.write_str("advertised.listeners is not set"),
            Reason::OnlyLoopback(endpoint) => write!(
                f,
                "{endpoint} in advertised.listeners would be the client itself \
                 (ottla.advertised.localhost.rewrite=false advertises it anyway)"
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
        // The kernel prints the address as it lies in memory.
        u32::from_str_radix(gateway, 16).ok().map(|bits| Ipv4Addr::from(bits.to_ne_bytes()))
    })
}

/// The default gateway in the text of Linux's `/proc/net/ipv6_route`, if it has one: lines of destination, its
/// length, source, its length, and the next hop.
fn gateway_v6(route_table: &str) -> Option<Ipv6Addr> {
    route_table.lines().find_map(|line| {
        let mut columns = line.split_whitespace();
        let to_everywhere = columns.next()?.bytes().all(|digit| digit == b'0') && columns.next()? == "00";
        let next_hop = columns.nth(2).filter(|_| to_everywhere)?;
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
    fn a_client_is_told_an_address_it_can_reach() {
        check(None, "127.0.0.1", "127.0.0.1:9092", "localhost:9092");
        check(None, "::1", "[::1]:9092", "localhost:9092");
        check(None, "::ffff:127.0.0.1", "[::ffff:127.0.0.1]:9092", "localhost:9092");
        check(None, "172.17.0.1", "172.17.0.2:9092", "localhost:9092");
        check(None, "::ffff:172.17.0.3", "[::ffff:172.17.0.2]:9092", "172.17.0.2:9092");
        check(None, "fd00::3", "[fd00::2]:9092", "[fd00::2]:9092");
    }

    #[test]
    fn what_is_configured_wins() {
        check(Some("broker"), "127.0.0.1", "127.0.0.1:9092", "broker:19092");
        check(Some("broker"), "172.17.0.3", "172.17.0.2:9092", "broker:19092");
        check(Some("localhost"), "127.0.0.1", "127.0.0.1:9092", "localhost:19092");
    }

    #[test]
    fn a_loopback_address_is_for_those_who_can_use_it() {
        for host in ["localhost", "LOCALHOST.", "127.0.0.1", "127.1.2.3", "[::1]", "[::ffff:127.0.0.1]"] {
            check(Some(host), "172.17.0.3", "172.17.0.2:9092", "172.17.0.2:9092");
        }
        check(Some("localhost"), "172.17.0.1", "172.17.0.2:9092", "localhost:19092");
        check(Some("localhost.example"), "172.17.0.3", "172.17.0.2:9092", "localhost.example:19092");
        let literally =
            [("advertised.listeners", "PLAINTEXT://localhost:29092"), ("ottla.advertised.localhost.rewrite", "false")];
        assert_eq!(address_for(&literally, "172.17.0.3", "172.17.0.2:9092"), "localhost:29092");
    }

    #[test]
    fn a_port_alone_may_be_configured() {
        let mapped = [("advertised.listeners", "PLAINTEXT://:19092")];
        assert_eq!(address_for(&mapped, "127.0.0.1", "127.0.0.1:9092"), "localhost:19092");
        assert_eq!(address_for(&mapped, "172.17.0.3", "172.17.0.2:9092"), "172.17.0.2:19092");
    }

    #[test]
    fn the_log_tells_of_each_kind_of_peer_once() {
        let config = BrokerConfig::default();
        let advertising = advertising(&config);
        let logged_after = |peer: &str| {
            let local = "172.17.0.2:9092".parse().unwrap();
            advertising.endpoint_for(&config, "PLAINTEXT", peer.parse().unwrap(), local);
            advertising.logged["PLAINTEXT"].load(Ordering::Relaxed)
        };
        assert_eq!(logged_after("127.0.0.1"), Peer::Here as u8);
        assert_eq!(logged_after("172.17.0.3"), Peer::Here as u8 | Peer::Elsewhere as u8);
        assert_eq!(logged_after("172.17.0.4"), Peer::Here as u8 | Peer::Elsewhere as u8);
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
