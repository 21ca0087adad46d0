//! Errors of the metadata machine.

use ottla_wire::types::TopicName;

/// Why a command, or a part of it, was rejected. The text is the error message for the client.
///
/// Each variant has the name of a Kafka error code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// `INVALID_TOPIC_EXCEPTION`
    #[error("{0}")]
    InvalidTopic(String),
    /// `TOPIC_ALREADY_EXISTS`
    #[error("Topic '{0}' already exists.")]
    TopicAlreadyExists(TopicName),
    /// `UNKNOWN_TOPIC_OR_PARTITION`
    #[error("This server does not host this topic-partition.")]
    UnknownTopicOrPartition,
    /// `UNKNOWN_TOPIC_OR_PARTITION` when settings of a topic are changed.
    #[error("The topic '{0}' does not exist.")]
    UnknownTopic(TopicName),
    /// `UNKNOWN_TOPIC_ID`
    #[error("This server does not host this topic ID.")]
    UnknownTopicId,
    /// `INVALID_PARTITIONS`
    #[error("{0}")]
    InvalidPartitions(String),
    /// `INVALID_REPLICATION_FACTOR`
    #[error("{0}")]
    InvalidReplicationFactor(String),
    /// `INVALID_REPLICA_ASSIGNMENT`
    #[error("{0}")]
    InvalidReplicaAssignment(String),
    /// `INVALID_CONFIG`
    #[error("{0}")]
    InvalidConfig(String),
    /// `INVALID_REQUEST`
    #[error("{0}")]
    InvalidRequest(String),
    /// `TOPIC_DELETION_DISABLED`
    #[error("Topic deletion is disabled.")]
    TopicDeletionDisabled,
    /// `POLICY_VIOLATION`
    #[error("{0}")]
    PolicyViolation(String),
    /// `BROKER_ID_NOT_REGISTERED`
    #[error("Broker ID {0} is not currently registered")]
    BrokerIdNotRegistered(i32),
    /// `INVALID_UPDATE_VERSION`
    #[error("{0}")]
    InvalidUpdateVersion(String),
    /// `UNACCEPTABLE_CREDENTIAL`
    #[error("{0}")]
    UnacceptableCredential(String),
    /// `UNSUPPORTED_SASL_MECHANISM`
    #[error("Unknown SCRAM mechanism")]
    UnsupportedSaslMechanism,
    /// `DUPLICATE_RESOURCE`
    #[error("{0}")]
    DuplicateResource(String),
    /// `RESOURCE_NOT_FOUND`
    #[error("{0}")]
    ResourceNotFound(String),
    /// `UNSUPPORTED_VERSION`: the level of `metadata.version` is too low.
    #[error("{0}")]
    UnsupportedVersion(String),
    /// `THROTTLING_QUOTA_EXCEEDED`
    #[error("The throttling quota has been exceeded.")]
    ThrottlingQuotaExceeded,
    /// `DELEGATION_TOKEN_AUTH_DISABLED`
    #[error("Delegation Token feature is not enabled.")]
    DelegationTokenAuthDisabled,
    /// `DELEGATION_TOKEN_NOT_FOUND`
    #[error("Delegation Token is not found on server.")]
    DelegationTokenNotFound,
    /// `DELEGATION_TOKEN_EXPIRED`
    #[error("Delegation Token is expired.")]
    DelegationTokenExpired,
    /// `DELEGATION_TOKEN_OWNER_MISMATCH`
    #[error("Specified Principal is not valid Owner/Renewer.")]
    DelegationTokenOwnerMismatch,
    /// `UNKNOWN_SERVER_ERROR`: the client cannot resolve it.
    #[error("{0}")]
    Internal(String),
}
