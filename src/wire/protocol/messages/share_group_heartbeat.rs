//! ShareGroupHeartbeat (key 76), versions 0 to 1: joins, keeps alive, assigns and leaves a share group
//! (KIP-932). Version 0 was an early access of Apache Kafka 4.0.

use crate::codec::{Str, structs};
use crate::types::Uuid;

structs! {
    struct ShareGroupHeartbeatRequest {
        group_id: Str = 0..;
        member_id: Str = 0..;
        member_epoch: i32 = 0..;
        rack_id: Option<Str> = 0..;
        subscribed_topic_names: Option<Vec<Str>> = 0..;
    }

    struct ShareGroupHeartbeatResponse {
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

    struct TopicPartitions {
        topic_id: Uuid = 0..;
        partitions: Vec<i32> = 0..;
    }
}
