//! InitProducerId (key 22), versions 0 to 5.

use crate::codec::{Str, structs};

structs! {
    struct InitProducerIdRequest {
        transactional_id: Option<Str> = 0..;
        transaction_timeout_ms: i32 = 0..;
        producer_id: i64 = 3.., default -1;
        producer_epoch: i16 = 3.., default -1;
    }

    struct InitProducerIdResponse {
        throttle_time_ms: i32 = 0..;
        error_code: i16 = 0..;
        producer_id: i64 = 0.., default -1;
        producer_epoch: i16 = 0..;
    }
}
