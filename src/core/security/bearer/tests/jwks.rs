//! Signatures made by another program, in every algorithm.

use super::*;
use crate::security::bearer::jwks::{Algorithm, Verification};

const KEYS: &str = include_str!("keys.json");
const TOKENS: &str = include_str!("tokens.tsv");

fn tokens() -> impl Iterator<Item = (&'static str, &'static str)> {
    TOKENS.lines().map(|line| line.split_once('\t').unwrap())
}

fn verify(keys: &Jwks, id: Option<&str>, name: &str, token: &str) -> Verification {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    keys.verify(id, (name, Algorithm::named(name).unwrap()), signed.as_bytes(), &decode(signature).unwrap())
}

#[test]
fn signatures_of_all_algorithms_are_verified_with_and_without_key_id() {
    let keys = Jwks::parse(KEYS.as_bytes()).unwrap();
    assert_eq!(tokens().count(), 8);
    for (name, token) in tokens() {
        let id = match name {
            "ES256" => "p256",
            "ES384" => "p384",
            _ => "rsa",
        };
        assert_eq!(verify(&keys, Some(id), name, token), Verification::Valid, "{name}");
        assert_eq!(verify(&keys, None, name, token), Verification::Valid, "{name}");
        assert_eq!(verify(&keys, Some("other"), name, token), Verification::NoKey, "{name}");
        let changed = token.replacen("ey", "ez", 1);
        assert_eq!(verify(&keys, Some(id), name, &changed), Verification::Invalid, "{name}");
    }
    let (_, rs256) = tokens().next().unwrap();
    assert_eq!(verify(&keys, Some("rsa"), "RS512", rs256), Verification::Invalid);
    assert_eq!(verify(&keys, Some("rsa"), "ES256", rs256), Verification::NoKey);
    assert_eq!(Algorithm::named("none"), None);
    assert_eq!(Algorithm::named("HS256"), None);
}

#[test]
fn keys_that_cannot_be_used_are_skipped() {
    let all: Value = serde_json::from_str(KEYS).unwrap();
    let rsa = &all["keys"][0];
    for change in [
        json!({"use": "enc"}),
        json!({"key_ops": ["sign"]}),
        json!({"kty": "oct"}),
        json!({"kty": "OKP"}),
        json!({"n": null}),
        json!({"n": "AA"}),
        json!({"e": "!"}),
        json!({"kty": "EC", "crv": "P-521"}),
        json!({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}),
    ] {
        let set = json!({"keys": [with(rsa, &change), 1, null]}).to_string();
        assert_eq!(Jwks::parse(set.as_bytes()), Err(JwksError::NoKey), "{change}");
        let set = json!({"keys": [with(rsa, &change), rsa]}).to_string();
        assert_eq!(Jwks::parse(set.as_bytes()).unwrap().keys.len(), 1, "{change}");
    }
    // A key for one algorithm only.
    let set = json!({"keys": [with(rsa, &json!({"alg": "RS384"}))]}).to_string();
    let keys = Jwks::parse(set.as_bytes()).unwrap();
    for (name, token) in tokens().filter(|(name, _)| name.starts_with("RS")) {
        let expected = if name == "RS384" { Verification::Valid } else { Verification::NoKey };
        assert_eq!(verify(&keys, Some("rsa"), name, token), expected, "{name}");
    }
}

#[test]
fn texts_that_are_no_key_sets_are_refused() {
    for text in ["", "[]", "{}", "{\"keys\": {}}", "{\"keys\": [", "\u{0}"] {
        assert_eq!(Jwks::parse(text.as_bytes()), Err(JwksError::Malformed), "{text:?}");
    }
    assert_eq!(Jwks::parse(b"{\"keys\": []}"), Err(JwksError::NoKey));
}
