//! Arbitrary bytes as a bearer token, as a key set, and as the claims of a token that is signed correctly: accepted or
//! refused, without a panic. An accepted token is signed, not expired, and has a user.

#![no_main]

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use ottla_core::security::bearer::{Jwks, JwtSettings, UnsecuredSettings};
use ottla_core::security::jaas::parse_property;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};

const NOW: i64 = 1_500_000;

struct Issuer {
    pair: EcdsaKeyPair,
    keys: Jwks,
    random: SystemRandom,
}

static ISSUER: LazyLock<Issuer> = LazyLock::new(|| {
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).unwrap();
    let point = pair.public_key().as_ref();
    let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
    let set = format!(r#"{{"keys":[{{"kty":"EC","crv":"P-256","kid":"1","x":"{x}","y":"{y}"}}]}}"#);
    Issuer { pair, keys: Jwks::parse(set.as_bytes()).unwrap(), random }
});

static SETTINGS: LazyLock<JwtSettings> =
    LazyLock::new(|| JwtSettings { expected_audience: vec!["kafka".to_owned()], ..JwtSettings::default() });

static UNSECURED: LazyLock<UnsecuredSettings> =
    LazyLock::new(|| UnsecuredSettings::of_options(&parse_property("x.Y required;").unwrap()).unwrap());

fuzz_target!(|input: &[u8]| {
    let issuer = &*ISSUER;
    let _ = Jwks::parse(input);
    if let Ok(token) = std::str::from_utf8(input) {
        // Nobody else has the key.
        assert!(SETTINGS.validate(token, &issuer.keys, NOW).is_err());
        if let Ok(accepted) = UNSECURED.validate(token, NOW) {
            assert!(accepted.expires > NOW && !accepted.user.trim().is_empty());
        }
    }
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
    let claims = URL_SAFE_NO_PAD.encode(input);
    if let Ok(accepted) = UNSECURED.validate(&format!("{header}.{claims}."), NOW) {
        assert!(accepted.expires > NOW && !accepted.user.trim().is_empty());
    }
    let signed = format!("{}.{claims}", URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256","kid":"1"}"#));
    let signature = issuer.pair.sign(&issuer.random, signed.as_bytes()).unwrap();
    let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
    if let Ok(accepted) = SETTINGS.validate(&token, &issuer.keys, NOW) {
        assert!(accepted.expires > NOW - 30_000 && !accepted.user.is_empty());
    }
});
