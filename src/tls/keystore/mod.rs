//! A private key with its certificates, and trusted certificates: read from PEM, PKCS #12 or JKS, as the settings say.
//!
//! An error is one line that names the setting, and says what to do.

mod jks;
mod pem;

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use p12_keystore::{CertificateBag, KeyStore, Pkcs12Archive, Pkcs12ImportPolicy};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use jks::JksError;
use ottla_config::{Named, Password, StoreConfig};

/// The size of the largest store that is read: larger than a bundle of all public authorities.
const MAX_STORE_BYTES: u64 = 16 << 20;
const PEM: &str = "PEM";

/// A private key and its certificates, the one of the key first.
#[derive(Debug)]
pub struct KeyMaterial {
    pub key: PrivateKeyDer<'static>,
    pub chain: Vec<CertificateDer<'static>>,
}

/// Reads a private key and its certificates; `None` if no keystore is configured.
pub fn load_key(store: &StoreConfig, key_password: Option<&Password>) -> Result<Option<KeyMaterial>, String> {
    check_type(store)?;
    let material = match (&store.key, &store.certificates, &store.location) {
        (None, None, None) => return Ok(None),
        (Some(key), Some(chain), None) => {
            check_inline(store, key)?;
            let key =
                pem::private_key(key.value.expose(), key_password).map_err(|why| format!("{}: {why}", key.name))?;
            let certificates = pem::certificates(chain.value.expose());
            KeyMaterial { key, chain: certificates.map_err(|why| format!("{}: {why}", chain.name))? }
        }
        (Some(key), None, _) => return Err(format!("{} is set, but ssl.keystore.certificate.chain is not", key.name)),
        (None, Some(chain), _) => return Err(format!("{} is set, but ssl.keystore.key is not", chain.name)),
        (Some(key), _, Some(location)) => {
            return Err(format!("{} and {} are both set; remove one", key.name, location.name));
        }
        (None, None, Some(location)) => key_of_file(store, location, key_password)?,
    };
    match material.chain.is_empty() {
        true => Err(format!("{}: there is no certificate for the private key", place(store))),
        false => Ok(Some(material)),
    }
}

/// Reads trusted certificates; `None` if no truststore is configured.
pub fn load_trusted(store: &StoreConfig) -> Result<Option<Vec<CertificateDer<'static>>>, String> {
    check_type(store)?;
    let trusted = match (&store.certificates, &store.location) {
        (None, None) => return check_no_password(store).map(|()| None),
        (Some(certificates), Some(location)) => {
            return Err(format!("{} and {} are both set; remove one", certificates.name, location.name));
        }
        (Some(certificates), None) => {
            check_inline(store, certificates)?;
            pem::certificates(certificates.value.expose()).map_err(|why| format!("{}: {why}", certificates.name))?
        }
        (None, Some(location)) => certificates_of_file(store, location)
            .map_err(|why| format!("{}={}: {why}", location.name, location.value))?,
    };
    match trusted.is_empty() {
        true => Err(format!("{}: there is no certificate of an authority", place(store))),
        false => Ok(Some(trusted)),
    }
}

/// Reads all certificates of a PEM file.
pub fn certificates_of_pem_file(path: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    read_text(path).and_then(|text| pem::certificates(&text)).map_err(|why| format!("{path}: {why}"))
}

/// The setting that says where a store is, and its value if it is a file.
fn place(store: &StoreConfig) -> String {
    match (&store.location, store.certificates.as_ref()) {
        (Some(location), _) => format!("{}={}", location.name, location.value),
        (None, Some(certificates)) => certificates.name.clone(),
        (None, None) => store.store_type.name.clone(),
    }
}

fn check_type(store: &StoreConfig) -> Result<(), String> {
    let Named { name, value } = &store.store_type;
    match value.as_str() {
        "JKS" | "PKCS12" | PEM => Ok(()),
        _ if store.is_empty() => Ok(()),
        _ => Err(format!("{name}={value} is not supported; use PEM, PKCS12 or JKS")),
    }
}

/// Kafka's rules for PEM in the settings themselves.
fn check_inline(store: &StoreConfig, given: &Named<Password>) -> Result<(), String> {
    let Named { name, value } = &store.store_type;
    if value != PEM {
        return Err(format!("{} is PEM, but {name}={value}; set {name}=PEM", given.name));
    }
    check_pem_password(store)
}

/// Kafka's rule for a password without a truststore, which shows that a location is missing.
fn check_no_password(store: &StoreConfig) -> Result<(), String> {
    match &store.password {
        Some(password) if !password.value.expose().is_empty() => Err(format!(
            "{} is set, but no truststore is; set ssl.truststore.location, or remove the password",
            password.name
        )),
        _ => Ok(()),
    }
}

fn check_pem_password(store: &StoreConfig) -> Result<(), String> {
    match &store.password {
        Some(password) if !password.value.expose().is_empty() => Err(format!(
            "{} has no meaning for PEM; remove it (ssl.key.password decrypts a private key)",
            password.name
        )),
        _ => Ok(()),
    }
}

fn key_of_file(
    store: &StoreConfig,
    location: &Named<String>,
    key_password: Option<&Password>,
) -> Result<KeyMaterial, String> {
    let read = || {
        if store.store_type.value == PEM {
            check_pem_password(store)?;
            let text = read_text(&location.value)?;
            return Ok(KeyMaterial { key: pem::private_key(&text, key_password)?, chain: pem::certificates(&text)? });
        }
        let file = read_binary(store, &location.value)?;
        match jks::is_jks(&file) {
            true => key_of_jks(&file, store, key_password),
            false => key_of_pkcs12(&file, store),
        }
    };
    read().map_err(|why: String| format!("{}={}: {why}", location.name, location.value))
}

fn certificates_of_file(store: &StoreConfig, location: &Named<String>) -> Result<Vec<CertificateDer<'static>>, String> {
    if store.store_type.value == PEM {
        check_pem_password(store)?;
        return pem::certificates(&read_text(&location.value)?);
    }
    let file = read_binary(store, &location.value)?;
    match jks::is_jks(&file) {
        true => {
            let entries = jks::read(&file, password(store)).map_err(|error| explain(error, store))?;
            // The certificate of a private key counts, as in Java.
            let certificates = entries.into_iter().filter_map(|entry| match entry {
                jks::Entry::Certificate(certificate) => Some(certificate),
                jks::Entry::Key { chain, .. } => chain.into_iter().next(),
            });
            Ok(certificates.map(CertificateDer::from).collect())
        }
        false => certificates_of_pkcs12(&file, store),
    }
}

fn key_of_jks(file: &[u8], store: &StoreConfig, key_password: Option<&Password>) -> Result<KeyMaterial, String> {
    let entries = jks::read(file, password(store)).map_err(|error| explain(error, store))?;
    let key = entries.into_iter().find_map(|entry| match entry {
        jks::Entry::Key { protected, chain } => Some((protected, chain)),
        jks::Entry::Certificate(_) => None,
    });
    let (protected, chain) = key.ok_or("there is no private key")?;
    let password = key_password.map(Password::expose).or(password(store));
    let password = password.ok_or("the private key is protected; set ssl.key.password")?;
    let key = jks::unprotect(&protected, password).map_err(|error| match error {
        JksError::WrongPassword => "ssl.key.password (or else ssl.keystore.password) does not open the private key",
        JksError::Damaged => "the private key is damaged, or protected in an unknown way",
    })?;
    Ok(KeyMaterial {
        key: PrivateKeyDer::Pkcs8(key.into()),
        chain: chain.into_iter().map(CertificateDer::from).collect(),
    })
}

fn explain(error: JksError, store: &StoreConfig) -> String {
    match error {
        JksError::WrongPassword => wrong_password(store),
        JksError::Damaged => "the file is damaged".to_owned(),
    }
}

fn wrong_password(store: &StoreConfig) -> String {
    match &store.password {
        Some(password) => format!("{} does not open the file", password.name),
        None => {
            let password = store.store_type.name.replace(".type", ".password");
            format!("the file has a password; set {password}")
        }
    }
}

fn key_of_pkcs12(file: &[u8], store: &StoreConfig) -> Result<KeyMaterial, String> {
    let entries = KeyStore::from_pkcs12(file, password(store).unwrap_or_default(), Pkcs12ImportPolicy::Strict)
        .map_err(|error| explain_pkcs12(error, store))?;
    let (_, chain) = entries.private_key_chain().ok_or("there is no private key with a certificate")?;
    let key = PrivateKeyDer::Pkcs8(chain.key().as_der().to_vec().into());
    Ok(KeyMaterial { key, chain: chain.certs().iter().map(certificate).collect() })
}

/// The certificates that are marked as trusted, as Java marks them, and those of private keys, but not the others of a
/// key's chain: its owner has not said that their signatures are trusted. In a file without a private key and without
/// marks, all certificates count, because other programs than Java mark none.
fn certificates_of_pkcs12(file: &[u8], store: &StoreConfig) -> Result<Vec<CertificateDer<'static>>, String> {
    let archive = Pkcs12Archive::from_pkcs12(file, password(store).unwrap_or_default())
        .map_err(|error| explain_pkcs12(error, store))?;
    let is_of_key = |id: &[u8]| archive.keys.iter().any(|key| key.local_key_id.as_ref().is_some_and(|key| key.0 == id));
    let counts = |bag: &&CertificateBag| bag.local_key_id.as_deref().map_or(bag.trusted, is_of_key);
    let found: Vec<_> = archive.certs.iter().filter(counts).map(|bag| certificate(&bag.cert)).collect();
    match found.is_empty() && archive.keys.is_empty() {
        true => Ok(archive.certs.iter().map(|bag| certificate(&bag.cert)).collect()),
        false => Ok(found),
    }
}

fn explain_pkcs12(error: p12_keystore::error::Error, store: &StoreConfig) -> String {
    match error {
        p12_keystore::error::Error::MacError(_) => wrong_password(store),
        p12_keystore::error::Error::DerError(_) => "the file is neither PKCS12 nor JKS, or it is damaged".to_owned(),
        error => format!("the file cannot be read: {error}"),
    }
}

fn certificate(found: &p12_keystore::Certificate) -> CertificateDer<'static> {
    CertificateDer::from(found.as_der().to_vec())
}

fn password(store: &StoreConfig) -> Option<&str> {
    store.password.as_ref().map(|password| password.value.expose())
}

/// Reads a PKCS12 or JKS file.
fn read_binary(store: &StoreConfig, path: &str) -> Result<Vec<u8>, String> {
    let file = read_file(path)?;
    if file.windows(11).take(1 << 16).any(|window| window == b"-----BEGIN ") {
        return Err(format!("the file is PEM; set {}=PEM", store.store_type.name));
    }
    match jks::is_jceks(&file) {
        true => Err("the file is JCEKS, which is not supported; convert it with: keytool -importkeystore \
                     -deststoretype PKCS12"
            .to_owned()),
        false => Ok(file),
    }
}

fn read_text(path: &str) -> Result<String, String> {
    String::from_utf8(read_file(path)?)
        .map_err(|_| "the file is not PEM; set the store's type to PKCS12 or JKS".to_owned())
}

fn read_file(path: &str) -> Result<Vec<u8>, String> {
    let path = Path::new(path);
    let failed = |error: std::io::Error| format!("cannot read the file: {error}");
    // Reading a pipe or a device might never end.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err("this is not a file".to_owned());
    }
    let mut content = Vec::new();
    File::open(path).map_err(failed)?.take(MAX_STORE_BYTES + 1).read_to_end(&mut content).map_err(failed)?;
    match content.len() as u64 > MAX_STORE_BYTES {
        true => Err(format!("the file is larger than {MAX_STORE_BYTES} bytes")),
        false => Ok(content),
    }
}

#[cfg(test)]
mod tests;
