//! DescribeDelegationToken (key 41), versions 0 to 3: lists delegation tokens.
//!
//! - 1: the broker answers before it throttles a client (KIP-219).
//! - 2: flexible.
//! - 3: the requester of each (KIP-373).

use bytes::Bytes;

use crate::codec::{Str, structs};

structs! {
    struct DescribeDelegationTokenRequest {
        owners: Option<Vec<DescribeDelegationTokenOwner>> = 0..;
    }

    struct DescribeDelegationTokenOwner {
        principal_type: Str = 0..;
        principal_name: Str = 0..;
    }

    struct DescribeDelegationTokenResponse {
        error_code: i16 = 0..;
        tokens: Vec<DescribedDelegationToken> = 0..;
        throttle_time_ms: i32 = 0..;
    }

    struct DescribedDelegationToken {
        principal_type: Str = 0..;
        principal_name: Str = 0..;
        token_requester_principal_type: Str = 3..;
        token_requester_principal_name: Str = 3..;
        issue_timestamp: i64 = 0..;
        expiry_timestamp: i64 = 0..;
        max_timestamp: i64 = 0..;
        token_id: Str = 0..;
        hmac: Bytes = 0..;
        renewers: Vec<DescribedDelegationTokenRenewer> = 0..;
    }

    struct DescribedDelegationTokenRenewer {
        principal_type: Str = 0..;
        principal_name: Str = 0..;
    }
}
