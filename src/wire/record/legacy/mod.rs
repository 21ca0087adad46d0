//! Message formats 0 and 1, which are used by Produce v0–v2, Fetch v0–v3, and logs that Apache Kafka wrote before 0.11.
//!
//! Logs append format 2 only: verification converts messages of old producers (`verify/upgrade`). Old messages in a log
//! are read unchanged, each as a batch. `down_convert` converts batches for old consumers.

mod message;
mod read;

pub(super) use message::take_message;
pub use message::{Message, expand_wrapper};
pub(super) use read::Messages;
