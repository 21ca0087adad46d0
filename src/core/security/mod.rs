//! Authentication and authorization: pure, without sockets and clocks.

pub mod acl;
pub mod jaas;
pub mod principal;
pub mod sasl;

pub use principal::Principal;
