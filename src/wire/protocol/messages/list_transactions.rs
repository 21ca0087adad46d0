//! ListTransactions (key 66), versions 0 to 2: lists transactions (KIP-664).
//!
//! - 1: adds a filter by duration (KIP-994).
//! - 2: adds a filter by a pattern of the transactional id (KIP-1152).

use crate::codec::{Str, structs};

structs! {
    struct ListTransactionsRequest {
        state_filters: Vec<Str> = 0..;
        producer_id_filters: Vec<i64> = 0..;
        duration_filter: i64 = 1.., default -1;
        transactional_id_pattern: Option<Str> = 2..;
    }

    struct ListTransactionsResponse {
        throttle_time_ms: i32 = 0..;
        error_code: i16 = 0..;
        unknown_state_filters: Vec<Str> = 0..;
        transaction_states: Vec<TransactionState> = 0..;
    }

    struct TransactionState {
        transactional_id: Str = 0..;
        producer_id: i64 = 0..;
        transaction_state: Str = 0..;
    }
}
