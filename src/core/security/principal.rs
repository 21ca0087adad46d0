//! Authenticated identities (Kafka's `KafkaPrincipal`).

use std::fmt;

use ottla_wire::codec::Str;

/// The type of principals that stand for users (Kafka's `KafkaPrincipal.USER_TYPE`).
pub const USER_TYPE: &str = "User";
/// The name of the principal of a client that did not authenticate.
const ANONYMOUS: &str = "ANONYMOUS";

/// An authenticated identity. Its text is what ACLs and `super.users` contain, such as `User:alice`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Principal {
    pub principal_type: Str,
    pub name: Str,
}

impl Principal {
    pub fn user(name: impl Into<Str>) -> Principal {
        Principal { principal_type: Str::from_static(USER_TYPE), name: name.into() }
    }

    /// Parses a text such as `User:alice`. A text without a colon is a user's name.
    pub fn parse(text: &str) -> Principal {
        match text.split_once(':') {
            Some((principal_type, name)) => Principal { principal_type: principal_type.into(), name: name.into() },
            None => Principal::user(text),
        }
    }

    /// The principal of a connection without authentication.
    pub fn anonymous() -> Principal {
        Principal::user(Str::from_static(ANONYMOUS))
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.principal_type, self.name)
    }
}
