//! The ledger compares the records that were sent, acknowledged and read.

use std::mem;

use bytes::Bytes;
use ottla_wire::record::batches;
use ottla_wire::types::{Offset, PartitionIndex};

use super::PARTITIONS;
use super::random::Random;

/// The identity of a record. It is the record's key, and the value is derived from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordId {
    pub producer: usize,
    pub partition: PartitionIndex,
    pub sequence: i32,
}

/// A batch that the broker acknowledged.
#[derive(Clone, Copy, Debug)]
pub struct Acknowledged {
    pub first: RecordId,
    pub count: i32,
    pub base_offset: Offset,
}

pub struct Ledger {
    partitions: Vec<Contents>,
    /// Batches not yet compared with the log.
    acknowledged: Vec<Acknowledged>,
    acknowledged_records: usize,
}

/// The records of a partition that were read, by offset.
struct Contents {
    ids: Vec<RecordId>,
    /// The sequence number of the next record, by producer.
    next: Vec<i32>,
}

impl RecordId {
    pub fn key(&self) -> String {
        format!("{} {} {}", self.producer, self.partition, self.sequence)
    }

    fn from_key(key: &str) -> Option<RecordId> {
        let mut parts = key.split(' ');
        let id = RecordId {
            producer: parts.next()?.parse().ok()?,
            partition: parts.next()?.parse().ok()?,
            sequence: parts.next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(id)
    }

    /// Usually some hundred bytes, sometimes tens of thousands; half of it compresses well.
    pub fn value(&self) -> Vec<u8> {
        let mut random =
            Random::new(((self.producer as u64) << 40) ^ ((self.partition as u64) << 32) ^ self.sequence as u64);
        let words = if random.one_in(100) { random.within(500..5000) } else { random.within(0..50) };
        let mut value = self.key().into_bytes();
        for _ in 0..words {
            value.extend(random.next().to_le_bytes());
            value.extend(b" and so on");
        }
        value
    }
}

impl Ledger {
    pub fn new(producers: usize) -> Ledger {
        let empty = || Contents { ids: Vec::new(), next: vec![0; producers] };
        let partitions = (0..PARTITIONS).map(|_| empty()).collect();
        Ledger { partitions, acknowledged: Vec::new(), acknowledged_records: 0 }
    }

    /// Notes an acknowledged batch.
    pub fn acknowledge(&mut self, batch: Acknowledged) {
        self.acknowledged_records += batch.count as usize;
        self.acknowledged.push(batch);
    }

    /// The number of acknowledged records.
    pub fn acknowledged_records(&self) -> usize {
        self.acknowledged_records
    }

    /// The offset up to which a partition has been read.
    pub fn seen(&self, partition: PartitionIndex) -> Offset {
        self.contents(partition).ids.len() as Offset
    }

    /// Checks records that were read from offset `from`, and returns the offset behind them. They must be complete and
    /// contiguous, and each must be the one read before at its offset or the next one of its producer.
    pub fn read(&mut self, partition: PartitionIndex, from: Offset, records: &Bytes) -> Offset {
        let mut next = None;
        for batch in batches(records) {
            for record in batch.unwrap().records() {
                let record = record.unwrap();
                let key = record.key.as_deref().map(String::from_utf8_lossy);
                let id =
                    key.as_deref().and_then(RecordId::from_key).unwrap_or_else(|| panic!("{record:?} was not sent"));
                let at = format!("partition {partition}, offset {}", record.offset);
                assert_eq!(record.value.as_deref(), Some(&*id.value()), "{at}: the value of {id:?}");
                assert_eq!(id.partition, partition, "{at}: {id:?} was sent to another partition");
                match next {
                    Some(next) => assert_eq!(record.offset, next, "{at}: offsets are contiguous"),
                    None => assert!(record.offset <= from, "{at}: asked for {from}"),
                }
                self.contents_mut(partition).see(record.offset, id, &at);
                next = Some(record.offset + 1);
            }
        }
        next.unwrap_or(from)
    }

    /// Takes the batches acknowledged since the last call. The caller then reads to the end and calls
    /// [`Ledger::check_stored`].
    pub fn take_acknowledged(&mut self) -> Vec<Acknowledged> {
        mem::take(&mut self.acknowledged)
    }

    /// Checks that acknowledged batches are stored at their offsets.
    pub fn check_stored(&self, acknowledged: &[Acknowledged]) {
        for batch in acknowledged {
            let Acknowledged { first, count, base_offset } = *batch;
            let stored = &self.contents(first.partition).ids;
            let stored = stored.get(base_offset as usize..(base_offset + Offset::from(count)) as usize);
            let stored = stored.unwrap_or_else(|| panic!("{batch:?} is lost"));
            for (step, found) in (0..).zip(stored) {
                let sent = RecordId { sequence: first.sequence + step, ..first };
                assert_eq!(*found, sent, "{batch:?} is not where it was acknowledged");
            }
        }
    }

    /// Checks that each partition contains all records of each producer: `sent`, by producer and partition.
    pub fn check_complete(&self, sent: &[Vec<i32>]) {
        for (partition, contents) in self.partitions.iter().enumerate() {
            let sent: Vec<_> = sent.iter().map(|by_partition| by_partition[partition]).collect();
            assert_eq!(contents.next, sent, "partition {partition}: records stored and sent, by producer");
        }
    }

    fn contents(&self, partition: PartitionIndex) -> &Contents {
        &self.partitions[partition as usize]
    }

    fn contents_mut(&mut self, partition: PartitionIndex) -> &mut Contents {
        &mut self.partitions[partition as usize]
    }
}

impl Contents {
    fn see(&mut self, offset: Offset, id: RecordId, at: &str) {
        match self.ids.get(offset as usize) {
            Some(seen) => assert_eq!(*seen, id, "{at}: this offset held another record before"),
            None => {
                assert_eq!(offset, self.ids.len() as Offset, "{at}: records before it were not seen");
                let next = &mut self.next[id.producer];
                assert_eq!(id.sequence, *next, "{at}: sequence numbers of producer {} are contiguous", id.producer);
                *next += 1;
                self.ids.push(id);
            }
        }
    }
}
