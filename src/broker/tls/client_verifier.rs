//! Checks of client certificates: those of rustls, and own ones for certificates that are themselves in the truststore, and
//! for those of X.509 version 1.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use ottla_tls::TruststoreChecks;

/// Checks client certificates.
#[derive(Debug)]
pub struct ClientVerifier {
    inner: Arc<dyn ClientCertVerifier>,
    truststore: TruststoreChecks,
    /// False: no chain is accepted, because the truststore has no certificate of an authority.
    has_authorities: bool,
}

impl ClientVerifier {
    /// Adds the checks of `truststore` to those of rustls.
    pub fn new(
        inner: Arc<dyn ClientCertVerifier>,
        truststore: TruststoreChecks,
        has_authorities: bool,
    ) -> ClientVerifier {
        ClientVerifier { inner, truststore, has_authorities }
    }

    /// The reason of a refusal. rustls refuses a certificate of an authority before it looks for its issuer, so an untrusted
    /// one would have another reason, and another alert, than all others that are not trusted.
    fn reason(&self, error: Error, end_entity: &CertificateDer<'_>) -> Error {
        match error {
            Error::InvalidCertificate(CertificateError::Other(_))
                if self.truststore.is_untrusted_authority(end_entity) =>
            {
                CertificateError::UnknownIssuer.into()
            }
            error => error,
        }
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn offer_client_auth(&self) -> bool {
        self.inner.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        match self.truststore.verify(end_entity, now) {
            Some(verified) => verified.map(|()| ClientCertVerified::assertion()).map_err(Error::InvalidCertificate),
            None => {
                let verified = self.inner.verify_client_cert(end_entity, intermediates, now);
                match verified.map_err(|error| self.reason(error, end_entity)) {
                    Ok(_) if !self.has_authorities => Err(CertificateError::UnknownIssuer.into()),
                    verified => verified,
                }
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let verified = self.truststore.verify_tls12_signature(message, certificate, signed);
        verified.unwrap_or_else(|| self.inner.verify_tls12_signature(message, certificate, signed))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let verified = self.truststore.verify_tls13_signature(message, certificate, signed);
        verified.unwrap_or_else(|| self.inner.verify_tls13_signature(message, certificate, signed))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
