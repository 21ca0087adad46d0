//! The routes of the OIDC issuer: discovery, keys, and tokens for the client credentials grant (RFC 6749, section 4.4).

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::Response;
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::super::listener::{Caller, respond};
use super::MAX_BODY;
use crate::log_rate_limiter::{LogRateLimiter, log_limited};
use crate::secure::issuer::{Grant, Issuer};

pub(super) const DISCOVERY: &str = "/.well-known/openid-configuration";
pub(super) const KEYS: &str = "/oauth/jwks";
pub(super) const TOKEN: &str = "/oauth/token";

/// State of the routes.
pub(super) struct Oidc {
    pub issuer: Issuer,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// The URL for requests without a host.
    pub url: String,
    pub limiter: Arc<LogRateLimiter>,
}

/// The routes.
pub(super) fn routes(oidc: Arc<Oidc>) -> Router {
    Router::new().route(DISCOVERY, get(discovery)).route(KEYS, get(keys)).route(TOKEN, post(token)).with_state(oidc)
}

impl Oidc {
    /// The issuer's URL, as the client reached it.
    fn url(&self, uri: &Uri, headers: &HeaderMap) -> String {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        match host.or(uri.authority().map(|authority| authority.as_str())) {
            Some(host) => format!("{}://{host}", self.scheme),
            None => self.url.clone(),
        }
    }
}

async fn discovery(State(oidc): State<Arc<Oidc>>, uri: Uri, headers: HeaderMap) -> Response {
    let url = oidc.url(&uri, &headers);
    let document = json!({
        "issuer": url,
        "token_endpoint": format!("{url}{TOKEN}"),
        "jwks_uri": format!("{url}{KEYS}"),
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": ["token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
    });
    respond(StatusCode::OK, &document)
}

async fn keys(State(oidc): State<Arc<Oidc>>) -> Response {
    respond(StatusCode::OK, &oidc.issuer.keys())
}

async fn token(State(oidc): State<Arc<Oidc>>, ConnectInfo(caller): ConnectInfo<Caller>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let url = oidc.url(&head.uri, &head.headers);
    let form = match form(&head.headers, body).await {
        Ok(form) => form,
        Err(why) => return error(StatusCode::BAD_REQUEST, "invalid_request", why),
    };
    let field = |name: &str| form.iter().find(|(found, _)| found == name).map(|(_, value)| value.clone());
    let credentials = basic(&head.headers).or_else(|| Some((field("client_id")?, field("client_secret")?)));
    let admitted = credentials.and_then(|(user, password)| admitted(&oidc.issuer, user, &password));
    let Some(user) = admitted else {
        let why = "the client id and secret are not those of a user of ottla.users";
        log_limited!(
            WARN, oidc.limiter, caller.peer.ip(), "refused token requests",
            client = %caller.peer, reason = why, "refused a token request"
        );
        let mut response = error(StatusCode::UNAUTHORIZED, "invalid_client", why);
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic"));
        return response;
    };
    if field("grant_type").as_deref() != Some("client_credentials") {
        return error(StatusCode::BAD_REQUEST, "unsupported_grant_type", "the grant_type is client_credentials");
    }
    let expires_in = match field("expires_in").map(|seconds| seconds.parse()).transpose() {
        Ok(expires_in) => expires_in,
        Err(_) => return error(StatusCode::BAD_REQUEST, "invalid_request", "expires_in is not a number of seconds"),
    };
    let grant = Grant { user, issuer: url, audience: field("audience"), scope: field("scope"), expires_in };
    match oidc.issuer.token(grant) {
        Ok(token) => respond(
            StatusCode::OK,
            &json!({
                "access_token": token.text,
                "token_type": "Bearer",
                "expires_in": token.expires_in,
                "scope": token.scope,
            }),
        ),
        Err(why) => error(StatusCode::INTERNAL_SERVER_ERROR, "server_error", &why),
    }
}

/// The user, if the password is right.
fn admitted(issuer: &Issuer, user: String, password: &str) -> Option<String> {
    if issuer.admits(&user, password) {
        return Some(user);
    }
    // RFC 6749 demands that both are form-encoded in the header; most clients don't do so.
    let (user, password) = (decode(&user), decode(password));
    issuer.admits(&user, &password).then_some(user)
}

/// An error in the form of RFC 6749.
fn error(status: StatusCode, code: &str, description: &str) -> Response {
    respond(status, &json!({"error": code, "error_description": description}))
}

/// The user and password of the header `Authorization: Basic`.
fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let (scheme, encoded) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let decoded = STANDARD.decode(encoded.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let (user, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// The fields of a form.
async fn form(headers: &HeaderMap, body: Body) -> Result<Vec<(String, String)>, &'static str> {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("application/x-www-form-urlencoded") {
        return Err("the Content-Type is not application/x-www-form-urlencoded");
    }
    let body = to_bytes(body, MAX_BODY).await.map_err(|_| "the body is incomplete")?;
    let text = std::str::from_utf8(&body).map_err(|_| "the body is not text")?;
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    Ok(pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(a, b)| (decode(a), decode(b))).collect())
}

/// Decodes a form's text; what is not encoded correctly is kept.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let hex = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        match (first, after.split_at_checked(2)) {
            (b'+', _) => bytes.push(b' '),
            (b'%', Some((pair, after))) if pair.iter().all(u8::is_ascii_hexdigit) => {
                bytes.extend(hex(pair));
                rest = after;
            }
            (other, _) => bytes.push(*other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form_text_is_decoded() {
        for (text, expect) in [("a+b%20c", "a b c"), ("%c3%BC", "ü"), ("100%", "100%"), ("%+1", "% 1"), ("", "")] {
            assert_eq!(decode(text), expect, "{text}");
        }
    }

    #[test]
    fn basic_credentials_are_split_at_the_first_colon() {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Basic YTpiOmM="));
        assert_eq!(basic(&headers), Some(("a".to_owned(), "b:c".to_owned())));
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer YTpiOmM="));
        assert_eq!(basic(&headers), None);
    }
}
