//! TLS of listeners: keys and certificates from the settings, and the configuration of rustls for new connections.
//!
//! The cryptography is that of the crate ring. Handshakes are in `server`, because this module knows no sockets.
//!
//! Invariant: a connection keeps the configuration with which its handshake began. A change applies to new connections, and
//! one that is not valid changes nothing.

mod keystore;
mod listeners;
mod loaded;
mod stamps;
mod suites;
mod verifier;

pub use listeners::{TlsListener, TlsListeners};
pub use loaded::Loaded;
