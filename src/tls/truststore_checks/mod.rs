//! Checks of a peer's certificate against the truststore, which accept what Java accepts: a chain to an authority of the
//! truststore (`chain`), and two kinds of certificates that rustls refuses.
//!
//! A certificate that is byte for byte in the truststore needs no chain, so it may also be one of an authority, as
//! `openssl req -x509` makes them. Its validity period is checked, and as always that the peer has its private key.
//!
//! `openssl x509 -req` without extensions makes certificates of version 1, as the steps in Kafka's documentation do. rustls
//! refuses them, and Java and OpenSSL accept them at the end of a chain. Here one is accepted if a trusted authority has
//! signed it itself.

mod chain;
mod chain_error;
#[cfg(test)]
mod tests;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature, verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer, TrustAnchor, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerMisbehaved, SignatureScheme};
use x509_parser::prelude::{FromDer as _, X509Certificate, X509Version};

pub use chain::Usage;
use ottla_core::security::der;

/// 2.16.840.1.113730.1.1, the extension netscape-cert-type.
const NETSCAPE_TYPE: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x86, 0xf8, 0x42, 0x01, 0x01];

/// Checks certificates of peers against a truststore.
#[derive(Debug)]
pub struct TruststoreChecks {
    /// All certificates of the truststore.
    trusted: Vec<CertificateDer<'static>>,
    /// Those that may sign others.
    authorities: Vec<TrustAnchor<'static>>,
    subjects: Vec<DistinguishedName>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl TruststoreChecks {
    /// Returns the checks, and how many of the certificates cannot be read.
    pub fn new(
        trusted: Vec<CertificateDer<'static>>,
        algorithms: WebPkiSupportedAlgorithms,
    ) -> (TruststoreChecks, usize) {
        let (mut authorities, mut subjects) = (Vec::new(), Vec::new());
        for der in &trusted {
            let Ok(anchor) = webpki::anchor_from_trusted_cert(der) else { continue };
            subjects.push(DistinguishedName::in_sequence(&anchor.subject));
            if is_authority(der) {
                authorities.push(anchor.to_owned());
            }
        }
        let unreadable = trusted.len() - subjects.len();
        (TruststoreChecks { trusted, authorities, subjects, algorithms }, unreadable)
    }

    /// The names by which clients choose their certificates: those of all trusted ones, because a client may present one
    /// that is itself in the truststore.
    pub fn subjects(&self) -> &[DistinguishedName] {
        &self.subjects
    }

    /// The authorities whose signatures cannot be verified, because their keys are of an unsupported kind.
    pub fn unsupported(&self) -> Vec<String> {
        let is_supported = |authority: &X509Certificate<'_>| {
            public_key(authority.public_key().raw).is_some_and(|(key_algorithm, _)| {
                self.algorithms.all.iter().any(|known| known.public_key_alg_id().as_ref() == key_algorithm)
            })
        };
        let trusted = self.trusted.iter().filter_map(|der| Some(X509Certificate::from_der(der).ok()?.1));
        let unsupported = trusted.filter(|authority| may_sign(authority) && !is_supported(authority));
        unsupported.map(|authority| authority.subject().to_string()).collect()
    }

    pub fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }

    /// Whether a certificate, of any version, is itself one of the trusted: the same bytes, not only the same name or key.
    fn is_trusted(&self, der: &CertificateDer<'_>) -> bool {
        self.trusted.iter().any(|trusted| trusted.as_ref() == der.as_ref())
    }

    /// Checks the certificate of a peer, with the others that the peer sent.
    pub fn verify(
        &self,
        der: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
        usage: Usage,
    ) -> Result<(), CertificateError> {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|_| CertificateError::BadEncoding)?;
        if self.is_trusted(der) {
            return check_time(&certificate, now);
        }
        if certificate.version() == X509Version::V1 {
            check_time(&certificate, now)?;
            return if self.is_signed(&certificate) { Ok(()) } else { Err(CertificateError::UnknownIssuer) };
        }
        check_key_usage(&certificate)?;
        check_netscape_type(&certificate, usage)?;
        // webpki itself does not check that the key usage of an intermediate certificate allows signing.
        let intermediates: Vec<_> = intermediates.iter().filter(|der| is_authority(der)).cloned().collect();
        chain::verify(der, &certificate, &intermediates, &self.authorities, now, usage, self.algorithms)
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

    /// Checks the signature of a handshake of TLS 1.2.
    pub fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let Some(certificate) = parse_version_1(certificate) else {
            return verify_tls12_signature(message, certificate, signed, &self.algorithms);
        };
        let (key_algorithm, key) = public_key(certificate.public_key().raw).ok_or(CertificateError::BadEncoding)?;
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

    /// Checks the signature of a handshake of TLS 1.3.
    pub fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let Some(certificate) = parse_version_1(certificate) else {
            return verify_tls13_signature(message, certificate, signed, &self.algorithms);
        };
        let key = SubjectPublicKeyInfoDer::from(certificate.public_key().raw);
        verify_tls13_signature_with_raw_key(message, &key, signed, &self.algorithms)
    }
}

/// Whether a certificate is one of an authority, so that others are trusted because it has signed them. The rule is Java's;
/// rustls takes any certificate of a truststore for an authority.
fn is_authority(der: &CertificateDer<'_>) -> bool {
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

/// Checks that the key of a peer's certificate may sign handshakes. All cipher suites need that.
fn check_key_usage(certificate: &X509Certificate<'_>) -> Result<(), CertificateError> {
    match certificate.key_usage() {
        Ok(None) => Ok(()),
        Ok(Some(usage)) if usage.value.digital_signature() => Ok(()),
        Ok(Some(_)) => Err(CertificateError::InvalidPurpose),
        Err(_) => Err(CertificateError::BadEncoding),
    }
}

/// Checks that the Netscape certificate type, if there is one, names the usage. As in Java, it counts beside an extended key
/// usage, and one that cannot be read does not count.
fn check_netscape_type(certificate: &X509Certificate<'_>, usage: Usage) -> Result<(), CertificateError> {
    let mut extensions = certificate.extensions().iter();
    let found = extensions.find(|extension| extension.oid.as_bytes() == NETSCAPE_TYPE);
    let Some((bits, _)) = found.and_then(|extension| der::read(extension.value, der::BIT_STRING)) else {
        return Ok(());
    };
    // The first byte is the number of unused bits.
    let types = bits.get(1).copied().unwrap_or_default();
    let required = match usage {
        Usage::Client => 0x80,
        Usage::Server => 0x40,
    };
    if types & required == 0 { Err(CertificateError::InvalidPurpose) } else { Ok(()) }
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
fn parse_version_1<'a>(der: &'a CertificateDer<'_>) -> Option<X509Certificate<'a>> {
    X509Certificate::from_der(der).ok().map(|(_, found)| found).filter(|found| found.version() == X509Version::V1)
}
