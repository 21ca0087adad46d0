//! Heartbeat (key 12), versions 0 to 4: keeps a member of a classic group alive.
//!
//! - 1: the response has a throttle time.
//! - 2: the broker answers before it throttles a client (KIP-219).
//! - 3: static members (KIP-345).
//! - 4: flexible.

use crate::codec::{Str, structs};

structs! {
    struct HeartbeatRequest {
        group_id: Str = 0..;
        generation_id: i32 = 0..;
        member_id: Str = 0..;
        group_instance_id: Option<Str> = 3..;
    }

    struct HeartbeatResponse {
        throttle_time_ms: i32 = 1..;
        error_code: i16 = 0..;
    }
}
