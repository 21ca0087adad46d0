//! The token that requests need.

use std::fmt;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use ring::digest::{Digest, SHA256, digest};
use subtle::ConstantTimeEq as _;

use ottla_config::Password;

/// A token, as its hash: so the time of a comparison does not depend on the token's length either.
#[derive(Clone)]
pub struct AccessToken(Digest);

impl AccessToken {
    pub fn new(token: &Password) -> AccessToken {
        AccessToken(digest(&SHA256, token.expose().as_bytes()))
    }

    /// Whether the header `Authorization` has the token (RFC 6750).
    pub fn admits(&self, headers: &HeaderMap) -> bool {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return false };
        let Some((scheme, token)) = value.as_bytes().split_at_checked(SCHEME.len()) else { return false };
        scheme.eq_ignore_ascii_case(SCHEME)
            && digest(&SHA256, token.trim_ascii()).as_ref().ct_eq(self.0.as_ref()).into()
    }
}

const SCHEME: &[u8] = b"Bearer ";

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Password::HIDDEN)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn header_with_the_token_alone_is_admitted() {
        let token = AccessToken::new(&Password::new("secret"));
        let check = |values: &[&'static str], expect: bool| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, HeaderValue::from_static(value));
            }
            assert_eq!(token.admits(&headers), expect, "{values:?}");
        };
        check(&["Bearer secret"], true);
        check(&["bearer secret"], true);
        check(&[], false);
        check(&["secret"], false);
        check(&["Bearer"], false);
        check(&["Bearer "], false);
        check(&["Bearer secre"], false);
        check(&["Bearer secrets"], false);
        check(&["Basic secret"], false);
        check(&["Bearer wrong", "Bearer secret"], false);
        assert_eq!(format!("{token:?}"), "[hidden]");
    }
}
