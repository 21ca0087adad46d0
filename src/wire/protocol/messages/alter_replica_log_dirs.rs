//! AlterReplicaLogDirs (key 34), versions 0 to 2: moves replicas between log directories.
//!
//! - 1: the broker answers before it throttles a client (KIP-219).
//! - 2: flexible.

use crate::codec::{Str, structs};

structs! {
    struct AlterReplicaLogDirsRequest {
        dirs: Vec<AlterReplicaLogDir> = 0..;
    }

    struct AlterReplicaLogDir {
        path: Str = 0..;
        topics: Vec<AlterReplicaLogDirTopic> = 0..;
    }

    struct AlterReplicaLogDirTopic {
        name: Str = 0..;
        partitions: Vec<i32> = 0..;
    }

    struct AlterReplicaLogDirsResponse {
        throttle_time_ms: i32 = 0..;
        results: Vec<AlterReplicaLogDirTopicResult> = 0..;
    }

    struct AlterReplicaLogDirTopicResult {
        topic_name: Str = 0..;
        partitions: Vec<AlterReplicaLogDirPartitionResult> = 0..;
    }

    struct AlterReplicaLogDirPartitionResult {
        partition_index: i32 = 0..;
        error_code: i16 = 0..;
    }
}
