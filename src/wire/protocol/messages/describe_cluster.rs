//! DescribeCluster (key 60), versions 0 to 2: returns the cluster's id, brokers and controller (KIP-700).
//!
//! - 1: whether brokers or controllers are meant (KIP-919).
//! - 2: fenced brokers on request (KIP-1073).

use crate::codec::{Str, structs};

structs! {
    struct DescribeClusterRequest {
        include_cluster_authorized_operations: bool = 0..;
        endpoint_type: i8 = 1.., default 1;
        include_fenced_brokers: bool = 2..;
    }

    struct DescribeClusterResponse {
        throttle_time_ms: i32 = 0..;
        error_code: i16 = 0..;
        error_message: Option<Str> = 0..;
        endpoint_type: i8 = 1.., default 1;
        cluster_id: Str = 0..;
        controller_id: i32 = 0.., default -1;
        brokers: Vec<DescribeClusterBroker> = 0..;
        cluster_authorized_operations: i32 = 0.., default i32::MIN;
    }

    struct DescribeClusterBroker {
        broker_id: i32 = 0..;
        host: Str = 0..;
        port: i32 = 0..;
        rack: Option<Str> = 0..;
        is_fenced: bool = 2..;
    }
}
