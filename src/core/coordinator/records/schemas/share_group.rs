//! Records of share groups (KIP-932) in `__consumer_offsets`, after the `ShareGroup…` schemas of Kafka's group
//! coordinator.

use ottla_wire::codec::{Str, messages, structs};
use ottla_wire::types::Uuid;

structs! {
    /// Type 10: a member and its subscription.
    struct ShareGroupMemberMetadataKey {
        group_id: Str = 0..;
        member_id: Str = 0..;
    }

    /// See [`ShareGroupMemberMetadataKey`].
    struct ShareGroupMemberMetadataValue {
        rack_id: Option<Str> = 0..;
        client_id: Str = 0..;
        client_host: Str = 0..;
        subscribed_topic_names: Vec<Str> = 0..;
    }

    /// Type 11: a share group.
    struct ShareGroupMetadataKey {
        group_id: Str = 0..;
    }

    /// The group epoch, which increases when members or subscribed topics change.
    struct ShareGroupMetadataValue {
        epoch: i32 = 0..;
        metadata_hash: i64 = 0..;
    }

    /// Type 12: the epoch of the target assignment.
    struct ShareGroupTargetAssignmentMetadataKey {
        group_id: Str = 0..;
    }

    /// See [`ShareGroupTargetAssignmentMetadataKey`].
    struct ShareGroupTargetAssignmentMetadataValue {
        assignment_epoch: i32 = 0..;
        assignment_timestamp: i64 = 0.., tag 0;
    }

    /// Type 13: the target assignment of a member.
    struct ShareGroupTargetAssignmentMemberKey {
        group_id: Str = 0..;
        member_id: Str = 0..;
    }

    /// Partitions of one topic in a target assignment.
    struct TopicPartition {
        topic_id: Uuid = 0..;
        partitions: Vec<i32> = 0..;
    }

    /// See [`ShareGroupTargetAssignmentMemberKey`].
    struct ShareGroupTargetAssignmentMemberValue {
        topic_partitions: Vec<TopicPartition> = 0..;
    }

    /// Type 14: the current assignment of a member.
    struct ShareGroupCurrentMemberAssignmentKey {
        group_id: Str = 0..;
        member_id: Str = 0..;
    }

    /// Partitions of one topic.
    struct TopicPartitions {
        topic_id: Uuid = 0..;
        partitions: Vec<i32> = 0..;
    }

    /// See [`ShareGroupCurrentMemberAssignmentKey`].
    struct ShareGroupCurrentMemberAssignmentValue {
        member_epoch: i32 = 0..;
        previous_member_epoch: i32 = 0..;
        state: i8 = 0..;
        assigned_partitions: Vec<TopicPartitions> = 0..;
    }

    /// Type 15: the partitions whose share state is being initialized, is initialized or is being deleted.
    struct ShareGroupStatePartitionMetadataKey {
        group_id: Str = 0..;
    }

    /// See [`ShareGroupStatePartitionMetadataKey`].
    struct TopicPartitionsInfo {
        topic_id: Uuid = 0..;
        topic_name: Str = 0..;
        partitions: Vec<i32> = 0..;
    }

    /// See [`ShareGroupStatePartitionMetadataKey`].
    struct TopicInfo {
        topic_id: Uuid = 0..;
        topic_name: Str = 0..;
    }

    /// See [`ShareGroupStatePartitionMetadataKey`].
    struct ShareGroupStatePartitionMetadataValue {
        initializing_topics: Vec<TopicPartitionsInfo> = 0..;
        initialized_topics: Vec<TopicPartitionsInfo> = 0..;
        deleting_topics: Vec<TopicInfo> = 0..;
    }
}

messages! {
    ShareGroupMemberMetadataKey, versions 0..=0;
    ShareGroupMemberMetadataValue, versions 0..=0, flexible 0;
    ShareGroupMetadataKey, versions 0..=0;
    ShareGroupMetadataValue, versions 0..=0, flexible 0;
    ShareGroupTargetAssignmentMetadataKey, versions 0..=0;
    ShareGroupTargetAssignmentMetadataValue, versions 0..=0, flexible 0;
    ShareGroupTargetAssignmentMemberKey, versions 0..=0;
    ShareGroupTargetAssignmentMemberValue, versions 0..=0, flexible 0;
    ShareGroupCurrentMemberAssignmentKey, versions 0..=0;
    ShareGroupCurrentMemberAssignmentValue, versions 0..=0, flexible 0;
    ShareGroupStatePartitionMetadataKey, versions 0..=0;
    ShareGroupStatePartitionMetadataValue, versions 0..=0, flexible 0;
}
