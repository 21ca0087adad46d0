//! Commands to the transaction coordinator, its replies, and its actions.
//!
//! They are independent of API versions: a field shows what the client supports.

use super::TransactionMachine;
use super::error::TransactionError;
use crate::coordinator::{Outcome, TransactionalId};
use crate::machine::commands;
use ottla_wire::types::{Offset, ProducerId, ProducerIdEpoch, TopicPartition};

/// The result for each partition.
pub type PartitionResults = Vec<(TopicPartition, Result<(), TransactionError>)>;

commands! {
    TransactionMachine:
    /// A request that may change a transaction.
    TransactionCommand,
    /// The reply to the [`TransactionCommand`] of the same name.
    TransactionReply;
    InitProducerId(InitProducerId) -> Result<ProducerIdEpoch, TransactionError>;
    AddPartitions(AddPartitions) -> Result<PartitionResults, TransactionError>;
    EndTxn(EndTxn) -> Result<ProducerIdEpoch, TransactionError>;
    MarkersWritten(MarkersWritten) -> ();
}

/// InitProducerId with a transactional id. The reply is the producer that the client uses from now on.
#[derive(Clone, Debug, PartialEq)]
pub struct InitProducerId {
    pub transactional_id: TransactionalId,
    pub timeout_ms: i32,
    /// The client's current producer, if it continues after an error (v3+, KIP-360).
    pub expected: Option<ProducerIdEpoch>,
    /// A producer id that was never assigned. It is wasted if the command does not need one.
    pub fresh_producer_id: Option<ProducerId>,
}

/// AddPartitionsToTxn, or AddOffsetsToTxn with the group's partition of `__consumer_offsets`.
#[derive(Clone, Debug, PartialEq)]
pub struct AddPartitions {
    pub transactional_id: TransactionalId,
    pub producer: ProducerIdEpoch,
    pub partitions: Vec<TopicPartition>,
    /// Whether to check only that the partitions are part of the open transaction.
    pub verify_only: bool,
    /// 2 if the partitions are added because a client of protocol 2 produces to them; otherwise 0.
    pub client_transaction_version: i16,
}

/// EndTxn. The reply is the producer that a client of protocol 2 uses from now on; [`ProducerIdEpoch::NONE`] for
/// protocol 1.
#[derive(Clone, Debug, PartialEq)]
pub struct EndTxn {
    pub transactional_id: TransactionalId,
    pub producer: ProducerIdEpoch,
    pub outcome: Outcome,
    /// From 2 on: protocol 2 (EndTxn v5+).
    pub client_transaction_version: i16,
    /// A producer id that was never assigned. It is wasted if the command does not need one.
    pub fresh_producer_id: Option<ProducerId>,
}

/// A report on [`WriteMarkers`]: these partitions have their marker, or do not exist.
#[derive(Clone, Debug, PartialEq)]
pub struct MarkersWritten {
    pub transactional_id: TransactionalId,
    /// See [`WriteMarkers::position`].
    pub position: Offset,
    pub partitions: Vec<TopicPartition>,
}

/// Work that the machine asks others to do.
#[derive(Clone, Debug, PartialEq)]
pub enum TransactionAction {
    WriteMarkers(WriteMarkers),
}

/// Requests that the marker of a transaction is written to each partition. The runtime reports this with one or more
/// [`MarkersWritten`].
///
/// The runtime tries again if a write fails. It may write a marker twice.
#[derive(Clone, Debug, PartialEq)]
pub struct WriteMarkers {
    pub transactional_id: TransactionalId,
    /// The producer in the markers.
    pub producer: ProducerIdEpoch,
    pub outcome: Outcome,
    /// The level of `transaction.version` with which the transaction ended. From level 2 on, the markers' epoch must be
    /// higher than the epoch of the transaction's records.
    pub transaction_version: i16,
    /// Sorted; not empty.
    pub partitions: Vec<TopicPartition>,
    /// An offset in the log that identifies the transaction in reports: above all earlier records of the id, and at
    /// most the offset of the Prepare record. So no other transaction of the id has the same one. The producer cannot
    /// identify the transaction: in protocol 1, several transactions have the same producer, and a report may arrive
    /// late.
    pub position: Offset,
}
