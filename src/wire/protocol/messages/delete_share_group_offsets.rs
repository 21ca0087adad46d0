//! DeleteShareGroupOffsets (key 92), version 0: forgets where a share group reads (KIP-932).

use crate::codec::{Str, structs};
use crate::types::Uuid;

structs! {
    struct DeleteShareGroupOffsetsRequest {
        group_id: Str = 0..;
        topics: Vec<DeleteShareGroupOffsetsRequestTopic> = 0..;
    }

    struct DeleteShareGroupOffsetsRequestTopic {
        topic_name: Str = 0..;
    }

    struct DeleteShareGroupOffsetsResponse {
        throttle_time_ms: i32 = 0..;
        error_code: i16 = 0..;
        error_message: Option<Str> = 0..;
        responses: Vec<DeleteShareGroupOffsetsResponseTopic> = 0..;
    }

    struct DeleteShareGroupOffsetsResponseTopic {
        topic_name: Str = 0..;
        topic_id: Uuid = 0..;
        error_code: i16 = 0..;
        error_message: Option<Str> = 0..;
    }
}
