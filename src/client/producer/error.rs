//! The producer's errors.

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
    BufferFull { size: usize, total: usize, after: Duration },
    #[error("Topic {topic} not present in metadata after {} ms.", after.as_millis())]
    NoTopic { topic: String, after: Duration },
    #[error("Invalid topics: [{0}]")]
    InvalidTopic(String),
    #[error("Partition {partition} of topic {topic} with partition count {count} is not present in metadata")]
    NoPartition { topic: String, partition: PartitionIndex, count: usize },
    #[error("Expiring {records} record(s) for {topic}-{partition}:{} ms has passed since batch creation", after.as_millis())]
    Expired { topic: String, partition: PartitionIndex, records: usize, after: Duration },
    /// The broker rejected the batch; the message is the broker's, or the default text of Kafka's clients for the code.
    #[error("{message}")]
    Refused { code: ErrorCode, message: String },
    /// TLS failed; the reason says what to do.
    #[error("{0}")]
    Tls(String),
    /// The login failed without an error of the broker.
    #[error("{0}")]
    Authentication(String),
    /// The connection was lost at each attempt.
    #[error("The server disconnected before a response was received.")]
    Disconnected,
    /// The call does not fit the state of the producer's transactions.
    #[error("Invalid transaction state: {0}.")]
    State(&'static str),
    /// The transaction of the record was aborted before the record was sent.
    #[error("Failing batch since transaction was aborted")]
    Aborted,
    /// The batch can't be encoded or the response can't be decoded.
    #[error("{0}")]
    Broken(String),
}

impl SendError {
    /// Creates the error for an error code from the broker.
    pub(super) fn refused(code: i16, message: Option<&str>) -> SendError {
        let code = ErrorCode::from_code(code).unwrap_or(ErrorCode::UnknownServerError);
        SendError::Refused { code, message: message.unwrap_or_else(|| default_message(code)).to_owned() }
    }

    /// Converts an error of a request.
    pub(super) fn from_client(error: &ClientError) -> SendError {
        match error {
            ClientError::Refused { code, message, .. } => SendError::refused(*code, message.as_deref()),
            ClientError::Connect { .. } | ClientError::Disconnected(_) | ClientError::Timeout { .. } => {
                SendError::Disconnected
            }
            ClientError::Tls { .. } | ClientError::ExpectsTls { .. } => SendError::Tls(error.to_string()),
            ClientError::Authentication(_) => SendError::Authentication(error.to_string()),
            other => SendError::Broken(other.to_string()),
        }
    }

    /// Kafka's error code for this error.
    pub fn code(&self) -> ErrorCode {
        match self {
            SendError::TooLarge { .. } | SendError::LargerThanBuffer { .. } => ErrorCode::MessageTooLarge,
            SendError::BufferFull { .. } | SendError::NoTopic { .. } | SendError::Expired { .. } => {
                ErrorCode::RequestTimedOut
            }
            SendError::NoPartition { .. } => ErrorCode::RequestTimedOut,
            SendError::InvalidTopic(_) => ErrorCode::InvalidTopicException,
            SendError::Refused { code, .. } => *code,
            SendError::Disconnected | SendError::Tls(_) => ErrorCode::NetworkException,
            SendError::Authentication(_) => ErrorCode::SaslAuthenticationFailed,
            SendError::State(_) => ErrorCode::InvalidTxnState,
            SendError::Aborted => ErrorCode::TransactionAbortable,
            SendError::Broken(_) => ErrorCode::UnknownServerError,
        }
    }

    /// Whether a retry may succeed.
    pub(super) fn is_retriable(&self) -> bool {
        match self {
            SendError::Refused { code, .. } => code.is_retriable(),
            SendError::Disconnected => true,
            _ => false,
        }
    }
}

/// The default text of Kafka's clients for an error code (`org.apache.kafka.common.protocol.Errors`), for errors that
/// Produce can return.
fn default_message(code: ErrorCode) -> &'static str {
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
