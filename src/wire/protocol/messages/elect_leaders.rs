//! ElectLeaders (key 43), versions 0 to 2: elects partition leaders.
//!
//! - 1: unclean elections too; the response has an error of its own (KIP-460).
//! - 2: flexible.

use crate::codec::{Str, structs};

structs! {
    struct ElectLeadersRequest {
        election_type: i8 = 1..;
        topic_partitions: Option<Vec<TopicPartitions>> = 0..;
        timeout_ms: i32 = 0.., default 60000;
    }

    struct TopicPartitions {
        topic: Str = 0..;
        partitions: Vec<i32> = 0..;
    }

    struct ElectLeadersResponse {
        throttle_time_ms: i32 = 0..;
        error_code: i16 = 1..;
        replica_election_results: Vec<ReplicaElectionResult> = 0..;
    }

    struct ReplicaElectionResult {
        topic: Str = 0..;
        partition_result: Vec<PartitionResult> = 0..;
    }

    struct PartitionResult {
        partition_id: i32 = 0..;
        error_code: i16 = 0..;
        error_message: Option<Str> = 0..;
    }
}
