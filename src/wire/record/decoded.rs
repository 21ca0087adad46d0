//! A decoded record of any format.

use bytes::Bytes;

use crate::types::{Offset, TimestampMs};

/// A record, with fields that are slices of the (expanded) batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub offset: Offset,
    /// The broker's time if the batch has `LogAppendTime`, else the producer's.
    pub timestamp: TimestampMs,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Vec<Header>,
}

/// A record's header. The key is UTF-8 by convention, which is not checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub key: Bytes,
    pub value: Option<Bytes>,
}

/// A record's offset and timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordOffset {
    pub offset: Offset,
    pub timestamp: TimestampMs,
}
