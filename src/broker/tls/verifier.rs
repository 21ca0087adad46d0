//! Checks of client certificates: those of rustls, and an own one for certificates of X.509 version 1.
//!
//! `openssl x509 -req` without extensions makes certificates of version 1, as the steps in Kafka's documentation do. rustls
//! refuses them, and Java and OpenSSL accept them for clients. Here a certificate of version 1 is accepted if an authority of
//! the truststore has signed it itself.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerMisbehaved, SignatureScheme};
use x509_parser::prelude::{FromDer as _, X509Certificate, X509Version};

use ottla_core::security::der;

/// Checks client certificates.
#[derive(Debug)]
pub struct ClientVerifier {
    inner: Arc<dyn ClientCertVerifier>,
    /// The authorities.
    trusted: Vec<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientVerifier {
    /// Adds the check of certificates of version 1 to that of rustls.
    pub fn new(
        inner: Arc<dyn ClientCertVerifier>,
        trusted: Vec<CertificateDer<'static>>,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> ClientVerifier {
        ClientVerifier { inner, trusted, algorithms }
    }

    /// Checks a certificate of version 1.
    fn verify_old(&self, certificate: &X509Certificate<'_>, now: UnixTime) -> Result<(), CertificateError> {
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        if now < certificate.validity().not_before.timestamp() {
            return Err(CertificateError::NotValidYet);
        }
        if now > certificate.validity().not_after.timestamp() {
            return Err(CertificateError::Expired);
        }
        let (signature, signed) = (certificate.signature_value.data.as_ref(), certificate.tbs_certificate.as_ref());
        let has_signed = |authority: &X509Certificate<'_>| {
            authority.subject().as_raw() == certificate.issuer().as_raw()
                && self.is_signature(authority.public_key().raw, certificate, signed, signature)
        };
        let authorities = self.trusted.iter().filter_map(|der| Some(X509Certificate::from_der(der).ok()?.1));
        match { authorities }.any(|authority| has_signed(&authority)) {
            true => Ok(()),
            false => Err(CertificateError::UnknownIssuer),
        }
    }

    /// Whether the owner of a public key has signed a certificate, with an algorithm that rustls supports too.
    fn is_signature(&self, spki: &[u8], certificate: &X509Certificate<'_>, signed: &[u8], signature: &[u8]) -> bool {
        let Some((key_algorithm, key)) = public_key(spki) else { return false };
        let oid = certificate.signature_algorithm.algorithm.as_bytes();
        let matches =
            |content: &[u8]| der::read(content, der::OBJECT_IDENTIFIER).is_some_and(|(found, _)| found == oid);
        self.algorithms.all.iter().any(|algorithm| {
            algorithm.public_key_alg_id().as_ref() == key_algorithm
                && matches(algorithm.signature_alg_id().as_ref())
                && algorithm.verify_signature(key, signed, signature).is_ok()
        })
    }
}

/// The algorithm and the key of a public key in DER.
fn public_key(spki: &[u8]) -> Option<(&[u8], &[u8])> {
    let (info, _) = der::read(spki, der::SEQUENCE)?;
    let (algorithm, rest) = der::read(info, der::SEQUENCE)?;
    let (bits, _) = der::read(rest, der::BIT_STRING)?;
    // The first byte is the number of unused bits.
    bits.split_first().filter(|(unused, _)| **unused == 0).map(|(_, key)| (algorithm, key))
}

/// The certificate, if it has version 1.
fn old<'a>(der: &'a CertificateDer<'_>) -> Option<X509Certificate<'a>> {
    X509Certificate::from_der(der).ok().map(|(_, found)| found).filter(|found| found.version() == X509Version::V1)
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
        match old(end_entity) {
            Some(certificate) => {
                self.verify_old(&certificate, now).map_err(Error::InvalidCertificate)?;
                Ok(ClientCertVerified::assertion())
            }
            None => self.inner.verify_client_cert(end_entity, intermediates, now),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let Some(old) = old(certificate) else {
            return self.inner.verify_tls12_signature(message, certificate, signed);
        };
        let (key_algorithm, key) = public_key(old.public_key().raw).ok_or(CertificateError::BadEncoding)?;
        let of_scheme = self.algorithms.mapping.iter().filter(|(scheme, _)| *scheme == signed.scheme);
        let mut usable = of_scheme.flat_map(|(_, algorithms)| algorithms.iter()).peekable();
        if usable.peek().is_none() {
            return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
        }
        let is_valid = usable.any(|algorithm| {
            algorithm.public_key_alg_id().as_ref() == key_algorithm
                && algorithm.verify_signature(key, message, signed.signature()).is_ok()
        });
        match is_valid {
            true => Ok(HandshakeSignatureValid::assertion()),
            false => Err(CertificateError::BadSignature.into()),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let Some(old) = old(certificate) else {
            return self.inner.verify_tls13_signature(message, certificate, signed);
        };
        let key = SubjectPublicKeyInfoDer::from(old.public_key().raw);
        verify_tls13_signature_with_raw_key(message, &key, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
