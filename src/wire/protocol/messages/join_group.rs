//! JoinGroup (key 11), versions 0 to 9: enters a group of the classic protocol, and waits for the
//! others.
//!
//! - 1: how long a rebalance may take.
//! - 2: the response has a throttle time.
//! - 3: the broker answers before it throttles a client (KIP-219).
//! - 4: a new member gets its id first and repeats the join with it (KIP-394).
//! - 5: static members (KIP-345).
//! - 6: flexible.
//! - 7: the response has the protocol's type (KIP-559).
//! - 8: why the member joins (KIP-800).
//! - 9: the leader may have to keep the assignment unchanged (KIP-814).

use bytes::Bytes;

use crate::codec::{Str, structs};

structs! {
    struct JoinGroupRequest {
        group_id: Str = 0..;
        session_timeout_ms: i32 = 0..;
        rebalance_timeout_ms: i32 = 1.., default -1;
        member_id: Str = 0..;
        group_instance_id: Option<Str> = 5..;
        protocol_type: Str = 0..;
        protocols: Vec<JoinGroupRequestProtocol> = 0..;
        reason: Option<Str> = 8..;
    }

    struct JoinGroupRequestProtocol {
        name: Str = 0..;
        metadata: Bytes = 0..;
    }

    struct JoinGroupResponse {
        throttle_time_ms: i32 = 2..;
        error_code: i16 = 0..;
        generation_id: i32 = 0.., default -1;
        protocol_type: Option<Str> = 7..;
        protocol_name: Option<Str> = 0.., nullable 7..;
        leader: Str = 0..;
        skip_assignment: bool = 9..;
        member_id: Str = 0..;
        members: Vec<JoinGroupResponseMember> = 0..;
    }

    struct JoinGroupResponseMember {
        member_id: Str = 0..;
        group_instance_id: Option<Str> = 5..;
        metadata: Bytes = 0..;
    }
}
