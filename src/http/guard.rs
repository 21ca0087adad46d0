//! Keeps web pages from changing anything.
//!
//! A page that someone reads can have the browser send requests to this machine. It cannot do so without an `Origin`
//! (but for old forms), cannot add a header of its own without asking first (and nobody here says yes), and where it
//! had its own host name lead here (DNS rebinding), that name stands in `Host`.

use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, Method};

/// The header that a request for a change must have; any value will do.
pub const HEADER: &str = "x-ottla-admin";

/// The names that lead to this machine alone.
const OWN_HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Why a request is refused: one plain sentence, or `None` where it is not.
pub(super) fn refusal(method: &Method, headers: &HeaderMap, known_hosts: &[String]) -> Option<String> {
    if method.is_safe() {
        return None;
    }
    if headers.contains_key(ORIGIN) {
        return Some("requests of web pages (with an Origin header) are refused".to_owned());
    }
    if !headers.contains_key(HEADER) {
        return Some("a request for a change needs the header X-Ottla-Admin: 1".to_owned());
    }
    if headers.get_all(HOST).iter().count() > 1 {
        return Some("a request has one Host".to_owned());
    }
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if !is_known(host_name(host), known_hosts) {
        return Some(format!("the host \"{host}\" is not known; ottla.admin.allowed.hosts makes it so"));
    }
    None
}

fn is_known(name: &str, known_hosts: &[String]) -> bool {
    let mut known = OWN_HOSTS.into_iter().chain(known_hosts.iter().map(String::as_str));
    known.any(|known| known.eq_ignore_ascii_case(name))
}

/// `host[:port]` without the port; an IPv6 address keeps its brackets.
fn host_name(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    /// Whether a POST with these headers, and `X-Ottla-Admin` among them, is let in.
    #[track_caller]
    fn check(headers: &[(&str, &str)], expect: bool) {
        let header = |(name, value): &(&str, &str)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
        };
        let headers: HeaderMap = headers.iter().map(header).collect();
        let refusal = refusal(&Method::POST, &headers, &["kafka".to_owned()]);
        assert_eq!(refusal.is_none(), expect, "{refusal:?}");
    }

    #[test]
    fn hosts_of_this_machine_are_known_with_and_without_a_port() {
        for host in ["localhost", "LOCALHOST:9644", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:9644", "kafka:9644"] {
            check(&[("x-ottla-admin", "1"), ("host", host)], true);
        }
    }

    #[test]
    fn other_hosts_are_not() {
        for host in ["", "evil.test", "evil.test:9644", "localhost.evil.test", "127.0.0.1.evil.test", "::1", "[::1"] {
            check(&[("x-ottla-admin", "1"), ("host", host)], false);
        }
        check(&[("x-ottla-admin", "1")], false);
    }

    #[test]
    fn a_web_page_is_refused_whatever_else_it_says() {
        check(&[("host", "localhost")], false);
        check(&[("x-ottla-admin", "1"), ("host", "localhost"), ("origin", "http://localhost:9644")], false);
        check(&[("x-ottla-admin", "1"), ("host", "localhost"), ("origin", "null")], false);
    }

    #[test]
    fn asking_is_free() {
        assert_eq!(refusal(&Method::GET, &HeaderMap::new(), &[]), None);
        assert!(refusal(&Method::DELETE, &HeaderMap::new(), &[]).is_some());
        assert!(refusal(&Method::PUT, &HeaderMap::new(), &[]).is_some());
    }
}
