//! SaslAuthenticate (key 36), versions 0 to 2: carries the bytes of a SASL exchange.
//!
//! - 1: how long the session lives (KIP-368).
//! - 2: flexible.

use bytes::Bytes;

use crate::codec::{Str, structs};

structs! {
    struct SaslAuthenticateRequest {
        auth_bytes: Bytes = 0..;
    }

    struct SaslAuthenticateResponse {
        error_code: i16 = 0..;
        error_message: Option<Str> = 0..;
        auth_bytes: Bytes = 0..;
        session_lifetime_ms: i64 = 1..;
    }
}
