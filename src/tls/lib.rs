//! TLS by Kafka's settings, for the broker and for its client: keys and certificates from PEM, PKCS12 and JKS, versions and
//! cipher suites by Java's names, and checks of certificates.
//!
//! The cryptography is that of the crate ring. Sockets and handshakes are elsewhere.

pub mod client;
mod keys;
pub mod keystore;
mod server_verifier;
pub mod suites;
mod truststore_checks;

pub use keys::certified_key;
pub use truststore_checks::{TruststoreChecks, Usage};
