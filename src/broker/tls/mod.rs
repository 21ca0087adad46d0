//! TLS of listeners: the configuration of rustls for new connections. The crate `ottla-tls` reads keys and certificates.
//!
//! Handshakes are in `server`, because this module knows no sockets.
//!
//! Invariant: a connection keeps the configuration with which its handshake began. A change applies to new connections, and
//! one that is not valid changes nothing.

mod client_verifier;
mod listeners;
mod loaded;
mod stamps;

pub use listeners::{TlsListener, TlsListeners};
pub use loaded::Loaded;
