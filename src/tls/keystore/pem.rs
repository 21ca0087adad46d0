//! PEM: private keys in PKCS #8 (also encrypted), PKCS #1 and SEC 1, and certificates.
//!
//! As in Kafka, white space inside of a block may be anything: in a properties file, a PEM text is often one line.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pkcs8::EncryptedPrivateKeyInfoRef;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use ottla_config::Password;

/// The certificates of a text, in their order.
pub fn certificates(text: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let is_certificate = |block: &&Block<'_>| matches!(block.label, "CERTIFICATE" | "X509 CERTIFICATE");
    let blocks = blocks(text)?;
    let decoded: Result<Vec<_>, _> = blocks.iter().filter(is_certificate).map(|block| block.decode()).collect();
    Ok(decoded?.into_iter().map(CertificateDer::from).collect())
}

/// The first private key of a text, decrypted with `password` if it is encrypted.
pub fn private_key(text: &str, password: Option<&Password>) -> Result<PrivateKeyDer<'static>, String> {
    let blocks = blocks(text)?;
    let block = blocks.iter().find(|block| block.label.ends_with("PRIVATE KEY"));
    let block = block.ok_or("there is no private key (-----BEGIN PRIVATE KEY-----)")?;
    if block.body.contains("Proc-Type:") {
        return Err(
            "the private key is encrypted in the traditional format; convert it with: openssl pkcs8 -topk8 -in \
                    old.pem -out new.pem"
                .to_owned(),
        );
    }
    // As in Kafka, which tries to decrypt the key.
    if block.label != "ENCRYPTED PRIVATE KEY" && password.is_some_and(|password| !password.expose().is_empty()) {
        return Err("ssl.key.password is set, but the private key is not encrypted; remove the password".to_owned());
    }
    let der = block.decode()?;
    match block.label {
        "PRIVATE KEY" => Ok(PrivateKeyDer::Pkcs8(der.into())),
        "RSA PRIVATE KEY" => Ok(PrivateKeyDer::Pkcs1(der.into())),
        "EC PRIVATE KEY" => Ok(PrivateKeyDer::Sec1(der.into())),
        "ENCRYPTED PRIVATE KEY" => decrypt(&der, password),
        other => Err(format!(
            "private keys of the kind \"{other}\" are not supported; convert it with: openssl pkcs8 -topk8"
        )),
    }
}

/// Decrypts a private key in PKCS #8 with PBES2.
fn decrypt(der: &[u8], password: Option<&Password>) -> Result<PrivateKeyDer<'static>, String> {
    let password = password.ok_or("the private key is encrypted; set ssl.key.password")?;
    let encrypted = EncryptedPrivateKeyInfoRef::try_from(der).map_err(|_| {
        "the private key is encrypted with an unsupported algorithm; convert it with: openssl pkcs8 -topk8 -v2 aes-256-cbc"
    })?;
    let key = encrypted.decrypt(password.expose()).map_err(|_| "ssl.key.password does not decrypt the private key")?;
    Ok(PrivateKeyDer::Pkcs8(key.as_bytes().to_vec().into()))
}

/// A block: `-----BEGIN <label>-----`, the body, and `-----END <label>-----`.
struct Block<'a> {
    label: &'a str,
    body: &'a str,
}

impl Block<'_> {
    fn decode(&self) -> Result<Vec<u8>, String> {
        let body: String = self.body.chars().filter(|c| !c.is_whitespace()).collect();
        STANDARD.decode(body).map_err(|_| format!("the block {} is not valid base64", self.label))
    }
}

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";

fn blocks(text: &str) -> Result<Vec<Block<'_>>, String> {
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once(BEGIN) {
        let (label, after) = after.split_once(DASHES).ok_or("a line -----BEGIN has no end")?;
        let end = format!("-----END {label}-----");
        let (body, after) = after.split_once(&end).ok_or_else(|| format!("the line {end} is missing"))?;
        blocks.push(Block { label: label.trim(), body });
        rest = after;
    }
    Ok(blocks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_in_text_of_one_line_and_with_comments() {
        let text = "Bag Attributes\n-----BEGIN CERTIFICATE----- AQID\n BA== -----END CERTIFICATE-----\r\n\
                    -----BEGIN CERTIFICATE-----BQ==-----END CERTIFICATE-----";
        let found = certificates(text).unwrap();
        assert_eq!(found.iter().map(|one| one.as_ref()).collect::<Vec<_>>(), [&[1, 2, 3, 4][..], &[5]]);
        assert!(certificates("").unwrap().is_empty());
    }

    #[test]
    fn damaged_blocks_are_errors() {
        let error = |text| certificates(text).unwrap_err();
        assert_eq!(error("-----BEGIN CERTIFICATE-----AQID"), "the line -----END CERTIFICATE----- is missing");
        assert_eq!(
            error("-----BEGIN CERTIFICATE-----A!-----END CERTIFICATE-----"),
            "the block CERTIFICATE is not valid base64"
        );
    }

    #[test]
    fn unsupported_private_keys_say_how_to_convert_them() {
        let key = |text| private_key(text, None).unwrap_err();
        assert!(key("").contains("there is no private key"));
        assert!(key("-----BEGIN DSA PRIVATE KEY-----AQID-----END DSA PRIVATE KEY-----").contains("openssl pkcs8"));
        let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAQID-----END RSA PRIVATE KEY-----";
        assert!(key(old).contains("openssl pkcs8 -topk8"));
        let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----AQID-----END ENCRYPTED PRIVATE KEY-----";
        assert_eq!(key(encrypted), "the private key is encrypted; set ssl.key.password");
    }

    #[test]
    fn password_of_a_private_key_that_is_not_encrypted_is_refused() {
        let key = |password: &str| {
            private_key("-----BEGIN PRIVATE KEY-----AQID-----END PRIVATE KEY-----", Some(&Password::new(password)))
        };
        let expect = "ssl.key.password is set, but the private key is not encrypted; remove the password";
        assert_eq!(key("secret").unwrap_err(), expect);
        assert!(key("").is_ok(), "an empty one is none");
    }
}
