//! The host of requests.

use std::net::{Ipv4Addr, Ipv6Addr};

/// `host[:port]` without the port; an IPv6 address keeps its brackets.
pub(super) fn host_name(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Whether a host is an IP address. These need no check: DNS rebinding needs a name.
pub(super) fn is_address(name: &str) -> bool {
    name.parse::<Ipv4Addr>().is_ok()
        || name
            .strip_prefix('[')
            .and_then(|name| name.strip_suffix(']'))
            .is_some_and(|name| name.parse::<Ipv6Addr>().is_ok())
}
