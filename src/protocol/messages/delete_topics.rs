//! DeleteTopics (key 20), versions 0 to 6.

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
