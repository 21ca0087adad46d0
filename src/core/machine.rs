//! The trait of every state machine over a log.
//!
//! A machine never does I/O, reads a clock or draws a random number. The broker's runtime owns the log and runs the
//! machine: decide ([`StateMachine::handle`]) → append → apply ([`StateMachine::replay`]) → actions and replies. Recovery
//! calls the same `replay`.

use std::time::Duration;

use crate::metadata::ImageDelta;
use ottla_wire::types::{Now, Offset, ProducerIdEpoch, TimestampMs};

/// Identifies the caller that waits for a reply. The runtime passes it with the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReplyTo(pub u64);

/// The result of a decision. All `records` of one decision are appended as one batch, so that a crash keeps all of them
/// or none; `actions` and `replies` follow only after those records are applied.
#[derive(Debug)]
#[must_use = "records that are not appended are lost, and callers wait for the replies"]
pub struct Effects<Record, Reply, Action> {
    pub records: Vec<Record>,
    /// The producer whose transaction the records belong to; [`ProducerIdEpoch::NONE`] outside transactions.
    pub producer: ProducerIdEpoch,
    pub replies: Vec<(ReplyTo, Reply)>,
    /// Work outside the machine. It must be idempotent, because recovery may request it again.
    pub actions: Vec<Action>,
}

/// The effects of a machine's decision.
pub type EffectsOf<M> = Effects<<M as StateMachine>::Record, <M as StateMachine>::Reply, <M as StateMachine>::Action>;

impl<Record, Reply, Action> Default for Effects<Record, Reply, Action> {
    fn default() -> Self {
        Effects { records: Vec::new(), producer: ProducerIdEpoch::NONE, replies: Vec::new(), actions: Vec::new() }
    }
}

/// The action of a machine that has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAction {}

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
/// state (pending joins, timers) may change in the methods that return [`Effects`].
pub trait StateMachine {
    /// Any command; see [`Command`] for each one with the type of its reply.
    type Command;
    type Record;
    /// The reply to any command.
    type Reply;
    /// Work outside the machine, which the runtime performs.
    type Action;

    /// Decides on a command. Durable state does not change before the records are passed to `replay`.
    fn handle(&mut self, now: Now, to: ReplyTo, command: Self::Command) -> EffectsOf<Self>;

    /// Runs every timer that is due at `now`.
    fn handle_timeout(&mut self, now: Now) -> EffectsOf<Self>;

    /// The monotonic time at which `handle_timeout` must be called next; `None` if no timer is set.
    fn poll_timeout(&self) -> Option<Duration>;

    /// Reacts to a change of the metadata: called after each published change, and once after recovery.
    fn metadata_changed(&mut self, now: Now, delta: &ImageDelta) -> EffectsOf<Self>;

    /// Applies one record, after it was appended or during recovery.
    fn replay(&mut self, at: RecordMeta, record: &Self::Record);

    /// Applies the end of a transaction to the records that its producer wrote to this log, after its marker was
    /// appended or during recovery.
    fn replay_end_txn(&mut self, producer: ProducerIdEpoch, outcome: Outcome);

    /// Ends recovery: called once after the whole log was replayed and before the first command. Starts timers, and
    /// repeats actions that a crash may have interrupted.
    fn recovered(&mut self, now: Now) -> EffectsOf<Self>;
}

/// A command to a machine, with the type of its reply.
pub trait Command: Into<<Self::Machine as StateMachine>::Command> {
    type Machine: StateMachine;
    type Reply;

    /// Returns the reply to this command; `None` for a reply to another one.
    fn reply(reply: <Self::Machine as StateMachine>::Reply) -> Option<Self::Reply>;
}

/// Declares the commands of a machine: an enum of all commands, an enum of all replies with the same variants, and each
/// command's [`Command`] with its reply.
macro_rules! commands {
    (
        $machine:ty: $(#[$command_doc:meta])* $commands:ident, $(#[$reply_doc:meta])* $replies:ident;
        $($(#[$doc:meta])* $variant:ident($command:ty) -> $reply:ty;)*
    ) => {
        $(#[$command_doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub enum $commands {
            $($(#[$doc])* $variant($command),)*
        }

        $(#[$reply_doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub enum $replies {
            $($variant($reply),)*
        }

        $(
            impl From<$command> for $commands {
                fn from(command: $command) -> $commands {
                    $commands::$variant(command)
                }
            }

            impl $crate::machine::Command for $command {
                type Machine = $machine;
                type Reply = $reply;

                fn reply(reply: $replies) -> Option<$reply> {
                    match reply {
                        $replies::$variant(reply) => Some(reply),
                        #[allow(unreachable_patterns, reason = "a machine may have one command only")]
                        _ => None,
                    }
                }
            }
        )*
    };
}

pub(crate) use commands;
