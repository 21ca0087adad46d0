//! Message formats 0 and 1, which Produce v0–v2 carry, Fetch v0–v3 expect, and logs hold that Apache Kafka wrote
//! before 0.11.
//!
//! What is appended is format 2: verification converts what old producers send (`verify/upgrade.rs`). What stands
//! in a log is read as it is, each message as a batch, and converted for old consumers by [`down_convert`].

mod down;
mod message;
mod read;
#[cfg(test)]
mod tests;

pub use down::{OldFormat, converts_to_nothing, down_convert, with_records};
pub use message::{Message, expand_wrapper};
pub(super) use message::{message_header, take_message};
pub(super) use read::Messages;
