//! Why a record was not delivered.

use std::time::Duration;

use crate::ClientError;
use ottla_wire::types::{ErrorCode, PartitionIndex};

/// Why a record was not delivered; the texts are those of Kafka's Java producer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    #[error(
        "The message is {size} bytes when serialized which is larger than {limit}, which is the value of the \
         max.request.size configuration."
    )]
    TooLarge { size: usize, limit: usize },
    #[error(
        "The message is {size} bytes when serialized which is larger than the total memory buffer you have configured \
         with the buffer.memory configuration."
    )]
    LargerThanBuffer { size: usize },
    #[error(
        "Failed to allocate {size} bytes within the configured max blocking time {} ms. Total memory: {total} bytes.",
        after.as_millis()
    )]
    NoRoom { size: usize, total: usize, after: Duration },
    #[error("Topic {topic} not present in metadata after {} ms.", after.as_millis())]
    NoTopic { topic: String, after: Duration },
    #[error("Invalid topics: [{0}]")]
    InvalidTopic(String),
    #[error("Partition {partition} of topic {topic} with partition count {count} is not present in metadata")]
    NoPartition { topic: String, partition: PartitionIndex, count: usize },
    #[error("Expiring {records} record(s) for {topic}-{partition}:{} ms has passed since batch creation", after.as_millis())]
    Expired { topic: String, partition: PartitionIndex, records: usize, after: Duration },
    /// The broker refused it; the message is its own, or what Kafka's clients say for the code.
    #[error("{message}")]
    Refused { code: ErrorCode, message: String },
    /// The connection ended each time it was tried.
    #[error("The server disconnected before a response was received.")]
    Disconnected,
    /// The batch can't be built or the answer not be read.
    #[error("{0}")]
    Broken(String),
}

impl SendError {
    /// What the broker said.
    pub(super) fn refused(code: i16, message: Option<&str>) -> SendError {
        let code = ErrorCode::from_code(code).unwrap_or(ErrorCode::UnknownServerError);
        SendError::Refused { code, message: message.unwrap_or_else(|| usual_message(code)).to_owned() }
    }

    /// What became of a question asked on the way.
    pub(super) fn from_client(error: &ClientError) -> SendError {
        match error {
            ClientError::Refused { code, message, .. } => SendError::refused(*code, message.as_deref()),
            ClientError::Connect { .. } | ClientError::Disconnected(_) | ClientError::Timeout { .. } => {
                SendError::Disconnected
            }
            other => SendError::Broken(other.to_string()),
        }
    }

    /// The error code that stands for it in Kafka's protocol.
    pub fn code(&self) -> ErrorCode {
        match self {
            SendError::TooLarge { .. } | SendError::LargerThanBuffer { .. } => ErrorCode::MessageTooLarge,
            SendError::NoRoom { .. } | SendError::NoTopic { .. } | SendError::Expired { .. } => {
                ErrorCode::RequestTimedOut
            }
            SendError::NoPartition { .. } => ErrorCode::RequestTimedOut,
            SendError::InvalidTopic(_) => ErrorCode::InvalidTopicException,
            SendError::Refused { code, .. } => *code,
            SendError::Disconnected => ErrorCode::NetworkException,
            SendError::Broken(_) => ErrorCode::UnknownServerError,
        }
    }

    /// Whether it may go well the next time.
    pub(super) fn is_retriable(&self) -> bool {
        match self {
            SendError::Refused { code, .. } => code.is_retriable(),
            SendError::Disconnected => true,
            _ => false,
        }
    }
}

/// What Kafka's clients say where the broker gives no reason (`org.apache.kafka.common.protocol.Errors`), for the
/// errors that producing can meet.
fn usual_message(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::UnknownServerError => "The server experienced an unexpected error when processing the request.",
        ErrorCode::CorruptMessage => {
            "This message has failed its CRC checksum, exceeds the valid size, has a null key for a compacted topic, \
             or is otherwise corrupt."
        }
        ErrorCode::UnknownTopicOrPartition => "This server does not host this topic-partition.",
        ErrorCode::NotLeaderOrFollower => {
            "For requests intended only for the leader, this error indicates that the broker is not the current \
             leader. For requests intended for any replica, this error indicates that the broker is not a replica of \
             the topic partition."
        }
        ErrorCode::RequestTimedOut => "The request timed out.",
        ErrorCode::MessageTooLarge => {
            "The request included a message larger than the max message size the server will accept."
        }
        ErrorCode::InvalidTopicException => "The request attempted to perform an operation on an invalid topic.",
        ErrorCode::RecordListTooLarge => {
            "The request included message batch larger than the configured segment size on the server."
        }
        ErrorCode::NotEnoughReplicas => "Messages are rejected since there are fewer in-sync replicas than required.",
        ErrorCode::InvalidRequiredAcks => "Produce request specified an invalid value for required acks.",
        ErrorCode::InvalidTimestamp => "The timestamp of the message is out of acceptable range.",
        ErrorCode::OutOfOrderSequenceNumber => "The broker received an out of order sequence number.",
        ErrorCode::InvalidProducerEpoch => "Producer attempted to produce with an old epoch.",
        ErrorCode::InvalidRecord => "This record has failed the validation on the broker and hence be rejected.",
        ErrorCode::KafkaStorageError => "Disk error when trying to access log file on the disk.",
        other => other.name(),
    }
}
