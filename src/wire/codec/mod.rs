//! Wire primitives and the schema macro: how Kafka writes down integers, strings, arrays and structs.
//!
//! This room knows no API. [`structs!`] turns rows that read like Kafka's schema files into Rust
//! structs with their reading, writing, defaults and a reflection table; [`Message`] adds which
//! versions of a struct stand on their own. Requests, responses, metadata records, coordinator
//! records and the consumer protocol all stand on these two.
//!
//! Invariants:
//! - Nothing a peer claims is believed before it is compared with the bytes that remain: no length
//!   and no count makes an allocation larger than a small multiple of what has arrived.
//! - Reading never panics, and neither does writing.
//! - Strings and blobs are slices of the frame they came in, never copies. Whoever keeps one keeps
//!   the frame alive, so long-lived state copies what it wants to remember.
//! - Large blobs are not copied on the way out either: [`Writer::finish`] returns them as chunks of
//!   their own.

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
