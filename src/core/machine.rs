//! The one shape of everything that decides: a pure state machine over a log.
//!
//! A machine never does I/O, reads a clock or draws a random number. It is driven by
//! `broker::driver`, which owns the log: decide ([`Machine::handle`]) → append → apply
//! ([`Machine::replay`]) → reply. Recovery calls the same `replay`.

use std::time::Duration;

use ottla_wire::types::{Now, Offset, ProducerIdEpoch, TimestampMs};

/// Whom an answer goes to: a token that the driver gave with the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReplyTo(pub u64);

/// What a decision leads to. All `records` of one decision are appended as one batch, so that a
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

/// Where a record stands in the machine's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordMeta {
    pub offset: Offset,
    /// The record's own timestamp.
    pub timestamp: TimestampMs,
    /// Who wrote it; [`ProducerIdEpoch::NONE`] outside transactions.
    pub producer: ProducerIdEpoch,
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Commit,
    Abort,
}

/// A pure machine over one log.
///
/// Invariant: durable state (all that a restart must find again) changes in `replay` and
/// `replay_end_txn` alone. Soft state (parked joins, timers) may change in `handle`.
pub trait Machine {
    type Command;
    type Record;
    type Reply;

    /// Decides. Durable state is untouched until the records come back through `replay`.
    fn handle(&mut self, now: Now, to: ReplyTo, command: Self::Command) -> Effects<Self::Record, Self::Reply>;

    /// Lets every timer that is due at `now` act.
    fn handle_timeout(&mut self, now: Now) -> Effects<Self::Record, Self::Reply>;

    /// The monotonic time at which `handle_timeout` wants to be called next.
    fn poll_timeout(&self) -> Option<Duration>;

    /// Applies one record, live or in recovery.
    fn replay(&mut self, at: RecordMeta, record: &Self::Record);

    /// Applies a transaction's end to what its producer wrote here.
    fn replay_end_txn(&mut self, producer: ProducerIdEpoch, outcome: Outcome);

    /// Called once when recovery has replayed the whole log, before the first command: starts the
    /// timers that live members need.
    fn recovered(&mut self, now: Now);
}
