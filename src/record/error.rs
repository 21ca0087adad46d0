//! Why a batch can't be accepted, read or converted.

use thiserror::Error;

/// Why a batch was refused. Each variant says which Kafka error a client gets for it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RecordError {
    /// The bytes are not what was sent: wrong checksum, length or magic. `CORRUPT_MESSAGE`.
    #[error("corrupt batch: {0}")]
    Corrupt(String),
    /// The bytes arrived whole but break a rule of the format or of the topic. `INVALID_RECORD`.
    #[error("{0}")]
    Invalid(Rejection),
    /// A timestamp lies outside of the topic's limits, or the client claims a time that only the
    /// broker may set. `INVALID_TIMESTAMP`.
    #[error("{0}")]
    InvalidTimestamp(Rejection),
    /// The batch, as it would be stored, is larger than the topic allows. `MESSAGE_TOO_LARGE`.
    #[error("the record batch is {size} bytes, which exceeds the maximum configured value of {limit}")]
    TooLarge { size: usize, limit: usize },
    /// The records expand to more than any honest batch of that size. `MESSAGE_TOO_LARGE`, on which
    /// clients split a batch of many records and send it again.
    #[error("the {compressed} compressed bytes of records expand to more than {limit} bytes")]
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

/// A refusal in words, with the records at fault where single ones are (KIP-467).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// For the response's `error_message`.
    pub message: String,
    /// The records that were at fault; the first [`Rejection::MAX_FAULTS`] of them.
    pub records: Vec<RecordFault>,
}

/// One record at fault, as the Produce response lists it from version 8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordFault {
    /// The record's place in the batch, from 0.
    pub batch_index: i32,
    /// What is wrong with it.
    pub message: String,
}

impl Rejection {
    /// How many records at fault are listed, so that a small request can't ask for a huge response.
    pub const MAX_FAULTS: usize = 512;
}

impl std::fmt::Display for Rejection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl RecordError {
    /// A refusal of the batch as a whole.
    pub fn invalid(message: impl Into<String>) -> RecordError {
        RecordError::Invalid(Rejection { message: message.into(), records: Vec::new() })
    }

    /// Bytes that aren't what was sent.
    pub fn corrupt(message: impl Into<String>) -> RecordError {
        RecordError::Corrupt(message.into())
    }
}
