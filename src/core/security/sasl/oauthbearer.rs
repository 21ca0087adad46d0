//! OAUTHBEARER (RFC 7628), with the rules of Kafka's `OAuthBearerSaslServer`.
//!
//! A rejected token is answered with a JSON text. The client acknowledges it, and only then the authentication fails, with
//! the same text.

use ottla_config::Password;
use ottla_wire::codec::Str;
use ottla_wire::types::TimestampMs;

use super::{Authenticated, Credentials, Rejection, Step};

const SEPARATOR: char = '\u{1}';

/// A bearer token that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BearerToken {
    /// The user that the token stands for.
    pub user: Str,
    pub expires: TimestampMs,
}

/// A bearer token that was not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BearerRejection {
    /// The token is invalid or insufficient; the client gets `status`, and the scope that it needs.
    Invalid { status: &'static str, scope: Option<String>, log: String },
    /// The token could not be checked, for example because the issuer's keys are not known.
    NotChecked { log: String },
}

impl BearerRejection {
    pub const INVALID_TOKEN: &'static str = "invalid_token";
    pub const INSUFFICIENT_SCOPE: &'static str = "insufficient_scope";

    pub fn invalid_token(log: impl Into<String>) -> BearerRejection {
        BearerRejection::Invalid { status: BearerRejection::INVALID_TOKEN, scope: None, log: log.into() }
    }
}

/// A rejected token, whose rejection the client has yet to acknowledge.
#[derive(Debug)]
pub(super) struct Rejected {
    json: String,
    log: String,
}

/// Answers the client's first message. Returns the rejection that the client has to acknowledge, if there is one.
pub(super) fn authenticate(
    message: &[u8],
    credentials: &dyn Credentials,
    now: TimestampMs,
) -> Result<(Step, Option<Rejected>), Rejection> {
    let first = ClientFirst::parse(message).map_err(Rejection::silent)?;
    let token = match credentials.bearer_token(first.token.expose(), now) {
        Ok(token) => token,
        Err(BearerRejection::Invalid { status, scope, log }) => {
            let json = error_json(status, scope.as_deref());
            return Ok((Step::Continue(json.clone().into_bytes()), Some(Rejected { json, log })));
        }
        Err(BearerRejection::NotChecked { log }) => return Err(Rejection::silent(log)),
    };
    if !first.authorization_id.is_empty() && *first.authorization_id != *token.user {
        let message = format!(
            "Authentication failed: Client requested an authorization id ({}) that is different from the token's principal \
             name ({})",
            first.authorization_id, token.user
        );
        return Err(Rejection::open(message).of_user(&token.user));
    }
    let done = Authenticated { reply: Vec::new(), user: token.user, by_token: false, expires: Some(token.expires) };
    Ok((Step::Done(done), None))
}

impl Rejected {
    /// Ends the exchange, whatever the client sent.
    pub fn end(self) -> Rejection {
        Rejection { message: Some(self.json), log: self.log, user: None }
    }
}

fn error_json(status: &str, scope: Option<&str>) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let scope = scope.map(|scope| format!(", \"scope\":{}", quoted(scope))).unwrap_or_default();
    format!("{{\"status\":{}{scope}}}", quoted(status))
}

/// The client's first message: `n,[a=authorization id],^Aauth=Bearer token^A[extension=value^A…]^A`.
#[derive(Debug)]
struct ClientFirst<'a> {
    authorization_id: &'a str,
    token: Password,
}

impl<'a> ClientFirst<'a> {
    fn parse(message: &'a [u8]) -> Result<ClientFirst<'a>, &'static str> {
        const INVALID: &str = "invalid OAUTHBEARER client first message";
        let text = std::str::from_utf8(message).map_err(|_| INVALID)?;
        let (authorization_id, pairs) =
            text.strip_prefix("n,").and_then(|rest| rest.split_once(",\u{1}")).ok_or(INVALID)?;
        let authorization_id = match authorization_id {
            "" => "",
            given => given.strip_prefix("a=").filter(|name| is_sasl_name(name)).ok_or(INVALID)?,
        };
        let pairs = pairs.strip_suffix(SEPARATOR).ok_or(INVALID)?;
        let mut auth = None;
        for pair in pairs.split_terminator(SEPARATOR) {
            let (key, value) = pair.split_once('=').ok_or(INVALID)?;
            if !is_key(key) || !is_value(value) {
                return Err(INVALID);
            }
            if key == "auth" {
                auth = Some(value);
            }
        }
        if !pairs.is_empty() && !pairs.ends_with(SEPARATOR) {
            return Err(INVALID);
        }
        let auth = auth.ok_or("invalid OAUTHBEARER client first message: 'auth' is not specified")?;
        let (scheme, token) =
            auth.split_once(' ').ok_or("invalid OAUTHBEARER client first message: invalid format of 'auth'")?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err("invalid OAUTHBEARER client first message: the scheme of 'auth' is not Bearer");
        }
        let token = token.trim_start_matches(' ');
        if !is_token(token) {
            return Err("invalid OAUTHBEARER client first message: invalid format of the token");
        }
        Ok(ClientFirst { authorization_id, token: Password::new(token) })
    }
}

fn is_key(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphabetic())
}

fn is_value(text: &str) -> bool {
    let valid = |byte: u8| byte.is_ascii_graphic() || matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    !text.is_empty() && text.bytes().all(valid)
}

/// A name in which commas and equals signs are escaped.
fn is_sasl_name(text: &str) -> bool {
    let mut parts = text.split('=');
    let plain = |part: &str| part.bytes().all(|byte| matches!(byte, 1..=0x7f) && byte != b',');
    let first = parts.next().unwrap_or_default();
    !text.is_empty()
        && plain(first)
        && parts.all(|part| (part.starts_with("2C") || part.starts_with("3D")) && plain(part))
}

fn is_token(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-_~+/.".contains(&byte);
    !body.is_empty() && body.bytes().all(valid)
}
