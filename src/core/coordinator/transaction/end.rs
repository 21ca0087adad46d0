//! EndTxn.

use super::TransactionMachine;
use super::command::EndTxn;
use super::error::TransactionError;
use super::machine::{Decision, check_id};
use super::transitions::{End, HIGHEST_EPOCH, increments_epoch, is_exhausted};
use crate::coordinator::records::{TransactionMetadata, TransactionState};
use crate::coordinator::{Outcome, TransactionalId};
use ottla_wire::types::ProducerIdEpoch;

/// The effect of a valid EndTxn.
enum Effect {
    /// The transaction ends.
    End,
    /// The transaction has ended already, with this outcome: only the reply is repeated.
    RepeatReply,
}

impl TransactionMachine {
    pub(super) fn end_txn(
        &mut self,
        decision: &mut Decision,
        request: &EndTxn,
    ) -> Result<ProducerIdEpoch, TransactionError> {
        let id = &request.transactional_id;
        check_id(id)?;
        let entry = self.ids.get(id).ok_or(TransactionError::InvalidProducerIdMapping)?;
        let current = entry.durable.clone();
        if !increments_epoch(request.client_transaction_version) {
            if let Effect::End = decide_protocol_1(&current, request.producer, request.outcome)? {
                let end =
                    End { outcome: request.outcome, transaction_version: 0, fenced: false, next_producer_id: None };
                self.end(decision, id, &current, &end);
            }
            return Ok(ProducerIdEpoch::NONE);
        }
        match decide_protocol_2(&current, request.producer, request.outcome)? {
            Effect::RepeatReply => Ok(current.producer),
            Effect::End => {
                let next_producer_id = match is_exhausted(current.producer.epoch) {
                    true => Some(request.fresh_producer_id.ok_or(TransactionError::ProducerIdNeeded)?),
                    false => None,
                };
                let transaction_version = request.client_transaction_version;
                let end = End { outcome: request.outcome, transaction_version, fenced: false, next_producer_id };
                Ok(self.end(decision, id, &current, &end))
            }
        }
    }

    /// Ends a transaction, and returns the producer after it.
    pub(super) fn end(
        &mut self,
        decision: &mut Decision,
        id: &TransactionalId,
        current: &TransactionMetadata,
        end: &End,
    ) -> ProducerIdEpoch {
        let prepared = current.prepared(end, decision.now.wall);
        if let Some(entry) = self.ids.get_mut(id) {
            match (increments_epoch(end.transaction_version), end.fenced) {
                (true, _) => entry.last_producer = current.producer,
                (false, true) => entry.last_producer = ProducerIdEpoch::NONE,
                (false, false) => {}
            }
        }
        let next = prepared.completed(decision.now.wall).producer;
        self.append(decision, id, prepared.clone());
        self.write_markers(decision, id, &prepared, self.log_end);
        next
    }
}

/// Protocol 1.
fn decide_protocol_1(
    current: &TransactionMetadata,
    producer: ProducerIdEpoch,
    outcome: Outcome,
) -> Result<Effect, TransactionError> {
    if current.producer.producer_id != producer.producer_id {
        return Err(TransactionError::InvalidProducerIdMapping);
    }
    if current.producer.epoch != producer.epoch {
        return Err(TransactionError::ProducerFenced);
    }
    match (current.state, outcome) {
        (TransactionState::Ongoing, _) => Ok(Effect::End),
        (TransactionState::CompleteCommit, Outcome::Commit) | (TransactionState::CompleteAbort, Outcome::Abort) => {
            Ok(Effect::RepeatReply)
        }
        // For both outcomes, as in Kafka, where the state changes to Complete as soon as the markers are being written.
        (TransactionState::PrepareCommit | TransactionState::PrepareAbort, _) => {
            Err(TransactionError::ConcurrentTransactions)
        }
        _ => Err(TransactionError::InvalidTxnState),
    }
}

/// Protocol 2. A request with the current epoch is about the next transaction. A repeated request has the epoch before
/// it.
fn decide_protocol_2(
    current: &TransactionMetadata,
    producer: ProducerIdEpoch,
    outcome: Outcome,
) -> Result<Effect, TransactionError> {
    // Checked first: the client may already use the next producer id, which becomes the current one only when the
    // markers are written.
    if current.state.is_prepared() {
        return Err(TransactionError::ConcurrentTransactions);
    }
    let ProducerIdEpoch { producer_id, epoch } = current.producer;
    // If a request of protocol 1 ended the transaction, the epoch before the current one belongs to a fenced producer.
    // (Kafka would return the current producer to it.)
    let may_repeat = increments_epoch(current.client_transaction_version);
    let repeats_overflow = may_repeat
        && current.previous_producer_id == producer.producer_id
        && producer.epoch == HIGHEST_EPOCH - 1
        && epoch == 0;
    // Only fencing leads to the maximum epoch, which no client may get.
    let repeats_end = may_repeat && producer.epoch.checked_add(1) == Some(epoch) && epoch != HIGHEST_EPOCH;
    let repeats = repeats_overflow || repeats_end;
    if producer_id != producer.producer_id && !repeats_overflow {
        return Err(TransactionError::InvalidProducerIdMapping);
    }
    let has_ended = matches!(current.state, TransactionState::CompleteCommit | TransactionState::CompleteAbort);
    if producer.epoch != epoch && !(has_ended && repeats) {
        return Err(TransactionError::ProducerFenced);
    }
    match (current.state, outcome) {
        (TransactionState::CompleteCommit, Outcome::Commit) | (TransactionState::CompleteAbort, Outcome::Abort)
            if repeats =>
        {
            Ok(Effect::RepeatReply)
        }
        (TransactionState::CompleteCommit | TransactionState::CompleteAbort, _) if repeats => {
            Err(TransactionError::InvalidTxnState)
        }
        (TransactionState::Ongoing, _) => Ok(Effect::End),
        // The client does not know whether a partition was added.
        (
            TransactionState::Empty | TransactionState::CompleteCommit | TransactionState::CompleteAbort,
            Outcome::Abort,
        ) => Ok(Effect::End),
        _ => Err(TransactionError::InvalidTxnState),
    }
}
