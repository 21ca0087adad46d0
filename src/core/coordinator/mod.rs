//! Coordinators: pure state machines over Kafka's coordinator topics.

pub mod group;
pub mod records;
pub mod transaction;

use std::sync::Arc;

pub use crate::machine::{Effects, NoAction, Outcome, RecordMeta, ReplyTo, StateMachine};

/// Identifies a connection; unique while the broker runs.
pub type ConnectionId = u64;
/// A group's id, chosen by its members.
pub type GroupId = Arc<str>;
/// A member's id within its group, assigned by the coordinator; empty in requests of new members.
pub type MemberId = Arc<str>;
/// The id of a static member, which stays the same after its restarts (KIP-345).
pub type InstanceId = Arc<str>;
/// The id under which a producer continues its transactions after a restart, chosen by the client.
pub type TransactionalId = Arc<str>;
