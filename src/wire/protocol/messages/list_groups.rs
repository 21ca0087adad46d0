//! ListGroups (key 16), versions 0 to 5: lists the groups.
//!
//! - 1: the response has a throttle time.
//! - 2: the broker answers before it throttles a client (KIP-219).
//! - 3: flexible.
//! - 4: by state (KIP-518).
//! - 5: by type (KIP-848).

use crate::codec::{Str, structs};

structs! {
    struct ListGroupsRequest {
        states_filter: Vec<Str> = 4..;
        types_filter: Vec<Str> = 5..;
    }

    struct ListGroupsResponse {
        throttle_time_ms: i32 = 1..;
        error_code: i16 = 0..;
        groups: Vec<ListedGroup> = 0..;
    }

    struct ListedGroup {
        group_id: Str = 0..;
        protocol_type: Str = 0..;
        group_state: Str = 4..;
        group_type: Str = 5..;
    }
}
