//! Pure state machines over Kafka's coordinator topics: what Kafka calls coordinators.

pub mod group;
pub mod records;

use std::sync::Arc;

pub use crate::machine::{Effects, Machine, Outcome, RecordMeta, ReplyTo};

/// A connection's number; unique while the broker runs.
pub type ConnectionId = u64;
/// A group's name, chosen by its users.
pub type GroupId = Arc<str>;
/// A member's name within its group, given by the coordinator; empty in requests means "none yet".
pub type MemberId = Arc<str>;
/// The name by which a static member is known across its restarts (KIP-345).
pub type InstanceId = Arc<str>;
