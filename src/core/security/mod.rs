//! Authentication and authorization: pure, without sockets and clocks.

pub mod acl;
pub mod bearer;
pub mod certificate;
pub mod der;
pub mod distinguished_name;
pub mod jaas;
pub mod principal;
pub mod principal_rules;
pub mod quota;
pub mod sasl;
mod secret;
pub mod session;
pub mod tokens;

pub use principal::Principal;
pub use principal_rules::PrincipalRules;
pub use secret::SecretBytes;
