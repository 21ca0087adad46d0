//! Errors of verifying, reading and converting batches.

use thiserror::Error;

use super::faults::RecordFaults;

/// Why a batch was rejected. Each variant has the Kafka error code that a client gets.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RecordError {
    /// Corrupt bytes: wrong checksum, length or magic. `CORRUPT_MESSAGE`.
    #[error("{0}")]
    Corrupt(String),
    /// There is no complete batch, or more than one, or one of an older format where only format 2 is allowed.
    /// `INVALID_RECORD`, before the partition is looked up.
    #[error("{0}")]
    NotOneBatch(&'static str),
    /// The batch violates the format, though its checksum is right. `INVALID_RECORD`.
    #[error("{0}")]
    Invalid(String),
    /// Single records violate a rule of the topic. `INVALID_RECORD`, or `INVALID_TIMESTAMP` if a timestamp does.
    #[error("{0}")]
    Records(RecordFaults),
    /// The batch to store is larger than the topic allows. `MESSAGE_TOO_LARGE`.
    #[error("the record batch is {size} bytes, which exceeds the maximum configured value of {limit}")]
    TooLarge { size: usize, limit: usize },
    /// The records expand beyond the settings or the memory limit. `MESSAGE_TOO_LARGE`, after which clients split a batch of
    /// many records and retry.
    #[error(
        "the {compressed} compressed bytes of records expand to more than {limit} bytes, which is what \
         max.decompressed.message.bytes and max.message.bytes allow, and queued.max.request.bytes where the broker has to \
         hold them in memory"
    )]
    ExpandsTooFar { compressed: usize, limit: usize },
    /// The codec is unknown, or not allowed in the request version or the message format. `UNSUPPORTED_COMPRESSION_TYPE`.
    #[error("{0}")]
    UnsupportedCompression(String),
    /// The batch needs message format 2. `UNSUPPORTED_FOR_MESSAGE_FORMAT`.
    #[error("{0}")]
    UnsupportedForFormat(String),
    /// The bytes end within a batch. Not returned by verification (which returns `Corrupt` or `Invalid`, as in Kafka), but by
    /// reading a log with a torn tail.
    #[error("the batch needs {needed} bytes and {available} are there")]
    Truncated { needed: usize, available: usize },
}

impl RecordError {
    /// Creates an `Invalid` error.
    pub fn invalid(message: impl Into<String>) -> RecordError {
        RecordError::Invalid(message.into())
    }

    /// Creates a `Corrupt` error.
    pub fn corrupt(message: impl Into<String>) -> RecordError {
        RecordError::Corrupt(message.into())
    }

    /// Creates the error for an unknown magic.
    pub(super) fn unknown_magic(magic: i8) -> RecordError {
        RecordError::Corrupt(format!("Invalid magic found in record: {magic}"))
    }
}
