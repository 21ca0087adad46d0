//! The certificate authority and the server certificate.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, date_time_ymd,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::{CA_FILE, read, write};
use ottla_config::secure::SERVER_FILE;
use ottla_core::security::certificate::Certificate;
use ottla_wire::types::TimestampMs;

/// The authority's private key.
const CA_KEY_FILE: &str = "ca.key";
const CA_NAME: &str = "Ottla development CA";
const SERVER_NAME: &str = "Ottla";

const DAY: i64 = 24 * 60 * 60;
/// Clients keep the authority's certificate, so it lasts.
const CA_DAYS: i64 = 3650;
/// Some systems accept no longer lifetime of a server certificate than 825 days.
const SERVER_DAYS: i64 = 800;
/// A certificate with less time left is replaced.
const RENEWAL_DAYS: i64 = 60;

/// Makes the certificates that are missing, about to expire, or for other names. The error is one plain line.
pub(super) fn prepare(dir: &Path, names: &[String], now: TimestampMs) -> Result<(), String> {
    let now = now / 1000;
    let (ca_path, server_path) = (dir.join(CA_FILE), dir.join(SERVER_FILE));
    let kept = kept_ca(dir, now)?;
    let is_new = kept.is_none();
    let (ca_pem, ca_key) = match kept {
        Some(kept) => kept,
        None => make_ca(dir, now)?,
    };
    let server = read(&server_path)?;
    let is_current = !is_new
        && server.is_some_and(|pem| certificate(&pem).is_some_and(|found| lasts(&found, now) && covers(&found, names)));
    if !is_current {
        let server = make_server(&ca_key, names, now).map_err(|error| cannot_make(&error))?;
        write(&server_path, &format!("{server}{ca_pem}"), true)?;
        tracing::info!(names = names.join(" "), path = %server_path.display(), ca = %ca_path.display(), "made a server certificate");
    }
    Ok(())
}

/// The authority of an earlier start, unless it is about to expire.
fn kept_ca(dir: &Path, now: i64) -> Result<Option<(String, KeyPair)>, String> {
    let (ca_path, key_path) = (dir.join(CA_FILE), dir.join(CA_KEY_FILE));
    let (Some(pem), Some(key)) = (read(&ca_path)?, read(&key_path)?) else { return Ok(None) };
    let found = certificate(&pem).ok_or_else(|| unreadable(&ca_path))?;
    let key = KeyPair::from_pem(&key).map_err(|_| unreadable(&key_path))?;
    Ok(lasts(&found, now).then_some((pem, key)))
}

fn unreadable(path: &Path) -> String {
    format!("{} is damaged; remove it to get a new certificate authority", path.display())
}

fn make_ca(dir: &Path, now: i64) -> Result<(String, KeyPair), String> {
    let make = || {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let ca = ca_params(now)?.self_signed(&key)?;
        Ok((ca.pem(), key))
    };
    let (pem, key) = make().map_err(|error: rcgen::Error| cannot_make(&error))?;
    write(&dir.join(CA_KEY_FILE), &key.serialize_pem(), true)?;
    write(&dir.join(CA_FILE), &pem, false)?;
    Ok((pem, key))
}

fn cannot_make(error: &dyn fmt::Display) -> String {
    format!("cannot make certificates for ottla.secure: {error}")
}

fn ca_params(now: i64) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, CA_NAME);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_validity(&mut params, now, CA_DAYS);
    Ok(params)
}

/// The private key and the certificate, as PEM.
fn make_server(ca_key: &KeyPair, names: &[String], now: i64) -> Result<String, rcgen::Error> {
    let mut params = CertificateParams::new(usable(names))?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, SERVER_NAME);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    set_validity(&mut params, now, SERVER_DAYS);
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let certificate = params.signed_by(&key, &Issuer::from_params(&ca_params(now)?, ca_key))?;
    Ok(format!("{}{}", key.serialize_pem(), certificate.pem()))
}

/// Names that a certificate can have: ASCII.
fn usable(names: &[String]) -> Vec<String> {
    names.iter().filter(|name| name.is_ascii()).cloned().collect()
}

/// From a day ago, because clocks differ.
fn set_validity(params: &mut CertificateParams, now: i64, days: i64) {
    let at = |seconds: i64| date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds.max(0).unsigned_abs());
    params.not_before = at(now - DAY);
    params.not_after = at(now + days * DAY);
}

/// The first certificate of a PEM file.
fn certificate(pem: &str) -> Option<Certificate> {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).ok()?;
    Certificate::parse(&der).ok()
}

fn lasts(found: &Certificate, now: i64) -> bool {
    found.not_before <= now && found.not_after > now + RENEWAL_DAYS * DAY
}

/// Whether the certificate has all names.
fn covers(found: &Certificate, names: &[String]) -> bool {
    usable(names).iter().all(|name| found.is_for(name))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const NOW: TimestampMs = 1_800_000_000_000;
    const DAY_MS: TimestampMs = DAY * 1000;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn certificates_are_kept_until_names_are_missing_or_they_expire() {
        let dir = tempfile::tempdir().unwrap();
        let start = |list: &[&str], now| {
            prepare(dir.path(), &names(list), now).unwrap();
            [CA_FILE, SERVER_FILE].map(|file| fs::read_to_string(dir.path().join(file)).unwrap())
        };
        let both = ["localhost", "127.0.0.1", "::1"];
        let [ca, server] = start(&both, NOW);
        assert_eq!(start(&both, NOW + DAY_MS), [ca.clone(), server.clone()]);
        assert_eq!(start(&both[..1], NOW), [ca.clone(), server.clone()], "more names than needed");
        let [same_ca, other] = start(&["localhost", "kafka"], NOW);
        assert_eq!((&same_ca, other == server), (&ca, false));
        let [same_ca, renewed] = start(&["localhost", "kafka"], NOW + (SERVER_DAYS - RENEWAL_DAYS) * DAY_MS);
        assert_eq!((&same_ca, renewed == other), (&ca, false));
        let [new_ca, signed] = start(&["localhost", "kafka"], NOW + (CA_DAYS - RENEWAL_DAYS) * DAY_MS);
        assert!(new_ca != ca && signed != renewed && signed.ends_with(&new_ca));
    }

    #[test]
    fn keys_can_be_read_by_their_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        prepare(dir.path(), &names(&["localhost"]), NOW).unwrap();
        for (file, mode) in [(CA_FILE, 0o644), (CA_KEY_FILE, 0o600), (SERVER_FILE, 0o600)] {
            let found = fs::metadata(dir.path().join(file)).unwrap().permissions().mode() & 0o777;
            assert_eq!(found & !mode, 0, "{file}: {found:o}");
        }
    }

    #[test]
    fn damaged_file_is_one_line_with_advice() {
        let dir = tempfile::tempdir().unwrap();
        prepare(dir.path(), &names(&["localhost"]), NOW).unwrap();
        fs::write(dir.path().join(CA_KEY_FILE), "x").unwrap();
        let error = prepare(dir.path(), &names(&["localhost"]), NOW).unwrap_err();
        assert!(error.ends_with("ca.key is damaged; remove it to get a new certificate authority"), "{error}");
    }
}
