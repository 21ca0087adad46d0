//! Records of classic groups and of committed offsets, after Kafka's OffsetCommitKey.json, OffsetCommitValue.json,
//! GroupMetadataKey.json and GroupMetadataValue.json.

use bytes::Bytes;

use ottla_wire::codec::{Str, messages, structs};
use ottla_wire::types::Uuid;

structs! {
    /// The value that Kafka 0.8 wrote for type 0. The key is `OffsetCommitKey`.
    struct LegacyOffsetCommitValue {
        offset: i64 = 0..;
        metadata: Str = 0..;
        commit_timestamp: i64 = 0..;
    }

    struct OffsetCommitKey {
        group: Str = 0..;
        topic: Str = 0..;
        partition: i32 = 0..;
    }

    struct OffsetCommitValue {
        offset: i64 = 0..;
        leader_epoch: i32 = 3.., default -1;
        metadata: Str = 0..;
        commit_timestamp: i64 = 0..;
        expire_timestamp: i64 = 1..=1, default -1;
        topic_id: Uuid = 4.., tag 0;
    }

    struct GroupMetadataKey {
        group: Str = 0..;
    }

    struct GroupMetadataValue {
        protocol_type: Str = 0..;
        generation: i32 = 0..;
        protocol: Option<Str> = 0..;
        leader: Option<Str> = 0..;
        current_state_timestamp: i64 = 2.., default -1;
        members: Vec<MemberMetadataRow> = 0..;
    }

    /// `MemberMetadata` in the schema.
    struct MemberMetadataRow {
        member_id: Str = 0..;
        group_instance_id: Option<Str> = 3..;
        client_id: Str = 0..;
        client_host: Str = 0..;
        rebalance_timeout: i32 = 1.., default -1;
        session_timeout: i32 = 0..;
        subscription: Bytes = 0..;
        assignment: Bytes = 0..;
    }
}

messages! {
    LegacyOffsetCommitValue, versions 0..=0;
    OffsetCommitKey, versions 0..=0;
    OffsetCommitValue, versions 0..=4, flexible 4;
    GroupMetadataKey, versions 0..=0;
    GroupMetadataValue, versions 0..=4, flexible 4;
}
