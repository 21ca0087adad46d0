//! Users with passwords: basic authentication (RFC 7617).

use std::fmt;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{Digest, SHA256, digest};
use subtle::ConstantTimeEq as _;

use ottla_config::{Password, User};

/// The credentials of users, as hashes: so the time of a comparison depends neither on names nor on passwords.
#[derive(Clone)]
pub struct BasicUsers {
    users: Vec<Digest>,
}

impl BasicUsers {
    pub fn new(users: &[User]) -> BasicUsers {
        let credential = |user: &User| digest(&SHA256, format!("{}:{}", user.name, user.password.expose()).as_bytes());
        BasicUsers { users: users.iter().map(credential).collect() }
    }

    /// Whether the header `Authorization` has the name and password of a user.
    pub fn admit(&self, headers: &HeaderMap) -> bool {
        let Some(credential) = credential(headers) else { return false };
        let given = digest(&SHA256, &credential);
        // All users are compared.
        let matches = self.users.iter().map(|user| user.as_ref().ct_eq(given.as_ref()).unwrap_u8());
        matches.fold(0, |any, one| any | one) == 1
    }
}

const SCHEME: &[u8] = b"Basic ";

/// The name and password in the header `Authorization`.
pub fn credentials(headers: &HeaderMap) -> Option<(String, Password)> {
    let text = String::from_utf8(credential(headers)?).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((name.to_owned(), Password::new(password)))
}

/// What the header `Authorization` has encoded: `name:password`.
fn credential(headers: &HeaderMap) -> Option<Vec<u8>> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, encoded) = value.as_bytes().split_at_checked(SCHEME.len())?;
    let is_basic = scheme.eq_ignore_ascii_case(SCHEME);
    STANDARD.decode(encoded.trim_ascii()).ok().filter(|_| is_basic)
}

impl fmt::Debug for BasicUsers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Password::HIDDEN)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn header_with_the_credentials_of_one_user_is_admitted() {
        let user = |name: &str, password| User { name: name.to_owned(), password: Password::new(password) };
        let users = BasicUsers::new(&[user("ann", "se:cret"), user("bob", "other")]);
        let check = |values: &[&str], expect: bool| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
            }
            assert_eq!(users.admit(&headers), expect, "{values:?}");
        };
        let basic = |credential: &str| format!("Basic {}", STANDARD.encode(credential));
        check(&[&basic("ann:se:cret")], true);
        check(&[&basic("bob:other").replace("Basic", "basic")], true);
        for credential in ["ann:other", "ann:", "ann", "", ":", "bob:se:cret", "ann:se:cret "] {
            check(&[&basic(credential)], false);
        }
        check(&[], false);
        check(&["Basic"], false);
        check(&["Basic !"], false);
        check(&["Bearer se:cret"], false);
        check(&[&basic("ann:se:cret"), &basic("ann:se:cret")], false);
        assert_eq!(format!("{users:?}"), "[hidden]");
    }
}
