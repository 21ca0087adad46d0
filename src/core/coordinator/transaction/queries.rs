//! Queries: DescribeTransactions and ListTransactions.

use super::{Entry, TransactionMachine};
use crate::coordinator::TransactionalId;
use crate::coordinator::records::TransactionState;
use ottla_wire::types::{Offset, ProducerId, ProducerIdEpoch, TimestampMs, TopicPartition};

/// A transactional id in DescribeTransactions.
#[derive(Clone, Debug, PartialEq)]
pub struct TransactionDescription {
    pub state: TransactionState,
    pub timeout_ms: i32,
    /// When the last transaction started; -1 if none has started since InitProducerId.
    pub start: TimestampMs,
    pub producer: ProducerIdEpoch,
    /// Sorted. While the transaction ends: only those that have no marker yet.
    pub partitions: Vec<TopicPartition>,
}

/// A transactional id in ListTransactions.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedTransaction {
    pub transactional_id: TransactionalId,
    pub producer_id: ProducerId,
    pub state: TransactionState,
}

/// The filters of ListTransactions; all of them must match.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TransactionFilter {
    /// Empty: any.
    pub producer_ids: Vec<ProducerId>,
    /// The states to list; `None` lists all. The list is empty if the request has only unknown names, which match
    /// nothing.
    pub states: Option<Vec<TransactionState>>,
    /// Lists only transactions that started more than this before `now`, and ids without a transaction, as in Kafka.
    pub min_duration_ms: Option<i64>,
}

/// Queries, which may be called at any time after recovery.
impl TransactionMachine {
    /// DescribeTransactions; `None` if the id does not exist.
    pub fn describe(&self, id: &str) -> Option<TransactionDescription> {
        let current = &self.ids.get(id)?.durable;
        let partitions = self.pending_markers.get(id).map_or(&current.partitions, |marking| &marking.unwritten);
        Some(TransactionDescription {
            state: current.state,
            timeout_ms: current.timeout_ms,
            start: current.start,
            producer: current.producer,
            partitions: partitions.iter().cloned().collect(),
        })
    }

    /// Whether the id exists and has no transaction, so that InitProducerId returns a producer at once.
    pub fn is_idle(&self, id: &str) -> bool {
        self.ids.get(id).is_some_and(|entry| entry.durable.state.is_idle())
    }

    /// The partitions whose markers are still missing; see [`super::WriteMarkers::position`].
    pub fn unwritten(&self, id: &str, position: Offset) -> Vec<TopicPartition> {
        let marking = self.pending_markers.get(id).filter(|marking| marking.position == position);
        marking.map_or_else(Vec::new, |marking| marking.unwritten.iter().cloned().collect())
    }

    /// ListTransactions, in no particular order.
    pub fn list(&self, filter: &TransactionFilter, now: TimestampMs) -> Vec<ListedTransaction> {
        let listed = |(id, entry): (&TransactionalId, &Entry)| ListedTransaction {
            transactional_id: id.clone(),
            producer_id: entry.durable.producer.producer_id,
            state: entry.durable.state,
        };
        self.ids.iter().filter(|(_, entry)| filter.matches(entry, now)).map(listed).collect()
    }
}

impl TransactionFilter {
    fn matches(&self, entry: &Entry, now: TimestampMs) -> bool {
        let current = &entry.durable;
        (self.producer_ids.is_empty() || self.producer_ids.contains(&current.producer.producer_id))
            && self.states.as_ref().is_none_or(|states| states.contains(&current.state))
            && self.min_duration_ms.is_none_or(|min| now.saturating_sub(current.start) > min)
    }
}
