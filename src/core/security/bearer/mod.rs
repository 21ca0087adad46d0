//! Bearer tokens of OAUTHBEARER: JSON Web Tokens (RFC 7519), signed by an issuer or, for development, unsecured.
//!
//! Tokens are secrets: no text of an error contains one.

mod jwks;
mod jwt;
mod unsecured;

#[cfg(test)]
mod tests;

use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, general_purpose::URL_SAFE_NO_PAD};
use ottla_wire::types::TimestampMs;
use serde_json::{Map, Value};

pub use jwks::{Jwks, JwksError};
pub use jwt::{JwtFault, JwtSettings};
pub use unsecured::UnsecuredSettings;

type Object = Map<String, Value>;

/// Base64 with the alphabet of URLs, with or without padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Decodes a part of a token as RFC 7515 writes it.
fn decode(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}

/// Decodes a part of a token that is a JSON object.
fn object(json: &[u8]) -> Option<Object> {
    match serde_json::from_slice(json) {
        Ok(Value::Object(object)) => Some(object),
        _ => None,
    }
}

/// A time in seconds as a timestamp.
#[allow(clippy::cast_possible_truncation, reason = "the conversion saturates")]
fn timestamp(seconds: f64) -> TimestampMs {
    (seconds * 1000.0).round() as TimestampMs
}
