//! Security decisions: pure, without sockets and clocks.

pub mod acl;
pub mod distinguished_name;
pub mod principal;
pub mod principal_rules;

pub use principal::Principal;
pub use principal_rules::PrincipalRules;
