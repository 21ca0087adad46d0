//! Says in plain words why a chain of certificates is refused, where rustls has no name for it.

use std::error::Error;
use std::fmt;

/// An error of webpki. Its text says what is wrong with "it", the certificate of the peer.
#[derive(Debug)]
pub struct ChainError(pub webpki::Error);

impl fmt::Display for ChainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use webpki::Error::*;
        f.write_str(match &self.0 {
            NameConstraintViolation => {
                "an authority of its chain may not sign certificates with this name (nameConstraints)"
            }
            PathLenConstraintViolated => {
                "its chain has more authorities than one of them allows (pathlen of basicConstraints)"
            }
            UnsupportedCriticalExtension => {
                "it, or an authority of its chain, has a critical extension that is not supported"
            }
            UnsupportedCertVersion => "it, or an authority of its chain, is not a certificate of X.509 version 3",
            EndEntityUsedAsCa => "an issuer in its chain is not an authority (CA:TRUE)",
            EmptyEkuExtension => "its extended key usage, or that of an authority of its chain, is empty",
            InvalidCertValidity => "its validity period, or that of an authority of its chain, ends before it begins",
            SignatureAlgorithmMismatch => "it, or an authority of its chain, names two different signature algorithms",
            UnsupportedSignatureAlgorithmContext(_) | UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
                "it, or an authority of its chain, is signed with an algorithm or key that is not supported"
            }
            MaximumNameConstraintComparisonsExceeded
            | MaximumPathBuildCallsExceeded
            | MaximumPathDepthExceeded
            | MaximumSignatureChecksExceeded => "its chain has too many certificates or names to be checked",
            ExtensionValueInvalid
            | InvalidNetworkMaskConstraint
            | InvalidSerialNumber
            | MalformedDnsIdentifier
            | MalformedExtensions
            | MalformedNameConstraint => "it, or an authority of its chain, has a malformed extension or serial number",
            _ => "its chain cannot be checked",
        })
    }
}

impl Error for ChainError {}
