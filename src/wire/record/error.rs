//! Why a batch can't be accepted, read or converted.

use thiserror::Error;

use super::faults::RecordFaults;

/// Why a batch was refused. Each variant says which Kafka error a client gets for it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RecordError {
    /// The bytes are not what was sent: wrong checksum, length or magic. `CORRUPT_MESSAGE`.
    #[error("{0}")]
    Corrupt(String),
    /// There is no whole batch, or more than one, or one of an older format where only format 2 may be.
    /// `INVALID_RECORD`, before the partition is looked at.
    #[error("{0}")]
    NotOneBatch(&'static str),
    /// The bytes arrived whole but break a rule of the format. `INVALID_RECORD`.
    #[error("{0}")]
    Invalid(String),
    /// Single records break a rule of the topic. `INVALID_RECORD`, or `INVALID_TIMESTAMP` where one is
    /// about time.
    #[error("{0}")]
    Records(RecordFaults),
    /// The batch, as it would be stored, is larger than the topic allows. `MESSAGE_TOO_LARGE`.
    #[error("the record batch is {size} bytes, which exceeds the maximum configured value of {limit}")]
    TooLarge { size: usize, limit: usize },
    /// The records expand to more than the settings allow, or than is held in memory at once. `MESSAGE_TOO_LARGE`, on
    /// which clients split a batch of many records and send it again.
    #[error(
        "the {compressed} compressed bytes of records expand to more than {limit} bytes, which is what \
         max.decompressed.message.bytes and max.message.bytes allow, and queued.max.request.bytes where the broker has to \
         hold them in memory"
    )]
    ExpandsTooFar { compressed: usize, limit: usize },
    /// A codec that the broker doesn't know, or that the request's version or the message format
    /// doesn't have. `UNSUPPORTED_COMPRESSION_TYPE`.
    #[error("{0}")]
    UnsupportedCompression(String),
    /// Something only message format 2 can hold. `UNSUPPORTED_FOR_MESSAGE_FORMAT`.
    #[error("{0}")]
    UnsupportedForFormat(String),
    /// The bytes end inside of a batch. Never the outcome of verification (where it is `Corrupt` or
    /// `Invalid`, as in Kafka); a reader of a log meets it at a torn tail.
    #[error("the batch needs {needed} bytes and {available} are there")]
    Truncated { needed: usize, available: usize },
}

impl RecordError {
    /// A refusal of the batch as a whole.
    pub fn invalid(message: impl Into<String>) -> RecordError {
        RecordError::Invalid(message.into())
    }

    /// Bytes that aren't what was sent.
    pub fn corrupt(message: impl Into<String>) -> RecordError {
        RecordError::Corrupt(message.into())
    }

    /// A magic that no format has.
    pub(super) fn unknown_magic(magic: i8) -> RecordError {
        RecordError::Corrupt(format!("Invalid magic found in record: {magic}"))
    }
}
