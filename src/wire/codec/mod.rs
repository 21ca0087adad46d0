//! Wire primitives and the schema macro: the encoding of integers, strings, arrays and structs.
//!
//! [`structs!`] turns rows in the style of Kafka's schema files into Rust structs with decoding, encoding, defaults and
//! a reflection table. [`Message`] adds the versions of a complete message. Requests, responses, metadata records,
//! coordinator records and the consumer protocol are defined with these two.
//!
//! Invariants:
//! - Lengths and counts from a peer are compared with the remaining bytes first: no allocation is larger than a small
//!   multiple of the received bytes.
//! - Neither decoding nor encoding panics.
//! - Decoded strings and blobs are slices of their frame, not copies. They keep the whole frame in memory, so long-lived
//!   state must copy them.
//! - Large blobs are not copied when encoding either: [`Writer::finish`] returns them as separate chunks.

mod error;
mod field;
mod framed;
mod message;
mod reader;
mod schema;
pub mod varint;
mod writer;

pub use bytestring::ByteString as Str;
pub use error::{DecodeError, DecodeErrorKind, EncodeError, EncodeErrorKind};
pub use field::{Field, Nullable};
pub use framed::{
    RecordFrame, read_prefix, read_prefixed, read_record, read_record_frame, write_prefixed, write_record,
};
pub use message::messages;
pub use message::{Message, Schema};
pub use reader::Reader;
pub use schema::structs;
pub use schema::{FieldRow, Shape, Versions};
pub use writer::Writer;

#[cfg(test)]
mod tests;
