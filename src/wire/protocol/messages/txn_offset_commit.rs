//! TxnOffsetCommit (key 28), versions 0 to 6: stores a group's offsets within a transaction.
//!
//! - 1: the broker answers before it throttles a client (KIP-219).
//! - 2: leader epochs (KIP-320).
//! - 3: the member and its generation, which are checked (KIP-447); flexible.
//! - 4: may return TRANSACTION_ABORTABLE (KIP-890).
//! - 5: with transactions of version 2, committing adds the group to the transaction by itself
//!   (KIP-890).
//! - 6: topics by id instead of by name; the generation may be a member epoch (KIP-1319).

use crate::codec::{Str, structs};
use crate::types::Uuid;

structs! {
    struct TxnOffsetCommitRequest {
        transactional_id: Str = 0..;
        group_id: Str = 0..;
        producer_id: i64 = 0..;
        producer_epoch: i16 = 0..;
        generation_id_or_member_epoch: i32 = 3.., default -1;
        member_id: Str = 3..;
        group_instance_id: Option<Str> = 3..;
        topics: Vec<TxnOffsetCommitRequestTopic> = 0..;
    }

    struct TxnOffsetCommitRequestTopic {
        name: Str = 0..=5;
        topic_id: Uuid = 6..;
        partitions: Vec<TxnOffsetCommitRequestPartition> = 0..;
    }

    struct TxnOffsetCommitRequestPartition {
        partition_index: i32 = 0..;
        committed_offset: i64 = 0..;
        committed_leader_epoch: i32 = 2.., default -1;
        committed_metadata: Option<Str> = 0..;
    }

    struct TxnOffsetCommitResponse {
        throttle_time_ms: i32 = 0..;
        topics: Vec<TxnOffsetCommitResponseTopic> = 0..;
    }

    struct TxnOffsetCommitResponseTopic {
        name: Str = 0..=5;
        topic_id: Uuid = 6..;
        partitions: Vec<TxnOffsetCommitResponsePartition> = 0..;
    }

    struct TxnOffsetCommitResponsePartition {
        partition_index: i32 = 0..;
        error_code: i16 = 0..;
    }
}
