//! DeleteGroups (key 42), versions 0 to 3: deletes empty groups.
//!
//! - 1: the broker answers before it throttles a client (KIP-219).
//! - 2: flexible.
//! - 3: error messages.

use crate::codec::{Str, structs};

structs! {
    struct DeleteGroupsRequest {
        groups_names: Vec<Str> = 0..;
    }

    struct DeleteGroupsResponse {
        throttle_time_ms: i32 = 0..;
        results: Vec<DeletableGroupResult> = 0..;
    }

    struct DeletableGroupResult {
        group_id: Str = 0..;
        error_code: i16 = 0..;
        error_message: Option<Str> = 3..;
    }
}
