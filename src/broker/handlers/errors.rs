//! Kafka error codes of the errors of all layers. The only place where one is converted to the other.

use super::authorizer::Denied;
use crate::state::NotCreated;
use crate::state::cluster::NotServed;
use crate::state::fetch::FetchFault;
use crate::state::fetch_sessions::SessionError;
use crate::state::metadata::MetadataUnavailable;
use crate::state::partition::PartitionError;
use crate::state::runtime::Unavailable;
use ottla_core::coordinator::group::GroupError;
use ottla_core::coordinator::transaction::TransactionError;
use ottla_core::metadata::MetadataError;
use ottla_log::AppendError;
use ottla_wire::record::RecordError;
use ottla_wire::types::ErrorCode;

/// Kafka's message for UNKNOWN_TOPIC_OR_PARTITION.
pub const NOT_HOSTED: &str = "This server does not host this topic-partition.";

/// Kafka's default message for INVALID_REQUEST.
pub const INVALID_REQUEST: &str = "This most likely occurs because of a request being malformed by the client library or \
                                   the message was sent to an incompatible broker. See the broker logs for more details.";

/// An error and its message.
pub type Refused = (ErrorCode, String);

/// An error that has a Kafka error code.
pub trait ToErrorCode {
    fn error_code(&self) -> ErrorCode;
}

/// The error code of an outcome, as a number for the response.
pub fn code_of<T, E: ToErrorCode>(result: &Result<T, E>) -> i16 {
    match result {
        Ok(_) => ErrorCode::None.code(),
        Err(error) => error.error_code().code(),
    }
}

impl ToErrorCode for Denied {
    fn error_code(&self) -> ErrorCode {
        match self {
            Denied::Cluster => ErrorCode::ClusterAuthorizationFailed,
            Denied::Topic => ErrorCode::TopicAuthorizationFailed,
            Denied::Group => ErrorCode::GroupAuthorizationFailed,
            Denied::TransactionalId => ErrorCode::TransactionalIdAuthorizationFailed,
            Denied::DelegationToken => ErrorCode::DelegationTokenAuthorizationFailed,
        }
    }
}

impl ToErrorCode for RecordError {
    fn error_code(&self) -> ErrorCode {
        match self {
            RecordError::Corrupt(_) | RecordError::Truncated { .. } => ErrorCode::CorruptMessage,
            RecordError::Records(faults) if faults.any_time() => ErrorCode::InvalidTimestamp,
            RecordError::NotOneBatch(_) | RecordError::Invalid(_) | RecordError::Records(_) => ErrorCode::InvalidRecord,
            RecordError::TooLarge { .. } | RecordError::ExpandsTooFar { .. } => ErrorCode::MessageTooLarge,
            RecordError::UnsupportedCompression(_) => ErrorCode::UnsupportedCompressionType,
            RecordError::UnsupportedForFormat(_) => ErrorCode::UnsupportedForMessageFormat,
        }
    }
}

impl ToErrorCode for AppendError {
    fn error_code(&self) -> ErrorCode {
        match self {
            AppendError::OutOfOrderSequence { .. } => ErrorCode::OutOfOrderSequenceNumber,
            AppendError::InvalidProducerEpoch { .. } => ErrorCode::InvalidProducerEpoch,
            AppendError::InvalidTxnState { .. } => ErrorCode::InvalidTxnState,
            AppendError::TransactionCoordinatorFenced { .. } => ErrorCode::TransactionCoordinatorFenced,
            AppendError::FencedLeaderEpoch { .. } => ErrorCode::FencedLeaderEpoch,
            AppendError::LargerThanSegment { .. } => ErrorCode::RecordListTooLarge,
            AppendError::MalformedControlBatch => ErrorCode::InvalidRecord,
            AppendError::Storage(_) => ErrorCode::KafkaStorageError,
        }
    }
}

impl ToErrorCode for PartitionError {
    fn error_code(&self) -> ErrorCode {
        match self {
            PartitionError::Storage(_) => ErrorCode::KafkaStorageError,
            PartitionError::Deleted => ErrorCode::UnknownTopicOrPartition,
            PartitionError::Append(error) => error.error_code(),
            PartitionError::OutOfRange { .. } => ErrorCode::OffsetOutOfRange,
        }
    }
}

impl ToErrorCode for NotServed {
    fn error_code(&self) -> ErrorCode {
        match self {
            NotServed::Unknown => ErrorCode::UnknownTopicOrPartition,
            NotServed::NotLeader => ErrorCode::NotLeaderOrFollower,
            NotServed::AbsentDirectory => ErrorCode::KafkaStorageError,
        }
    }
}

impl ToErrorCode for FetchFault {
    fn error_code(&self) -> ErrorCode {
        match self {
            FetchFault::TopicAuthorizationFailed => ErrorCode::TopicAuthorizationFailed,
            FetchFault::UnknownTopicId => ErrorCode::UnknownTopicId,
            FetchFault::UnknownTopicOrPartition => ErrorCode::UnknownTopicOrPartition,
            FetchFault::NotLeader => ErrorCode::NotLeaderOrFollower,
            FetchFault::AbsentDirectory => ErrorCode::KafkaStorageError,
            FetchFault::FencedLeaderEpoch => ErrorCode::FencedLeaderEpoch,
            FetchFault::UnknownLeaderEpoch => ErrorCode::UnknownLeaderEpoch,
            FetchFault::UnsupportedCompression => ErrorCode::UnsupportedCompressionType,
            FetchFault::Partition(error) => error.error_code(),
        }
    }
}

impl ToErrorCode for SessionError {
    fn error_code(&self) -> ErrorCode {
        match self {
            SessionError::NotFound => ErrorCode::FetchSessionIdNotFound,
            SessionError::InvalidEpoch => ErrorCode::InvalidFetchSessionEpoch,
            SessionError::TopicIdMismatch => ErrorCode::FetchSessionTopicIdError,
        }
    }
}

impl ToErrorCode for GroupError {
    fn error_code(&self) -> ErrorCode {
        match self {
            GroupError::InvalidGroupId => ErrorCode::InvalidGroupId,
            GroupError::InvalidSessionTimeout => ErrorCode::InvalidSessionTimeout,
            GroupError::UnknownMemberId => ErrorCode::UnknownMemberId,
            GroupError::MemberIdRequired => ErrorCode::MemberIdRequired,
            GroupError::FencedInstanceId => ErrorCode::FencedInstanceId,
            GroupError::IllegalGeneration => ErrorCode::IllegalGeneration,
            GroupError::InconsistentGroupProtocol => ErrorCode::InconsistentGroupProtocol,
            GroupError::RebalanceInProgress => ErrorCode::RebalanceInProgress,
            GroupError::GroupMaxSizeReached => ErrorCode::GroupMaxSizeReached,
            GroupError::NonEmptyGroup => ErrorCode::NonEmptyGroup,
            GroupError::GroupIdNotFound => ErrorCode::GroupIdNotFound,
            GroupError::GroupSubscribedToTopic => ErrorCode::GroupSubscribedToTopic,
            GroupError::OffsetMetadataTooLarge => ErrorCode::OffsetMetadataTooLarge,
            GroupError::UnstableOffsetCommit => ErrorCode::UnstableOffsetCommit,
        }
    }
}

impl ToErrorCode for Unavailable {
    fn error_code(&self) -> ErrorCode {
        match self {
            Unavailable::NotAvailable => ErrorCode::CoordinatorNotAvailable,
            Unavailable::NotCoordinator => ErrorCode::NotCoordinator,
            Unavailable::Loading => ErrorCode::CoordinatorLoadInProgress,
            Unavailable::Refused(error) => error.error_code(),
        }
    }
}

impl ToErrorCode for TransactionError {
    fn error_code(&self) -> ErrorCode {
        match self {
            TransactionError::InvalidRequest => ErrorCode::InvalidRequest,
            TransactionError::InvalidTransactionTimeout => ErrorCode::InvalidTransactionTimeout,
            TransactionError::InvalidProducerIdMapping => ErrorCode::InvalidProducerIdMapping,
            TransactionError::ProducerFenced => ErrorCode::ProducerFenced,
            TransactionError::ConcurrentTransactions => ErrorCode::ConcurrentTransactions,
            TransactionError::InvalidTxnState => ErrorCode::InvalidTxnState,
            TransactionError::TransactionAbortable => ErrorCode::TransactionAbortable,
            TransactionError::ProducerIdNeeded => ErrorCode::UnknownServerError,
        }
    }
}

impl ToErrorCode for MetadataError {
    fn error_code(&self) -> ErrorCode {
        match self {
            MetadataError::InvalidTopic(_) => ErrorCode::InvalidTopicException,
            MetadataError::TopicAlreadyExists(_) => ErrorCode::TopicAlreadyExists,
            MetadataError::UnknownTopicOrPartition | MetadataError::UnknownTopic(_) => {
                ErrorCode::UnknownTopicOrPartition
            }
            MetadataError::UnknownTopicId => ErrorCode::UnknownTopicId,
            MetadataError::InvalidPartitions(_) => ErrorCode::InvalidPartitions,
            MetadataError::InvalidReplicationFactor(_) => ErrorCode::InvalidReplicationFactor,
            MetadataError::InvalidReplicaAssignment(_) => ErrorCode::InvalidReplicaAssignment,
            MetadataError::InvalidConfig(_) => ErrorCode::InvalidConfig,
            MetadataError::InvalidRequest(_) => ErrorCode::InvalidRequest,
            MetadataError::TopicDeletionDisabled => ErrorCode::TopicDeletionDisabled,
            MetadataError::PolicyViolation(_) => ErrorCode::PolicyViolation,
            MetadataError::BrokerIdNotRegistered(_) => ErrorCode::BrokerIdNotRegistered,
            MetadataError::InvalidUpdateVersion(_) => ErrorCode::InvalidUpdateVersion,
            MetadataError::DelegationTokenAuthDisabled => ErrorCode::DelegationTokenAuthDisabled,
            MetadataError::DelegationTokenNotFound => ErrorCode::DelegationTokenNotFound,
            MetadataError::DelegationTokenExpired => ErrorCode::DelegationTokenExpired,
            MetadataError::DelegationTokenOwnerMismatch => ErrorCode::DelegationTokenOwnerMismatch,
            MetadataError::UnacceptableCredential(_) => ErrorCode::UnacceptableCredential,
            MetadataError::UnsupportedSaslMechanism => ErrorCode::UnsupportedSaslMechanism,
            MetadataError::DuplicateResource(_) => ErrorCode::DuplicateResource,
            MetadataError::ResourceNotFound(_) => ErrorCode::ResourceNotFound,
            MetadataError::UnsupportedVersion(_) => ErrorCode::UnsupportedVersion,
            MetadataError::ThrottlingQuotaExceeded => ErrorCode::ThrottlingQuotaExceeded,
            MetadataError::Internal(_) => ErrorCode::UnknownServerError,
        }
    }
}

impl ToErrorCode for MetadataUnavailable {
    fn error_code(&self) -> ErrorCode {
        match self {
            MetadataUnavailable::Log(_) | MetadataUnavailable::NotWritten => ErrorCode::KafkaStorageError,
        }
    }
}

impl ToErrorCode for NotCreated {
    fn error_code(&self) -> ErrorCode {
        match self {
            NotCreated::Refused(error) => error.error_code(),
            NotCreated::Unavailable(error) => error.error_code(),
        }
    }
}
