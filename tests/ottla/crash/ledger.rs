//! What was sent, what was acknowledged, and what was read: the three must agree.

use std::mem;

use bytes::Bytes;
use ottla_wire::record::batches;
use ottla_wire::types::{Offset, PartitionIndex};

use super::PARTITIONS;
use super::random::Random;

/// Which record it is: the key says so, and the value follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    pub producer: usize,
    pub partition: PartitionIndex,
    pub sequence: i32,
}

/// A batch that the broker acknowledged.
#[derive(Clone, Copy, Debug)]
pub struct Acknowledged {
    pub first: Name,
    pub count: i32,
    pub base_offset: Offset,
}

pub struct Ledger {
    partitions: Vec<Contents>,
    /// Not compared with what is stored yet.
    acknowledged: Vec<Acknowledged>,
    acknowledged_records: usize,
}

/// What a partition was seen to hold, by offset.
struct Contents {
    names: Vec<Name>,
    /// By producer, the sequence number of its next record.
    next: Vec<i32>,
}

impl Name {
    pub fn key(&self) -> String {
        format!("{} {} {}", self.producer, self.partition, self.sequence)
    }

    fn from_key(key: &str) -> Option<Name> {
        let mut words = key.split(' ');
        let name = Name {
            producer: words.next()?.parse().ok()?,
            partition: words.next()?.parse().ok()?,
            sequence: words.next()?.parse().ok()?,
        };
        words.next().is_none().then_some(name)
    }

    /// Mostly some hundred bytes, now and then as many thousand; half of it compresses well.
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
        let empty = || Contents { names: Vec::new(), next: vec![0; producers] };
        let partitions = (0..PARTITIONS).map(|_| empty()).collect();
        Ledger { partitions, acknowledged: Vec::new(), acknowledged_records: 0 }
    }

    /// Takes down a promise of the broker's.
    pub fn acknowledge(&mut self, batch: Acknowledged) {
        self.acknowledged_records += batch.count as usize;
        self.acknowledged.push(batch);
    }

    /// How many records have been acknowledged.
    pub fn acknowledged_records(&self) -> usize {
        self.acknowledged_records
    }

    /// Up to which offset a partition has been seen.
    pub fn seen(&self, partition: PartitionIndex) -> Offset {
        self.contents(partition).names.len() as Offset
    }

    /// Looks at records that were read from `from` on. They must be whole, follow one on the other,
    /// and be what was there before or, for each producer, what it sent next. Where they end.
    pub fn read(&mut self, partition: PartitionIndex, from: Offset, records: &Bytes) -> Offset {
        let mut next = None;
        for batch in batches(records) {
            for record in batch.unwrap().records() {
                let record = record.unwrap();
                let key = record.key.as_deref().map(String::from_utf8_lossy);
                let name = key.as_deref().and_then(Name::from_key).unwrap_or_else(|| panic!("nobody sent {record:?}"));
                let at = format!("partition {partition}, offset {}", record.offset);
                assert_eq!(record.value.as_deref(), Some(&*name.value()), "{at}: the value of {name:?}");
                assert_eq!(name.partition, partition, "{at}: {name:?} was sent elsewhere");
                match next {
                    Some(next) => assert_eq!(record.offset, next, "{at}: offsets are contiguous"),
                    None => assert!(record.offset <= from, "{at}: asked for {from}"),
                }
                self.contents_mut(partition).see(record.offset, name, &at);
                next = Some(record.offset + 1);
            }
        }
        next.unwrap_or(from)
    }

    /// Takes what was acknowledged since the last call; whoever takes it reads to the end afterwards,
    /// and then calls [`Ledger::check_stored`].
    pub fn take_acknowledged(&mut self) -> Vec<Acknowledged> {
        mem::take(&mut self.acknowledged)
    }

    /// What was acknowledged is where the broker said.
    pub fn check_stored(&self, acknowledged: &[Acknowledged]) {
        for batch in acknowledged {
            let Acknowledged { first, count, base_offset } = *batch;
            let stored = &self.contents(first.partition).names;
            let stored = stored.get(base_offset as usize..(base_offset + Offset::from(count)) as usize);
            let stored = stored.unwrap_or_else(|| panic!("{batch:?} is lost"));
            for (step, found) in (0..).zip(stored) {
                let sent = Name { sequence: first.sequence + step, ..first };
                assert_eq!(*found, sent, "{batch:?} is not where it was acknowledged");
            }
        }
    }

    /// Each partition holds all that each producer sent to it: `sent`, by producer and partition.
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
    fn see(&mut self, offset: Offset, name: Name, at: &str) {
        match self.names.get(offset as usize) {
            Some(seen) => assert_eq!(*seen, name, "{at}: this offset held another record before"),
            None => {
                assert_eq!(offset, self.names.len() as Offset, "{at}: records before it were not seen");
                let next = &mut self.next[name.producer];
                assert_eq!(name.sequence, *next, "{at}: sequence numbers of producer {} are contiguous", name.producer);
                *next += 1;
                self.names.push(name);
            }
        }
    }
}
