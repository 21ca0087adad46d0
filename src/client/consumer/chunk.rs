//! The records that a fetch returned from one partition, decoded one by one. Pure.
//!
//! Skips records before the requested offset (the broker returns whole batches), transaction markers, and, at
//! `read_committed`, records of aborted transactions.

use std::collections::{HashSet, VecDeque};

use bytes::{Buf as _, Bytes};

use ottla_wire::protocol::messages::fetch::AbortedTransaction;
use ottla_wire::record::control::ControlType;
use ottla_wire::record::{Batch, Record, RecordError, Records, TimestampType, headers};
use ottla_wire::types::{LeaderEpoch, Offset, ProducerId, TopicPartition};

/// A record, with attributes of its batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumedRecord {
    pub record: Record,
    pub timestamp_type: TimestampType,
    /// The epoch of the leader that appended it.
    pub leader_epoch: LeaderEpoch,
}

/// The records of one partition in a fetch response.
pub struct Chunk {
    pub partition: TopicPartition,
    /// The next record is at or after this offset.
    next: Offset,
    rest: Bytes,
    current: Option<Current>,
    aborted: Aborted,
    check_crcs: bool,
}

struct Current {
    records: Records,
    timestamp_type: TimestampType,
    leader_epoch: LeaderEpoch,
    next_offset: Offset,
}

impl Chunk {
    /// The records of `bytes` from offset `from` on. `aborted` lists the aborted transactions of the fetch response; it is
    /// empty at `read_uncommitted`.
    pub fn new(
        partition: TopicPartition,
        from: Offset,
        bytes: Bytes,
        aborted: Vec<AbortedTransaction>,
        check_crcs: bool,
    ) -> Chunk {
        Chunk { partition, next: from, rest: bytes, current: None, aborted: Aborted::new(aborted), check_crcs }
    }

    /// Appends up to `max` records to `into`. An error is about the batch or record at [`Chunk::next_offset`] or after it,
    /// and ends this chunk.
    pub fn take(&mut self, max: usize, into: &mut Vec<ConsumedRecord>) -> Result<(), RecordError> {
        let end = into.len().saturating_add(max);
        while into.len() < end {
            let Some(current) = &mut self.current else { if self.open_batch()? { continue } else { return Ok(()) } };
            match current.records.next() {
                Some(record) => {
                    let record = record?;
                    if record.offset >= self.next {
                        self.next = record.offset.saturating_add(1);
                        let (timestamp_type, leader_epoch) = (current.timestamp_type, current.leader_epoch);
                        into.push(ConsumedRecord { record, timestamp_type, leader_epoch });
                    }
                }
                None => {
                    self.next = self.next.max(current.next_offset);
                    self.current = None;
                }
            }
        }
        Ok(())
    }

    /// The offset after the last record that was taken, and after the records that were skipped after it.
    pub fn next_offset(&self) -> Offset {
        self.next
    }

    /// Whether all records were taken.
    pub fn is_done(&self) -> bool {
        self.current.is_none() && self.rest.is_empty()
    }

    /// Opens the next batch with records to deliver; `false` at the end.
    fn open_batch(&mut self) -> Result<bool, RecordError> {
        while !self.rest.is_empty() {
            let batch = match Batch::parse(&self.rest) {
                Ok(batch) => batch,
                // The broker truncated this batch to fit the response; the next fetch returns all of it.
                Err(RecordError::Truncated { .. }) => {
                    self.rest.clear();
                    return Ok(false);
                }
                Err(error) => return Err(error),
            };
            if self.check_crcs {
                batch.check_crc()?;
            }
            self.rest.advance(batch.header().size());
            let header = *batch.header();
            let visible = !self.aborted.skips(&batch) && !header.is_control();
            if visible && header.last_offset() >= self.next {
                self.current = Some(Current {
                    records: batch.records(),
                    timestamp_type: header.timestamp_type(),
                    leader_epoch: header.partition_leader_epoch,
                    next_offset: header.next_offset(),
                });
                return Ok(true);
            }
            self.next = self.next.max(header.next_offset());
        }
        Ok(false)
    }
}

/// The offset after the last whole batch of `bytes`, from which the next fetch continues; `None` without a whole batch.
pub fn end_of(bytes: &[u8]) -> Option<Offset> {
    headers(bytes).map_while(Result::ok).last().map(|(_, header)| header.next_offset())
}

/// Tracks which producers have an open aborted transaction while batches are read in order.
struct Aborted {
    /// Not started yet, sorted by first offset.
    pending: VecDeque<AbortedTransaction>,
    open: HashSet<ProducerId>,
}

impl Aborted {
    fn new(mut aborted: Vec<AbortedTransaction>) -> Aborted {
        aborted.sort_by_key(|transaction| transaction.first_offset);
        Aborted { pending: aborted.into(), open: HashSet::new() }
    }

    /// Whether the batch must be skipped: it belongs to an aborted transaction, or is the marker that ends one. Must be
    /// called for each batch in order.
    fn skips(&mut self, batch: &Batch) -> bool {
        let header = batch.header();
        while let Some(next) = self.pending.front().filter(|next| next.first_offset <= header.last_offset()) {
            self.open.insert(next.producer_id);
            self.pending.pop_front();
        }
        if !header.is_transactional() || !self.open.contains(&header.producer_id) {
            return false;
        }
        if header.is_control() && ends_in_abort(batch) {
            self.open.remove(&header.producer_id);
        }
        true
    }
}

fn ends_in_abort(batch: &Batch) -> bool {
    let first = batch.records().next().and_then(Result::ok);
    let key = first.and_then(|record| record.key);
    key.is_some_and(|key| ControlType::from_key(&key) == Ok(Some(ControlType::Abort)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_wire::record::{BatchBuilder, Codec};
    use ottla_wire::types::ProducerIdEpoch;

    fn plain(codec: Codec, values: &[&str]) -> BatchBuilder {
        let mut builder = BatchBuilder::new(codec);
        values.iter().for_each(|value| builder.append(1, None, Some(value.as_bytes()), &[]));
        builder
    }

    fn of_transaction(producer_id: i64, values: &[&str]) -> BatchBuilder {
        plain(Codec::None, values).producer(ProducerIdEpoch { producer_id, epoch: 0 }, 0).transactional()
    }

    fn marker(producer_id: i64, control: ControlType) -> BatchBuilder {
        let mut builder = BatchBuilder::new(Codec::None)
            .producer(ProducerIdEpoch { producer_id, epoch: 0 }, -1)
            .transactional()
            .control();
        builder.append(1, Some(&control.to_key()), Some(&[0; 6]), &[]);
        builder
    }

    /// The batches one after another, from offset 10 on.
    fn log(batches: Vec<BatchBuilder>) -> Bytes {
        let mut offset = 10;
        let mut bytes = Vec::new();
        for builder in batches {
            let batch = builder.placed_at(offset, 3).build().unwrap();
            offset = batch.header().next_offset();
            bytes.extend_from_slice(batch.bytes());
        }
        bytes.into()
    }

    /// Checks the values that chunks return in steps of several sizes, and the offset after them.
    #[track_caller]
    fn check(bytes: &Bytes, from: Offset, aborted: &[(i64, i64)], expect: &[&str], end: Offset) {
        for max in [1, 2, 500] {
            let transaction =
                |&(producer_id, first_offset): &(i64, i64)| AbortedTransaction { producer_id, first_offset };
            let aborted = aborted.iter().map(transaction).collect();
            let mut chunk = Chunk::new(TopicPartition::new("t", 0), from, bytes.clone(), aborted, true);
            let mut found = Vec::new();
            while !chunk.is_done() {
                let before = found.len();
                chunk.take(max, &mut found).unwrap();
                assert!(found.len() - before <= max);
            }
            let values: Vec<_> = found.iter().filter_map(|it| it.record.value.as_deref()).collect();
            let expect: Vec<_> = expect.iter().map(|it| it.as_bytes()).collect();
            assert_eq!((values, chunk.next_offset()), (expect, end));
            assert!(found.iter().all(|it| it.leader_epoch == 3));
        }
        assert_eq!(end_of(bytes), Some(end));
    }

    #[test]
    fn records_before_the_requested_offset_are_skipped() {
        for codec in Codec::ALL {
            let bytes = log(vec![plain(codec, &["a", "b", "c"]), plain(codec, &["d"])]);
            check(&bytes, 10, &[], &["a", "b", "c", "d"], 14);
            check(&bytes, 11, &[], &["b", "c", "d"], 14);
            check(&bytes, 13, &[], &["d"], 14);
        }
    }

    #[test]
    fn transaction_markers_are_skipped() {
        let bytes = log(vec![of_transaction(7, &["a"]), marker(7, ControlType::Commit)]);
        check(&bytes, 10, &[], &["a"], 12);
    }

    #[test]
    fn records_of_aborted_transactions_are_skipped() {
        let bytes = log(vec![
            of_transaction(7, &["aborted"]),
            of_transaction(8, &["committed"]),
            plain(Codec::None, &["plain"]),
            of_transaction(7, &["aborted too"]),
            marker(7, ControlType::Abort),
            of_transaction(7, &["of the next one"]),
            marker(8, ControlType::Commit),
        ]);
        check(&bytes, 10, &[(7, 10)], &["committed", "plain", "of the next one"], 17);
        check(&bytes, 11, &[(7, 10)], &["committed", "plain", "of the next one"], 17);
        check(&bytes, 10, &[], &["aborted", "committed", "plain", "aborted too", "of the next one"], 17);
    }

    #[test]
    fn truncated_batch_is_not_returned_and_is_fetched_again() {
        let bytes = log(vec![plain(Codec::None, &["a"]), plain(Codec::None, &["b"])]);
        check(&bytes.slice(..bytes.len() - 1), 10, &[], &["a"], 11);
        assert_eq!(end_of(&bytes[..20]), None);
    }

    #[test]
    fn wrong_checksum_is_an_error_only_with_check_crcs() {
        let mut bytes = log(vec![plain(Codec::None, &["a"])]).to_vec();
        bytes[17] ^= 1;
        let take = |check_crcs| {
            let bytes = Bytes::from(bytes.clone());
            Chunk::new(TopicPartition::new("t", 0), 10, bytes, Vec::new(), check_crcs).take(9, &mut Vec::new())
        };
        assert!(take(true).is_err());
        assert_eq!(take(false), Ok(()));
    }
}
