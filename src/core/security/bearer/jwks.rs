//! JSON Web Key Sets (RFC 7517, RFC 7518): the public keys of an issuer.

use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey,
};
use serde_json::Value;

use super::{Object, decode, object};

/// The keys that are used of one set; an issuer has a few.
const MAX_KEYS: usize = 256;

/// The public keys of an issuer that can verify signatures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Jwks {
    pub(super) keys: Vec<Key>,
}

/// Why a key set cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwksError {
    #[error("it is not a JSON Web Key Set: an object with a list named keys")]
    Malformed,
    #[error("it has no key that can verify a signature (RSA of 2048 bits or more, EC P-256 or P-384)")]
    NoKey,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// `kid`.
    id: Option<String>,
    /// `alg`: the only algorithm that the key is for.
    algorithm: Option<String>,
    material: Material,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Material {
    /// Modulus and exponent, big-endian.
    Rsa(Vec<u8>, Vec<u8>),
    /// The point in uncompressed form.
    P256(Vec<u8>),
    P384(Vec<u8>),
}

/// A signature algorithm (RFC 7518) that can be verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rsa(&'static str),
    Es256,
    Es384,
}

impl Algorithm {
    /// The algorithm with this name. `none` and shared secrets are not allowed.
    pub fn named(name: &str) -> Option<Algorithm> {
        match name {
            "ES256" => Some(Algorithm::Es256),
            "ES384" => Some(Algorithm::Es384),
            _ => ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]
                .into_iter()
                .find(|rsa| *rsa == name)
                .map(Algorithm::Rsa),
        }
    }
}

/// The result of looking for the key of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verification {
    Valid,
    Invalid,
    /// No key has the id of the token and is for its algorithm.
    NoKey,
}

impl Jwks {
    /// Parses a key set. Keys that cannot be used are skipped, as RFC 7517 requires.
    pub fn parse(json: &[u8]) -> Result<Jwks, JwksError> {
        let set = object(json).ok_or(JwksError::Malformed)?;
        let keys = set.get("keys").and_then(Value::as_array).ok_or(JwksError::Malformed)?;
        let keys: Vec<Key> = keys.iter().filter_map(Value::as_object).filter_map(Key::parse).take(MAX_KEYS).collect();
        if keys.is_empty() { Err(JwksError::NoKey) } else { Ok(Jwks { keys }) }
    }

    /// Verifies a signature with the keys that have the token's key id, or with all keys if the token has none.
    pub(super) fn verify(
        &self,
        id: Option<&str>,
        algorithm: (&str, Algorithm),
        message: &[u8],
        signature: &[u8],
    ) -> Verification {
        let (name, algorithm) = algorithm;
        let of_id = |key: &&Key| id.is_none_or(|id| key.id.as_deref() == Some(id));
        let mut result = Verification::NoKey;
        for key in self.keys.iter().filter(of_id).filter(|key| key.algorithm.as_deref().is_none_or(|only| only == name))
        {
            match key.material.verify(algorithm, message, signature) {
                Some(true) => return Verification::Valid,
                Some(false) => result = Verification::Invalid,
                None => {}
            }
        }
        result
    }
}

impl Key {
    fn parse(key: &Object) -> Option<Key> {
        let text = |name: &str| key.get(name).and_then(Value::as_str);
        let bytes = |name: &str| text(name).and_then(decode);
        if text("use").is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        let operations = key.get("key_ops").and_then(Value::as_array);
        if operations.is_some_and(|operations| !operations.iter().any(|operation| operation == "verify")) {
            return None;
        }
        let point = |length: usize| {
            let mut point = vec![4];
            for name in ["x", "y"] {
                point.extend(bytes(name).filter(|coordinate| coordinate.len() == length)?);
            }
            Some(point)
        };
        let material = match (text("kty")?, text("crv")) {
            ("RSA", _) => Material::Rsa(number(bytes("n")?)?, number(bytes("e")?)?),
            ("EC", Some("P-256")) => Material::P256(point(32)?),
            ("EC", Some("P-384")) => Material::P384(point(48)?),
            _ => return None,
        };
        Some(Key { id: text("kid").map(str::to_owned), algorithm: text("alg").map(str::to_owned), material })
    }
}

/// A big-endian number without leading zeros, which ring refuses.
fn number(bytes: Vec<u8>) -> Option<Vec<u8>> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let number = bytes.get(zeros..)?.to_vec();
    (!number.is_empty()).then_some(number)
}

impl Material {
    /// Verifies a signature; `None` if the algorithm needs a key of another type.
    fn verify(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> Option<bool> {
        let verified = match (self, algorithm) {
            (Material::Rsa(n, e), Algorithm::Rsa(name)) => {
                RsaPublicKeyComponents { n, e }.verify(rsa_parameters(name)?, message, signature)
            }
            (Material::P256(point), Algorithm::Es256) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
            }
            (Material::P384(point), Algorithm::Es384) => {
                UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point).verify(message, signature)
            }
            _ => return None,
        };
        Some(verified.is_ok())
    }
}

fn rsa_parameters(name: &str) -> Option<&'static RsaParameters> {
    Some(match name {
        "RS256" => &RSA_PKCS1_2048_8192_SHA256,
        "RS384" => &RSA_PKCS1_2048_8192_SHA384,
        "RS512" => &RSA_PKCS1_2048_8192_SHA512,
        "PS256" => &RSA_PSS_2048_8192_SHA256,
        "PS384" => &RSA_PSS_2048_8192_SHA384,
        "PS512" => &RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}
