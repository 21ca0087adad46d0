//! ExpireDelegationToken (key 40), versions 0 to 2: makes a delegation token expire.
//!
//! - 1: the broker answers before it throttles a client (KIP-219).
//! - 2: flexible.

use bytes::Bytes;

use crate::codec::structs;

structs! {
    struct ExpireDelegationTokenRequest {
        hmac: Bytes = 0..;
        expiry_time_period_ms: i64 = 0..;
    }

    struct ExpireDelegationTokenResponse {
        error_code: i16 = 0..;
        expiry_timestamp_ms: i64 = 0..;
        throttle_time_ms: i32 = 0..;
    }
}
