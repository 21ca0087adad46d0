//! The schemas of coordinator records.

pub mod classic;
pub mod consumer_group;
pub mod share_group;
pub mod share_state;
pub mod streams_group;
pub mod transaction;

pub use classic::*;

use ottla_wire::codec::Schema;

/// A type of records in a coordinator topic.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordKind {
    /// The number before the key: the schemas' `apiKey`.
    pub id: i16,
    /// The schema of the key, always in version 0.
    pub key: Schema,
    /// The schema of the value, in the version that precedes it.
    pub value: Schema,
}

macro_rules! kinds {
    ($($id:literal $key:path => $value:path;)*) => {
        &[$(RecordKind { id: $id, key: Schema::of::<$key>(), value: Schema::of::<$value>() },)*]
    };
}

/// The record types in `__consumer_offsets`.
pub const GROUP_RECORDS: &[RecordKind] = kinds! {
    0 classic::OffsetCommitKey => classic::LegacyOffsetCommitValue;
    1 classic::OffsetCommitKey => classic::OffsetCommitValue;
    2 classic::GroupMetadataKey => classic::GroupMetadataValue;
    3 consumer_group::ConsumerGroupMetadataKey => consumer_group::ConsumerGroupMetadataValue;
    4 consumer_group::ConsumerGroupPartitionMetadataKey => consumer_group::ConsumerGroupPartitionMetadataValue;
    5 consumer_group::ConsumerGroupMemberMetadataKey => consumer_group::ConsumerGroupMemberMetadataValue;
    6 consumer_group::ConsumerGroupTargetAssignmentMetadataKey
        => consumer_group::ConsumerGroupTargetAssignmentMetadataValue;
    7 consumer_group::ConsumerGroupTargetAssignmentMemberKey
        => consumer_group::ConsumerGroupTargetAssignmentMemberValue;
    8 consumer_group::ConsumerGroupCurrentMemberAssignmentKey
        => consumer_group::ConsumerGroupCurrentMemberAssignmentValue;
    10 share_group::ShareGroupMemberMetadataKey => share_group::ShareGroupMemberMetadataValue;
    11 share_group::ShareGroupMetadataKey => share_group::ShareGroupMetadataValue;
    12 share_group::ShareGroupTargetAssignmentMetadataKey => share_group::ShareGroupTargetAssignmentMetadataValue;
    13 share_group::ShareGroupTargetAssignmentMemberKey => share_group::ShareGroupTargetAssignmentMemberValue;
    14 share_group::ShareGroupCurrentMemberAssignmentKey => share_group::ShareGroupCurrentMemberAssignmentValue;
    15 share_group::ShareGroupStatePartitionMetadataKey => share_group::ShareGroupStatePartitionMetadataValue;
    16 consumer_group::ConsumerGroupRegularExpressionKey => consumer_group::ConsumerGroupRegularExpressionValue;
    17 streams_group::StreamsGroupMetadataKey => streams_group::StreamsGroupMetadataValue;
    19 streams_group::StreamsGroupMemberMetadataKey => streams_group::StreamsGroupMemberMetadataValue;
    20 streams_group::StreamsGroupTargetAssignmentMetadataKey
        => streams_group::StreamsGroupTargetAssignmentMetadataValue;
    21 streams_group::StreamsGroupTargetAssignmentMemberKey
        => streams_group::StreamsGroupTargetAssignmentMemberValue;
    22 streams_group::StreamsGroupCurrentMemberAssignmentKey
        => streams_group::StreamsGroupCurrentMemberAssignmentValue;
    23 streams_group::StreamsGroupTopologyKey => streams_group::StreamsGroupTopologyValue;
};

/// The record types in `__transaction_state`.
pub const TRANSACTION_RECORDS: &[RecordKind] = kinds! {
    0 transaction::TransactionLogKey => transaction::TransactionLogValue;
};

/// The record types in `__share_group_state`.
pub const SHARE_STATE_RECORDS: &[RecordKind] = kinds! {
    0 share_state::ShareSnapshotKey => share_state::ShareSnapshotValue;
    1 share_state::ShareUpdateKey => share_state::ShareUpdateValue;
};
