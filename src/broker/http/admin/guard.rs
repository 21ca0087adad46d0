//! Refuses the requests of web pages.
//!
//! A web page can make a browser send requests to this machine, with three restrictions. Requests for changes carry
//! an `Origin` (except those of old forms). A custom header needs a CORS preflight request, which is refused here.
//! And if the page's own host name resolves to this machine (DNS rebinding), `Host` contains that name: so only known
//! names are allowed. IP addresses are allowed, because DNS rebinding needs a name.
//!
//! The console is a web page of this port: its requests to the API may have the `Origin` of this port, and no other. What
//! browsers send for pages of other sites is recognized by `Sec-Fetch-Site` too.

use axum::http::header::{CONTENT_TYPE, HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderValue, Method, Uri};

use super::super::hosts::{host_name, is_address};
use super::oidc::TOKEN;
use super::redpanda::USERS;

/// The header required of requests for changes, with any value.
pub const HEADER: &str = "x-ottla-admin";
/// Where the console's API begins.
const API: &str = "/api/";
/// How a browser says which site's page a request is for.
const FETCH_SITE: &str = "sec-fetch-site";

/// The setting that allows further hosts.
pub(super) const ALLOWED_HOSTS: &str = "ottla.admin.allowed.hosts";

/// The reason for refusing a request; `None` if it is allowed.
/// `scheme` is the one of this port.
pub(super) fn refusal(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    known_hosts: &[String],
    scheme: &str,
) -> Option<String> {
    if uri.path().starts_with(API) && is_of_other_site(headers, scheme) {
        return Some("requests from web pages of other sites are refused".to_owned());
    }
    if matches!(*method, Method::GET | Method::HEAD) && uri.path() == "/health" {
        return None;
    }
    if !method.is_safe() {
        if headers.contains_key(ORIGIN) && !uri.path().starts_with(API) {
            return Some("requests from web pages (with an Origin header) are refused".to_owned());
        }
        if !headers.contains_key(HEADER) && !needs_no_header(method, uri, headers) {
            return Some("a request that changes something needs the header X-Ottla-Admin: 1".to_owned());
        }
        if !headers.contains_key(HOST) {
            return Some("a request that changes something needs the header Host".to_owned());
        }
    }
    host_refusal(uri, headers, known_hosts, ALLOWED_HOSTS)
}

/// Whether a request for a change needs no header of ours: clients of the OIDC issuer authenticate, and those of Redpanda's
/// admin API send JSON, or use methods of which no web page can make use, either, without a CORS preflight request.
fn needs_no_header(method: &Method, uri: &Uri, headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let is_of_users = uri.path().strip_prefix(USERS).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    uri.path() == TOKEN
        || is_of_users
            && (matches!(*method, Method::PUT | Method::DELETE) || kind.eq_ignore_ascii_case("application/json"))
}

/// Whether a browser sent the request for a page of another site.
fn is_of_other_site(headers: &HeaderMap, scheme: &str) -> bool {
    let is_own = |origin: &HeaderValue| {
        let host = origin.as_bytes().strip_prefix(scheme.as_bytes()).and_then(|rest| rest.strip_prefix(b"://"));
        host.zip(headers.get(HOST)).is_some_and(|(origin, host)| origin.eq_ignore_ascii_case(host.as_bytes()))
    };
    let may_be_sent = |site: &HeaderValue| site == "same-origin" || site == "none";
    !headers.get_all(ORIGIN).iter().all(is_own) || !headers.get_all(FETCH_SITE).iter().all(may_be_sent)
}

/// The reason for refusing a request's host. Requests without a host, which browsers never send, are allowed. `setting`
/// is the one that allows further names.
pub(in crate::http) fn host_refusal(
    uri: &Uri,
    headers: &HeaderMap,
    known_hosts: &[String],
    setting: &str,
) -> Option<String> {
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

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    /// Checks whether a POST with these headers is allowed.
    #[track_caller]
    fn check(headers: &[(&str, &str)], expect: bool) {
        check_at(&Method::POST, "/reset", headers, expect);
    }

    #[track_caller]
    fn check_at(method: &Method, path: &'static str, headers: &[(&str, &str)], expect: bool) {
        let header = |(name, value): &(&str, &str)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
        };
        let headers: HeaderMap = headers.iter().map(header).collect();
        let refusal = refusal(method, &Uri::from_static(path), &headers, &["kafka".to_owned()], "http");
        assert_eq!(refusal.is_none(), expect, "{refusal:?}");
    }

    #[test]
    fn post_to_host_of_this_machine_is_allowed_with_and_without_port() {
        for host in [
            "localhost",
            "LOCALHOST:9644",
            "127.0.0.1",
            "127.0.0.1:1",
            "[::1]",
            "[::1]:9644",
            "kafka:9644",
            "localhost.:1",
        ] {
            check(&[("x-ottla-admin", "1"), ("host", host)], true);
        }
    }

    #[test]
    fn post_to_ip_address_is_allowed() {
        for host in ["10.0.0.7:9644", "192.168.1.2", "[fe80::7]:9644", "[2001:db8::1]"] {
            check(&[("x-ottla-admin", "1"), ("host", host)], true);
        }
    }

    #[test]
    fn post_to_unknown_host_is_refused() {
        for host in ["", "evil.test", "evil.test:9644", "localhost.evil.test", "127.0.0.1.evil.test", "::1", "[::1"] {
            check(&[("x-ottla-admin", "1"), ("host", host)], false);
        }
        check(&[("x-ottla-admin", "1")], false);
    }

    #[test]
    fn post_from_web_page_is_refused() {
        check(&[("host", "localhost")], false);
        check(&[("x-ottla-admin", "1"), ("host", "localhost"), ("origin", "http://localhost:9644")], false);
        check(&[("x-ottla-admin", "1"), ("host", "localhost"), ("origin", "null")], false);
    }

    #[test]
    fn request_to_the_api_is_allowed_for_pages_of_this_port_only() {
        let (admin, host) = (("x-ottla-admin", "1"), ("host", "localhost:9644"));
        for method in [Method::GET, Method::POST, Method::PATCH, Method::DELETE] {
            for (added, expect) in [
                (("accept", "*/*"), true),
                (("origin", "http://localhost:9644"), true),
                (("origin", "https://localhost:9644"), false),
                (("origin", "http://localhost:9645"), false),
                (("origin", "http://localhost"), false),
                (("origin", "http://evil.test"), false),
                (("origin", "null"), false),
                (("sec-fetch-site", "same-origin"), true),
                (("sec-fetch-site", "none"), true),
                (("sec-fetch-site", "same-site"), false),
                (("sec-fetch-site", "cross-site"), false),
            ] {
                check_at(&method, "/api/v1/topics", &[admin, host, added], expect);
            }
        }
        check_at(&Method::POST, "/api/v1/topics", &[host, ("origin", "http://localhost:9644")], false);
        check_at(&Method::GET, "/api/v1/topics", &[("host", "evil.test"), ("origin", "http://evil.test")], false);
    }

    /// Checks whether a GET is allowed.
    #[track_caller]
    fn check_get(uri: &'static str, host: Option<&'static str>, expect: bool) {
        let headers = host.map(|host| (HOST, HeaderValue::from_static(host))).into_iter().collect();
        let refusal = refusal(&Method::GET, &Uri::from_static(uri), &headers, &["kafka".to_owned()], "http");
        assert_eq!(refusal.is_none(), expect, "{uri} {host:?}: {refusal:?}");
    }

    #[test]
    fn get_of_health_is_allowed_for_any_host_and_others_for_known_hosts() {
        for host in [None, Some("localhost:9644"), Some("10.0.0.7"), Some("kafka")] {
            check_get("/ready", host, true);
        }
        check_get("/ready", Some("evil.test"), false);
        check_get("/", Some("evil.test"), false);
        check_get("/HEALTH", Some("evil.test"), false);
        check_get("/health", Some("evil.test"), true);
        check_get("http://evil.test/ready", Some("localhost"), false);
        check_get("http://localhost:9644/ready", Some("localhost:9644"), true);
    }

    #[test]
    fn change_of_users_needs_json_or_a_method_that_web_pages_cannot_use() {
        let check = |method: Method, path: &'static str, kind: Option<&'static str>, expect: bool| {
            let mut headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static("localhost"))]);
            headers.extend(kind.map(|kind| (CONTENT_TYPE, HeaderValue::from_static(kind))));
            let allowed = refusal(&method, &Uri::from_static(path), &headers, &[], "http").is_none();
            assert_eq!(allowed, expect, "{method} {path} {kind:?}");
            headers.insert(ORIGIN, HeaderValue::from_static("http://localhost"));
            assert!(
                refusal(&method, &Uri::from_static(path), &headers, &[], "http").is_some(),
                "{method} {path} {kind:?}"
            );
        };
        check(Method::POST, "/v1/security/users", Some("application/json"), true);
        check(Method::POST, "/v1/security/users", Some("Application/JSON; charset=utf-8"), true);
        check(Method::POST, "/v1/security/users", Some("text/plain"), false);
        check(Method::POST, "/v1/security/users", None, false);
        check(Method::POST, "/v1/security/usersx", Some("application/json"), false);
        check(Method::POST, "/reset", Some("application/json"), false);
        check(Method::PUT, "/v1/security/users/ann", None, true);
        check(Method::DELETE, "/v1/security/users/ann", None, true);
        check(Method::DELETE, "/topics", None, false);
    }

    #[test]
    fn unsafe_methods_need_the_conditions_of_a_change() {
        for method in [Method::DELETE, Method::PUT, Method::POST, Method::PATCH] {
            let refusal = refusal(&method, &Uri::from_static("/health"), &HeaderMap::new(), &[], "http");
            assert!(refusal.is_some(), "{method}");
        }
    }
}
