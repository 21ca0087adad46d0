//! Message formats 0 and 1, which are used by Produce v0–v2, Fetch v0–v3, and logs that Apache Kafka wrote before 0.11.
//!
//! Logs append format 2 only: verification converts messages of old producers (`verify/upgrade`). Old messages in a log
//! are read unchanged, each as a batch. [`down_convert`] converts batches for old consumers.

mod down;
mod message;
mod read;
#[cfg(test)]
mod tests;

pub use down::{OldFormat, converts_to_nothing, down_convert, with_records};
pub use message::{Message, expand_wrapper};
pub(super) use message::{message_header, take_message};
pub(super) use read::Messages;
