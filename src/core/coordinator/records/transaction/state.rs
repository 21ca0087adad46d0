//! The states of a transactional id.

use std::fmt;

/// The state of a transactional id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TransactionState {
    /// The id has a producer, which has not begun a transaction since InitProducerId.
    Empty,
    /// A transaction is open.
    Ongoing,
    /// The transaction is committed, and the markers are being written.
    PrepareCommit,
    /// The transaction is aborted, and the markers are being written.
    PrepareAbort,
    /// All markers of the commit are written.
    CompleteCommit,
    /// All markers of the abort are written.
    CompleteAbort,
    /// Kafka's state of an expired id. Ottla writes the id's tombstone at once, so that no request sees this state.
    Dead,
    /// Kafka's state while the producer of an open transaction is fenced. In Ottla the same decision aborts the
    /// transaction, so that no request sees this state.
    PrepareEpochFence,
}

impl TransactionState {
    pub const ALL: [TransactionState; 8] = [
        TransactionState::Empty,
        TransactionState::Ongoing,
        TransactionState::PrepareCommit,
        TransactionState::PrepareAbort,
        TransactionState::CompleteCommit,
        TransactionState::CompleteAbort,
        TransactionState::Dead,
        TransactionState::PrepareEpochFence,
    ];

    /// Kafka's name, as DescribeTransactions and ListTransactions write it.
    pub const fn name(self) -> &'static str {
        match self {
            TransactionState::Empty => "Empty",
            TransactionState::Ongoing => "Ongoing",
            TransactionState::PrepareCommit => "PrepareCommit",
            TransactionState::PrepareAbort => "PrepareAbort",
            TransactionState::CompleteCommit => "CompleteCommit",
            TransactionState::CompleteAbort => "CompleteAbort",
            TransactionState::Dead => "Dead",
            TransactionState::PrepareEpochFence => "PrepareEpochFence",
        }
    }

    /// The state with exactly this name.
    pub fn from_name(name: &str) -> Option<TransactionState> {
        TransactionState::ALL.into_iter().find(|state| state.name() == name)
    }

    /// The state's number in records.
    pub const fn status(self) -> i8 {
        self as i8
    }

    /// The state with this number, if it may be in a record.
    pub(super) fn from_stored_status(status: i8) -> Option<TransactionState> {
        let states = TransactionState::ALL.into_iter().filter(|state| state.is_stored());
        states.into_iter().find(|state| state.status() == status)
    }

    const fn is_stored(self) -> bool {
        !matches!(self, TransactionState::Dead | TransactionState::PrepareEpochFence)
    }

    /// Whether the transaction has ended and markers may still be missing.
    pub const fn is_prepared(self) -> bool {
        matches!(self, TransactionState::PrepareCommit | TransactionState::PrepareAbort)
    }

    /// Whether there is no transaction, so that the id may expire.
    pub const fn is_idle(self) -> bool {
        matches!(self, TransactionState::Empty | TransactionState::CompleteCommit | TransactionState::CompleteAbort)
    }
}

impl fmt::Display for TransactionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
