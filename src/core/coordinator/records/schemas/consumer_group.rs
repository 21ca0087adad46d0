//! Records of consumer groups (KIP-848), after the `ConsumerGroup…` schemas of Kafka's group coordinator.

use bytes::Bytes;

use ottla_wire::codec::{Str, messages, structs};
use ottla_wire::types::Uuid;

structs! {
    /// Type 3: a group of the consumer protocol.
    struct ConsumerGroupMetadataKey {
        group_id: Str = 0..;
    }

    /// The group epoch, which increases when members or subscribed topics change.
    struct ConsumerGroupMetadataValue {
        epoch: i32 = 0..;
        metadata_hash: i64 = 0.., tag 0;
    }

    /// Type 4, no longer written: metadata of the subscribed topics.
    struct ConsumerGroupPartitionMetadataKey {
        group_id: Str = 0..;
    }

    /// See [`ConsumerGroupPartitionMetadataKey`].
    struct PartitionMetadata {
        partition: i32 = 0..;
        racks: Vec<Str> = 0..;
    }

    /// See [`ConsumerGroupPartitionMetadataKey`].
    struct TopicMetadata {
        topic_id: Uuid = 0..;
        topic_name: Str = 0..;
        num_partitions: i32 = 0..;
        partition_metadata: Vec<PartitionMetadata> = 0..;
    }

    /// See [`ConsumerGroupPartitionMetadataKey`].
    struct ConsumerGroupPartitionMetadataValue {
        topics: Vec<TopicMetadata> = 0..;
    }

    /// Type 5: a member and its subscription.
    struct ConsumerGroupMemberMetadataKey {
        group_id: Str = 0..;
        member_id: Str = 0..;
    }

    /// See [`ClassicMemberMetadata`].
    struct ClassicProtocol {
        name: Str = 0..;
        metadata: Bytes = 0..;
    }

    /// Metadata of a member that still uses the classic protocol.
    struct ClassicMemberMetadata {
        session_timeout_ms: i32 = 0..;
        supported_protocols: Vec<ClassicProtocol> = 0..;
    }

    /// See [`ConsumerGroupMemberMetadataKey`].
    struct ConsumerGroupMemberMetadataValue {
        instance_id: Option<Str> = 0..;
        rack_id: Option<Str> = 0..;
        client_id: Str = 0..;
        client_host: Str = 0..;
        subscribed_topic_names: Vec<Str> = 0..;
        subscribed_topic_regex: Option<Str> = 0..;
        rebalance_timeout_ms: i32 = 0.., default -1;
        server_assignor: Option<Str> = 0..;
        classic_member_metadata: Option<ClassicMemberMetadata> = 0.., tag 0;
    }

    /// Type 6: the epoch of the target assignment.
    struct ConsumerGroupTargetAssignmentMetadataKey {
        group_id: Str = 0..;
    }

    /// See [`ConsumerGroupTargetAssignmentMetadataKey`].
    struct ConsumerGroupTargetAssignmentMetadataValue {
        assignment_epoch: i32 = 0..;
        assignment_timestamp: i64 = 0.., tag 0;
    }

    /// Type 7: the target assignment of a member.
    struct ConsumerGroupTargetAssignmentMemberKey {
        group_id: Str = 0..;
        member_id: Str = 0..;
    }

    /// Partitions of one topic.
    struct TopicPartition {
        topic_id: Uuid = 0..;
        partitions: Vec<i32> = 0..;
    }

    /// See [`ConsumerGroupTargetAssignmentMemberKey`].
    struct ConsumerGroupTargetAssignmentMemberValue {
        topic_partitions: Vec<TopicPartition> = 0..;
    }

    /// Type 8: the current assignment of a member.
    struct ConsumerGroupCurrentMemberAssignmentKey {
        group_id: Str = 0..;
        member_id: Str = 0..;
    }

    /// Partitions of one topic, with the epochs of their assignment.
    struct TopicPartitions {
        topic_id: Uuid = 0..;
        partitions: Vec<i32> = 0..;
        /// The default in the schema (null, but not as the string "null") results in an empty list.
        assignment_epochs: Option<Vec<i32>> = 0.., default Some(Vec::new()), tag 0;
    }

    /// See [`ConsumerGroupCurrentMemberAssignmentKey`].
    struct ConsumerGroupCurrentMemberAssignmentValue {
        member_epoch: i32 = 0..;
        previous_member_epoch: i32 = 0..;
        state: i8 = 0..;
        assigned_partitions: Vec<TopicPartitions> = 0..;
        partitions_pending_revocation: Vec<TopicPartitions> = 0..;
    }

    /// Type 16: the topics that match a regular expression.
    struct ConsumerGroupRegularExpressionKey {
        group_id: Str = 0..;
        regular_expression: Str = 0..;
    }

    /// See [`ConsumerGroupRegularExpressionKey`].
    struct ConsumerGroupRegularExpressionValue {
        topics: Vec<Str> = 0..;
        version: i64 = 0..;
        timestamp: i64 = 0..;
    }
}

messages! {
    ConsumerGroupMetadataKey, versions 0..=0;
    ConsumerGroupMetadataValue, versions 0..=0, flexible 0;
    ConsumerGroupPartitionMetadataKey, versions 0..=0;
    ConsumerGroupPartitionMetadataValue, versions 0..=0, flexible 0;
    ConsumerGroupMemberMetadataKey, versions 0..=0;
    ConsumerGroupMemberMetadataValue, versions 0..=0, flexible 0;
    ConsumerGroupTargetAssignmentMetadataKey, versions 0..=0;
    ConsumerGroupTargetAssignmentMetadataValue, versions 0..=0, flexible 0;
    ConsumerGroupTargetAssignmentMemberKey, versions 0..=0;
    ConsumerGroupTargetAssignmentMemberValue, versions 0..=0, flexible 0;
    ConsumerGroupCurrentMemberAssignmentKey, versions 0..=0;
    ConsumerGroupCurrentMemberAssignmentValue, versions 0..=0, flexible 0;
    ConsumerGroupRegularExpressionKey, versions 0..=0;
    ConsumerGroupRegularExpressionValue, versions 0..=0, flexible 0;
}
