//! Record batches: Kafka's message format 2, and formats 0 and 1 both ways. Pure: bytes in, bytes out.
//!
//! What a peer sends is [`Unverified`]; [`Unverified::verify`] applies the rules of Kafka's
//! `LogValidator` and yields [`Verified`], exactly one v2 batch, the only thing a log appends (old message
//! sets may need several: [`VerifiedSet`]). What
//! the broker itself writes comes from [`BatchBuilder`] and is verified by construction. What a log
//! holds is read back with [`batches`] and [`Batch::records`], in whatever format it was written; compaction looks
//! at it with [`Expanded`] and leaves a [`SparseBatch`].
//!
//! Layout of a v2 batch, big-endian (KIP-98): a header of [`BATCH_OVERHEAD`] bytes, see
//! [`BatchHeader`], then the records, compressed as a whole when the attributes name a codec.
//!
//! Invariants:
//! - Nothing here allocates by a length that a peer announced; see [`compress`] for how far a
//!   compressed batch may expand.
//! - The CRC covers byte 21 to the end, so the base offset and the leader epoch, which the broker
//!   sets, are outside of it: [`Verified::placed`] gives the bytes that change on append.

mod batch;
mod builder;
pub mod compress;
pub mod control;
mod error;
mod faults;
mod header;
mod legacy;
mod limits;
mod parse;
mod partial;
mod sparse;
mod verified;
mod verify;

pub use batch::{Batch, Batches, Header, Record, RecordOffset, Records, batches};
pub use builder::BatchBuilder;
pub use compress::Codec;
pub use error::RecordError;
pub use faults::{Fault, RecordFault, RecordFaults, TimeLimit};
pub use header::{BATCH_OVERHEAD, BatchCrc, BatchHeader, LOG_OVERHEAD, MAGIC_V2, TimestampType, check_crc, headers};
pub use legacy::{Message as OldMessage, OldFormat, converts_to_nothing, down_convert, expand_wrapper, with_records};
pub use sparse::{Expanded, RecordView, SparseBatch, put_empty_batch};
pub use verified::{Verified, VerifiedSet};
pub use verify::{Accepts, Unverified, VerifyRules};

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod known_answers;
#[cfg(test)]
mod properties;
