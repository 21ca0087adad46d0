//! SyncGroup (key 14), versions 0 to 5: hands the leader's assignment to the members of a classic
//! group.
//!
//! - 1: the response has a throttle time.
//! - 2: the broker answers before it throttles a client (KIP-219).
//! - 3: static members (KIP-345).
//! - 4: flexible.
//! - 5: the protocol's type and name, which the broker checks (KIP-559).

use bytes::Bytes;

use crate::codec::{Str, structs};

structs! {
    struct SyncGroupRequest {
        group_id: Str = 0..;
        generation_id: i32 = 0..;
        member_id: Str = 0..;
        group_instance_id: Option<Str> = 3..;
        protocol_type: Option<Str> = 5..;
        protocol_name: Option<Str> = 5..;
        assignments: Vec<SyncGroupRequestAssignment> = 0..;
    }

    struct SyncGroupRequestAssignment {
        member_id: Str = 0..;
        assignment: Bytes = 0..;
    }

    struct SyncGroupResponse {
        throttle_time_ms: i32 = 1..;
        error_code: i16 = 0..;
        protocol_type: Option<Str> = 5..;
        protocol_name: Option<Str> = 5..;
        assignment: Bytes = 0..;
    }
}
