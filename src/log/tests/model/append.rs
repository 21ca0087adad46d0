//! Appends: without a producer id, idempotent, transactional; and appends that are refused.

use super::oracle::{Batch, PRODUCERS, Record};
use super::*;

impl Run {
    pub(super) fn new_batch(&mut self) -> Batch {
        let count = 1 + self.random.below(4);
        let records = (0..count).map(|_| self.new_record()).collect();
        let codecs = [Codec::None, Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];
        let codec = codecs[self.random.below(6) as usize];
        Batch::without_producer(self.oracle.end(), records, codec)
    }

    fn new_record(&mut self) -> Record {
        let timestamp = self.now - self.random.below(200) as i64;
        let len = if self.random.below(20) == 0 { 1500 } else { self.random.below(60) };
        let key = (self.random.below(15) > 0).then(|| format!("k{}", self.random.below(12)));
        let is_tombstone = key.is_some() && self.random.below(6) == 0;
        let value = (!is_tombstone).then(|| format!("{}-{}", self.random.next(), "x".repeat(len as usize)));
        Record { timestamp, key, value, present: true }
    }

    pub(super) fn append_params(&mut self, origin: Origin) -> AppendParams {
        let bumps = i32::from(self.random.below(60) == 0);
        AppendParams { leader_epoch: self.oracle.latest_epoch() + bumps, origin, now: self.now, ..CLIENT }
    }

    /// Appends a batch that the log must accept.
    pub(super) fn append(&mut self, batch: Batch) {
        let origin = if batch.marker.is_some() { Origin::Coordinator } else { Origin::Client };
        let append_params = self.append_params(origin);
        let appended = self.log.append(&batch.build(), append_params);
        let appended = appended.unwrap_or_else(|error| panic!("{error}: {batch:?} at {:?}", self.oracle.epochs));
        assert_eq!((appended.base_offset, appended.duplicate), (batch.base, false));
        assert_eq!(appended.last_offset + 1, batch.next_offset());
        self.oracle.note_epoch(append_params.leader_epoch, batch.base);
        self.oracle.push(batch);
        assert_eq!(self.log.end_offset(), self.oracle.end());
    }

    pub(in crate::tests) fn append_without_producer(&mut self) {
        let batch = self.new_batch();
        self.append(batch);
    }

    /// Returns the batch that a producer would send next.
    pub(super) fn next_of_producer(&mut self, producer_id: ProducerId) -> Batch {
        let batch = self.new_batch();
        let (epoch, window) = self.oracle.batches_of_current_epoch(producer_id);
        let sequence = window.last().map_or(0, |batch| batch.next_sequence());
        let transactional = self.oracle.open_transaction(producer_id).is_some() || self.random.below(3) == 0;
        Batch { producer_id, epoch: epoch.max(0), sequence, transactional, ..batch }
    }

    pub(super) fn append_idempotent(&mut self) {
        let producer_id = self.random.below(PRODUCERS as u64) as i64;
        let batch = self.next_of_producer(producer_id);
        let (epoch, window) = self.oracle.batches_of_current_epoch(producer_id);
        let (sequence, is_first) = (batch.sequence, window.is_empty());
        let recent: Vec<Batch> = window.into_iter().rev().take(5).cloned().collect();
        match self.random.below(10) {
            0..2 if !is_first => {
                let which = self.random.below(recent.len() as u64) as usize;
                self.repeat(&recent[which]);
            }
            2 if epoch >= 0 => self.check_refused(Batch { sequence: sequence + 1, ..batch }),
            3 if epoch > 0 => self.check_refused(Batch { epoch: epoch - 1, ..batch }),
            4 if epoch >= 0 => self.append(Batch { epoch: epoch + 1, sequence: 0, ..batch }),
            _ => self.append(batch),
        }
    }

    /// Sends a batch again. It must be a duplicate while it is in the log, and must never be appended again.
    fn repeat(&mut self, batch: &Batch) {
        let sent = Batch { codec: Codec::None, ..batch.clone() };
        let end = self.log.end_offset();
        let is_in_log = batch.present && batch.base >= self.log.segments[0].base();
        match self.log.append(&sent.build(), CLIENT) {
            Ok(appended) => {
                assert_eq!((appended.base_offset, appended.duplicate), (batch.base, true), "{batch:?}");
                assert_eq!(appended.last_offset + 1, batch.next_offset());
            }
            Err(AppendError::OutOfOrderSequence { .. }) => assert!(!is_in_log, "{batch:?}"),
            // The leader epoch may have advanced since.
            Err(AppendError::FencedLeaderEpoch { .. }) => assert!(self.oracle.latest_epoch() > 0),
            Err(other) => panic!("{other}: {batch:?}"),
        }
        assert_eq!(self.log.end_offset(), end);
    }

    fn check_refused(&mut self, batch: Batch) {
        let append_params = self.append_params(Origin::Client);
        let refused = self.log.append(&batch.build(), append_params);
        let expected =
            matches!(refused, Err(AppendError::OutOfOrderSequence { .. } | AppendError::InvalidProducerEpoch { .. }));
        assert!(expected, "{batch:?} -> {refused:?}");
        assert_eq!(self.log.end_offset(), self.oracle.end());
    }

    pub(super) fn end_transaction(&mut self) {
        let producer_id = self.random.below(PRODUCERS as u64) as i64;
        let (epoch, _) = self.oracle.batches_of_current_epoch(producer_id);
        if epoch < 0 {
            return;
        }
        // A coordinator that fences a producer writes its marker in the next epoch.
        let fences = self.random.below(5) == 0;
        let batch = self.marker(producer_id, i16::from(fences));
        self.append(batch);
    }

    pub(super) fn marker(&mut self, producer_id: ProducerId, epoch_bump: i16) -> Batch {
        let control = if self.random.below(2) == 0 { ControlType::Abort } else { ControlType::Commit };
        let epoch = self.oracle.batches_of_current_epoch(producer_id).0 + epoch_bump;
        let batch = Batch::without_producer(self.oracle.end(), vec![], Codec::None);
        Batch { producer_id, epoch, marker: Some(control), ..batch }
    }

    /// Checks that each producer's last five batches are duplicates, if they are in the log.
    pub(in crate::tests) fn check_windows(&mut self) {
        for producer_id in 0..PRODUCERS {
            let (_, window) = self.oracle.batches_of_current_epoch(producer_id);
            let recent: Vec<Batch> = window.into_iter().rev().take(5).cloned().collect();
            recent.iter().for_each(|batch| self.repeat(batch));
        }
    }
}
