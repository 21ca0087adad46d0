//! AddOffsetsToTxn (key 25), versions 0 to 4.

use crate::codec::{Str, structs};

structs! {
    struct AddOffsetsToTxnRequest {
        transactional_id: Str = 0..;
        producer_id: i64 = 0..;
        producer_epoch: i16 = 0..;
        group_id: Str = 0..;
    }

    struct AddOffsetsToTxnResponse {
        throttle_time_ms: i32 = 0..;
        error_code: i16 = 0..;
    }
}
