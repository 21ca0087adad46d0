//! Checks of certificates that rustls refuses and Java accepts: those that are themselves in the truststore, and those of
//! X.509 version 1.
//!
//! A certificate that is byte for byte in the truststore needs no chain, so it may also be one of an authority, as
//! `openssl req -x509` makes them. Its validity period is checked, and as always that the peer has its private key.
//!
//! `openssl x509 -req` without extensions makes certificates of version 1, as the steps in Kafka's documentation do. rustls
//! refuses them, and Java and OpenSSL accept them at the end of a chain. Here one is accepted if a trusted authority has
//! signed it itself.

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, PeerMisbehaved};
use x509_parser::prelude::{FromDer as _, X509Certificate, X509Version};

use ottla_core::security::der;

/// Checks certificates of version 1, and those that are themselves in the truststore.
#[derive(Debug)]
pub struct TruststoreChecks {
    /// The authorities.
    trusted: Vec<CertificateDer<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl TruststoreChecks {
    pub fn new(trusted: Vec<CertificateDer<'static>>, algorithms: WebPkiSupportedAlgorithms) -> TruststoreChecks {
        TruststoreChecks { trusted, algorithms }
    }

    /// Whether a certificate, of any version, is itself one of the trusted: the same bytes, not only the same name or key.
    fn is_trusted(&self, der: &CertificateDer<'_>) -> bool {
        self.trusted.iter().any(|trusted| trusted.as_ref() == der.as_ref())
    }

    /// Checks the certificate of a peer; `None` if it is neither in the truststore nor of version 1, so its chain must be
    /// checked.
    pub fn verify(&self, der: &CertificateDer<'_>, now: UnixTime) -> Option<Result<(), CertificateError>> {
        if self.is_trusted(der) {
            let parsed = X509Certificate::from_der(der).map_err(|_| CertificateError::BadEncoding);
            return Some(parsed.and_then(|(_, certificate)| check_time(&certificate, now)));
        }
        let certificate = parse(der)?;
        Some(check_time(&certificate, now).and_then(|()| match self.is_signed(&certificate) {
            true => Ok(()),
            false => Err(CertificateError::UnknownIssuer),
        }))
    }

    /// Whether a certificate that is not in the truststore is one of an authority, and signed by itself or by none of the
    /// trusted.
    pub fn is_untrusted_authority(&self, der: &CertificateDer<'_>) -> bool {
        let Ok((_, certificate)) = X509Certificate::from_der(der) else { return false };
        let is_self_signed = certificate.subject().as_raw() == certificate.issuer().as_raw();
        certificate.is_ca() && (is_self_signed || !self.is_signed(&certificate))
    }

    /// Whether a trusted authority itself has signed a certificate.
    fn is_signed(&self, certificate: &X509Certificate<'_>) -> bool {
        let (signature, signed) = (certificate.signature_value.data.as_ref(), certificate.tbs_certificate.as_ref());
        let has_signed = |authority: &X509Certificate<'_>| {
            authority.subject().as_raw() == certificate.issuer().as_raw()
                && self.is_signature(authority.public_key().raw, certificate, signed, signature)
        };
        let mut trusted = self.trusted.iter().filter_map(|der| Some(X509Certificate::from_der(der).ok()?.1));
        trusted.any(|authority| may_sign(&authority) && has_signed(&authority))
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

    /// Checks the signature of a handshake of TLS 1.2; `None` if the certificate has another version.
    pub fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Option<Result<HandshakeSignatureValid, Error>> {
        let certificate = parse(certificate)?;
        let Some((key_algorithm, key)) = public_key(certificate.public_key().raw) else {
            return Some(Err(CertificateError::BadEncoding.into()));
        };
        let of_scheme = self.algorithms.mapping.iter().filter(|(scheme, _)| *scheme == signed.scheme);
        let mut usable = of_scheme.flat_map(|(_, algorithms)| algorithms.iter()).peekable();
        if usable.peek().is_none() {
            return Some(Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into()));
        }
        let is_valid = usable.any(|algorithm| {
            algorithm.public_key_alg_id().as_ref() == key_algorithm
                && algorithm.verify_signature(key, message, signed.signature()).is_ok()
        });
        Some(match is_valid {
            true => Ok(HandshakeSignatureValid::assertion()),
            false => Err(CertificateError::BadSignature.into()),
        })
    }

    /// Checks the signature of a handshake of TLS 1.3; `None` if the certificate has another version.
    pub fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Option<Result<HandshakeSignatureValid, Error>> {
        let certificate = parse(certificate)?;
        let key = SubjectPublicKeyInfoDer::from(certificate.public_key().raw);
        Some(verify_tls13_signature_with_raw_key(message, &key, signed, &self.algorithms))
    }
}

/// Whether a certificate of a truststore is one of an authority, so that others are trusted because it has signed them. The
/// rule is Java's; rustls takes any certificate for an authority.
pub fn is_authority(der: &CertificateDer<'_>) -> bool {
    X509Certificate::from_der(der).is_ok_and(|(_, certificate)| may_sign(&certificate))
}

/// Whether a certificate is one of an authority: before version 3, in which certificates do not say it, each is.
fn may_sign(certificate: &X509Certificate<'_>) -> bool {
    let allows_signing = match certificate.key_usage() {
        Ok(usage) => usage.is_none_or(|usage| usage.value.key_cert_sign()),
        Err(_) => false,
    };
    certificate.version() != X509Version::V3 || certificate.is_ca() && allows_signing
}

/// Checks that a certificate is valid at this time.
fn check_time(certificate: &X509Certificate<'_>, now: UnixTime) -> Result<(), CertificateError> {
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    match now {
        _ if now < certificate.validity().not_before.timestamp() => Err(CertificateError::NotValidYet),
        _ if now > certificate.validity().not_after.timestamp() => Err(CertificateError::Expired),
        _ => Ok(()),
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
fn parse<'a>(der: &'a CertificateDer<'_>) -> Option<X509Certificate<'a>> {
    X509Certificate::from_der(der).ok().map(|(_, found)| found).filter(|found| found.version() == X509Version::V1)
}
