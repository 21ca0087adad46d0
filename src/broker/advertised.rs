//! Which address a client is told to come back to.
//!
//! What is configured wins, if the client can reach it. With nothing configured, the answer depends on who asks: a
//! peer on this machine, or one that comes in through a container bridge's gateway (the host, by a mapped port), is
//! told `localhost`; any other is told the very address it already reached. The latter also holds where `localhost`
//! is what is configured, as in compose files written for the host's clients, while other containers ask too.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Once;

use crate::config::{Advertised, BrokerConfig};

/// A host and port as metadata answers carry them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub host: String,
    pub port: u16,
}

/// What each listener's clients are told.
#[derive(Debug)]
pub struct Advertising {
    /// What is configured, by the listener's name.
    configured: HashMap<String, Advertised>,
    /// The way by which a container's host comes in.
    gateway: Option<Ipv4Addr>,
    /// `ottla.advertised.localhost.rewrite`.
    rewrites_localhost: bool,
    said_so: Once,
}

impl Advertising {
    pub fn new(config: &BrokerConfig, gateway: Option<Ipv4Addr>) -> Advertising {
        let configured = config.listeners.iter().map(|l| (l.name.clone(), l.advertised.clone())).collect();
        let rewrites_localhost = config.network.advertised_localhost_rewrite;
        Advertising { configured, gateway, rewrites_localhost, said_so: Once::new() }
    }

    /// The endpoint to tell a peer that connected from `peer` to `local` by the listener of that name.
    pub fn endpoint_for(&self, listener: &str, peer: IpAddr, local: SocketAddr) -> Endpoint {
        let configured = self.configured.get(listener);
        let host = configured.and_then(|configured| configured.host.as_deref());
        let port = configured.and_then(|configured| configured.port).unwrap_or(local.port());
        let is_here = self.is_here(peer);
        match host {
            Some(host) if !is_here && self.rewrites_localhost && is_loopback(host) => {
                let reached = reached(local);
                self.say_once(&format!("{listener}://{host}:{port}"), peer, &reached);
                reached
            }
            Some(host) => Endpoint { host: host.to_owned(), port },
            None if is_here => Endpoint { host: "localhost".to_owned(), port },
            None => Endpoint { port, ..reached(local) },
        }
    }

    /// Whether `localhost`, with the ports of this listener, is this broker to the peer: it runs on this machine, or
    /// on the one whose container this is.
    fn is_here(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        peer.is_loopback() || self.gateway.is_some_and(|gateway| peer == IpAddr::V4(gateway))
    }

    fn say_once(&self, configured: &str, peer: IpAddr, told: &Endpoint) {
        self.said_so.call_once(|| {
            tracing::info!(
                "{configured} is advertised, which {} would take for itself: clients from elsewhere are told the \
                 address they reached, here {}:{} (ottla.advertised.localhost.rewrite=false: what is configured)",
                peer.to_canonical(),
                told.host,
                told.port
            );
        });
    }
}

fn reached(local: SocketAddr) -> Endpoint {
    Endpoint { host: local.ip().to_canonical().to_string(), port: local.port() }
}

/// Whether whoever is told this host looks for it on their own machine.
fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

/// The default gateway in the text of Linux's `/proc/net/route`, if it has one.
pub fn default_gateway(route_table: &str) -> Option<Ipv4Addr> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Sources, load};

    const GATEWAY: Ipv4Addr = Ipv4Addr::new(172, 17, 0, 1);

    fn told(settings: &[(&str, &str)], peer: &str, local: &str) -> String {
        let command_line = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let config = load(&Sources { command_line, ..Sources::default() }).unwrap().config;
        let advertising = Advertising::new(&config, Some(GATEWAY));
        let told = advertising.endpoint_for("PLAINTEXT", peer.parse().unwrap(), local.parse().unwrap());
        format!("{}:{}", told.host, told.port)
    }

    fn check(configured: Option<&str>, peer: &str, local: &str, expect: &str) {
        let advertised = configured.map(|host| format!("PLAINTEXT://{host}:19092"));
        let settings: Vec<_> = advertised.iter().map(|value| ("advertised.listeners", value.as_str())).collect();
        assert_eq!(told(&settings, peer, local), expect, "{configured:?} {peer}");
    }

    #[test]
    fn a_client_is_told_an_address_it_can_reach() {
        check(None, "127.0.0.1", "127.0.0.1:9092", "localhost:9092");
        check(None, "::1", "[::1]:9092", "localhost:9092");
        check(None, "::ffff:127.0.0.1", "[::ffff:127.0.0.1]:9092", "localhost:9092");
        check(None, "172.17.0.1", "172.17.0.2:9092", "localhost:9092");
        check(None, "::ffff:172.17.0.3", "[::ffff:172.17.0.2]:9092", "172.17.0.2:9092");
        check(None, "fd00::3", "[fd00::2]:9092", "fd00::2:9092");
    }

    #[test]
    fn what_is_configured_wins() {
        check(Some("broker"), "127.0.0.1", "127.0.0.1:9092", "broker:19092");
        check(Some("broker"), "172.17.0.3", "172.17.0.2:9092", "broker:19092");
        check(Some("localhost"), "127.0.0.1", "127.0.0.1:9092", "localhost:19092");
        check(Some("localhost"), "::ffff:172.17.0.1", "[::ffff:172.17.0.2]:9092", "localhost:19092");
    }

    #[test]
    fn nobody_else_is_sent_to_themselves() {
        for here in ["localhost", "LOCALHOST", "127.0.0.1", "127.1.2.3", "[::1]"] {
            check(Some(here), "::ffff:172.17.0.3", "[::ffff:172.17.0.2]:9092", "172.17.0.2:9092");
        }
        let settings =
            [("advertised.listeners", "PLAINTEXT://localhost:19092"), ("ottla.advertised.localhost.rewrite", "false")];
        assert_eq!(told(&settings, "172.17.0.3", "172.17.0.2:9092"), "localhost:19092");
    }

    #[test]
    fn the_gateway_is_read_from_the_route_table() {
        let table = "Iface\tDestination\tGateway \tFlags\n\
                     eth0\t000011AC\t00000000\t0001\n\
                     eth0\t00000000\t010011AC\t0003\n";
        assert_eq!(default_gateway(table), Some(Ipv4Addr::new(172, 17, 0, 1)));
        assert_eq!(default_gateway("Iface\tDestination\tGateway\n"), None);
    }
}
