//! Tests of the accumulator, without network and clock.

use std::time::Duration;

use super::accumulator::{Accumulator, Appended, FailedBatch, Outgoing, Placement};
use super::{NewRecord, ProducerOptions, SendError};
use ottla_wire::record::{Batch, BatchHeader, Codec};
use ottla_wire::types::{ErrorCode, ProducerIdEpoch};

const PRODUCER: ProducerIdEpoch = ProducerIdEpoch { producer_id: 7, epoch: 0 };

/// An accumulator with one topic `t`. Records are numbered; the number is the record's token and value.
struct Fixture {
    accumulator: Accumulator<u32>,
    now: Duration,
    next: u32,
}

impl Fixture {
    fn new(partitions: usize, change: impl FnOnce(&mut ProducerOptions)) -> Fixture {
        let mut options = ProducerOptions { linger: Duration::ZERO, ..ProducerOptions::default() };
        change(&mut options);
        let mut accumulator = Accumulator::new(options, 1);
        accumulator.update_topic("t", partitions, Duration::ZERO);
        accumulator.set_producer_id(PRODUCER);
        Fixture { accumulator, now: Duration::ZERO, next: 0 }
    }

    /// Appends a record of this size.
    #[track_caller]
    fn add(&mut self, partition: Option<i32>, size: usize) -> Appended {
        let value = vec![self.next as u8; size];
        let record = NewRecord { topic: "t", partition, value: Some(&value), ..NewRecord::default() };
        let Ok(Placement::Ready(slot)) = self.accumulator.place(&record) else {
            panic!("record {} can't be placed", self.next)
        };
        self.next += 1;
        self.accumulator.append(slot, &record, 5, self.next - 1, || self.now)
    }

    fn drain(&mut self) -> Vec<Outgoing<u32>> {
        let (outgoing, broken) = self.accumulator.drain(self.now);
        assert!(broken.is_empty());
        outgoing
    }

    /// Drains exactly one batch.
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
    ) -> Option<Result<Vec<u32>, FailedBatch<u32>>> {
        let outcome = outcome.map_err(|code| SendError::refused(code.code(), None));
        self.accumulator.answered(sent, outcome, self.now)
    }

    fn advance(&mut self, milliseconds: u64) {
        self.now += Duration::from_millis(milliseconds);
    }
}

fn header(sent: &Outgoing<u32>) -> BatchHeader {
    let batch = Batch::parse(&sent.bytes).unwrap();
    batch.check_crc().unwrap();
    *batch.header()
}

/// A fixture with an open transaction.
fn transactional(change: impl FnOnce(&mut ProducerOptions)) -> Fixture {
    let mut fixture = Fixture::new(2, |options| {
        options.transactional_id = Some("id".into());
        change(options);
    });
    let transactions = fixture.accumulator.transactions_mut().unwrap();
    transactions.initialized(PRODUCER, 2);
    transactions.begin().unwrap();
    fixture
}

#[test]
fn records_of_a_transaction_are_in_transactional_batches_split_ones_included() {
    let mut fixture = transactional(|_| {});
    fixture.add(Some(0), 10);
    fixture.add(Some(0), 10);
    let sent = fixture.one();
    assert!(header(&sent).is_transactional());
    assert!(fixture.answer(sent, Err(ErrorCode::MessageTooLarge)).is_none(), "it is split");
    assert!(header(&fixture.one()).is_transactional());
}

#[test]
fn record_outside_a_transaction_is_refused() {
    let mut fixture = transactional(|_| {});
    fixture.accumulator.transactions_mut().unwrap().ended(PRODUCER);
    let record = NewRecord { topic: "t", partition: Some(0), ..NewRecord::default() };
    assert!(matches!(fixture.accumulator.place(&record), Err(SendError::State(_))));
}

#[test]
fn failed_batch_fails_the_transaction_and_what_is_not_sent_yet() {
    let mut fixture = transactional(|_| {});
    fixture.add(Some(0), 10);
    let sent = fixture.one();
    fixture.add(Some(1), 10);
    let failed = fixture.answer(sent, Err(ErrorCode::InvalidRecord)).unwrap().unwrap_err();
    assert_eq!(failed.tokens, [0]);
    let rest = fixture.accumulator.fail_with_transaction();
    assert_eq!(rest.iter().map(|failed| failed.error.code()).collect::<Vec<_>>(), [ErrorCode::InvalidRecord]);
    assert!(fixture.accumulator.is_empty());
    assert!(!fixture.accumulator.needs_producer_id(), "the id comes with the next epoch");
    assert!(fixture.accumulator.has_sequence_gap());
    assert!(fixture.accumulator.transactions_mut().unwrap().check_open().is_err());
}

#[test]
fn batch_is_due_when_it_is_full_or_after_linger() {
    let mut fixture = Fixture::new(1, |options| options.linger = Duration::from_millis(10));
    assert_eq!(fixture.add(None, 10), Appended::BatchStarted);
    assert_eq!(fixture.add(None, 10), Appended::Added);
    assert!(fixture.drain().is_empty());
    assert_eq!(fixture.accumulator.next_due(), Some(Duration::from_millis(10)));
    fixture.advance(10);
    assert_eq!(fixture.one().batch.tokens, [0, 1]);
    assert_eq!(fixture.accumulator.next_due(), None);

    assert_eq!(fixture.add(None, 12_000), Appended::BatchFull, "another record of this size does not fit");
    assert_eq!(fixture.one().batch.tokens, [2]);
    fixture.add(None, 10);
    fixture.accumulator.set_flushing(true);
    assert_eq!(fixture.one().batch.tokens, [3]);
}

#[test]
fn record_that_does_not_fit_starts_another_batch() {
    let mut fixture = Fixture::new(1, |options| options.linger = Duration::from_secs(1));
    fixture.add(None, 100);
    assert_eq!(fixture.add(None, 16_300), Appended::BatchFull);
    assert_eq!(fixture.one().batch.tokens, [0]);
    assert_eq!(fixture.one().batch.tokens, [1], "full as well");
}

#[test]
fn request_has_one_batch_per_partition_up_to_max_request_size() {
    let mut fixture = Fixture::new(3, |options| options.max_request_size = 2_200);
    for partition in [0, 1, 2, 0] {
        fixture.add(Some(partition), 1000);
    }
    let partitions = |sent: Vec<Outgoing<u32>>| sent.iter().map(|sent| sent.partition).collect::<Vec<_>>();
    assert_eq!(partitions(fixture.drain()), [0]);
    assert_eq!(partitions(fixture.drain()), [1, 2]);
    assert!(fixture.drain().is_empty());
}

#[test]
fn records_without_a_key_fill_one_batch_before_the_next() {
    let mut fixture = Fixture::new(8, |options| options.linger = Duration::from_secs(1));
    for _ in 0..640 {
        fixture.add(None, 1000);
    }
    let mut counts = Vec::new();
    loop {
        let sent = fixture.drain();
        if sent.is_empty() {
            break;
        }
        counts.extend(sent.iter().map(|sent| sent.batch.tokens.len()));
    }
    assert!(counts.iter().all(|count| *count == 16), "{counts:?}");
    assert_eq!(counts.len(), 40);
}

#[test]
fn key_or_explicit_partition_determines_the_partition() {
    let fixture = Fixture::new(5, |_| {});
    let mut accumulator = fixture.accumulator;
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
fn memory_is_limited_and_released_on_delivery() {
    let mut fixture = Fixture::new(2, |options| {
        options.buffer_memory = 40_000;
        options.linger = Duration::from_secs(1);
    });
    let place = |fixture: &mut Fixture, size| {
        let value = vec![0; size];
        fixture.accumulator.place(&NewRecord {
            topic: "t",
            partition: Some(0),
            value: Some(&value),
            ..NewRecord::default()
        })
    };
    fixture.add(Some(0), 12_000);
    fixture.add(Some(1), 12_000);
    assert_eq!(place(&mut fixture, 12_000).unwrap(), Placement::BufferFull);
    let sent = fixture.drain();
    assert_eq!(sent.len(), 2, "due without linger, because memory is low");
    for sent in sent {
        assert_eq!(fixture.answer(sent, Ok(())).unwrap().ok(), Some(vec![fixture.next - 2]));
        fixture.next += 1;
    }
    assert!(matches!(place(&mut fixture, 12_000), Ok(Placement::Ready(_))));
    let too_large = place(&mut fixture, 1_100_000).unwrap_err();
    assert_eq!(too_large, SendError::TooLarge { size: 1_100_088, limit: 1_048_576 });
    assert!(matches!(place(&mut fixture, 45_000), Err(SendError::LargerThanBuffer { .. })));
}

#[test]
fn retried_batch_keeps_its_sequence() {
    let mut fixture = Fixture::new(1, |_| {});
    let batch = |fixture: &mut Fixture| {
        fixture.add(None, 10);
        fixture.add(None, 10);
        fixture.one()
    };
    let (first, second) = (batch(&mut fixture), batch(&mut fixture));
    assert_eq!([header(&first).base_sequence, header(&second).base_sequence], [0, 2]);
    assert_eq!(header(&first).producer_id, 7);

    // The first fails with a retriable error, the second because the first is missing: both are retried in order.
    assert!(fixture.answer(first, Err(ErrorCode::NotEnoughReplicas)).is_none());
    fixture.advance(1000);
    assert!(fixture.drain().is_empty(), "the other one is still in flight");
    assert_eq!(fixture.accumulator.next_due(), None);
    assert!(fixture.answer(second, Err(ErrorCode::OutOfOrderSequenceNumber)).is_none());
    assert!(fixture.drain().is_empty(), "backoff");
    fixture.advance(100);
    let (first, second) = (fixture.one(), fixture.one());
    assert_eq!([header(&first).base_sequence, header(&second).base_sequence], [0, 2]);
    assert_eq!(fixture.answer(first, Ok(())).unwrap().ok(), Some(vec![0, 1]));
    assert_eq!(fixture.answer(second, Ok(())).unwrap().ok(), Some(vec![2, 3]));
    assert!(fixture.accumulator.is_empty());
}

#[test]
fn failed_batch_restarts_sequences_with_a_new_producer_id() {
    let mut fixture = Fixture::new(1, |_| {});
    let batch = |fixture: &mut Fixture| {
        fixture.add(None, 10);
        fixture.one()
    };
    let (first, second) = (batch(&mut fixture), batch(&mut fixture));
    let failed = fixture.answer(first, Err(ErrorCode::InvalidRecord)).unwrap().err().unwrap();
    assert_eq!((failed.tokens, failed.error.code()), (vec![0], ErrorCode::InvalidRecord));
    assert!(fixture.accumulator.needs_producer_id());
    assert!(fixture.answer(second, Err(ErrorCode::NotEnoughReplicas)).is_none());
    fixture.advance(1000);
    assert!(fixture.drain().is_empty());
    fixture.accumulator.set_producer_id(ProducerIdEpoch { producer_id: 8, epoch: 0 });
    let second = header(&fixture.one());
    assert_eq!((second.producer_id, second.base_sequence), (8, 0));
}

#[test]
fn batch_fails_after_retries_or_delivery_timeout() {
    let mut fixture = Fixture::new(1, |options| options.retries = 2);
    fixture.add(None, 10);
    for _ in 0..2 {
        let sent = fixture.one();
        assert!(fixture.answer(sent, Err(ErrorCode::NotEnoughReplicas)).is_none());
        fixture.advance(100);
    }
    let sent = fixture.one();
    let failed = fixture.answer(sent, Err(ErrorCode::NotEnoughReplicas)).unwrap().err().unwrap();
    assert_eq!(failed.error.code(), ErrorCode::NotEnoughReplicas);

    fixture.add(None, 10);
    fixture.advance(119_999);
    assert!(fixture.accumulator.expire(fixture.now).is_empty());
    fixture.advance(1);
    let late: Vec<String> = fixture.accumulator.expire(fixture.now).iter().map(|late| late.error.to_string()).collect();
    assert_eq!(late, ["Expiring 1 record(s) for t-0:120000 ms has passed since batch creation"]);
    assert!(fixture.accumulator.is_empty());
}

#[test]
fn topic_metadata_is_stale_after_max_age() {
    let mut fixture = Fixture::new(1, |_| {});
    fixture.advance(300_000);
    assert!(fixture.accumulator.stale_topics(fixture.now).is_empty());
    fixture.advance(1);
    assert_eq!(fixture.accumulator.stale_topics(fixture.now), ["t"]);
    fixture.accumulator.update_topic("t", 3, fixture.now);
    assert!(fixture.accumulator.stale_topics(fixture.now).is_empty());
    fixture.add(Some(2), 10);
}

#[test]
fn batch_that_is_too_large_is_split() {
    for codec in [Codec::None, Codec::Zstd] {
        let mut fixture = Fixture::new(1, |options| options.codec = codec);
        for _ in 0..3 {
            fixture.add(None, 10);
        }
        let whole = fixture.one();
        fixture.add(None, 10);
        assert!(fixture.answer(whole, Err(ErrorCode::MessageTooLarge)).is_none());
        let parts = [fixture.one(), fixture.one(), fixture.one()];
        let sequences = parts.each_ref().map(|sent| (header(sent).base_sequence, header(sent).record_count));
        assert_eq!(sequences, [(0, 1), (1, 2), (3, 1)]);
        let [first, second, third] = parts;
        let failed = fixture.answer(first, Err(ErrorCode::MessageTooLarge)).unwrap().err().unwrap();
        assert_eq!(failed.tokens, [0], "one record can't be split");
        assert_eq!(fixture.answer(second, Ok(())).unwrap().ok(), Some(vec![1, 2]));
        assert_eq!(fixture.answer(third, Ok(())).unwrap().ok(), Some(vec![3]));
        assert!(fixture.accumulator.is_empty());
    }
}
