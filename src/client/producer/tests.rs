//! Batches, their order, their numbers: all told by hand, with no network and no clock.

use std::time::Duration;

use super::accumulator::{Accumulator, Appended, GivenUp, Outgoing, Place};
use super::{NewRecord, ProducerOptions, SendError};
use ottla_wire::record::{Batch, BatchHeader, Codec};
use ottla_wire::types::{ErrorCode, ProducerIdEpoch};

const PRODUCER: ProducerIdEpoch = ProducerIdEpoch { producer_id: 7, epoch: 0 };

/// A world of one topic `t`; records are numbered, and the number is their token and their value.
struct World {
    accumulator: Accumulator<u32>,
    now: Duration,
    next: u32,
}

impl World {
    fn new(partitions: usize, change: impl FnOnce(&mut ProducerOptions)) -> World {
        let mut options = ProducerOptions { linger: Duration::ZERO, ..ProducerOptions::default() };
        change(&mut options);
        let mut accumulator = Accumulator::new(options, 1);
        accumulator.learn("t", partitions, Duration::ZERO);
        accumulator.set_producer(PRODUCER);
        World { accumulator, now: Duration::ZERO, next: 0 }
    }

    /// Adds a record of that size.
    #[track_caller]
    fn add(&mut self, partition: Option<i32>, size: usize) -> Appended {
        let value = vec![self.next as u8; size];
        let record = NewRecord { topic: "t", partition, value: Some(&value), ..NewRecord::default() };
        let Ok(Place::At(spot)) = self.accumulator.place(&record) else { panic!("no place for record {}", self.next) };
        self.next += 1;
        self.accumulator.append(spot, &record, 5, self.next - 1, || self.now)
    }

    fn drain(&mut self) -> Vec<Outgoing<u32>> {
        let (outgoing, broken) = self.accumulator.drain(self.now);
        assert!(broken.is_empty());
        outgoing
    }

    /// Drains the one batch that is due.
    #[track_caller]
    fn one(&mut self) -> Outgoing<u32> {
        let mut outgoing = self.drain();
        assert_eq!(outgoing.len(), 1);
        outgoing.remove(0)
    }

    fn answer(
        &mut self,
        sent: Outgoing<u32>,
        outcome: Result<(), ErrorCode>,
    ) -> Option<Result<Vec<u32>, GivenUp<u32>>> {
        let outcome = outcome.map_err(|code| SendError::refused(code.code(), None));
        self.accumulator.answered(sent, outcome, self.now)
    }

    fn later(&mut self, milliseconds: u64) {
        self.now += Duration::from_millis(milliseconds);
    }
}

fn header(sent: &Outgoing<u32>) -> BatchHeader {
    let batch = Batch::parse(&sent.bytes).unwrap();
    batch.check_crc().unwrap();
    *batch.header()
}

#[test]
fn a_batch_goes_when_it_is_full_or_its_time_has_come() {
    let mut world = World::new(1, |options| options.linger = Duration::from_millis(10));
    assert_eq!(world.add(None, 10), Appended::Began);
    assert_eq!(world.add(None, 10), Appended::Quietly);
    assert!(world.drain().is_empty());
    assert_eq!(world.accumulator.next_due(), Some(Duration::from_millis(10)));
    world.later(10);
    assert_eq!(world.one().batch.tokens, [0, 1]);
    assert_eq!(world.accumulator.next_due(), None);

    assert_eq!(world.add(None, 12_000), Appended::Filled, "no room for another one like this");
    assert_eq!(world.one().batch.tokens, [2]);
    world.add(None, 10);
    world.accumulator.hurry(true);
    assert_eq!(world.one().batch.tokens, [3]);
}

#[test]
fn a_record_that_does_not_fit_begins_another_batch() {
    let mut world = World::new(1, |options| options.linger = Duration::from_secs(1));
    world.add(None, 100);
    assert_eq!(world.add(None, 16_300), Appended::Filled);
    assert_eq!(world.one().batch.tokens, [0]);
    assert_eq!(world.one().batch.tokens, [1], "which is full, too");
}

#[test]
fn a_request_has_a_batch_of_each_partition_while_there_is_room() {
    let mut world = World::new(3, |options| options.max_request_size = 2_200);
    for partition in [0, 1, 2, 0] {
        world.add(Some(partition), 1000);
    }
    let partitions = |sent: Vec<Outgoing<u32>>| sent.iter().map(|sent| sent.partition).collect::<Vec<_>>();
    assert_eq!(partitions(world.drain()), [0]);
    assert_eq!(partitions(world.drain()), [1, 2]);
    assert!(world.drain().is_empty());
}

#[test]
fn records_without_a_key_fill_one_batch_before_the_next() {
    let mut world = World::new(8, |options| options.linger = Duration::from_secs(1));
    for _ in 0..640 {
        world.add(None, 1000);
    }
    let mut counts = Vec::new();
    loop {
        let sent = world.drain();
        if sent.is_empty() {
            break;
        }
        counts.extend(sent.iter().map(|sent| sent.batch.tokens.len()));
    }
    assert!(counts.iter().all(|count| *count == 16), "{counts:?}");
    assert_eq!(counts.len(), 40);
}

#[test]
fn keys_decide() {
    let world = World::new(5, |_| {});
    let mut accumulator = world.accumulator;
    let mut place = |key: &str, partition| {
        let key = Some(key.as_bytes());
        accumulator.place(&NewRecord { topic: "t", partition, key, ..NewRecord::default() })
    };
    assert_eq!(place("a", None).unwrap(), place("a", None).unwrap());
    assert_ne!(place("abc", None).unwrap(), place("foobar", None).unwrap());
    assert_ne!(place("a", Some(0)).unwrap(), place("a", Some(1)).unwrap());
    assert!(matches!(place("a", Some(5)), Err(SendError::NoPartition { partition: 5, count: 5, .. })));
    assert!(matches!(place("a", Some(-1)), Err(SendError::NoPartition { .. })));
}

#[test]
fn memory_is_bounded_and_comes_back() {
    let mut world = World::new(2, |options| {
        options.buffer_memory = 40_000;
        options.linger = Duration::from_secs(1);
    });
    let place = |world: &mut World, size| {
        let value = vec![0; size];
        world.accumulator.place(&NewRecord {
            topic: "t",
            partition: Some(0),
            value: Some(&value),
            ..NewRecord::default()
        })
    };
    world.add(Some(0), 12_000);
    world.add(Some(1), 12_000);
    assert_eq!(place(&mut world, 12_000).unwrap(), Place::NoRoom);
    let sent = world.drain();
    assert_eq!(sent.len(), 2, "full, and nothing to wait for");
    for sent in sent {
        assert_eq!(world.answer(sent, Ok(())).unwrap().ok(), Some(vec![world.next - 2]));
        world.next += 1;
    }
    assert!(matches!(place(&mut world, 12_000), Ok(Place::At(_))));
    let too_large = place(&mut world, 1_100_000).unwrap_err();
    assert_eq!(too_large, SendError::TooLarge { size: 1_100_088, limit: 1_048_576 });
    assert!(matches!(place(&mut world, 45_000), Err(SendError::LargerThanBuffer { .. })));
}

#[test]
fn batches_are_numbered_and_a_retry_keeps_its_number() {
    let mut world = World::new(1, |_| {});
    let batch = |world: &mut World| {
        world.add(None, 10);
        world.add(None, 10);
        world.one()
    };
    let (first, second) = (batch(&mut world), batch(&mut world));
    assert_eq!([header(&first).base_sequence, header(&second).base_sequence], [0, 2]);
    assert_eq!(header(&first).producer_id, 7);

    // The first is refused for now, the second because the first isn't there: both go again, in order.
    assert!(world.answer(first, Err(ErrorCode::NotEnoughReplicas)).is_none());
    world.later(1000);
    assert!(world.drain().is_empty(), "not before the other one is back");
    assert_eq!(world.accumulator.next_due(), None);
    assert!(world.answer(second, Err(ErrorCode::OutOfOrderSequenceNumber)).is_none());
    assert!(world.drain().is_empty(), "not before its time");
    world.later(100);
    let (first, second) = (world.one(), world.one());
    assert_eq!([header(&first).base_sequence, header(&second).base_sequence], [0, 2]);
    assert_eq!(world.answer(first, Ok(())).unwrap().ok(), Some(vec![0, 1]));
    assert_eq!(world.answer(second, Ok(())).unwrap().ok(), Some(vec![2, 3]));
    assert!(world.accumulator.is_empty());
}

#[test]
fn a_number_that_is_missing_begins_a_new_count() {
    let mut world = World::new(1, |_| {});
    let batch = |world: &mut World| {
        world.add(None, 10);
        world.one()
    };
    let (first, second) = (batch(&mut world), batch(&mut world));
    let given_up = world.answer(first, Err(ErrorCode::InvalidRecord)).unwrap().err().unwrap();
    assert_eq!((given_up.tokens, given_up.error.code()), (vec![0], ErrorCode::InvalidRecord));
    assert!(world.accumulator.needs_producer());
    assert!(world.answer(second, Err(ErrorCode::NotEnoughReplicas)).is_none());
    world.later(1000);
    assert!(world.drain().is_empty());
    world.accumulator.set_producer(ProducerIdEpoch { producer_id: 8, epoch: 0 });
    let second = header(&world.one());
    assert_eq!((second.producer_id, second.base_sequence), (8, 0));
}

#[test]
fn tries_and_time_are_bounded() {
    let mut world = World::new(1, |options| options.retries = 2);
    world.add(None, 10);
    for _ in 0..2 {
        let sent = world.one();
        assert!(world.answer(sent, Err(ErrorCode::NotEnoughReplicas)).is_none());
        world.later(100);
    }
    let sent = world.one();
    let given_up = world.answer(sent, Err(ErrorCode::NotEnoughReplicas)).unwrap().err().unwrap();
    assert_eq!(given_up.error.code(), ErrorCode::NotEnoughReplicas);

    world.add(None, 10);
    world.later(119_999);
    assert!(world.accumulator.expire(world.now).is_empty());
    world.later(1);
    let late: Vec<String> = world.accumulator.expire(world.now).iter().map(|late| late.error.to_string()).collect();
    assert_eq!(late, ["Expiring 1 record(s) for t-0:120000 ms has passed since batch creation"]);
    assert!(world.accumulator.is_empty());
}

#[test]
fn topics_are_asked_for_again() {
    let mut world = World::new(1, |_| {});
    world.later(300_000);
    assert!(world.accumulator.stale(world.now).is_empty());
    world.later(1);
    assert_eq!(world.accumulator.stale(world.now), ["t"]);
    world.accumulator.learn("t", 3, world.now);
    assert!(world.accumulator.stale(world.now).is_empty());
    world.add(Some(2), 10);
}

#[test]
fn what_is_too_large_is_halved() {
    for codec in [Codec::None, Codec::Zstd] {
        let mut world = World::new(1, |options| options.codec = codec);
        for _ in 0..3 {
            world.add(None, 10);
        }
        let whole = world.one();
        world.add(None, 10);
        assert!(world.answer(whole, Err(ErrorCode::MessageTooLarge)).is_none());
        let parts = [world.one(), world.one(), world.one()];
        let sequences = parts.each_ref().map(|sent| (header(sent).base_sequence, header(sent).record_count));
        assert_eq!(sequences, [(0, 1), (1, 2), (3, 1)]);
        let [first, second, third] = parts;
        let given_up = world.answer(first, Err(ErrorCode::MessageTooLarge)).unwrap().err().unwrap();
        assert_eq!(given_up.tokens, [0], "one record can't be halved");
        assert_eq!(world.answer(second, Ok(())).unwrap().ok(), Some(vec![1, 2]));
        assert_eq!(world.answer(third, Ok(())).unwrap().ok(), Some(vec![3]));
        assert!(world.accumulator.is_empty());
    }
}
