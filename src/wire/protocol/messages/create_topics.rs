//! CreateTopics (key 19), versions 0 to 7: creates topics.
//!
//! - 1: can validate only; the response has error messages.
//! - 2: the response has a throttle time.
//! - 3: the broker answers before it throttles a client (KIP-219).
//! - 4: -1 means the broker's default of partitions and replicas (KIP-464).
//! - 5: the response has the topic's settings (KIP-525); flexible.
//! - 6: may return THROTTLING_QUOTA_EXCEEDED (KIP-599).
//! - 7: the response has topic ids (KIP-516).

use crate::codec::{Str, structs};
use crate::types::Uuid;

structs! {
    struct CreateTopicsRequest {
        topics: Vec<CreatableTopic> = 0..;
        timeout_ms: i32 = 0.., default 60000;
        validate_only: bool = 1..;
    }

    struct CreatableTopic {
        name: Str = 0..;
        num_partitions: i32 = 0..;
        replication_factor: i16 = 0..;
        assignments: Vec<CreatableReplicaAssignment> = 0..;
        configs: Vec<CreatableTopicConfig> = 0..;
    }

    struct CreatableReplicaAssignment {
        partition_index: i32 = 0..;
        broker_ids: Vec<i32> = 0..;
    }

    struct CreatableTopicConfig {
        name: Str = 0..;
        value: Option<Str> = 0..;
    }

    struct CreateTopicsResponse {
        throttle_time_ms: i32 = 2..;
        topics: Vec<CreatableTopicResult> = 0..;
    }

    struct CreatableTopicResult {
        name: Str = 0..;
        topic_id: Uuid = 7..;
        error_code: i16 = 0..;
        error_message: Option<Str> = 1..;
        topic_config_error_code: i16 = 5.., tag 0;
        num_partitions: i32 = 5.., default -1;
        replication_factor: i16 = 5.., default -1;
        configs: Option<Vec<CreatableTopicConfigs>> = 5..;
    }

    struct CreatableTopicConfigs {
        name: Str = 5..;
        value: Option<Str> = 5..;
        read_only: bool = 5..;
        config_source: i8 = 5.., default -1;
        is_sensitive: bool = 5..;
    }
}
