//! The host of requests.

use std::net::{Ipv4Addr, Ipv6Addr};

use axum::http::header::HOST;
use axum::http::{HeaderMap, Uri};

/// The reason for refusing a request's host: one that is not this machine's, `localhost`, an IP address or in the setting of
/// this name. Requests without a host, which browsers never send, are allowed.
pub(super) fn refusal(uri: &Uri, headers: &HeaderMap, known_hosts: &[String], setting: &str) -> Option<String> {
    if headers.get_all(HOST).iter().count() > 1 {
        return Some("a request may have one header Host only".to_owned());
    }
    let host = headers.get(HOST).map(|host| host.to_str().unwrap_or("(not text)"));
    let mut hosts = host.into_iter().chain(uri.authority().map(|authority| authority.as_str()));
    let unknown = hosts.find(|host| !is_known(host_name(host), known_hosts))?;
    Some(format!("the host \"{unknown}\" is not allowed; add it to {setting}"))
}

fn is_known(name: &str, known_hosts: &[String]) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    is_address(name)
        || name.eq_ignore_ascii_case("localhost")
        || known_hosts.iter().any(|known| host_name(known).eq_ignore_ascii_case(name))
}

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
