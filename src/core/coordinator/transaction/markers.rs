//! The markers of ended transactions.

use super::command::{MarkersWritten, TransactionAction, WriteMarkers};
use super::machine::Decision;
use super::{PendingMarkers, TransactionMachine};
use crate::coordinator::TransactionalId;
use crate::coordinator::records::TransactionMetadata;
use crate::metadata::ImageDelta;
use ottla_wire::types::{Offset, sort_by_key};

impl TransactionMachine {
    /// Requests the markers of a transaction in a Prepare state. A transaction without partitions is completed at once.
    pub(super) fn write_markers(
        &mut self,
        decision: &mut Decision,
        id: &TransactionalId,
        prepared: &TransactionMetadata,
        position: Offset,
    ) {
        if prepared.partitions.is_empty() {
            return self.append(decision, id, prepared.completed(decision.now.wall));
        }
        self.pending_markers.insert(id.clone(), PendingMarkers { position, unwritten: prepared.partitions.clone() });
        decision.effects.actions.push(TransactionAction::WriteMarkers(WriteMarkers {
            transactional_id: id.clone(),
            producer: prepared.producer,
            outcome: prepared.outcome(),
            transaction_version: prepared.client_transaction_version,
            partitions: prepared.partitions.iter().cloned().collect(),
            position,
        }));
    }

    /// Requests the markers of all transactions in a Prepare state, after recovery.
    pub(super) fn repeat_markers(&mut self, decision: &mut Decision) {
        let entries = self.ids.iter().filter(|(_, entry)| entry.durable.state.is_prepared());
        let mut prepared: Vec<_> =
            entries.map(|(id, entry)| (entry.offset, id.clone(), entry.durable.clone())).collect();
        sort_by_key(&mut prepared, |(offset, ..)| *offset);
        for (offset, id, durable) in prepared {
            self.write_markers(decision, &id, &durable, offset);
        }
    }

    pub(super) fn markers_written(&mut self, decision: &mut Decision, report: &MarkersWritten) {
        let id = &report.transactional_id;
        let Some(marking) = self.pending_markers.get_mut(id).filter(|marking| marking.position == report.position)
        else {
            // A repeated or late report.
            return;
        };
        for partition in &report.partitions {
            marking.unwritten.remove(partition);
        }
        if marking.unwritten.is_empty() {
            self.complete(decision, id);
        }
    }

    /// Partitions that were deleted need no markers.
    pub(super) fn skip_deleted_partitions(&mut self, decision: &mut Decision, delta: &ImageDelta) {
        if delta.before().is_some() && delta.deleted_topics().is_empty() {
            return;
        }
        // The names of the deleted topics are not enough: a new topic may have the same name, and be part of the
        // transaction.
        for marking in self.pending_markers.values_mut() {
            marking.unwritten.retain(|p| delta.after().partition(&p.topic, p.partition).is_some());
        }
        let marking = self.pending_markers.iter().filter(|(_, marking)| marking.unwritten.is_empty());
        let done: Vec<_> = marking.map(|(id, _)| id.clone()).collect();
        for id in done {
            self.complete(decision, &id);
        }
    }

    /// Completes a transaction whose markers are all written.
    fn complete(&mut self, decision: &mut Decision, id: &TransactionalId) {
        self.pending_markers.remove(id);
        if let Some(entry) = self.ids.get(id) {
            self.append(decision, id, entry.durable.completed(decision.now.wall));
        }
    }
}
