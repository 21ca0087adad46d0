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
    realm: &'static str,
    users: Vec<Digest>,
}

impl BasicUsers {
    pub fn new(realm: &'static str, users: &[User]) -> BasicUsers {
        let credential = |user: &User| digest(&SHA256, format!("{}:{}", user.name, user.password.expose()).as_bytes());
        BasicUsers { realm, users: users.iter().map(credential).collect() }
    }

    /// The value of the header `WWW-Authenticate`.
    pub fn challenge(&self) -> String {
        format!("Basic realm=\"{}\"", self.realm)
    }

    /// Whether the header `Authorization` has the name and password of a user.
    pub fn admit(&self, headers: &HeaderMap) -> bool {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return false };
        let Some((scheme, encoded)) = value.as_bytes().split_at_checked(SCHEME.len()) else { return false };
        let Ok(credential) = STANDARD.decode(encoded.trim_ascii()) else { return false };
        let given = digest(&SHA256, &credential);
        // All users are compared.
        let matches = self.users.iter().map(|user| user.as_ref().ct_eq(given.as_ref()).unwrap_u8());
        scheme.eq_ignore_ascii_case(SCHEME) && matches.fold(0, |any, one| any | one) == 1
    }
}

const SCHEME: &[u8] = b"Basic ";

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
        let users = BasicUsers::new("test", &[user("ann", "se:cret"), user("bob", "other")]);
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
        assert_eq!((format!("{users:?}").as_str(), users.challenge().as_str()), ("[hidden]", "Basic realm=\"test\""));
    }
}
