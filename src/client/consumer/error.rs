//! Errors that a consumer can't recover from by itself.

use crate::ClientError;
use ottla_wire::record::RecordError;
use ottla_wire::types::{ErrorCode, Offset, TopicPartition};

/// An error of a consumer. Texts are those of Java's consumer where it has the same error.
#[derive(Debug, thiserror::Error)]
pub enum ConsumerError {
    #[error(transparent)]
    Client(#[from] ClientError),
    /// There is no committed offset, and `auto.offset.reset` is `none`.
    #[error("Undefined offset with no reset policy for partitions: [{}]", list(.0))]
    NoOffset(Vec<TopicPartition>),
    /// The position is out of the log's range, and `auto.offset.reset` is `none`.
    #[error("Fetch position {offset} is out of range for partition {partition}")]
    OutOfRange { partition: TopicPartition, offset: Offset },
    /// A corrupt batch or record. To go on, seek past `offset`.
    #[error(
        "Received exception when fetching the next record from {partition}. If needed, please seek past the record to \
         continue consumption. ({error}, at offset {offset})"
    )]
    Unreadable { partition: TopicPartition, offset: Offset, error: RecordError },
    #[error("Invalid topics: [{}]", .0.join(", "))]
    InvalidTopics(Vec<String>),
    /// The coordinator rejected or fenced this member.
    #[error("{}", refusal(*.0))]
    Refused(ErrorCode),
    /// A subscription or an assignment is not in the format of the consumer protocol.
    #[error("cannot decode the group's {what}: {why}")]
    Protocol { what: &'static str, why: String },
    #[error("the coordinator chose the assignor {0}, which this member did not propose")]
    UnknownAssignor(String),
}

impl ConsumerError {
    /// The error code, if the broker returned one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            ConsumerError::Client(error) => error.code(),
            ConsumerError::Refused(code) => Some(*code),
            ConsumerError::OutOfRange { .. } => Some(ErrorCode::OffsetOutOfRange),
            ConsumerError::InvalidTopics(_) => Some(ErrorCode::InvalidTopicException),
            _ => None,
        }
    }

    /// Whether a retry may succeed: the connection was lost, or the error code is retriable.
    pub fn is_transient(&self) -> bool {
        match self {
            ConsumerError::Client(error) => match error {
                ClientError::Connect { .. } | ClientError::Disconnected(_) | ClientError::Timeout { .. } => true,
                error => error.code().is_some_and(ErrorCode::is_retriable),
            },
            _ => false,
        }
    }
}

fn list(partitions: &[TopicPartition]) -> String {
    partitions.iter().map(TopicPartition::to_string).collect::<Vec<_>>().join(", ")
}

fn refusal(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::FencedInstanceId => {
            "The broker rejected this static consumer since another consumer with the same group.instance.id has \
             registered with a different member.id."
        }
        ErrorCode::InconsistentGroupProtocol => {
            "The group member's supported protocols are incompatible with those of existing members or first group \
             member tried to join with empty protocol type or empty protocol list."
        }
        ErrorCode::InvalidSessionTimeout => {
            "The session timeout is not within the range allowed by the broker (as configured by \
             group.min.session.timeout.ms and group.max.session.timeout.ms)."
        }
        ErrorCode::GroupMaxSizeReached => "The consumer group has reached its max size.",
        ErrorCode::InvalidGroupId => "The group id is invalid.",
        code => code.name(),
    }
}
