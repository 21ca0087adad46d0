//! Versions of TLS and cipher suites by their names in Java. Versions before 1.2, and suites with CBC or without ECDHE, are
//! not supported, and refused.

use rustls::crypto::CryptoProvider;
use rustls::version::{TLS12, TLS13};
use rustls::{CipherSuite, SupportedProtocolVersion};

use ottla_config::Named;

const SUPPORTED_VERSIONS: &str = "TLSv1.2 and TLSv1.3";

/// The names of the supported cipher suites, which are those of the standards.
const SUITES: [(&str, CipherSuite); 9] = [
    ("TLS_AES_256_GCM_SHA384", CipherSuite::TLS13_AES_256_GCM_SHA384),
    ("TLS_AES_128_GCM_SHA256", CipherSuite::TLS13_AES_128_GCM_SHA256),
    ("TLS_CHACHA20_POLY1305_SHA256", CipherSuite::TLS13_CHACHA20_POLY1305_SHA256),
    ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384),
    ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256),
    ("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256),
    ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384),
    ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
    ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256),
];

/// The versions of `ssl.enabled.protocols`; `ssl.protocol` is only checked.
pub fn versions(
    protocol: &Named<String>,
    enabled: &Named<Vec<String>>,
) -> Result<Vec<&'static SupportedProtocolVersion>, String> {
    let refuse = |name: &str, value: &str| Err(format!("{name}: {value} is not supported; use {SUPPORTED_VERSIONS}"));
    match protocol.value.as_str() {
        "TLS" | "TLSv1.2" | "TLSv1.3" => {}
        other => return refuse(&protocol.name, other),
    }
    if enabled.value.is_empty() {
        return Ok(vec![&TLS13, &TLS12]);
    }
    let mut versions: Vec<&'static SupportedProtocolVersion> = Vec::new();
    for name in &enabled.value {
        let version = match name.as_str() {
            "TLSv1.3" => &TLS13,
            "TLSv1.2" => &TLS12,
            other => return refuse(&enabled.name, other),
        };
        if !versions.iter().any(|known| known.version == version.version) {
            versions.push(version);
        }
    }
    Ok(versions)
}

/// Leaves only the cipher suites of `ssl.cipher.suites`, in their order.
pub fn restrict(provider: &mut CryptoProvider, given: &Named<Vec<String>>) -> Result<(), String> {
    if given.value.is_empty() {
        return Ok(());
    }
    let mut suites = Vec::new();
    for name in &given.value {
        let suite = SUITES.iter().find(|(known, _)| known == name).map(|(_, suite)| *suite);
        let suite = provider.cipher_suites.iter().find(|supported| Some(supported.suite()) == suite);
        suites.push(*suite.ok_or_else(|| {
            let names: Vec<&str> = SUITES.iter().map(|(name, _)| *name).collect();
            format!("{}: {name} is not supported; supported are {}", given.name, names.join(", "))
        })?);
    }
    provider.cipher_suites = suites;
    Ok(())
}
