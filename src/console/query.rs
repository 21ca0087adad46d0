//! The query of a request's URL.

use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::error::{ApiError, Result};

/// Parameters by name, decoded.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    pub fn parse(text: &str) -> Result<Query> {
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(name)?, decode(value)?))
        });
        Ok(Query(pairs.collect::<Result<_>>()?))
    }

    /// Refuses parameters with other names, and names that occur twice.
    pub fn only(&self, known: &[&str]) -> Result<()> {
        for (index, (name, _)) in self.0.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                let known = known.join(", ");
                return Err(ApiError::invalid(format!("unknown parameter {name}; the parameters are {known}")));
            }
            if self.0.iter().take(index).any(|(earlier, _)| earlier == name) {
                return Err(ApiError::invalid(format!("the parameter {name} occurs twice")));
            }
        }
        Ok(())
    }

    /// A parameter's value; an empty one counts as missing, because forms send it.
    pub fn text(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    pub fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>> {
        let parse = |value: &str| value.trim().parse();
        let parsed = self.text(name).map(parse).transpose();
        parsed.map_err(|_| ApiError::invalid(format!("the parameter {name} is not a valid number")))
    }

    pub fn flag(&self, name: &str) -> Result<bool> {
        match self.text(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(ApiError::invalid(format!("the parameter {name} is not true or false"))),
        }
    }
}

/// Decodes `%20` and `+`.
fn decode(text: &str) -> Result<String> {
    let invalid = || ApiError::invalid("the query is not valid: a % is followed by two hexadecimal digits, in UTF-8");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16)).ok_or_else(invalid);
                let value = digit()? * 16 + digit()?;
                u8::try_from(value).map_err(|_| invalid())?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).map_err(|_| invalid())
}

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Query> {
        Query::parse(parts.uri.query().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_is_decoded() {
        let query = Query::parse("a=1&b=x%20y+z&c=%C3%A4&d=&e").unwrap();
        assert_eq!(query.number::<i32>("a").unwrap(), Some(1));
        assert_eq!(query.text("b"), Some("x y z"));
        assert_eq!(query.text("c"), Some("ä"));
        assert_eq!((query.text("d"), query.text("e"), query.text("f")), (None, None, None));
        assert!(query.number::<i32>("b").is_err());
        assert!(!query.flag("d").unwrap());
        assert!(query.flag("a").is_err());
    }

    #[test]
    fn invalid_query_is_refused() {
        for text in ["a=%", "a=%2", "a=%zz", "a=%ff", "%=1"] {
            assert!(Query::parse(text).is_err(), "{text}");
        }
        assert!(Query::parse("a=1&b=2").unwrap().only(&["a", "b"]).is_ok());
        assert!(Query::parse("a=1&c=2").unwrap().only(&["a", "b"]).is_err());
        assert!(Query::parse("a=1&a=2").unwrap().only(&["a"]).is_err());
    }
}
