//! DescribeGroups (key 15), versions 0 to 6: returns a classic group's state and members.
//!
//! - 1: the response has a throttle time.
//! - 2: the broker answers before it throttles a client (KIP-219).
//! - 3: which operations the client may do on request (KIP-430).
//! - 4: static members (KIP-345).
//! - 5: flexible.
//! - 6: a group that doesn't exist is GROUP_ID_NOT_FOUND instead of dead; error messages (KIP-1043).

use bytes::Bytes;

use crate::codec::{Str, structs};

structs! {
    struct DescribeGroupsRequest {
        groups: Vec<Str> = 0..;
        include_authorized_operations: bool = 3..;
    }

    struct DescribeGroupsResponse {
        throttle_time_ms: i32 = 1..;
        groups: Vec<DescribedGroup> = 0..;
    }

    struct DescribedGroup {
        error_code: i16 = 0..;
        error_message: Option<Str> = 6..;
        group_id: Str = 0..;
        group_state: Str = 0..;
        protocol_type: Str = 0..;
        protocol_data: Str = 0..;
        members: Vec<DescribedGroupMember> = 0..;
        authorized_operations: i32 = 3.., default i32::MIN;
    }

    struct DescribedGroupMember {
        member_id: Str = 0..;
        group_instance_id: Option<Str> = 4..;
        client_id: Str = 0..;
        client_host: Str = 0..;
        member_metadata: Bytes = 0..;
        member_assignment: Bytes = 0..;
    }
}
