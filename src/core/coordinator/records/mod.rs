//! What stands in Kafka's coordinator topics, read and written byte for byte as Apache Kafka does.
//!
//! A key starts with the record's type, a value with its version, 16 bits each; a record without a
//! value is a tombstone.

mod group;
pub mod schemas;

pub use group::{CommittedOffset, GroupMetadata, GroupRecord, MemberMetadata};

use ottla_wire::codec::DecodeError;

/// Why a record could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A type that this broker has no use for. Apache Kafka passes over types it does not know,
    /// and so should whoever reads a log.
    #[error("records of type {0} are unknown")]
    UnknownType(i16),
    #[error("not a coordinator record: {0}")]
    Malformed(#[from] DecodeError),
}
