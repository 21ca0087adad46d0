//! PLAIN (RFC 4616), with the checks and messages of Kafka's `PlainSaslServer`.

use ottla_config::Password;
use ring::digest;
use subtle::ConstantTimeEq;

use super::{Authenticated, Credentials, Rejection};

/// Decides on the only message of a client: `[authorization id] NUL user NUL password`.
pub(super) fn authenticate(message: &[u8], credentials: &dyn Credentials) -> Result<Authenticated, Rejection> {
    let text = String::from_utf8_lossy(message);
    let tokens: Vec<&str> = text.splitn(5, '\0').take(4).collect();
    let &[authorization_id, user, password] = tokens.as_slice() else {
        return Err(Rejection::open(format!("Invalid SASL/PLAIN response: expected 3 tokens, got {}", tokens.len())));
    };
    if user.is_empty() {
        return Err(Rejection::open("Authentication failed: username not specified"));
    }
    if password.is_empty() {
        return Err(Rejection::open("Authentication failed: password not specified").of_user(user));
    }
    let expected = credentials.plain_password(user);
    let known = expected.is_some();
    if !(matches(password, &expected.unwrap_or_default()) & known) {
        let log = if known { "wrong password" } else { "unknown user" };
        let rejection = Rejection::open("Authentication failed: Invalid username or password");
        return Err(Rejection { log: log.to_owned(), ..rejection }.of_user(user));
    }
    if !authorization_id.is_empty() && authorization_id != user {
        return Err(Rejection::open(super::OTHER_AUTHORIZATION_ID).of_user(user));
    }
    Ok(Authenticated { reply: Vec::new(), user: user.into(), by_token: false, expires: None })
}

/// Compares digests, so that the time depends neither on the place of a difference nor on the expected length.
fn matches(password: &str, expected: &Password) -> bool {
    let digest = |text: &str| digest::digest(&digest::SHA256, text.as_bytes());
    digest(password).as_ref().ct_eq(digest(expected.expose()).as_ref()).into()
}
