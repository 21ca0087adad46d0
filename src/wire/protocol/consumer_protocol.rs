//! The consumer protocol: the contents of JoinGroup's `metadata` and SyncGroup's `assignment` for classic consumers, each
//! after its 16-bit version (`codec::read_prefixed`, `codec::write_prefixed`).
//!
//! - 0: topics, and the assignor's own data.
//! - 1: the partitions that the member owns, for cooperative rebalancing (KIP-429).
//! - 2: the generation in which these partitions were assigned to the member (KIP-792).
//! - 3: the rack of the member (KIP-881).
//!
//! Assignments have the same version numbers, but the same fields in all versions. Newer versions only append fields,
//! so a version above 3 is decoded as 3.

use bytes::Bytes;

use crate::codec::{Str, messages, structs};

messages! {
    ConsumerProtocolSubscription, versions 0..=3;
    ConsumerProtocolAssignment, versions 0..=3;
}

structs! {
    struct ConsumerProtocolSubscription {
        topics: Vec<Str> = 0..;
        user_data: Option<Bytes> = 0..;
        owned_partitions: Vec<TopicPartition> = 1..;
        generation_id: i32 = 2.., default -1;
        rack_id: Option<Str> = 3..;
    }

    struct ConsumerProtocolAssignment {
        assigned_partitions: Vec<TopicPartition> = 0..;
        user_data: Option<Bytes> = 0..;
    }

    struct TopicPartition {
        topic: Str = 0..;
        partitions: Vec<i32> = 0..;
    }
}
