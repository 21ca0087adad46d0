//! A TLS configuration that was read and checked.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{Ticketer, default_provider};
use rustls::pki_types::CertificateDer;
use rustls::server::NoClientAuth;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use super::client_verifier::ClientVerifier;
use super::stamps::Stamps;
use crate::clock::wall_clock_ms;
use ottla_config::{ClientAuth, TlsConfig};
use ottla_core::security::certificate::Certificate;
use ottla_core::security::{Principal, PrincipalRules};
use ottla_tls::{TruststoreChecks, keystore, suites};

/// The TLS of a listener for a new connection.
#[derive(Debug)]
pub struct Loaded {
    pub(super) config: TlsConfig,
    /// The files when they were read.
    pub(super) stamps: Stamps,
    server: Arc<ServerConfig>,
    rules: PrincipalRules,
    /// The broker's own certificate.
    certificate: Certificate,
}

impl Loaded {
    /// Reads the files of a configuration. The error is one plain line.
    pub(super) fn load(config: TlsConfig) -> Result<Loaded, String> {
        // Before the files are read: a change meanwhile must be noticed later.
        let stamps = Stamps::of(&config);
        if let Some(factory) = &config.engine_factory {
            return Err(format!("{}={}: Java classes are not supported; remove it", factory.name, factory.value));
        }
        let rules = &config.principal_mapping_rules;
        let rules = PrincipalRules::parse(&rules.value).map_err(|why| format!("{}: {why}", rules.name))?;
        let (server, certificate) = server_config(&config)?;
        Ok(Loaded { config, stamps, server: Arc::new(server), rules, certificate })
    }

    /// The configuration of rustls.
    pub fn server(&self) -> &Arc<ServerConfig> {
        &self.server
    }

    /// The principal of a client with this certificate. The error is one line.
    pub fn principal(&self, certificate: &CertificateDer<'_>) -> Result<Principal, String> {
        let certificate = Certificate::parse(certificate)?;
        let name = self.rules.apply(&certificate.subject).map_err(|error| error.to_string())?;
        Ok(Principal::user(name))
    }

    /// Checks that this configuration may replace `before` while the broker runs, by Kafka's rules.
    pub(super) fn check_replaces(&self, before: &Loaded) -> Result<(), String> {
        let (new, old) = (&self.certificate, &before.certificate);
        if !self.config.allow_dn_changes && !new.subject.eq_ignore_ascii_case(&old.subject) {
            return Err(format!(
                "Keystore DistinguishedName does not match: existing={}, new={} (ssl.allow.dn.changes=false)",
                old.subject, new.subject
            ));
        }
        let is_lost = |name: &&String| !new.alternative_names.contains(name);
        if !self.config.allow_san_changes && old.alternative_names.iter().any(|name| is_lost(&name)) {
            return Err(format!(
                "Keystore SubjectAltNames do not match: existing={}, new={} (ssl.allow.san.changes=false)",
                old.alternative_names.join(" "),
                new.alternative_names.join(" ")
            ));
        }
        match before.config.truststore.is_empty() && !self.config.truststore.is_empty() {
            true => {
                Err("Cannot add SSL truststore to an existing listener for which no truststore was configured."
                    .to_owned())
            }
            false => Ok(()),
        }
    }

    /// Logs that clients will not accept the certificate.
    pub(super) fn warn_of_expiry(&self) {
        let (listener, subject) = (&self.config.listener, &self.certificate.subject);
        let now = wall_clock_ms() / 1000;
        if now > self.certificate.not_after {
            tracing::warn!(%listener, certificate = %subject, "the certificate has expired, clients will refuse it");
        } else if now < self.certificate.not_before {
            tracing::warn!(%listener, certificate = %subject, "the certificate is not valid yet, clients will refuse it");
        }
    }
}

fn server_config(config: &TlsConfig) -> Result<(ServerConfig, Certificate), String> {
    let versions = suites::versions(&config.protocol, &config.enabled_protocols)?;
    let mut provider = default_provider();
    suites::restrict(&mut provider, &config.cipher_suites)?;
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
    let listener = &config.listener;
    let material = keystore::load_key(&config.keystore, config.key_password.as_ref())?.ok_or_else(|| {
        format!(
            "the listener {listener} needs a certificate; set ssl.keystore.location, or ssl.keystore.key and \
             ssl.keystore.certificate.chain with ssl.keystore.type=PEM"
        )
    })?;
    ottla_tls::certified_key(material).map_err(|why| format!("listener {listener}: {why}"))
}

/// Checks client certificates as `ssl.client.auth` says.
fn verifier(config: &TlsConfig, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, String> {
    let trusted = keystore::load_trusted(&config.truststore)?;
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
    let (truststore, unusable) = TruststoreChecks::new(trusted, provider.signature_verification_algorithms);
    for authority in truststore.unsupported() {
        tracing::warn!(
            listener = %config.listener, %authority,
            "client certificates of an authority will be refused: its key is not RSA, Ed25519 or on the curve P-256 or P-384"
        );
    }
    if unusable > 0 {
        return Err(format!("listener {}: {unusable} certificates of the truststore cannot be read", config.listener));
    }
    Ok(Arc::new(ClientVerifier::new(truststore, config.client_auth == ClientAuth::Required)))
}
