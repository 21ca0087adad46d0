//! EndTxn (key 26), versions 0 to 5: commits or aborts a transaction.
//!
//! - 1: a client over its quota is answered first and held back after (KIP-219).
//! - 2: may answer PRODUCER_FENCED.
//! - 3: flexible.
//! - 4: may answer TRANSACTION_ABORTABLE (KIP-890).
//! - 5: ending a transaction raises the producer's epoch, which the response tells (KIP-890).

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
