//! AddOffsetsToTxn (key 25), versions 0 to 4: adds a group's offsets to a transaction.
//!
//! - 1: the broker answers before it throttles a client (KIP-219).
//! - 2: may return PRODUCER_FENCED.
//! - 3: flexible.
//! - 4: may return TRANSACTION_ABORTABLE (KIP-890).

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
