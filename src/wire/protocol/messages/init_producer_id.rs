//! InitProducerId (key 22), versions 0 to 5: gives a producer its id and epoch. Version 6 (two-phase
//! commit, KIP-939) is not stable yet and not here.
//!
//! - 1: the broker answers before it throttles a client (KIP-219).
//! - 2: flexible.
//! - 3: a producer may request to keep its id at the next epoch (KIP-360).
//! - 4: may return PRODUCER_FENCED.
//! - 5: may return TRANSACTION_ABORTABLE (KIP-890).

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
