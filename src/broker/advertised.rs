//! Which address a client is told to come back to.
//!
//! What is configured wins. With nothing configured, the answer depends on who asks: a peer on
//! this machine, or one that comes in through a container bridge's gateway (the host, by a mapped
//! port), is told `localhost`; any other is told the very address it already reached.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::config::Advertised;

/// A host and port as metadata answers carry them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub host: String,
    pub port: u16,
}

/// The endpoint to tell a peer that connected from `peer` to `local`.
pub fn endpoint_for(
    configured: Option<&Advertised>,
    peer: IpAddr,
    local: SocketAddr,
    gateway: Option<Ipv4Addr>,
) -> Endpoint {
    let host = configured.and_then(|configured| configured.host.clone());
    let port = configured.and_then(|configured| configured.port);
    Endpoint { host: host.unwrap_or_else(|| reachable_host(peer, local, gateway)), port: port.unwrap_or(local.port()) }
}

fn reachable_host(peer: IpAddr, local: SocketAddr, gateway: Option<Ipv4Addr>) -> String {
    let peer = peer.to_canonical();
    let through_gateway = gateway.is_some_and(|gateway| peer == IpAddr::V4(gateway));
    match peer.is_loopback() || through_gateway {
        true => "localhost".to_owned(),
        false => local.ip().to_canonical().to_string(),
    }
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

    fn check(configured: Option<&str>, peer: &str, local: &str, expect: &str) {
        let configured = configured.map(|host| Advertised { host: Some(host.into()), port: Some(19092) });
        let gateway = Some(Ipv4Addr::new(172, 17, 0, 1));
        let told = endpoint_for(configured.as_ref(), peer.parse().unwrap(), local.parse().unwrap(), gateway);
        assert_eq!(format!("{}:{}", told.host, told.port), expect);
    }

    #[test]
    fn a_client_is_told_an_address_it_can_reach() {
        check(None, "127.0.0.1", "127.0.0.1:9092", "localhost:9092");
        check(None, "::1", "[::1]:9092", "localhost:9092");
        check(None, "::ffff:127.0.0.1", "[::ffff:127.0.0.1]:9092", "localhost:9092");
        check(None, "172.17.0.1", "172.17.0.2:9092", "localhost:9092");
        check(None, "::ffff:172.17.0.3", "[::ffff:172.17.0.2]:9092", "172.17.0.2:9092");
        check(None, "fd00::3", "[fd00::2]:9092", "fd00::2:9092");
        check(Some("broker"), "127.0.0.1", "127.0.0.1:9092", "broker:19092");
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
