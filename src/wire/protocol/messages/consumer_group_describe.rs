//! ConsumerGroupDescribe (key 69), versions 0 to 1: returns a consumer group's state and members
//! (KIP-848).
//!
//! - 1: which protocol each member uses (KIP-1099).

use crate::codec::{Str, structs};
use crate::types::Uuid;

structs! {
    struct ConsumerGroupDescribeRequest {
        group_ids: Vec<Str> = 0..;
        include_authorized_operations: bool = 0..;
    }

    struct ConsumerGroupDescribeResponse {
        throttle_time_ms: i32 = 0..;
        groups: Vec<DescribedGroup> = 0..;
    }

    struct DescribedGroup {
        error_code: i16 = 0..;
        error_message: Option<Str> = 0..;
        group_id: Str = 0..;
        group_state: Str = 0..;
        group_epoch: i32 = 0..;
        assignment_epoch: i32 = 0..;
        assignor_name: Str = 0..;
        members: Vec<Member> = 0..;
        authorized_operations: i32 = 0.., default i32::MIN;
    }

    struct Member {
        member_id: Str = 0..;
        instance_id: Option<Str> = 0..;
        rack_id: Option<Str> = 0..;
        member_epoch: i32 = 0..;
        client_id: Str = 0..;
        client_host: Str = 0..;
        subscribed_topic_names: Vec<Str> = 0..;
        subscribed_topic_regex: Option<Str> = 0..;
        assignment: Assignment = 0..;
        target_assignment: Assignment = 0..;
        member_type: i8 = 1.., default -1;
    }

    struct TopicPartitions {
        topic_id: Uuid = 0..;
        topic_name: Str = 0..;
        partitions: Vec<i32> = 0..;
    }

    struct Assignment {
        topic_partitions: Vec<TopicPartitions> = 0..;
    }
}
