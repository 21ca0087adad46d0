//! ShareAcknowledge (key 79), versions 0 to 2: acknowledges a share group's records (KIP-932). Version
//! 0 was an early access of Apache Kafka 4.0.
//!
//! - 2: acknowledgements that renew a lock (KIP-1222).

use crate::codec::{Str, structs};
use crate::types::Uuid;

structs! {
    struct ShareAcknowledgeRequest {
        group_id: Option<Str> = 0..;
        member_id: Option<Str> = 0..;
        share_session_epoch: i32 = 0..;
        is_renew_ack: bool = 2..;
        topics: Vec<AcknowledgeTopic> = 0..;
    }

    struct AcknowledgeTopic {
        topic_id: Uuid = 0..;
        partitions: Vec<AcknowledgePartition> = 0..;
    }

    struct AcknowledgePartition {
        partition_index: i32 = 0..;
        acknowledgement_batches: Vec<AcknowledgementBatch> = 0..;
    }

    struct AcknowledgementBatch {
        first_offset: i64 = 0..;
        last_offset: i64 = 0..;
        acknowledge_types: Vec<i8> = 0..;
    }

    struct ShareAcknowledgeResponse {
        throttle_time_ms: i32 = 0..;
        error_code: i16 = 0..;
        error_message: Option<Str> = 0..;
        acquisition_lock_timeout_ms: i32 = 2..;
        responses: Vec<ShareAcknowledgeTopicResponse> = 0..;
        node_endpoints: Vec<NodeEndpoint> = 0..;
    }

    struct ShareAcknowledgeTopicResponse {
        topic_id: Uuid = 0..;
        partitions: Vec<PartitionData> = 0..;
    }

    struct PartitionData {
        partition_index: i32 = 0..;
        error_code: i16 = 0..;
        error_message: Option<Str> = 0..;
        current_leader: LeaderIdAndEpoch = 0..;
    }

    struct LeaderIdAndEpoch {
        leader_id: i32 = 0..;
        leader_epoch: i32 = 0..;
    }

    struct NodeEndpoint {
        node_id: i32 = 0..;
        host: Str = 0..;
        port: i32 = 0..;
        rack: Option<Str> = 0..;
    }
}
