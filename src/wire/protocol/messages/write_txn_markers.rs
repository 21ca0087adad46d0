//! WriteTxnMarkers (key 27), versions 0 to 2: writes the markers that end transactions; spoken between
//! brokers.
//!
//! - 1: flexible.
//! - 2: the transaction's version (KIP-1228).

use crate::codec::{Str, structs};

structs! {
    struct WriteTxnMarkersRequest {
        markers: Vec<WritableTxnMarker> = 0..;
    }

    struct WritableTxnMarker {
        producer_id: i64 = 0..;
        producer_epoch: i16 = 0..;
        transaction_result: bool = 0..;
        topics: Vec<WritableTxnMarkerTopic> = 0..;
        coordinator_epoch: i32 = 0..;
        transaction_version: i8 = 2..;
    }

    struct WritableTxnMarkerTopic {
        name: Str = 0..;
        partition_indexes: Vec<i32> = 0..;
    }

    struct WriteTxnMarkersResponse {
        markers: Vec<WritableTxnMarkerResult> = 0..;
    }

    struct WritableTxnMarkerResult {
        producer_id: i64 = 0..;
        topics: Vec<WritableTxnMarkerTopicResult> = 0..;
    }

    struct WritableTxnMarkerTopicResult {
        name: Str = 0..;
        partitions: Vec<WritableTxnMarkerPartitionResult> = 0..;
    }

    struct WritableTxnMarkerPartitionResult {
        partition_index: i32 = 0..;
        error_code: i16 = 0..;
    }
}
