//! Refuses the requests of web pages.
//!
//! The schema registry is meant to be reached by other programs under names such as `http://schema-registry:8081`, so the
//! rule about hosts allows more than that of the admin port:
//!
//! - IP addresses, `localhost` and `*.localhost`;
//! - names of one label. A web page has a name with a dot, so DNS rebinding cannot give it such a name, unless the local
//!   resolver adds a domain that an attacker controls;
//! - the names of this machine, and those of `ottla.registry.allowed.hosts`.
//!
//! A page of another origin can also send requests directly to one of these names. Browsers add `Origin` to all of them
//! that may change something, and those are refused. Without CORS headers, pages cannot read responses.

use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, Method, Uri};

use super::super::hosts::{host_name, is_address};

/// The reason for refusing a request; `None` if it is allowed. Requests without a host, which browsers never send, are
/// allowed.
pub(super) fn refusal(method: &Method, uri: &Uri, headers: &HeaderMap, known_hosts: &[String]) -> Option<String> {
    if headers.get_all(HOST).iter().count() > 1 {
        return Some("a request may have one header Host only".to_owned());
    }
    let host = headers.get(HOST).map(|host| host.to_str().unwrap_or("(not text)"));
    if !method.is_safe() && headers.get_all(ORIGIN).iter().any(|origin| !is_origin_of(origin.as_bytes(), host)) {
        return Some("requests from web pages of another origin (with an Origin header) are refused".to_owned());
    }
    let mut hosts = host.into_iter().chain(uri.authority().map(|authority| authority.as_str()));
    let unknown = hosts.find(|host| !is_known(host_name(host), known_hosts))?;
    Some(format!("the host \"{unknown}\" is not allowed; add it to ottla.registry.allowed.hosts"))
}

fn is_origin_of(origin: &[u8], host: Option<&str>) -> bool {
    let origin = std::str::from_utf8(origin).ok().and_then(|origin| origin.split_once("://"));
    matches!((origin, host), (Some((_, origin)), Some(host)) if origin.eq_ignore_ascii_case(host))
}

fn is_known(name: &str, known_hosts: &[String]) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_label = !name.is_empty() && !name.contains(['.', ':', '[', ']']);
    let is_localhost = name.rsplit('.').next().is_some_and(|last| last.eq_ignore_ascii_case("localhost"));
    is_label
        || is_localhost
        || is_address(name)
        || known_hosts.iter().any(|known| host_name(known).eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn is_allowed(method: &Method, uri: &'static str, host: Option<&str>, origin: Option<&str>) -> bool {
        let header = |name, value: &str| (name, HeaderValue::from_str(value).unwrap());
        let headers: HeaderMap = host
            .map(|host| header(HOST, host))
            .into_iter()
            .chain(origin.map(|origin| header(ORIGIN, origin)))
            .collect();
        refusal(method, &Uri::from_static(uri), &headers, &["registry.test".to_owned()]).is_none()
    }

    #[test]
    fn hosts_that_no_web_page_can_have_are_allowed() {
        for host in [
            "schema-registry:8081",
            "schema-registry",
            "localhost:8081",
            "LOCALHOST",
            "localhost.:1",
            "a.b.localhost:8081",
            "127.0.0.1:8081",
            "10.0.0.7",
            "[::1]:8081",
            "registry.test",
            "Registry.Test:8081",
        ] {
            for method in [Method::GET, Method::POST, Method::DELETE] {
                assert!(is_allowed(&method, "/subjects", Some(host), None), "{method} {host}");
            }
        }
        assert!(is_allowed(&Method::POST, "/", None, None));
    }

    #[test]
    fn other_hosts_are_refused() {
        for host in ["", "evil.test", "evil.test:8081", "localhost.evil.test", "127.0.0.1.evil.test", "::1", "[::1"] {
            for method in [Method::GET, Method::POST] {
                assert!(!is_allowed(&method, "/subjects", Some(host), None), "{method} {host}");
            }
        }
        assert!(!is_allowed(&Method::GET, "http://evil.test/subjects", Some("localhost"), None));
    }

    #[test]
    fn changes_with_another_origin_are_refused() {
        let host = Some("localhost:8081");
        for origin in ["http://evil.test", "null", "http://localhost:3000", "http://localhost"] {
            assert!(!is_allowed(&Method::POST, "/subjects/s/versions", host, Some(origin)), "{origin}");
            assert!(is_allowed(&Method::GET, "/subjects", host, Some(origin)), "{origin}");
        }
        assert!(is_allowed(&Method::PUT, "/config", host, Some("http://localhost:8081")));
    }
}
