//! FindCoordinator (key 10), versions 0 to 6: returns which broker coordinates a group or a transactional
//! id.
//!
//! - 1: what the key is: a group or a transactional id; the response has a throttle time and an error
//!   message.
//! - 2: the broker answers before it throttles a client (KIP-219).
//! - 3: flexible.
//! - 4: several keys in one request (KIP-699).
//! - 5: may return TRANSACTION_ABORTABLE (KIP-890).
//! - 6: share groups, by `group:topicId:partition` (KIP-932).

use crate::codec::{Str, structs};

structs! {
    struct FindCoordinatorRequest {
        key: Str = 0..=3;
        key_type: i8 = 1..;
        coordinator_keys: Vec<Str> = 4..;
    }

    struct FindCoordinatorResponse {
        throttle_time_ms: i32 = 1..;
        error_code: i16 = 0..=3;
        error_message: Option<Str> = 1..=3;
        node_id: i32 = 0..=3;
        host: Str = 0..=3;
        port: i32 = 0..=3;
        coordinators: Vec<Coordinator> = 4..;
    }

    struct Coordinator {
        key: Str = 4..;
        node_id: i32 = 4..;
        host: Str = 4..;
        port: i32 = 4..;
        error_code: i16 = 4..;
        error_message: Option<Str> = 4..;
    }
}
