//! The schemas of KRaft's records (Apache Kafka 4.4, `metadata/src/main/resources/common/metadata`).

use bytes::Bytes;

use ottla_wire::codec::{Str, messages, structs};
use ottla_wire::types::Uuid;

structs! {
    /// A broker registers, for the first time or after a restart.
    struct RegisterBrokerRecord {
        broker_id: i32 = 0..;
        is_migrating_zk_broker: bool = 2..;
        incarnation_id: Uuid = 0..;
        broker_epoch: i64 = 0..;
        end_points: Vec<BrokerEndpoint> = 0..;
        features: Vec<BrokerFeature> = 0..;
        rack: Option<Str> = 0..;
        fenced: bool = 0.., default true;
        in_controlled_shutdown: bool = 1..;
        log_dirs: Vec<Uuid> = 3.., tag 0;
        cordoned_log_dirs: Option<Vec<Uuid>> = 4.., tag 1;
    }

    /// See [`RegisterBrokerRecord`].
    struct BrokerEndpoint {
        name: Str = 0..;
        host: Str = 0..;
        port: u16 = 0..;
        security_protocol: i16 = 0..;
    }

    /// See [`RegisterBrokerRecord`].
    struct BrokerFeature {
        name: Str = 0..;
        min_supported_version: i16 = 0..;
        max_supported_version: i16 = 0..;
    }

    /// A broker's registration is removed.
    struct UnregisterBrokerRecord {
        broker_id: i32 = 0..;
        broker_epoch: i64 = 0..;
    }

    /// A topic; its partitions and settings follow.
    struct TopicRecord {
        name: Str = 0..;
        topic_id: Uuid = 0..;
    }

    /// The complete state of a partition.
    struct PartitionRecord {
        partition_id: i32 = 0.., default -1;
        topic_id: Uuid = 0..;
        replicas: Vec<i32> = 0..;
        isr: Vec<i32> = 0..;
        removing_replicas: Vec<i32> = 0..;
        adding_replicas: Vec<i32> = 0..;
        leader: i32 = 0.., default -1;
        leader_recovery_state: i8 = 0.., tag 0;
        leader_epoch: i32 = 0.., default -1;
        partition_epoch: i32 = 0.., default -1;
        directories: Vec<Uuid> = 1..;
        eligible_leader_replicas: Option<Vec<i32>> = 2.., tag 1;
        last_known_elr: Option<Vec<i32>> = 2.., tag 2;
    }

    /// A setting is set, or unset if the value is null.
    struct ConfigRecord {
        resource_type: i8 = 0..;
        resource_name: Str = 0..;
        name: Str = 0..;
        value: Option<Str> = 0..;
    }

    /// A change of a partition. Fields at their default are unchanged.
    struct PartitionChangeRecord {
        partition_id: i32 = 0.., default -1;
        topic_id: Uuid = 0..;
        isr: Option<Vec<i32>> = 0.., tag 0;
        leader: i32 = 0.., default -2, tag 1;
        replicas: Option<Vec<i32>> = 0.., tag 2;
        removing_replicas: Option<Vec<i32>> = 0.., tag 3;
        adding_replicas: Option<Vec<i32>> = 0.., tag 4;
        leader_recovery_state: i8 = 0.., default -1, tag 5;
        directories: Option<Vec<Uuid>> = 1.., tag 8;
        eligible_leader_replicas: Option<Vec<i32>> = 2.., tag 6;
        last_known_elr: Option<Vec<i32>> = 2.., tag 7;
    }

    /// A broker is fenced: it cannot lead partitions (before `BrokerRegistrationChangeRecord`).
    struct FenceBrokerRecord {
        id: i32 = 0..;
        epoch: i64 = 0..;
    }

    /// A broker is unfenced: it can lead partitions (before `BrokerRegistrationChangeRecord`).
    struct UnfenceBrokerRecord {
        id: i32 = 0..;
        epoch: i64 = 0..;
    }

    /// A topic is removed, with its partitions and settings.
    struct RemoveTopicRecord {
        topic_id: Uuid = 0..;
    }

    /// A delegation token (KIP-900).
    struct DelegationTokenRecord {
        owner: Str = 0..;
        requester: Str = 0..;
        renewers: Vec<Str> = 0..;
        issue_timestamp: i64 = 0..;
        max_timestamp: i64 = 0..;
        expiration_timestamp: i64 = 0..;
        token_id: Str = 0..;
    }

    /// A user's SCRAM credential (KIP-900).
    struct UserScramCredentialRecord {
        name: Str = 0..;
        mechanism: i8 = 0..;
        salt: Bytes = 0..;
        stored_key: Bytes = 0..;
        server_key: Bytes = 0..;
        iterations: i32 = 0..;
    }

    /// A feature is finalized at a level; 0 removes it.
    struct FeatureLevelRecord {
        name: Str = 0..;
        feature_level: i16 = 0..;
    }

    /// A quota is set or removed.
    struct ClientQuotaRecord {
        entity: Vec<EntityData> = 0..;
        key: Str = 0..;
        value: f64 = 0..;
        remove: bool = 0..;
    }

    /// See [`ClientQuotaRecord`].
    struct EntityData {
        entity_type: Str = 0..;
        entity_name: Option<Str> = 0..;
    }

    /// A block of producer ids is allocated; the record has the first id after it.
    struct ProducerIdsRecord {
        broker_id: i32 = 0..;
        broker_epoch: i64 = 0.., default -1;
        next_producer_id: i64 = 0..;
    }

    /// A broker is fenced or unfenced, shuts down, or changes its log directories.
    struct BrokerRegistrationChangeRecord {
        broker_id: i32 = 0..;
        broker_epoch: i64 = 0..;
        fenced: i8 = 0.., tag 0;
        in_controlled_shutdown: i8 = 1.., tag 1;
        log_dirs: Vec<Uuid> = 2.., tag 2;
        cordoned_log_dirs: Option<Vec<Uuid>> = 3.., tag 3;
    }

    /// One ACL.
    struct AccessControlEntryRecord {
        id: Uuid = 0..;
        resource_type: i8 = 0..;
        resource_name: Str = 0..;
        pattern_type: i8 = 0..;
        principal: Str = 0..;
        host: Str = 0..;
        operation: i8 = 0..;
        permission_type: i8 = 0..;
    }

    /// An ACL is removed.
    struct RemoveAccessControlEntryRecord {
        id: Uuid = 0..;
    }

    /// Has no effect in Apache Kafka.
    struct NoOpRecord {
        // Ottla's own field. Its tag is far above those of Kafka's schemas, and Kafka skips unknown tags. Only
        // snapshots have it, because they lack the records of deleted topics that raised the floor.
        leader_epoch_floor: i32 = 0.., tag 10000;
    }

    /// The progress of a migration from ZooKeeper; ignored.
    struct ZkMigrationStateRecord {
        zk_migration_state: i8 = 0..;
    }

    /// A user's SCRAM credential is removed.
    struct RemoveUserScramCredentialRecord {
        name: Str = 0..;
        mechanism: i8 = 0..;
    }

    /// Begins a transaction: the records up to `EndTransactionRecord` are applied together (KIP-868).
    struct BeginTransactionRecord {
        name: Option<Str> = 0.., tag 0;
    }

    /// Applies the records since `BeginTransactionRecord`.
    struct EndTransactionRecord {}

    /// Drops the records since `BeginTransactionRecord`.
    struct AbortTransactionRecord {
        reason: Option<Str> = 0.., tag 0;
    }

    /// A delegation token is removed.
    struct RemoveDelegationTokenRecord {
        token_id: Str = 0..;
    }

    /// A controller registers.
    struct RegisterControllerRecord {
        controller_id: i32 = 0..;
        incarnation_id: Uuid = 0..;
        zk_migration_ready: bool = 0..;
        end_points: Vec<ControllerEndpoint> = 0..;
        features: Vec<ControllerFeature> = 0..;
    }

    /// See [`RegisterControllerRecord`].
    struct ControllerEndpoint {
        name: Str = 0..;
        host: Str = 0..;
        port: u16 = 0..;
        security_protocol: i16 = 0..;
    }

    /// See [`RegisterControllerRecord`].
    struct ControllerFeature {
        name: Str = 0..;
        min_supported_version: i16 = 0..;
        max_supported_version: i16 = 0..;
    }

    /// Eligible leader replicas are cleared, for one topic or (empty name) for all.
    struct ClearElrRecord {
        topic_name: Str = 0..;
    }

    /// A controller's registration is removed.
    struct UnregisterControllerRecord {
        controller_id: i32 = 0..;
    }
}

messages! {
    RegisterBrokerRecord, versions 0..=4, flexible 0;
    UnregisterBrokerRecord, versions 0..=0, flexible 0;
    TopicRecord, versions 0..=0, flexible 0;
    PartitionRecord, versions 0..=2, flexible 0;
    ConfigRecord, versions 0..=0, flexible 0;
    PartitionChangeRecord, versions 0..=2, flexible 0;
    FenceBrokerRecord, versions 0..=0, flexible 0;
    UnfenceBrokerRecord, versions 0..=0, flexible 0;
    RemoveTopicRecord, versions 0..=0, flexible 0;
    DelegationTokenRecord, versions 0..=0, flexible 0;
    UserScramCredentialRecord, versions 0..=0, flexible 0;
    FeatureLevelRecord, versions 0..=0, flexible 0;
    ClientQuotaRecord, versions 0..=0, flexible 0;
    ProducerIdsRecord, versions 0..=0, flexible 0;
    BrokerRegistrationChangeRecord, versions 0..=3, flexible 0;
    AccessControlEntryRecord, versions 0..=0, flexible 0;
    RemoveAccessControlEntryRecord, versions 0..=0, flexible 0;
    NoOpRecord, versions 0..=0, flexible 0;
    ZkMigrationStateRecord, versions 0..=0, flexible 0;
    RemoveUserScramCredentialRecord, versions 0..=0, flexible 0;
    BeginTransactionRecord, versions 0..=0, flexible 0;
    EndTransactionRecord, versions 0..=0, flexible 0;
    AbortTransactionRecord, versions 0..=0, flexible 0;
    RemoveDelegationTokenRecord, versions 0..=0, flexible 0;
    RegisterControllerRecord, versions 0..=0, flexible 0;
    ClearElrRecord, versions 0..=0, flexible 0;
    UnregisterControllerRecord, versions 0..=0, flexible 0;
}
