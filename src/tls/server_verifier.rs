//! Checks of a broker's certificate by a client, which accept what Java accepts.
//!
//! Beyond rustls, these are: a certificate that is itself in the truststore, one of X.509 version 1 that an authority of the
//! truststore has signed, and the common name in place of alternative names that are missing.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::truststore_checks::TruststoreChecks;
use ottla_core::security::certificate::Certificate;

/// Checks the certificates of brokers.
#[derive(Debug)]
pub struct ServerVerifier {
    roots: RootCertStore,
    truststore: TruststoreChecks,
    algorithms: WebPkiSupportedAlgorithms,
    checks_host: bool,
}

impl ServerVerifier {
    pub fn new(
        roots: RootCertStore,
        truststore: TruststoreChecks,
        provider: &CryptoProvider,
        checks_host: bool,
    ) -> ServerVerifier {
        ServerVerifier { roots, truststore, algorithms: provider.signature_verification_algorithms, checks_host }
    }

    fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        match self.truststore.verify(end_entity, now) {
            Some(verified) => verified.map_err(Error::InvalidCertificate),
            None => {
                let parsed = ParsedCertificate::try_from(end_entity)?;
                verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, intermediates, now, self.algorithms.all)
            }
        }
    }
}

/// Checks that a certificate is for this host.
fn check_host(end_entity: &CertificateDer<'_>, host: &ServerName<'_>) -> Result<(), CertificateError> {
    let certificate = Certificate::parse(end_entity).map_err(|_| CertificateError::BadEncoding)?;
    let by_alternative_name =
        ParsedCertificate::try_from(end_entity).is_ok_and(|parsed| verify_server_name(&parsed, host).is_ok());
    let by_common_name = match host {
        // As in Java, only without alternative names for hosts.
        ServerName::DnsName(name) if !certificate.has_dns_names() => {
            certificate.common_name.as_deref().is_some_and(|common| common.eq_ignore_ascii_case(name.as_ref()))
        }
        _ => false,
    };
    if by_alternative_name || by_common_name {
        return Ok(());
    }
    Err(CertificateError::NotValidForNameContext { expected: host.to_owned(), presented: certificate.hosts() })
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verify(end_entity, intermediates, now)?;
        if self.checks_host {
            check_host(end_entity, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let verified = self.truststore.verify_tls12_signature(message, certificate, signed);
        verified.unwrap_or_else(|| verify_tls12_signature(message, certificate, signed, &self.algorithms))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let verified = self.truststore.verify_tls13_signature(message, certificate, signed);
        verified.unwrap_or_else(|| verify_tls13_signature(message, certificate, signed, &self.algorithms))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
