//! DeleteTopics (key 20), versions 0 to 6: deletes topics.
//!
//! - 1: the response has a throttle time.
//! - 2: the broker answers before it throttles a client (KIP-219).
//! - 3: may return TOPIC_DELETION_DISABLED.
//! - 4: flexible.
//! - 5: the response has error messages; may return THROTTLING_QUOTA_EXCEEDED (KIP-599).
//! - 6: topics by name or by id (KIP-516).

use crate::codec::{Str, structs};
use crate::types::Uuid;

structs! {
    struct DeleteTopicsRequest {
        topics: Vec<DeleteTopicState> = 6..;
        topic_names: Vec<Str> = 0..=5;
        timeout_ms: i32 = 0..;
    }

    struct DeleteTopicState {
        name: Option<Str> = 6..;
        topic_id: Uuid = 6..;
    }

    struct DeleteTopicsResponse {
        throttle_time_ms: i32 = 1..;
        responses: Vec<DeletableTopicResult> = 0..;
    }

    struct DeletableTopicResult {
        name: Option<Str> = 0.., nullable 6..;
        topic_id: Uuid = 6..;
        error_code: i16 = 0..;
        error_message: Option<Str> = 5..;
    }
}
