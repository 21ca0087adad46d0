//! Checks of a certificate's chain to an authority: signatures, validity periods, path lengths, names and usages, by webpki.
//!
//! webpki refuses a certificate with `CA:TRUE` as that of a peer, and has no setting for it. Java and OpenSSL accept one that
//! may also sign handshakes. For such a certificate, webpki gets a copy whose `CA:TRUE` is `CA:FALSE`, and the issuer's
//! signature is verified over the original instead of the copy. So no chain is accepted whose certificates are not all
//! signed as they are, and every other property that webpki checks is the same in the copy. What the copy loses is only
//! that it could sign others, and a peer's certificate is the end of a chain: webpki never uses it as an issuer.

use std::sync::Arc;

use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{
    AlgorithmIdentifier, CertificateDer, InvalidSignature, SignatureVerificationAlgorithm, TrustAnchor, UnixTime,
};
use rustls::{CertificateError, OtherError};
use webpki::{
    EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeId, KeyPurposeIdIter, KeyUsage, RequiredEkuNotFoundContext,
};
use x509_parser::oid_registry::OID_X509_EXT_BASIC_CONSTRAINTS;
use x509_parser::prelude::X509Certificate;

use super::chain_error::ChainError;
use ottla_core::security::der;

/// `CA:TRUE` at the begin of basicConstraints.
const CA_TRUE: [u8; 3] = [0x01, 0x01, 0xff];
/// id-kp-serverAuth.
const SERVER: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01];
/// id-kp-clientAuth.
const CLIENT: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02];
/// anyExtendedKeyUsage.
const ANY: &[u8] = &[0x55, 0x1d, 0x25, 0x00];

/// What a peer's certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    Client,
    Server,
}

/// Checks the chain of a peer's certificate, which is given in DER and parsed.
pub fn verify(
    original: &CertificateDer<'_>,
    parsed: &X509Certificate<'_>,
    intermediates: &[CertificateDer<'_>],
    authorities: &[TrustAnchor<'_>],
    now: UnixTime,
    usage: Usage,
    algorithms: WebPkiSupportedAlgorithms,
) -> Result<(), CertificateError> {
    if !parsed.is_ca() {
        return verify_by_webpki(original, intermediates, authorities, now, usage, algorithms.all);
    }
    let (copy, signed) = without_ca(original, parsed).ok_or(CertificateError::BadEncoding)?;
    let over_original: Vec<OverOriginal<'_>> = algorithms
        .all
        .iter()
        .map(|inner| OverOriginal { inner: *inner, copy: &signed, original: parsed.tbs_certificate.as_ref() })
        .collect();
    let algorithms: Vec<&dyn SignatureVerificationAlgorithm> = over_original.iter().map(|it| it as _).collect();
    verify_by_webpki(&copy, intermediates, authorities, now, usage, &algorithms)
}

fn verify_by_webpki(
    certificate: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    authorities: &[TrustAnchor<'_>],
    now: UnixTime,
    usage: Usage,
    algorithms: &[&dyn SignatureVerificationAlgorithm],
) -> Result<(), CertificateError> {
    let parsed = EndEntityCert::try_from(certificate).map_err(reason)?;
    let verified = parsed.verify_for_usage(algorithms, authorities, intermediates, now, usage, None, None);
    verified.map(drop).map_err(reason)
}

/// A copy of a certificate with `CA:FALSE` instead of `CA:TRUE`, and the part of it that a signature is over. They differ
/// from the original in one byte, so all lengths in them are right.
fn without_ca(
    original: &CertificateDer<'_>,
    parsed: &X509Certificate<'_>,
) -> Option<(CertificateDer<'static>, Vec<u8>)> {
    let extension = parsed.get_extension_unique(&OID_X509_EXT_BASIC_CONSTRAINTS).ok().flatten()?;
    let (constraints, _) = der::read(extension.value, der::SEQUENCE)?;
    let value = constraints.strip_prefix(&CA_TRUE[..2]).filter(|_| constraints.starts_with(&CA_TRUE))?;
    let cleared = |whole: &[u8]| {
        // Both are slices of the original, so the difference of their addresses is the position.
        let at = value.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
        let mut copy = whole.to_vec();
        *copy.get_mut(at)? = 0;
        Some(copy)
    };
    Some((cleared(original)?.into(), cleared(parsed.tbs_certificate.as_ref())?))
}

/// A signature algorithm that verifies the signature of a copy over the original.
#[derive(Debug)]
struct OverOriginal<'a> {
    inner: &'static dyn SignatureVerificationAlgorithm,
    copy: &'a [u8],
    original: &'a [u8],
}

impl SignatureVerificationAlgorithm for OverOriginal<'_> {
    fn verify_signature(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let message = if message == self.copy { self.original } else { message };
        self.inner.verify_signature(key, message, signature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.inner.public_key_alg_id()
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.inner.signature_alg_id()
    }
}

impl ExtendedKeyUsageValidator for Usage {
    /// As in Java: the usage itself, any usage, or no extension.
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        let (own, required) = match self {
            Usage::Client => (CLIENT, KeyUsage::client_auth()),
            Usage::Server => (SERVER, KeyUsage::server_auth()),
        };
        let allowed = [own, ANY].map(KeyPurposeId::new);
        let mut present = Vec::new();
        for purpose in purposes {
            let purpose = purpose?;
            if allowed.contains(&purpose) {
                return Ok(());
            }
            present.push(purpose.to_decoded_oid());
        }
        match present.is_empty() {
            true => Ok(()),
            false => Err(webpki::Error::RequiredEkuNotFoundContext(RequiredEkuNotFoundContext { required, present })),
        }
    }
}

/// The error of rustls, which decides on the alert.
fn reason(error: webpki::Error) -> CertificateError {
    use webpki::Error::*;
    match error {
        BadDer | BadDerTime | TrailingData(_) => CertificateError::BadEncoding,
        CertNotValidYet { time, not_before } => CertificateError::NotValidYetContext { time, not_before },
        CertExpired { time, not_after } => CertificateError::ExpiredContext { time, not_after },
        UnknownIssuer => CertificateError::UnknownIssuer,
        InvalidSignatureForPublicKey => CertificateError::BadSignature,
        RequiredEkuNotFoundContext(_) => CertificateError::InvalidPurpose,
        error => CertificateError::Other(OtherError(Arc::new(ChainError(error)))),
    }
}
