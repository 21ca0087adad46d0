use std::path::Path;

use super::*;
use ottla_config::{BrokerConfig, Sources, TlsConfig, load};
use ottla_core::security::certificate::Certificate;

/// The TLS settings of a listener with these settings; `$` stands for the folder of the stores, which openssl 3.0 and
/// keytool 17 made.
fn config(settings: &[(&str, &str)]) -> TlsConfig {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/keystores");
    let folder = format!("{}/", folder.display());
    let mut command_line = vec![("listeners".to_owned(), "SSL://:0".to_owned())];
    command_line.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), value.replace('$', &folder))));
    let config: BrokerConfig = load(&Sources { command_line, ..Sources::default() }).unwrap().config;
    config.tls().remove(0)
}

const TYPE: (&str, &str) = ("ssl.keystore.type", "PKCS12");
const PASSWORD: (&str, &str) = ("ssl.keystore.password", "secret");
const KEY_PASSWORD: (&str, &str) = ("ssl.key.password", "keysecret");

fn location(file: &str) -> (&'static str, &str) {
    ("ssl.keystore.location", file)
}

#[track_caller]
fn check_key(settings: &[(&str, &str)]) {
    let config = config(settings);
    let material = load_key(&config.keystore, config.key_password.as_ref()).unwrap().unwrap();
    let certificate = Certificate::parse(&material.chain[0]).unwrap();
    assert_eq!((certificate.subject.as_str(), material.chain.len()), ("CN=old format", 1));
    let key = rustls::crypto::ring::sign::any_supported_type(&material.key).unwrap();
    assert_eq!(key.public_key().unwrap().as_ref(), certificate.public_key, "the key belongs to the certificate");
}

#[track_caller]
fn check_error(settings: &[(&str, &str)], expect: &str) {
    let config = config(settings);
    let error = load_key(&config.keystore, config.key_password.as_ref()).unwrap_err();
    assert!(error.contains(expect) && !error.contains('\n') && !error.contains("secret"), "{error}");
}

#[test]
fn stores_of_openssl_and_keytool_are_read_whichever_type_is_named() {
    for file in ["$openssl.p12", "$openssl-legacy.p12", "$keytool.p12", "$keytool-legacy.p12"] {
        check_key(&[TYPE, location(file), PASSWORD]);
        check_key(&[location(file), PASSWORD]);
    }
    check_key(&[location("$keytool.jks"), PASSWORD, KEY_PASSWORD]);
    check_key(&[TYPE, location("$keytool.jks"), PASSWORD, KEY_PASSWORD]);
    for file in ["$encrypted.pem", "$encrypted-des3.pem"] {
        check_key(&[("ssl.keystore.type", "PEM"), location(file), KEY_PASSWORD]);
    }
}

#[test]
fn wrong_or_missing_password_is_named() {
    let wrong = ("ssl.keystore.password", "wrong");
    for file in ["$openssl.p12", "$openssl-legacy.p12", "$keytool.p12", "$keytool-legacy.p12", "$keytool.jks"] {
        check_error(&[location(file), wrong], "ssl.keystore.password does not open the file");
    }
    check_error(&[location("$openssl.p12")], "the file has a password; set ssl.keystore.password");
    check_error(&[location("$keytool.jks"), PASSWORD], "does not open the private key");
    check_error(&[location("$keytool.jks")], "the private key is protected; set ssl.key.password");
    let pem = ("ssl.keystore.type", "PEM");
    check_error(&[pem, location("$encrypted.pem")], "the private key is encrypted; set ssl.key.password");
    check_error(&[pem, location("$encrypted.pem"), ("ssl.key.password", "no")], "does not decrypt the private key");
}

#[test]
fn damaged_jks_store_is_an_error() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/keystores");
    let store = fs::read(folder.join("keytool.jks")).unwrap();
    assert_eq!(jks::read(&store, Some("secret")).unwrap().len(), 1);
    for end in 0..store.len() {
        assert!(jks::read(&store[..end], None).is_err() || end >= store.len() - 20, "the first {end} bytes");
        assert!(jks::read(&store[..end], Some("secret")).is_err(), "the first {end} bytes");
    }
    for at in 0..store.len() {
        let mut damaged = store.clone();
        damaged[at] ^= 1;
        assert!(jks::read(&damaged, Some("secret")).is_err(), "byte {at}");
        // Without a password it may seem intact, but must not panic.
        let _ = jks::read(&damaged, None);
    }
}

#[test]
fn trusted_certificates_are_read() {
    let trust =
        |settings: &[(&str, &str)]| load_trusted(&config(settings).truststore).map(|found| found.map(|all| all.len()));
    let location = |file| ("ssl.truststore.location", file);
    let password = ("ssl.truststore.password", "secret");
    assert_eq!(trust(&[]), Ok(None));
    assert_eq!(trust(&[location("$trusted.jks"), password]), Ok(Some(1)));
    assert_eq!(trust(&[location("$trusted.jks")]), Ok(Some(1)), "as in Java");
    assert_eq!(trust(&[location("$trusted.p12"), password]), Ok(Some(1)));
    assert_eq!(trust(&[location("$encrypted.pem"), ("ssl.truststore.type", "PEM")]), Ok(Some(1)));
    let error = |settings: &[(&str, &str)]| trust(settings).unwrap_err();
    assert!(error(&[location("$trusted.p12")]).contains("set ssl.truststore.password"));
    assert!(error(&[location("$encrypted.pem")]).contains("the file is PEM; set ssl.truststore.type=PEM"));
    assert!(error(&[location("$nowhere")]).contains("cannot read the file"));
    assert_eq!(
        error(&[password]),
        "ssl.truststore.password is set, but no truststore is; set ssl.truststore.location, or remove the password"
    );
    assert_eq!(trust(&[("ssl.truststore.password", "")]), Ok(None), "an empty one is none");
}

/// openssl and keytool made the stores: a key with its certificate "ok" and that of the authority "root", and in those
/// named mixed the trusted certificate "other". Java trusts the same.
#[test]
fn truststore_with_a_private_key_trusts_the_certificate_of_the_key_and_not_its_issuer() {
    let trusted = |file: &str| {
        let settings = [("ssl.truststore.location", file), ("ssl.truststore.password", "secret")];
        let found = load_trusted(&config(&settings).truststore).unwrap().unwrap();
        let mut subjects: Vec<_> = found.iter().map(|der| Certificate::parse(der).unwrap().subject).collect();
        subjects.sort();
        subjects
    };
    for file in ["$openssl-chain.p12", "$keytool-chain.jks"] {
        assert_eq!(trusted(file), ["CN=ok"], "{file}");
    }
    for file in ["$keytool-mixed.p12", "$keytool-mixed.jks"] {
        assert_eq!(trusted(file), ["CN=ok", "CN=other"], "{file}");
    }
    // Without a private key, nothing but the certificates can be meant.
    assert_eq!(trusted("$openssl-nokeys.p12"), ["CN=root"]);
}
