//! Heartbeat (key 12), versions 0 to 4.

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
