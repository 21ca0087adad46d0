//! The state of a producer's transactions. Pure: [`super::Producer`] sends the requests.
//!
//! Uninitialized → Ready → Open → Ready …; an error in an open transaction leads to Failed, from where only an abort
//! leads back; a fenced producer stays Fatal.

use std::collections::BTreeSet;

use super::error::SendError;
use ottla_wire::codec::Str;
use ottla_wire::types::{ErrorCode, PartitionIndex, ProducerIdEpoch};

/// The level of `transaction.version` from which on producing adds partitions to a transaction, and each transaction has
/// an epoch of its own (KIP-890).
pub const PROTOCOL_2: i16 = 2;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    Uninitialized,
    Ready,
    Open,
    /// The open transaction must be aborted.
    Failed(SendError),
    /// The producer cannot be used any more.
    Fatal(SendError),
}

/// The transactions of one producer.
#[derive(Debug)]
pub struct Transactions {
    pub id: Str,
    pub producer: ProducerIdEpoch,
    phase: Phase,
    protocol: i16,
    /// The partitions that were added to the open transaction by requests of their own (protocol 1).
    added: BTreeSet<(Str, PartitionIndex)>,
    /// Whether a request of the open transaction was sent: then the broker may know the transaction.
    is_started: bool,
}

impl Transactions {
    pub fn new(id: Str) -> Transactions {
        Transactions {
            id,
            producer: ProducerIdEpoch::NONE,
            phase: Phase::Uninitialized,
            protocol: 0,
            added: BTreeSet::new(),
            is_started: false,
        }
    }

    /// The broker has initialized the producer; `protocol` is its level of `transaction.version`.
    pub fn initialized(&mut self, producer: ProducerIdEpoch, protocol: i16) {
        (self.producer, self.protocol, self.phase) = (producer, protocol, Phase::Ready);
        self.added.clear();
        self.is_started = false;
    }

    pub fn uses_protocol_2(&self) -> bool {
        self.protocol >= PROTOCOL_2
    }

    pub fn begin(&mut self) -> Result<(), SendError> {
        match &self.phase {
            Phase::Ready => self.phase = Phase::Open,
            Phase::Uninitialized => return Err(state("the producer has not initialized transactions")),
            Phase::Open => return Err(state("a transaction is open already")),
            Phase::Failed(error) | Phase::Fatal(error) => return Err(error.clone()),
        }
        Ok(())
    }

    /// Succeeds if records and offsets may be added, and the transaction may be committed.
    pub fn check_open(&self) -> Result<(), SendError> {
        match &self.phase {
            Phase::Open => Ok(()),
            Phase::Uninitialized | Phase::Ready => Err(state("no transaction is open")),
            Phase::Failed(error) | Phase::Fatal(error) => Err(error.clone()),
        }
    }

    /// Succeeds if there is a transaction to abort.
    pub fn check_abortable(&self) -> Result<(), SendError> {
        match &self.phase {
            Phase::Failed(_) => Ok(()),
            _ => self.check_open(),
        }
    }

    /// Why records of the open transaction must not be sent any more.
    pub fn error(&self) -> Option<&SendError> {
        match &self.phase {
            Phase::Failed(error) | Phase::Fatal(error) => Some(error),
            Phase::Uninitialized | Phase::Ready | Phase::Open => None,
        }
    }

    /// A request of the transaction has failed.
    pub fn fail(&mut self, error: &SendError) {
        match (&self.phase, is_fatal(error.code())) {
            (Phase::Fatal(_), _) => {}
            (_, true) => self.phase = Phase::Fatal(error.clone()),
            (Phase::Open, false) => self.phase = Phase::Failed(error.clone()),
            (Phase::Uninitialized | Phase::Ready | Phase::Failed(_), false) => {}
        }
    }

    /// A request of the transaction is about to be sent.
    pub fn start(&mut self) {
        self.is_started = true;
    }

    /// Whether the broker may know the transaction.
    pub fn is_started(&self) -> bool {
        self.is_started
    }

    /// Which of the partitions have to be added to the transaction before records are sent to them.
    pub fn not_added<'a>(
        &self,
        partitions: impl Iterator<Item = (&'a Str, PartitionIndex)>,
    ) -> Vec<(Str, PartitionIndex)> {
        if self.uses_protocol_2() {
            return Vec::new();
        }
        partitions.map(|(topic, index)| (topic.clone(), index)).filter(|it| !self.added.contains(it)).collect()
    }

    pub fn add(&mut self, partitions: Vec<(Str, PartitionIndex)>) {
        self.added.extend(partitions);
    }

    /// The transaction has ended; the next one has this producer.
    pub fn ended(&mut self, next: ProducerIdEpoch) {
        self.initialized(next, self.protocol);
    }
}

fn state(why: &'static str) -> SendError {
    SendError::State(why)
}

/// Whether another producer has taken over the transactional id, or this one may not use it.
fn is_fatal(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::ProducerFenced
            | ErrorCode::InvalidProducerEpoch
            | ErrorCode::InvalidProducerIdMapping
            | ErrorCode::TransactionalIdAuthorizationFailed
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRODUCER: ProducerIdEpoch = ProducerIdEpoch { producer_id: 7, epoch: 0 };

    fn ready(protocol: i16) -> Transactions {
        let mut transactions = Transactions::new("id".into());
        transactions.initialized(PRODUCER, protocol);
        transactions
    }

    fn refused(code: ErrorCode) -> SendError {
        SendError::refused(code.code(), None)
    }

    #[test]
    fn transaction_begins_only_when_initialized_and_none_is_open() {
        let mut transactions = Transactions::new("id".into());
        assert!(transactions.begin().is_err());
        transactions.initialized(PRODUCER, PROTOCOL_2);
        assert!(transactions.check_open().is_err());
        transactions.begin().unwrap();
        transactions.check_open().unwrap();
        assert!(transactions.begin().is_err());
    }

    #[test]
    fn failed_transaction_can_only_be_aborted() {
        let mut transactions = ready(PROTOCOL_2);
        transactions.begin().unwrap();
        let error = refused(ErrorCode::MessageTooLarge);
        transactions.fail(&error);
        assert_eq!(transactions.check_open(), Err(error.clone()));
        assert_eq!(transactions.begin(), Err(error));
        transactions.check_abortable().unwrap();
        transactions.ended(PRODUCER);
        transactions.begin().unwrap();
        transactions.check_open().unwrap();
    }

    #[test]
    fn fenced_producer_can_neither_commit_nor_abort() {
        let mut transactions = ready(PROTOCOL_2);
        transactions.begin().unwrap();
        let fenced = refused(ErrorCode::ProducerFenced);
        transactions.fail(&fenced);
        transactions.fail(&refused(ErrorCode::MessageTooLarge));
        assert_eq!(transactions.check_abortable(), Err(fenced.clone()));
        assert_eq!(transactions.begin(), Err(fenced));
    }

    #[test]
    fn error_outside_a_transaction_does_not_fail_the_next_one() {
        let mut transactions = ready(PROTOCOL_2);
        transactions.fail(&refused(ErrorCode::MessageTooLarge));
        transactions.begin().unwrap();
    }

    #[test]
    fn partitions_are_added_once_per_transaction_by_protocol_1_and_never_by_protocol_2() {
        let topic = Str::from("t");
        let partitions = || [(&topic, 0), (&topic, 1)].into_iter();
        assert_eq!(ready(PROTOCOL_2).not_added(partitions()), []);
        let mut transactions = ready(1);
        transactions.begin().unwrap();
        transactions.add(vec![(topic.clone(), 0)]);
        assert_eq!(transactions.not_added(partitions()), [(topic.clone(), 1)]);
        transactions.ended(PRODUCER);
        assert_eq!(transactions.not_added(partitions()).len(), 2);
    }
}
