//! Security decisions: pure, without sockets and clocks.

pub mod acl;
pub mod principal;
pub mod quota;

pub use principal::Principal;
