//! Pure state machines over Kafka's coordinator topics: what Kafka calls coordinators.

pub mod group;
pub mod records;

pub use crate::machine::{Effects, Machine, Outcome, RecordMeta, ReplyTo};
