//! AddPartitionsToTxn and AddOffsetsToTxn.

use super::TransactionMachine;
use super::command::{AddPartitions, PartitionResults};
use super::error::TransactionError;
use super::machine::{Decision, check_id};
use crate::coordinator::records::TransactionState;

impl TransactionMachine {
    pub(super) fn add_partitions(
        &mut self,
        decision: &mut Decision,
        request: &AddPartitions,
    ) -> Result<PartitionResults, TransactionError> {
        let AddPartitions { transactional_id: id, producer, partitions, .. } = request;
        check_id(id)?;
        let entry = self.ids.get(id).ok_or(TransactionError::InvalidProducerIdMapping)?;
        let current = &entry.durable;
        // Checked first: the client may already use the next producer id, which becomes the current one only when the
        // markers are written.
        if current.state.is_prepared() && !request.verify_only {
            return Err(TransactionError::ConcurrentTransactions);
        }
        if current.producer.producer_id != producer.producer_id {
            return Err(TransactionError::InvalidProducerIdMapping);
        }
        if current.producer.epoch != producer.epoch {
            return Err(TransactionError::ProducerFenced);
        }
        if current.state.is_prepared() {
            return Err(TransactionError::ConcurrentTransactions);
        }
        let is_part = |partition| current.partitions.contains(partition);
        if request.verify_only {
            let verify = |partition| is_part(partition).then_some(()).ok_or(TransactionError::TransactionAbortable);
            return Ok(partitions.iter().map(|partition| (partition.clone(), verify(partition))).collect());
        }
        if current.state != TransactionState::Ongoing || !partitions.iter().all(is_part) {
            let next = current.with_partitions(partitions, request.client_transaction_version, decision.now.wall);
            self.append(decision, id, next);
        }
        Ok(partitions.iter().map(|partition| (partition.clone(), Ok(()))).collect())
    }
}
