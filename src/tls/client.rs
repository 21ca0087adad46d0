//! TLS of a client.

use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::sign::SingleCertAndKey;

use super::server_verifier::ServerVerifier;
use super::truststore_checks::TruststoreChecks;
use super::{certified_key, keystore, suites};
use ottla_config::{Named, Password, StoreConfig};

/// The files in which systems have the certificates of public authorities.
const SYSTEM_FILES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// The settings of a client with TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientTls {
    /// The client's own certificate. It may be empty.
    pub keystore: StoreConfig,
    /// `ssl.key.password`.
    pub key_password: Option<Password>,
    /// The trusted authorities. If it is empty, those of the system are trusted.
    pub truststore: StoreConfig,
    /// `ssl.enabled.protocols`.
    pub enabled_protocols: Named<Vec<String>>,
    /// `ssl.protocol`.
    pub protocol: Named<String>,
    /// `ssl.cipher.suites`; empty for all that are supported.
    pub cipher_suites: Named<Vec<String>>,
    /// `ssl.endpoint.identification.algorithm`: whether the certificate must be for the host name of the broker.
    pub checks_host: bool,
}

impl ClientTls {
    /// Reads the stores. The error is one plain line.
    pub fn load(&self) -> Result<ClientConfig, String> {
        let versions = suites::versions(&self.protocol, &self.enabled_protocols)?;
        let mut provider = default_provider();
        suites::restrict(&mut provider, &self.cipher_suites)?;
        let trusted = match keystore::load_trusted(&self.truststore)? {
            Some(trusted) => trusted,
            None => of_system()?,
        };
        let count = trusted.len();
        let (truststore, unreadable) = TruststoreChecks::new(trusted, provider.signature_verification_algorithms);
        if unreadable == count {
            return Err(format!("none of the {count} certificates of the truststore can be read"));
        }
        let verifier = ServerVerifier::new(truststore, self.checks_host);
        let builder = ClientConfig::builder_with_provider(Arc::new(provider)).with_protocol_versions(&versions);
        let builder = builder.map_err(|_| {
            format!(
                "{}: none of the cipher suites belongs to a version of {}",
                self.cipher_suites.name, self.enabled_protocols.name
            )
        })?;
        let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
        let own = keystore::load_key(&self.keystore, self.key_password.as_ref())?;
        Ok(match own {
            None => builder.with_no_client_auth(),
            Some(material) => {
                let (key, _) = certified_key(material).map_err(|why| format!("the keystore: {why}"))?;
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key)))
            }
        })
    }
}

/// The authorities that the system trusts.
fn of_system() -> Result<Vec<CertificateDer<'static>>, String> {
    let path = SYSTEM_FILES.iter().find(|path| Path::new(path).is_file());
    let path = path.ok_or(
        "no truststore is configured, and this system has no certificates of authorities; set ssl.truststore.location, \
         and ssl.truststore.type=PEM for a PEM file",
    )?;
    keystore::certificates_of_pem_file(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(truststore: Option<&str>) -> ClientTls {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/keystores");
        let text = |name: &str, value: &str| Named { name: name.to_owned(), value: value.to_owned() };
        let names = |name: &str| Named { name: name.to_owned(), value: Vec::new() };
        let store = |name: &str, location: Option<&str>| StoreConfig {
            store_type: text(&format!("{name}.type"), "PEM"),
            location: location.map(|file| text(&format!("{name}.location"), &folder.join(file).display().to_string())),
            password: None,
            certificates: None,
            key: None,
        };
        ClientTls {
            keystore: store("ssl.keystore", None),
            key_password: None,
            truststore: store("ssl.truststore", truststore),
            enabled_protocols: names("ssl.enabled.protocols"),
            protocol: text("ssl.protocol", "TLSv1.3"),
            cipher_suites: names("ssl.cipher.suites"),
            checks_host: true,
        }
    }

    #[test]
    fn settings_of_clients_are_loaded_or_refused() {
        let loaded = settings(Some("v1-authority.pem")).load().unwrap();
        assert!(!loaded.client_auth_cert_resolver.has_certs());
        let mut with_key = settings(Some("v1-authority.pem"));
        with_key.keystore = settings(Some("encrypted.pem")).truststore;
        with_key.key_password = Some(Password::new("keysecret"));
        assert!(with_key.load().unwrap().client_auth_cert_resolver.has_certs());
        with_key.key_password = Some(Password::new("wrong"));
        assert!(with_key.load().unwrap_err().contains("ssl.key.password does not decrypt the private key"));
        assert!(settings(Some("nowhere.pem")).load().unwrap_err().contains("cannot read the file"));
        let mut old = settings(Some("v1-authority.pem"));
        old.enabled_protocols.value = vec!["TLSv1.1".to_owned()];
        let error = old.load().unwrap_err();
        assert_eq!(error, "ssl.enabled.protocols: TLSv1.1 is not supported; use TLSv1.2 and TLSv1.3");
    }
}
