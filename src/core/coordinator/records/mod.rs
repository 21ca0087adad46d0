//! The records of Kafka's coordinator topics, encoded byte for byte as in Apache Kafka.
//!
//! A key starts with the record's type, a value with its version, 16 bits each; a record without a
//! value is a tombstone.

mod group;
pub mod schemas;
mod transaction;

pub use group::{CommittedOffset, GroupMetadata, GroupRecord, MemberMetadata};
pub use transaction::{TransactionMetadata, TransactionRecord, TransactionRecordError, TransactionState, ValueVersion};

use ottla_wire::codec::DecodeError;

/// Why a record could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A type that this broker does not use. Callers skip such records, as Apache Kafka does.
    #[error("unknown record type {0}")]
    UnknownType(i16),
    #[error("not a coordinator record: {0}")]
    Malformed(#[from] DecodeError),
}
