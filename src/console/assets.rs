//! The files of the console's pages, which are part of the program.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use axum::routing::get;
use ring::digest::{SHA256, digest};

use crate::value::hex;

/// Only files of this port are loaded, no script of a page itself is run, and no other page contains this one.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
                      frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
/// The characters of a hash in an entity tag.
const TAG_LENGTH: usize = 16;

struct Asset {
    path: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
}

macro_rules! assets {
    ($($path:literal as $content_type:ident),* $(,)?) => {
        &[$(Asset {
            path: concat!("/console/", $path),
            content_type: $content_type,
            bytes: include_bytes!(concat!("web/", $path)),
        }),*]
    };
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

const ASSETS: &[Asset] = assets![
    "index.html" as HTML,
    "style.css" as CSS,
    "icon.svg" as SVG,
    "app.js" as SCRIPT,
    "api.js" as SCRIPT,
    "dom.js" as SCRIPT,
    "format.js" as SCRIPT,
    "cluster.js" as SCRIPT,
    "topics.js" as SCRIPT,
    "topic.js" as SCRIPT,
    "records.js" as SCRIPT,
    "produce.js" as SCRIPT,
    "configs.js" as SCRIPT,
    "groups.js" as SCRIPT,
    "group.js" as SCRIPT,
    "schemas.js" as SCRIPT,
    "transactions.js" as SCRIPT,
    "clients.js" as SCRIPT,
    "security.js" as SCRIPT,
    "log.js" as SCRIPT,
    "trace.js" as SCRIPT,
];

/// The routes under `/console/`.
pub fn routes() -> Router {
    let mut routes = Router::new().route("/console", get(redirect)).route("/console/", get(index));
    for asset in ASSETS {
        routes = routes.route(asset.path, get(move |headers: HeaderMap| async move { asset.response(&headers) }));
    }
    routes.layer(axum::middleware::map_response(with_security_headers))
}

async fn redirect() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    response.headers_mut().insert(LOCATION, HeaderValue::from_static("/console/"));
    response
}

async fn index(headers: HeaderMap) -> Response {
    match ASSETS.first() {
        Some(index) => index.response(&headers),
        None => Response::default(),
    }
}

impl Asset {
    fn response(&self, headers: &HeaderMap) -> Response {
        let tag = hex(digest(&SHA256, self.bytes).as_ref());
        let tag = format!("\"{}\"", tag.get(..TAG_LENGTH).unwrap_or_default());
        let is_known = headers.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
        let body = if is_known { Body::empty() } else { Body::from(Bytes::from_static(self.bytes)) };
        let mut response = Response::new(body);
        if is_known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            headers.insert(ETAG, tag);
        }
        response
    }
}

/// Adds what forbids browsers to do more with a response than the console needs.
pub async fn with_security_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the program grows by for the pages.
    const MAX_BYTES: usize = 300 << 10;

    #[test]
    fn assets_are_small_and_pages_have_no_inline_scripts_or_styles() {
        let total: usize = ASSETS.iter().map(|asset| asset.bytes.len()).sum();
        assert!(total < MAX_BYTES, "{total}");
        for asset in ASSETS {
            let text = std::str::from_utf8(asset.bytes).unwrap();
            for refused in
                ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "http://", "https://"]
            {
                let allowed = text.replace("http://www.w3.org/2000/svg", "");
                assert!(!allowed.contains(refused), "{}: {refused}", asset.path);
            }
            if asset.content_type == HTML {
                assert!(!text.contains(" style=") && !text.contains("<style") && !text.contains(" onclick="));
                assert!(text.matches("<script").count() == text.matches("<script type=\"module\" src=").count());
            }
        }
    }

    #[test]
    fn every_file_that_a_module_imports_is_an_asset() {
        for asset in ASSETS.iter().filter(|asset| asset.content_type == SCRIPT) {
            let text = std::str::from_utf8(asset.bytes).unwrap();
            for line in text.lines().filter(|line| line.starts_with("import ")) {
                let file = line.rsplit("\"./").next().unwrap().trim_end_matches("\";");
                let path = format!("/console/{file}");
                assert!(ASSETS.iter().any(|asset| asset.path == path), "{}: {line}", asset.path);
            }
        }
    }
}
