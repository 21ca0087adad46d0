//! TLS of listeners: keys and certificates from the settings, and the configuration of rustls for new connections.
//!
//! The cryptography is that of the crate ring. Handshakes are in `server`, because this module knows no sockets.
//!
//! Invariant: a connection keeps the configuration with which its handshake began. A change applies to new connections, and
//! one that is not valid changes nothing.

mod certificate;
mod der;
mod keystore;
mod suites;

use std::sync::Arc;

use parking_lot::RwLock;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::crypto::ring::{Ticketer, default_provider, sign::any_supported_type};
use rustls::pki_types::CertificateDer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoClientAuth, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};

pub use certificate::Certificate;
use ottla_config::{BrokerConfig, ClientAuth, TlsConfig};
use ottla_core::security::{Principal, PrincipalRules};

/// The TLS of one listener, with the configuration for its new connections.
#[derive(Debug)]
pub struct TlsListener {
    name: Arc<str>,
    current: RwLock<Arc<Loaded>>,
}

/// A configuration that was read and checked.
#[derive(Debug)]
pub struct Loaded {
    config: TlsConfig,
    server: Arc<ServerConfig>,
    rules: PrincipalRules,
    /// The broker's own certificate.
    certificate: Certificate,
}

impl TlsListener {
    /// Reads the configuration of each listener with TLS. The error is one plain line.
    pub fn load_all(config: &BrokerConfig) -> Result<Vec<Arc<TlsListener>>, String> {
        config.tls().into_iter().map(|tls| TlsListener::load(tls).map(Arc::new)).collect()
    }

    fn load(config: TlsConfig) -> Result<TlsListener, String> {
        let name = config.listener.as_str().into();
        Ok(TlsListener { name, current: RwLock::new(Arc::new(Loaded::load(config)?)) })
    }

    /// The listener's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The configuration for a new connection.
    pub fn current(&self) -> Arc<Loaded> {
        Arc::clone(&self.current.read())
    }
}

impl Loaded {
    fn load(config: TlsConfig) -> Result<Loaded, String> {
        if let Some(factory) = &config.engine_factory {
            return Err(format!("{}={}: Java classes are not supported; remove it", factory.name, factory.value));
        }
        let rules = &config.principal_mapping_rules;
        let rules = PrincipalRules::parse(&rules.value).map_err(|why| format!("{}: {why}", rules.name))?;
        let (server, certificate) = server_config(&config)?;
        Ok(Loaded { config, server: Arc::new(server), rules, certificate })
    }

    pub fn server(&self) -> &Arc<ServerConfig> {
        &self.server
    }

    /// The principal of a client with this certificate. The error is one line.
    pub fn principal(&self, certificate: &CertificateDer<'_>) -> Result<Principal, String> {
        let certificate = Certificate::parse(certificate)?;
        let name = self.rules.apply(&certificate.subject).map_err(|error| error.to_string())?;
        Ok(Principal::user(name))
    }
}

fn server_config(config: &TlsConfig) -> Result<(ServerConfig, Certificate), String> {
    let versions = suites::versions(config)?;
    let mut provider = default_provider();
    suites::restrict(&mut provider, config)?;
    let provider = Arc::new(provider);
    let (key, certificate) = certified_key(config)?;
    let verifier = verifier(config, &provider)?;
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(&versions).map_err(|_| {
        format!(
            "{}: none of the cipher suites belongs to a version of {}",
            config.cipher_suites.name, config.enabled_protocols.name
        )
    })?;
    let resolver = Arc::new(SingleCertAndKey::from(key));
    let mut server = builder.with_client_cert_verifier(verifier).with_cert_resolver(resolver);
    // Each configuration has its own keys for tickets, so a session never outlives a change of the trusted certificates.
    server.ticketer = Ticketer::new().map_err(|error| format!("cannot make keys for TLS sessions: {error}"))?;
    Ok((server, certificate))
}

fn certified_key(config: &TlsConfig) -> Result<(CertifiedKey, Certificate), String> {
    let material = keystore::load_key(config)?;
    let listener = &config.listener;
    let key = any_supported_type(&material.key).map_err(|_| {
        format!(
            "listener {listener}: the private key has an unsupported type or size; use RSA with 2048 to 4096 bits, or an \
             elliptic curve: P-256, P-384 or Ed25519"
        )
    })?;
    let own = material.chain.first().map(Certificate::parse).transpose()?;
    let own = own.ok_or_else(|| format!("listener {listener}: there is no certificate for the private key"))?;
    if let Some(public_key) = key.public_key()
        && public_key.as_ref() != own.public_key
    {
        return Err(format!(
            "listener {listener}: the private key does not belong to the certificate of {}",
            own.subject
        ));
    }
    Ok((CertifiedKey::new(material.chain, key), own))
}

/// Checks client certificates as `ssl.client.auth` says.
fn verifier(
    config: &TlsConfig,
    provider: &Arc<rustls::crypto::CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let trusted = keystore::load_trusted(config)?;
    if config.client_auth == ClientAuth::None {
        return Ok(Arc::new(NoClientAuth));
    }
    let trusted = trusted.ok_or_else(|| {
        format!(
            "listener {}: ssl.client.auth needs the certificates of the authorities that sign client certificates; set \
             ssl.truststore.location or ssl.truststore.certificates",
            config.listener
        )
    })?;
    let mut roots = RootCertStore::empty();
    let (_, unusable) = roots.add_parsable_certificates(trusted);
    if unusable > 0 {
        return Err(format!("listener {}: {unusable} certificates of the truststore cannot be read", config.listener));
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let builder = match config.client_auth {
        ClientAuth::Required => builder,
        ClientAuth::Requested | ClientAuth::None => builder.allow_unauthenticated(),
    };
    let built = builder.build().map_err(|error| format!("listener {}: the truststore: {error}", config.listener))?;
    Ok(built)
}
