//! Tokens of an issuer and unsecured ones.

mod jwks;
mod jwt;
mod unsecured;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::*;

/// The time at which the tokens of the tests are valid: they are issued at 1000 s and expire at 2000 s.
const NOW: TimestampMs = 1_500_000;

fn part(json: &Value) -> String {
    URL_SAFE_NO_PAD.encode(json.to_string())
}

/// `claims`, with changes; null removes a claim.
fn with(claims: &Value, changes: &Value) -> Value {
    let mut object = claims.as_object().unwrap().clone();
    for (name, value) in changes.as_object().unwrap() {
        object.remove(name);
        if !value.is_null() {
            object.insert(name.clone(), value.clone());
        }
    }
    Value::Object(object)
}

fn claims() -> Value {
    json!({"iss": "https://issuer.example", "aud": "kafka", "sub": "alice", "iat": 1000, "exp": 2000, "scope": "produce"})
}
