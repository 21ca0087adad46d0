//! Private keys with their certificates, as rustls uses them.

use rustls::crypto::ring::sign::any_supported_type;
use rustls::sign::CertifiedKey;

use super::keystore::KeyMaterial;
use ottla_core::security::certificate::Certificate;

/// Checks that a private key is supported and belongs to its certificate. The error is one line.
pub fn certified_key(material: KeyMaterial) -> Result<(CertifiedKey, Certificate), String> {
    let key = any_supported_type(&material.key).map_err(|_| {
        "the private key has an unsupported type or size; use RSA with 2048 to 4096 bits, or an elliptic curve: P-256, \
         P-384 or Ed25519"
    })?;
    let own = material.chain.first().map(|der| Certificate::parse(der)).transpose()?;
    let own = own.ok_or("there is no certificate for the private key")?;
    if let Some(public_key) = key.public_key()
        && public_key.as_ref() != own.public_key
    {
        return Err(format!("the private key does not belong to the certificate of {}", own.subject));
    }
    Ok((CertifiedKey::new(material.chain, key), own))
}
