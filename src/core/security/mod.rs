//! Authentication and authorization: pure, without sockets and clocks.

pub mod acl;
pub mod bearer;
pub mod jaas;
pub mod principal;
pub mod sasl;
mod secret;
pub mod session;

pub use principal::Principal;
pub use secret::SecretBytes;
