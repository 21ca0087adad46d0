//! PushTelemetry (key 72), version 0: takes a client's metrics (KIP-714).

use bytes::Bytes;

use crate::codec::structs;
use crate::types::Uuid;

structs! {
    struct PushTelemetryRequest {
        client_instance_id: Uuid = 0..;
        subscription_id: i32 = 0..;
        terminating: bool = 0..;
        compression_type: i8 = 0..;
        metrics: Bytes = 0..;
    }

    struct PushTelemetryResponse {
        throttle_time_ms: i32 = 0..;
        error_code: i16 = 0..;
    }
}
