//! LeaveGroup (key 13), versions 0 to 5: takes members out of a group.
//!
//! - 1: the response has a throttle time.
//! - 2: the broker answers before it throttles a client (KIP-219).
//! - 3: several members in one request, static ones too (KIP-345).
//! - 4: flexible.
//! - 5: the reason for leaving (KIP-800).

use crate::codec::{Str, structs};

structs! {
    struct LeaveGroupRequest {
        group_id: Str = 0..;
        member_id: Str = 0..=2;
        members: Vec<MemberIdentity> = 3..;
    }

    struct MemberIdentity {
        member_id: Str = 3..;
        group_instance_id: Option<Str> = 3..;
        reason: Option<Str> = 5..;
    }

    struct LeaveGroupResponse {
        throttle_time_ms: i32 = 1..;
        error_code: i16 = 0..;
        members: Vec<MemberResponse> = 3..;
    }

    struct MemberResponse {
        member_id: Str = 3..;
        group_instance_id: Option<Str> = 3..;
        error_code: i16 = 3..;
    }
}
