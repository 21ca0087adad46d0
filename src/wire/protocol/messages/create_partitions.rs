//! CreatePartitions (key 37), versions 0 to 3: adds partitions to topics.
//!
//! - 1: the broker answers before it throttles a client (KIP-219).
//! - 2: flexible.
//! - 3: may return THROTTLING_QUOTA_EXCEEDED (KIP-599).

use crate::codec::{Str, structs};

structs! {
    struct CreatePartitionsRequest {
        topics: Vec<CreatePartitionsTopic> = 0..;
        timeout_ms: i32 = 0..;
        validate_only: bool = 0..;
    }

    struct CreatePartitionsTopic {
        name: Str = 0..;
        count: i32 = 0..;
        assignments: Option<Vec<CreatePartitionsAssignment>> = 0..;
    }

    struct CreatePartitionsAssignment {
        broker_ids: Vec<i32> = 0..;
    }

    struct CreatePartitionsResponse {
        throttle_time_ms: i32 = 0..;
        results: Vec<CreatePartitionsTopicResult> = 0..;
    }

    struct CreatePartitionsTopicResult {
        name: Str = 0..;
        error_code: i16 = 0..;
        error_message: Option<Str> = 0..;
    }
}
