//! ConsumerGroupHeartbeat (key 68), versions 0 to 1: the consumer protocol: joins, keeps alive, assigns
//! and leaves in one (KIP-848).
//!
//! - 1: subscribing by pattern; the member chooses its own id (KIP-1082).

use crate::codec::{Str, structs};
use crate::types::Uuid;

structs! {
    struct ConsumerGroupHeartbeatRequest {
        group_id: Str = 0..;
        member_id: Str = 0..;
        member_epoch: i32 = 0..;
        instance_id: Option<Str> = 0..;
        rack_id: Option<Str> = 0..;
        rebalance_timeout_ms: i32 = 0.., default -1;
        subscribed_topic_names: Option<Vec<Str>> = 0..;
        subscribed_topic_regex: Option<Str> = 1..;
        server_assignor: Option<Str> = 0..;
        topic_partitions: Option<Vec<TopicPartitions>> = 0..;
    }

    struct TopicPartitions {
        topic_id: Uuid = 0..;
        partitions: Vec<i32> = 0..;
    }

    struct ConsumerGroupHeartbeatResponse {
        throttle_time_ms: i32 = 0..;
        error_code: i16 = 0..;
        error_message: Option<Str> = 0..;
        member_id: Option<Str> = 0..;
        member_epoch: i32 = 0..;
        heartbeat_interval_ms: i32 = 0..;
        assignment: Option<Assignment> = 0..;
    }

    struct Assignment {
        topic_partitions: Vec<TopicPartitions> = 0..;
    }
}
