//! Records of `__transaction_state`, after Kafka's TransactionLogKey.json and TransactionLogValue.json.

use ottla_wire::codec::{Str, messages, structs};

structs! {
    /// Type 0: a transactional id.
    struct TransactionLogKey {
        transactional_id: Str = 0..;
    }

    /// See [`TransactionLogValue`].
    struct PartitionsSchema {
        topic: Str = 0..;
        partition_ids: Vec<i32> = 0..;
    }

    /// The producer of a transactional id, and the state of its transaction.
    struct TransactionLogValue {
        producer_id: i64 = 0..;
        previous_producer_id: i64 = 1.., default -1, tag 0;
        next_producer_id: i64 = 1.., default -1, tag 1;
        producer_epoch: i16 = 0..;
        next_producer_epoch: i16 = 1.., default -1, tag 3;
        transaction_timeout_ms: i32 = 0..;
        transaction_status: i8 = 0..;
        transaction_partitions: Option<Vec<PartitionsSchema>> = 0..;
        transaction_last_update_timestamp_ms: i64 = 0..;
        transaction_start_timestamp_ms: i64 = 0..;
        client_transaction_version: i16 = 1.., tag 2;
    }
}

messages! {
    TransactionLogKey, versions 0..=0;
    TransactionLogValue, versions 0..=1, flexible 1;
}
