//! Records of `__share_group_state`, after the `Share…` schemas of Kafka's share coordinator (KIP-932).

use ottla_wire::codec::{Str, messages, structs};
use ottla_wire::types::Uuid;

structs! {
    /// Type 0: the complete state of a share partition.
    struct ShareSnapshotKey {
        group_id: Str = 0..;
        topic_id: Uuid = 0..;
        partition: i32 = 0..;
    }

    /// Consecutive records in the same state.
    struct StateBatch {
        first_offset: i64 = 0..;
        last_offset: i64 = 0..;
        delivery_state: i8 = 0..;
        delivery_count: i16 = 0..;
    }

    /// See [`ShareSnapshotKey`].
    struct ShareSnapshotValue {
        snapshot_epoch: i32 = 0..;
        state_epoch: i32 = 0..;
        leader_epoch: i32 = 0..;
        start_offset: i64 = 0..;
        delivery_complete_count: i32 = 0.., default -1, tag 0;
        create_timestamp: i64 = 0..;
        write_timestamp: i64 = 0..;
        state_batches: Vec<StateBatch> = 0..;
    }

    /// Type 1: changes of a share partition since its snapshot.
    struct ShareUpdateKey {
        group_id: Str = 0..;
        topic_id: Uuid = 0..;
        partition: i32 = 0..;
    }

    /// See [`ShareUpdateKey`].
    struct ShareUpdateValue {
        snapshot_epoch: i32 = 0..;
        leader_epoch: i32 = 0..;
        start_offset: i64 = 0..;
        delivery_complete_count: i32 = 0.., default -1, tag 0;
        state_batches: Vec<StateBatch> = 0..;
    }
}

messages! {
    ShareSnapshotKey, versions 0..=0;
    ShareSnapshotValue, versions 0..=0, flexible 0;
    ShareUpdateKey, versions 0..=0;
    ShareUpdateValue, versions 0..=0, flexible 0;
}
