//! EndTxn (key 26), versions 0 to 5: commits or aborts a transaction.
//!
//! - 1: the broker answers before it throttles a client (KIP-219).
//! - 2: may return PRODUCER_FENCED.
//! - 3: flexible.
//! - 4: may return TRANSACTION_ABORTABLE (KIP-890).
//! - 5: ending a transaction raises the producer's epoch, which the response has (KIP-890).

use crate::codec::{Str, structs};

structs! {
    struct EndTxnRequest {
        transactional_id: Str = 0..;
        producer_id: i64 = 0..;
        producer_epoch: i16 = 0..;
        committed: bool = 0..;
    }

    struct EndTxnResponse {
        throttle_time_ms: i32 = 0..;
        error_code: i16 = 0..;
        producer_id: i64 = 5.., default -1;
        producer_epoch: i16 = 5.., default -1;
    }
}
