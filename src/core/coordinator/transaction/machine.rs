//! The state machine: dispatch of commands, and replay of records.

use std::sync::Arc;
use std::time::Duration;

use super::command::{TransactionAction, TransactionCommand, TransactionReply};
use super::config::TransactionConfig;
use super::error::TransactionError;
use super::transitions::increments_epoch;
use super::{Entry, TransactionMachine};
use crate::coordinator::records::{TransactionMetadata, TransactionRecord, TransactionState, ValueVersion};
use crate::coordinator::{Effects, Outcome, RecordMeta, ReplyTo, StateMachine, TransactionalId};
use crate::log_windows::LogWindows;
use crate::metadata::ImageDelta;
use crate::metadata::features::TRANSACTION_VERSION;
use ottla_wire::types::{Now, ProducerIdEpoch, TimestampMs};

type TransactionEffects = Effects<TransactionRecord, TransactionReply, TransactionAction>;

/// The time of one decision, and its effects so far.
pub(super) struct Decision {
    pub now: Now,
    pub effects: TransactionEffects,
}

impl StateMachine for TransactionMachine {
    type Command = TransactionCommand;
    type Record = TransactionRecord;
    type Reply = TransactionReply;
    type Action = TransactionAction;

    fn handle(&mut self, now: Now, to: ReplyTo, command: TransactionCommand) -> TransactionEffects {
        let mut decision = Decision::at(now);
        let reply = match command {
            TransactionCommand::InitProducerId(request) => {
                TransactionReply::InitProducerId(self.init_producer_id(&mut decision, request))
            }
            TransactionCommand::AddPartitions(request) => {
                TransactionReply::AddPartitions(self.add_partitions(&mut decision, &request))
            }
            TransactionCommand::EndTxn(request) => TransactionReply::EndTxn(self.end_txn(&mut decision, &request)),
            TransactionCommand::MarkersWritten(report) => {
                self.markers_written(&mut decision, &report);
                TransactionReply::MarkersWritten(())
            }
        };
        decision.effects.replies.push((to, reply));
        decision.effects
    }

    fn handle_timeout(&mut self, now: Now) -> TransactionEffects {
        let mut decision = Decision::at(now);
        self.report_suppressed_lines(now);
        if self.next_abort_check <= now.monotonic {
            self.abort_overdue(&mut decision);
        }
        if self.next_removal <= now.monotonic {
            self.remove_unused(&mut decision);
        }
        decision.effects
    }

    fn poll_timeout(&self) -> Option<Duration> {
        let aborts = (!self.ongoing.is_empty()).then_some(self.next_abort_check);
        let removals = (!self.idle.is_empty()).then_some(self.next_removal);
        aborts.into_iter().chain(removals).chain(self.abort_lines.next_report()).min()
    }

    fn replay(&mut self, at: RecordMeta, record: &TransactionRecord) {
        self.log_end = at.offset.saturating_add(1);
        let id = &record.transactional_id;
        let before = self.ids.get(id);
        if let Some((deadline, last_update)) = before.map(|entry| index_keys(&entry.durable)) {
            deadline.map(|deadline| self.ongoing.remove(&(deadline, id.clone())));
            last_update.map(|last_update| self.idle.remove(&(last_update, id.clone())));
        }
        let Some(value) = &record.value else {
            self.ids.remove(id);
            return;
        };
        let (deadline, last_update) = index_keys(value);
        self.ongoing.extend(deadline.map(|deadline| (deadline, id.clone())));
        self.idle.extend(last_update.map(|last_update| (last_update, id.clone())));
        let last_producer = before.map_or(ProducerIdEpoch::NONE, |entry| entry.last_producer);
        let entry = Entry { durable: value.clone(), offset: at.offset, last_producer };
        self.ids.insert(id.clone(), entry);
    }

    /// Does nothing: the coordinator's own records are not part of transactions.
    fn replay_end_txn(&mut self, _producer: ProducerIdEpoch, _outcome: Outcome) {}

    fn metadata_changed(&mut self, now: Now, delta: &ImageDelta) -> TransactionEffects {
        let mut decision = Decision::at(now);
        self.transaction_version = delta.after().features().get(TRANSACTION_VERSION).copied().unwrap_or(0);
        self.skip_deleted_partitions(&mut decision, delta);
        decision.effects
    }

    fn recovered(&mut self, now: Now) -> TransactionEffects {
        let mut decision = Decision::at(now);
        self.next_abort_check = now.monotonic.saturating_add(self.config.abort_check_interval);
        self.next_removal = now.monotonic.saturating_add(self.config.removal_interval);
        self.repeat_markers(&mut decision);
        decision.effects
    }
}

impl TransactionMachine {
    /// Creates a machine without transactional ids. Before the first command, replay the partition, and call
    /// [`StateMachine::recovered`] and [`StateMachine::metadata_changed`], even if the partition is empty.
    pub fn new(config: Arc<TransactionConfig>) -> TransactionMachine {
        TransactionMachine {
            config,
            ids: Default::default(),
            ongoing: Default::default(),
            idle: Default::default(),
            pending_markers: Default::default(),
            log_end: 0,
            transaction_version: 0,
            abort_lines: LogWindows::default(),
            next_abort_check: Duration::MAX,
            next_removal: Duration::MAX,
        }
    }

    /// Appends the next state of an id.
    ///
    /// The record has version 0 while `transaction.version` is 0, as in Kafka. The exception is the end of a
    /// transaction of protocol 2, which version 0 cannot express: clients may still use protocol 2 just after a
    /// downgrade.
    pub(super) fn append(&self, decision: &mut Decision, id: &TransactionalId, next: TransactionMetadata) {
        let has_ended = !matches!(next.state, TransactionState::Empty | TransactionState::Ongoing);
        let ended_with_2 = has_ended && increments_epoch(next.client_transaction_version);
        let value = match self.transaction_version == 0 && !ended_with_2 {
            true => next.without_tagged_fields(),
            false => TransactionMetadata { version: ValueVersion::V1, ..next },
        };
        decision.record(id, Some(value));
    }
}

impl Decision {
    fn at(now: Now) -> Decision {
        Decision { now, effects: Effects::default() }
    }

    /// Appends a record; `None` is a tombstone.
    pub fn record(&mut self, id: &TransactionalId, value: Option<TransactionMetadata>) {
        self.effects.records.push(TransactionRecord { transactional_id: id.clone(), value: value.map(Arc::new) });
    }
}

/// The keys of an id in `ongoing` and in `idle`; `None` if it is not in that index.
fn index_keys(value: &TransactionMetadata) -> (Option<TimestampMs>, Option<TimestampMs>) {
    let deadline = value.deadline().filter(|_| value.state == TransactionState::Ongoing);
    (deadline, value.state.is_idle().then_some(value.last_update))
}

pub(super) fn check_id(id: &str) -> Result<(), TransactionError> {
    if id.is_empty() { Err(TransactionError::InvalidRequest) } else { Ok(()) }
}
