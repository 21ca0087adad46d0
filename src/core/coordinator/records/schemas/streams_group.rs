//! Records of streams groups (KIP-1071), after the `StreamsGroup…` schemas of Kafka's group coordinator.

use ottla_wire::codec::{Str, messages, structs};

structs! {
    /// Type 17: a streams group.
    struct StreamsGroupMetadataKey {
        group_id: Str = 0..;
    }

    /// See [`StreamsGroupMetadataValue`].
    struct LastAssignmentConfig {
        key: Str = 0..;
        value: Str = 0..;
    }

    /// The group epoch, and the settings of the last assignment.
    struct StreamsGroupMetadataValue {
        epoch: i32 = 0..;
        metadata_hash: i64 = 0..;
        validated_topology_epoch: i32 = 0.., default -1, tag 0;
        /// The default in the schema (null, but not as the string "null") results in an empty list.
        last_assignment_configs: Option<Vec<LastAssignmentConfig>> = 0.., default Some(Vec::new()), tag 1;
        stored_description_topology_epoch: i32 = 0.., default -1, tag 2;
        failed_description_topology_epoch: i32 = 0.., default -1, tag 3;
    }

    /// Type 19: a member and its metadata.
    struct StreamsGroupMemberMetadataKey {
        group_id: Str = 0..;
        member_id: Str = 0..;
    }

    /// The endpoint for interactive queries of a member.
    struct Endpoint {
        host: Str = 0..;
        port: u16 = 0..;
    }

    /// A client tag.
    struct KeyValue {
        key: Str = 0..;
        value: Str = 0..;
    }

    /// See [`StreamsGroupMemberMetadataKey`].
    struct StreamsGroupMemberMetadataValue {
        instance_id: Option<Str> = 0..;
        rack_id: Option<Str> = 0..;
        client_id: Str = 0..;
        client_host: Str = 0..;
        rebalance_timeout_ms: i32 = 0.., default -1;
        topology_epoch: i32 = 0..;
        process_id: Str = 0..;
        user_endpoint: Option<Endpoint> = 0..;
        client_tags: Vec<KeyValue> = 0..;
    }

    /// Type 20: the epoch of the target assignment.
    struct StreamsGroupTargetAssignmentMetadataKey {
        group_id: Str = 0..;
    }

    /// See [`StreamsGroupTargetAssignmentMetadataKey`].
    struct StreamsGroupTargetAssignmentMetadataValue {
        assignment_epoch: i32 = 0..;
        assignment_timestamp: i64 = 0.., tag 0;
    }

    /// Type 21: the target assignment of a member.
    struct StreamsGroupTargetAssignmentMemberKey {
        group_id: Str = 0..;
        member_id: Str = 0..;
    }

    /// Tasks of one subtopology.
    struct TaskIds {
        subtopology_id: Str = 0..;
        partitions: Vec<i32> = 0..;
    }

    /// See [`StreamsGroupTargetAssignmentMemberKey`].
    struct StreamsGroupTargetAssignmentMemberValue {
        active_tasks: Vec<TaskIds> = 0..;
        standby_tasks: Vec<TaskIds> = 0..;
        warmup_tasks: Vec<TaskIds> = 0..;
    }

    /// Type 22: the current assignment of a member.
    struct StreamsGroupCurrentMemberAssignmentKey {
        group_id: Str = 0..;
        member_id: Str = 0..;
    }

    /// Tasks of one subtopology, with the epochs of their assignment.
    struct AssignedTaskIds {
        subtopology_id: Str = 0..;
        partitions: Vec<i32> = 0..;
        /// The default in the schema (null, but not as the string "null") results in an empty list.
        assignment_epochs: Option<Vec<i32>> = 0.., default Some(Vec::new()), tag 0;
    }

    /// See [`StreamsGroupCurrentMemberAssignmentKey`].
    struct StreamsGroupCurrentMemberAssignmentValue {
        member_epoch: i32 = 0..;
        previous_member_epoch: i32 = 0..;
        state: i8 = 0..;
        active_tasks: Vec<AssignedTaskIds> = 0..;
        standby_tasks: Vec<AssignedTaskIds> = 0..;
        warmup_tasks: Vec<AssignedTaskIds> = 0..;
        active_tasks_pending_revocation: Vec<AssignedTaskIds> = 0..;
        standby_tasks_pending_revocation: Vec<AssignedTaskIds> = 0..;
        warmup_tasks_pending_revocation: Vec<AssignedTaskIds> = 0..;
    }

    /// Type 23: the topology of the group's application.
    struct StreamsGroupTopologyKey {
        group_id: Str = 0..;
    }

    /// See [`TopicInfo`].
    struct TopicConfig {
        key: Str = 0..;
        value: Str = 0..;
    }

    /// An internal topic of the application.
    struct TopicInfo {
        name: Str = 0..;
        partitions: i32 = 0..;
        replication_factor: i16 = 0..;
        topic_configs: Vec<TopicConfig> = 0..;
    }

    /// Topics that must have the same number of partitions, by their indexes in the subtopology's lists.
    struct CopartitionGroup {
        source_topics: Vec<i16> = 0..;
        source_topic_regex: Vec<i16> = 0..;
        repartition_source_topics: Vec<i16> = 0..;
    }

    /// An independent part of the application.
    struct Subtopology {
        subtopology_id: Str = 0..;
        source_topics: Vec<Str> = 0..;
        source_topic_regex: Vec<Str> = 0..;
        state_changelog_topics: Vec<TopicInfo> = 0..;
        repartition_sink_topics: Vec<Str> = 0..;
        repartition_source_topics: Vec<TopicInfo> = 0..;
        copartition_groups: Vec<CopartitionGroup> = 0..;
    }

    /// See [`StreamsGroupTopologyKey`].
    struct StreamsGroupTopologyValue {
        epoch: i32 = 0..;
        subtopologies: Vec<Subtopology> = 0..;
    }
}

messages! {
    StreamsGroupMetadataKey, versions 0..=0;
    StreamsGroupMetadataValue, versions 0..=0, flexible 0;
    StreamsGroupMemberMetadataKey, versions 0..=0;
    StreamsGroupMemberMetadataValue, versions 0..=0, flexible 0;
    StreamsGroupTargetAssignmentMetadataKey, versions 0..=0;
    StreamsGroupTargetAssignmentMetadataValue, versions 0..=0, flexible 0;
    StreamsGroupTargetAssignmentMemberKey, versions 0..=0;
    StreamsGroupTargetAssignmentMemberValue, versions 0..=0, flexible 0;
    StreamsGroupCurrentMemberAssignmentKey, versions 0..=0;
    StreamsGroupCurrentMemberAssignmentValue, versions 0..=0, flexible 0;
    StreamsGroupTopologyKey, versions 0..=0;
    StreamsGroupTopologyValue, versions 0..=0, flexible 0;
}
