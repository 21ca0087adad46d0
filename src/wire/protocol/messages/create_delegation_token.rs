//! CreateDelegationToken (key 38), versions 0 to 3: creates a delegation token.
//!
//! - 1: the broker answers before it throttles a client (KIP-219).
//! - 2: flexible.
//! - 3: for another owner; the response has the requester (KIP-373).

use bytes::Bytes;

use crate::codec::{Str, structs};

structs! {
    struct CreateDelegationTokenRequest {
        owner_principal_type: Option<Str> = 3..;
        owner_principal_name: Option<Str> = 3..;
        renewers: Vec<CreatableRenewers> = 0..;
        max_lifetime_ms: i64 = 0..;
    }

    struct CreatableRenewers {
        principal_type: Str = 0..;
        principal_name: Str = 0..;
    }

    struct CreateDelegationTokenResponse {
        error_code: i16 = 0..;
        principal_type: Str = 0..;
        principal_name: Str = 0..;
        token_requester_principal_type: Str = 3..;
        token_requester_principal_name: Str = 3..;
        issue_timestamp_ms: i64 = 0..;
        expiry_timestamp_ms: i64 = 0..;
        max_timestamp_ms: i64 = 0..;
        token_id: Str = 0..;
        hmac: Bytes = 0..;
        throttle_time_ms: i32 = 0..;
    }
}
