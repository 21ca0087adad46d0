//! Checks of a broker's certificate by a client, which accept what Java accepts.
//!
//! Beyond the checks against the truststore, this is the common name in place of alternative names that are missing.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

use super::truststore_checks::{TruststoreChecks, Usage};
use ottla_core::security::certificate::Certificate;

/// Checks the certificates of brokers.
#[derive(Debug)]
pub struct ServerVerifier {
    truststore: TruststoreChecks,
    checks_host: bool,
}

impl ServerVerifier {
    pub fn new(truststore: TruststoreChecks, checks_host: bool) -> ServerVerifier {
        ServerVerifier { truststore, checks_host }
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
        self.truststore.verify(end_entity, intermediates, now, Usage::Server)?;
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
        self.truststore.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.truststore.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.truststore.supported_verify_schemes()
    }
}
