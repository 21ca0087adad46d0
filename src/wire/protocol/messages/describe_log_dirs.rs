//! DescribeLogDirs (key 35), versions 0 to 5: returns log directories, their sizes and their partitions.
//!
//! - 1: the broker answers before it throttles a client (KIP-219).
//! - 2: flexible.
//! - 3: the response has an error of its own.
//! - 4: how large the volume is, and how much of it is free (KIP-827).
//! - 5: whether a directory is cordoned (KIP-1066).

use crate::codec::{Str, structs};

structs! {
    struct DescribeLogDirsRequest {
        topics: Option<Vec<DescribableLogDirTopic>> = 0..;
    }

    struct DescribableLogDirTopic {
        topic: Str = 0..;
        partitions: Vec<i32> = 0..;
    }

    struct DescribeLogDirsResponse {
        throttle_time_ms: i32 = 0..;
        error_code: i16 = 3..;
        results: Vec<DescribeLogDirsResult> = 0..;
    }

    struct DescribeLogDirsResult {
        error_code: i16 = 0..;
        log_dir: Str = 0..;
        topics: Vec<DescribeLogDirsTopic> = 0..;
        total_bytes: i64 = 4.., default -1;
        usable_bytes: i64 = 4.., default -1;
        is_cordoned: bool = 5..;
    }

    struct DescribeLogDirsTopic {
        name: Str = 0..;
        partitions: Vec<DescribeLogDirsPartition> = 0..;
    }

    struct DescribeLogDirsPartition {
        partition_index: i32 = 0..;
        partition_size: i64 = 0..;
        offset_lag: i64 = 0..;
        is_future_key: bool = 0..;
    }
}
