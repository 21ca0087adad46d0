//! Record batches: Kafka's message format 2, and conversion from and to formats 0 and 1. Pure.
//!
//! Batches from a peer are [`Unverified`]. [`Unverified::verify`] applies the rules of Kafka's `LogValidator` and returns
//! [`Verified`]: exactly one v2 batch, which is what a log appends (old message sets may need several: [`VerifiedSet`]).
//! [`BatchBuilder`] builds the broker's own batches, which need no verification. [`batches`] and [`Batch::records`] read a
//! log in any format. Compaction reads batches with [`Expanded`] and writes them with [`SparseBatch`].
//!
//! Layout of a v2 batch, big-endian (KIP-98): a header of [`BATCH_OVERHEAD`] bytes, see
//! [`BatchHeader`], then the records, compressed together if the attributes have a codec.
//!
//! Invariants:
//! - Allocations do not depend on a length that a peer sent; see [`compress`] for the limits of expansion.
//! - The CRC covers byte 21 to the end. The base offset and the leader epoch, which the broker sets, are not covered:
//!   [`Verified::log_prefix`] returns the bytes that change on append.

mod batch;
mod builder;
pub mod compress;
pub mod control;
mod decoded;
mod down_convert;
mod error;
mod faults;
mod first_headers;
mod header;
mod legacy;
mod limits;
mod parse;
mod partial;
mod sparse;
mod verified;
mod verify;

pub use batch::{Batch, Batches, Records, batches};
pub use builder::BatchBuilder;
pub use compress::Codec;
pub use decoded::{Header, Record, RecordOffset};
pub use down_convert::{OldFormat, converts_to_nothing, down_convert, with_records};
pub use error::RecordError;
pub use faults::{Fault, RecordFault, RecordFaults, TimeLimit};
pub use first_headers::first_header_values;
pub use header::{BATCH_OVERHEAD, BatchCrc, BatchHeader, LOG_OVERHEAD, MAGIC_V2, TimestampType, check_crc, headers};
pub use legacy::{Message as OldMessage, expand_wrapper};
pub use parse::{RawHeader, RawRecord};
pub use sparse::{Expanded, RecordView, SparseBatch, put_empty_batch};
pub use verified::{Verified, VerifiedSet};
pub use verify::{Accepts, RecordCheck, Unverified, VerifyRules};

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod known_answers;
#[cfg(test)]
mod old_formats;
#[cfg(test)]
mod properties;
