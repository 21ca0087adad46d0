//! Errors of the transaction coordinator.

/// Why a transaction request was rejected. Each variant has the name of a Kafka error, except for the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TransactionError {
    #[error("the transactional id is empty")]
    InvalidRequest,
    #[error("the transaction timeout is outside the allowed range")]
    InvalidTransactionTimeout,
    #[error("the transactional id has another producer id, or none")]
    InvalidProducerIdMapping,
    #[error("a newer producer uses the transactional id")]
    ProducerFenced,
    #[error("the last transaction of the transactional id has not ended yet")]
    ConcurrentTransactions,
    #[error("the transaction is in a state that does not allow this")]
    InvalidTxnState,
    #[error("the partition is not part of the transaction")]
    TransactionAbortable,
    /// Not sent to clients: the caller allocates a producer id, and submits the command again with it.
    #[error("a new producer id is needed")]
    ProducerIdNeeded,
}
