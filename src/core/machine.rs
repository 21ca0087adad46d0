//! The trait of every state machine over a log.
//!
//! A machine never does I/O, reads a clock or draws a random number. `broker::driver` owns the log and
//! runs the machine: decide ([`Machine::handle`]) → append → apply
//! ([`Machine::replay`]) → reply. Recovery calls the same `replay`.

use std::time::Duration;

use ottla_wire::types::{Now, Offset, ProducerIdEpoch, TimestampMs};

/// Identifies the caller that waits for a reply. The driver passes it with the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReplyTo(pub u64);

/// The result of a decision. All `records` of one decision are appended as one batch, so that a
/// crash keeps all of them or none; `replies` leave only after those records are applied.
#[derive(Debug)]
pub struct Effects<Record, Reply> {
    pub records: Vec<Record>,
    pub replies: Vec<(ReplyTo, Reply)>,
}

impl<Record, Reply> Default for Effects<Record, Reply> {
    fn default() -> Self {
        Effects { records: Vec::new(), replies: Vec::new() }
    }
}

/// Position, time and producer of a record in the machine's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordMeta {
    pub offset: Offset,
    /// The record's own timestamp.
    pub timestamp: TimestampMs,
    /// The transactional producer that wrote it; [`ProducerIdEpoch::NONE`] outside transactions.
    pub producer: ProducerIdEpoch,
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Commit,
    Abort,
}

/// A pure state machine over one log.
///
/// Invariant: durable state (the state that recovery restores) changes only in `replay` and `replay_end_txn`. Volatile
/// state (pending joins, timers) may change in `handle`.
pub trait Machine {
    type Command;
    type Record;
    type Reply;

    /// Decides on a command. Durable state does not change before the records are passed to `replay`.
    fn handle(&mut self, now: Now, to: ReplyTo, command: Self::Command) -> Effects<Self::Record, Self::Reply>;

    /// Runs every timer that is due at `now`.
    fn handle_timeout(&mut self, now: Now) -> Effects<Self::Record, Self::Reply>;

    /// The monotonic time at which `handle_timeout` must be called next; `None` if no timer is set.
    fn poll_timeout(&self) -> Option<Duration>;

    /// Applies one record, after it was appended or during recovery.
    fn replay(&mut self, at: RecordMeta, record: &Self::Record);

    /// Applies the end of a transaction to the records that its producer wrote to this log.
    fn replay_end_txn(&mut self, producer: ProducerIdEpoch, outcome: Outcome);

    /// Ends recovery: called once after the whole log was replayed and before the first command. Starts timers.
    fn recovered(&mut self, now: Now);
}
