//! What a consumer cannot get over by itself.

use crate::ClientError;
use ottla_wire::record::RecordError;
use ottla_wire::types::{ErrorCode, Offset, TopicPartition};

/// The texts are those that Java's consumer has for the same.
#[derive(Debug, thiserror::Error)]
pub enum ConsumerError {
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Nothing is committed, and `auto.offset.reset` is `none`.
    #[error("Undefined offset with no reset policy for partitions: [{}]", list(.0))]
    NoOffset(Vec<TopicPartition>),
    /// The log doesn't go there, and `auto.offset.reset` is `none`.
    #[error("Fetch position {offset} is out of range for partition {partition}")]
    OutOfRange { partition: TopicPartition, offset: Offset },
    /// A batch or record that cannot be read; whoever wants to go on seeks past `offset`.
    #[error(
        "Received exception when fetching the next record from {partition}. If needed, please seek past the record to \
         continue consumption. ({error}, at offset {offset})"
    )]
    Unreadable { partition: TopicPartition, offset: Offset, error: RecordError },
    #[error("Invalid topics: [{}]", .0.join(", "))]
    InvalidTopics(Vec<String>),
    /// The group does not take this member, or has put another in its place.
    #[error("{}", refusal(*.0))]
    Refused(ErrorCode),
    /// What a member told its leader, or the leader its members, is not of the consumer protocol.
    #[error("the group's {what} cannot be read: {why}")]
    Protocol { what: &'static str, why: String },
    #[error("the group chose the assignor {0}, which was not offered to it")]
    UnknownAssignor(String),
}

impl ConsumerError {
    /// The error code, if the broker answered with one.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            ConsumerError::Client(error) => error.code(),
            ConsumerError::Refused(code) => Some(*code),
            ConsumerError::OutOfRange { .. } => Some(ErrorCode::OffsetOutOfRange),
            ConsumerError::InvalidTopics(_) => Some(ErrorCode::InvalidTopicException),
            _ => None,
        }
    }

    /// Whether it may be otherwise in a while: the connection is gone, or the broker is not ready.
    pub fn is_passing(&self) -> bool {
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
