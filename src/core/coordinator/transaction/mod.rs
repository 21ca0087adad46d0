//! Transactions: a pure state machine over one partition of `__transaction_state`.
//!
//! A transactional id has a producer (id and epoch) and at most one open transaction: `Empty`, `CompleteCommit` and
//! `CompleteAbort` → `Ongoing` → `PrepareCommit` or `PrepareAbort` → `CompleteCommit` or `CompleteAbort`. The Prepare
//! record is the decision. Markers are written to the partitions only after it. The Complete record is appended when
//! all markers are written. A crash in between leaves the Prepare record, and recovery writes all markers again.
//!
//! Protocol 2 (KIP-890) gives each transaction an epoch of its own: the end of a transaction increments it, the markers
//! carry the new one, and the client continues with it. Protocol 1 keeps the epoch until InitProducerId.
//!
//! Kafka appends asynchronously. It therefore keeps a pending state beside the state, and refuses requests with
//! CONCURRENT_TRANSACTIONS meanwhile. Here a decision is appended and applied before the next one is made. So there is
//! only one pending state: a Prepare state, which waits for markers. `PrepareEpochFence` and `Dead` begin and end
//! within one decision.
//!
//! Where records are synced to disk, the state is applied before the sync, and other requests may see it. That is safe
//! if the runtime delays replies and actions until everything that was appended before them is synced. This includes a
//! reply without records of its own, because it may repeat the result of an earlier one. Then a power loss can undo
//! only decisions that no client knows and that have no markers.
//!
//! Modules: `command` and `queries` are the interface. `init`, `partitions` and `end` each decide one command;
//! `markers` decides when a transaction is complete. `transitions` builds the next state. `timeouts` aborts overdue
//! transactions and removes unused ids.
//!
//! Invariants:
//! - Each command gets exactly one reply, at once.
//! - The durable state of an id is its last record.
//! - No client gets the maximum epoch: it is reserved for fencing the last producer with that id.
//! - If records could not be appended, the machine must be dropped and recovered: its volatile state is ahead of the
//!   log.

mod command;
mod config;
mod end;
mod error;
mod init;
mod machine;
mod markers;
mod partitions;
mod queries;
mod timeouts;
mod transitions;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

pub use self::command::{
    AddPartitions, EndTxn, InitProducerId, MarkersWritten, PartitionResults, TransactionAction, TransactionCommand,
    TransactionReply, WriteMarkers,
};
pub use self::config::TransactionConfig;
pub use self::error::TransactionError;
pub use self::queries::{ListedTransaction, TransactionDescription, TransactionFilter};
pub use super::group::partition_for;
pub use super::records::TransactionState;

use super::TransactionalId;
use super::records::TransactionMetadata;
use crate::log_windows::LogWindows;
use ottla_wire::types::{Offset, ProducerIdEpoch, TimestampMs, TopicPartition};

/// The transactional ids of one partition of `__transaction_state`. It needs little memory while it has none.
#[derive(Debug)]
pub struct TransactionMachine {
    config: Arc<TransactionConfig>,
    ids: HashMap<TransactionalId, Entry>,
    /// The ids with an open transaction, by its deadline.
    ongoing: BTreeSet<(TimestampMs, TransactionalId)>,
    /// The ids without a transaction, by their last update.
    idle: BTreeSet<(TimestampMs, TransactionalId)>,
    /// Transactions whose markers are being written; volatile.
    pending_markers: BTreeMap<TransactionalId, PendingMarkers>,
    /// The offset after the last record.
    log_end: Offset,
    /// The finalized level of `transaction.version`.
    transaction_version: i16,
    /// Rate limit of log lines about overdue transactions.
    abort_lines: LogWindows<()>,
    next_abort_check: Duration,
    next_removal: Duration,
}

/// One transactional id.
#[derive(Debug)]
struct Entry {
    /// The last record.
    durable: Arc<TransactionMetadata>,
    /// The offset of the last record.
    offset: Offset,
    /// The producer before the current one, if its client may repeat the request that returned the current one;
    /// otherwise [`ProducerIdEpoch::NONE`]. Volatile, as in Kafka.
    last_producer: ProducerIdEpoch,
}

/// The markers of a transaction that are not written yet. As in Kafka, no record says which markers are written: after
/// a crash, all of them are written again.
#[derive(Debug)]
struct PendingMarkers {
    /// See [`WriteMarkers::position`].
    position: Offset,
    unwritten: BTreeSet<TopicPartition>,
}
