//! InitProducerId.

use super::TransactionMachine;
use super::command::InitProducerId;
use super::error::TransactionError;
use super::machine::{Decision, check_id};
use super::transitions::{End, increments_epoch, is_exhausted};
use crate::coordinator::records::TransactionMetadata;
use crate::coordinator::{Outcome, TransactionalId};
use ottla_wire::types::{ProducerId, ProducerIdEpoch};

impl TransactionMachine {
    pub(super) fn init_producer_id(
        &mut self,
        decision: &mut Decision,
        request: InitProducerId,
    ) -> Result<ProducerIdEpoch, TransactionError> {
        let InitProducerId { transactional_id: id, timeout_ms, expected, fresh_producer_id } = request;
        check_id(&id)?;
        if !(1..=self.config.max_timeout_ms).contains(&timeout_ms) {
            return Err(TransactionError::InvalidTransactionTimeout);
        }
        let now = decision.now.wall;
        let Some(entry) = self.ids.get_mut(&id) else {
            // A client that continues after its transactional id expired also gets a new producer.
            let producer_id = fresh_producer_id.ok_or(TransactionError::ProducerIdNeeded)?;
            let created = TransactionMetadata::created(producer_id, timeout_ms, now);
            let producer = created.producer;
            self.append(decision, &id, created);
            return Ok(producer);
        };
        let current = entry.durable.clone();
        if current.state.is_prepared() {
            return Err(TransactionError::ConcurrentTransactions);
        }
        if !current.state.is_idle() {
            // The epoch is checked only when the client tries again, as in Kafka.
            if expected.is_some_and(|expected| expected.producer_id != current.producer.producer_id) {
                return Err(TransactionError::ProducerFenced);
            }
            // The client gets a producer when it tries again after the abort is complete.
            let next_producer_id = match increments_epoch(self.transaction_version) {
                true if is_exhausted(current.producer.epoch) => {
                    Some(fresh_producer_id.ok_or(TransactionError::ProducerIdNeeded)?)
                }
                _ => None,
            };
            self.fence(decision, &id, &current, next_producer_id);
            return Err(TransactionError::ConcurrentTransactions);
        }
        let last_producer = match expected {
            None => ProducerIdEpoch::NONE,
            Some(expected) if expected == current.producer => expected,
            // A repeated request. No other producer was initialized meanwhile, because that would have changed
            // `last_producer`.
            Some(expected) if expected == entry.last_producer => {
                self.append(decision, &id, current.initialized(current.producer, timeout_ms, now));
                return Ok(current.producer);
            }
            Some(_) => return Err(TransactionError::ProducerFenced),
        };
        let ProducerIdEpoch { producer_id, epoch } = current.producer;
        let producer = match is_exhausted(epoch) {
            true => {
                let producer_id = fresh_producer_id.ok_or(TransactionError::ProducerIdNeeded)?;
                ProducerIdEpoch { producer_id, epoch: 0 }
            }
            false => ProducerIdEpoch { producer_id, epoch: epoch + 1 },
        };
        entry.last_producer = last_producer;
        self.append(decision, &id, current.initialized(producer, timeout_ms, now));
        Ok(producer)
    }

    /// Aborts an open transaction, with markers whose epoch is above that of its producer, which is fenced by that.
    pub(super) fn fence(
        &mut self,
        decision: &mut Decision,
        id: &TransactionalId,
        current: &TransactionMetadata,
        next_producer_id: Option<ProducerId>,
    ) {
        let transaction_version = if increments_epoch(self.transaction_version) { self.transaction_version } else { 0 };
        let end = End { outcome: Outcome::Abort, transaction_version, fenced: true, next_producer_id };
        self.end(decision, id, current, &end);
    }
}
