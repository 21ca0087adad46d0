//! When fetches wait and when they are answered; committed records; conversion for old consumers.

use std::path::Path;

use tokio::sync::watch;
use tokio::time::Instant;

use super::*;
use crate::state::fetch_sessions::FetchTopic;
use ottla_log::{Disk, Log, OpenParams, Origin, Simulation};
use ottla_wire::record::control::{ControlType, EndTxnMarker};
use ottla_wire::record::{BatchBuilder, Codec, Verified, batches};
use ottla_wire::types::{ProducerIdEpoch, TopicId, TopicPartition, Uuid};

const NOW: i64 = 1_700_000_000_000;
const PRODUCER: ProducerIdEpoch = ProducerIdEpoch { producer_id: 7, epoch: 0 };
const HOUR: Duration = Duration::from_secs(3600);

fn partition() -> Arc<Partition> {
    let disk = Disk::simulated(&Simulation::default());
    let log = Log::open(&disk, Path::new("/data/t-0"), Arc::default(), OpenParams::fresh(NOW)).unwrap();
    Arc::new(Partition::opened(TopicPartition::new("t", 0), TopicId::METADATA, 0, log, watch::Sender::new(())))
}

fn fetch(partition: &Arc<Partition>, isolation: Isolation) -> Fetch {
    let key = FetchKey { topic: FetchTopic::Name("t".into()), partition: 0 };
    let request =
        PartitionRequest { fetch_offset: 0, max_bytes: 1 << 20, current_leader_epoch: -1, last_fetched_epoch: -1 };
    let partitions =
        vec![FetchPartition { key, request, partition: Ok(Arc::clone(partition)), error_for_client: None }];
    Fetch { partitions, max_bytes: 1 << 20, min_bytes: 1, isolation, converted: false }
}

/// Begins a transaction, which the coordinator has confirmed.
fn append_in_transaction(partition: &Partition, producer: ProducerIdEpoch) {
    let mut batch = BatchBuilder::new(Codec::None).producer(producer, 0).transactional();
    batch.append(NOW, None, Some(b"x"), &[]);
    let verification = partition.begin_verification(producer, 0, false, NOW).unwrap();
    partition.append_verified(&batch.build().unwrap(), Origin::Client, verification.confirmed(), NOW).unwrap();
}

fn outside_of_transactions() -> Verified {
    let mut batch = BatchBuilder::new(Codec::None);
    batch.append(NOW, None, Some(b"value"), &[]);
    batch.build().unwrap()
}

fn end(producer: ProducerIdEpoch, outcome: ControlType) -> Verified {
    BatchBuilder::end_transaction(producer, outcome, EndTxnMarker { coordinator_epoch: 0 }, NOW).unwrap()
}

fn abort() -> Verified {
    end(PRODUCER, ControlType::Abort)
}

/// The result of a fetch: its next offset, and the first offsets of aborted transactions. Fails if the fetch ended by
/// its timer: the simulated time advances only when no task can run.
async fn outcome(waiting: tokio::task::JoinHandle<FetchResult>, since: Instant) -> (Offset, Vec<Offset>) {
    let result = waiting.await.unwrap();
    assert!(since.elapsed() < HOUR, "the fetch was ended by its timer");
    match &result.partitions[..] {
        [Fetched::Read(read)] => {
            (read.slice.next_offset, read.aborted.iter().map(|aborted| aborted.first_offset).collect())
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn readers_of_committed_records_wait_for_the_transactions_end() {
    // As a coordinator of transaction.version 1 and 2 ends it.
    for (origin, epoch) in [(Origin::Coordinator, 0), (Origin::CoordinatorV2, 1)] {
        for (outcome_of_txn, aborted) in [(ControlType::Abort, vec![0]), (ControlType::Commit, vec![])] {
            let (partition, since) = (partition(), Instant::now());
            let committed = tokio::spawn(fetch(&partition, Isolation::ReadCommitted).wait(Clock::start(), HOUR));
            let uncommitted = tokio::spawn(fetch(&partition, Isolation::ReadUncommitted).wait(Clock::start(), HOUR));
            tokio::task::yield_now().await;
            append_in_transaction(&partition, PRODUCER);
            assert_eq!(outcome(uncommitted, since).await, (1, vec![]));
            assert!(!committed.is_finished(), "what is open is nothing to readers of committed records");
            let marker = end(ProducerIdEpoch { epoch, ..PRODUCER }, outcome_of_txn);
            partition.append(&marker, origin, NOW).unwrap();
            assert_eq!(outcome(committed, since).await, (2, aborted), "{origin:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn fetch_at_the_last_stable_offset_waits_for_the_oldest_transaction() {
    let (partition, since) = (partition(), Instant::now());
    let [oldest, next] = [7, 8].map(|producer_id| ProducerIdEpoch { producer_id, epoch: 0 });
    append_in_transaction(&partition, oldest);
    append_in_transaction(&partition, next);
    let waiting = tokio::spawn(fetch(&partition, Isolation::ReadCommitted).wait(Clock::start(), HOUR));
    tokio::task::yield_now().await;
    // These wake it too, and it waits again.
    partition.append(&end(next, ControlType::Commit), Origin::Coordinator, NOW).unwrap();
    partition.append(&end(next, ControlType::Commit), Origin::Coordinator, NOW).unwrap();
    partition.append(&outside_of_transactions(), Origin::Client, NOW).unwrap();
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert!(!waiting.is_finished());
    partition.append(&end(oldest, ControlType::Commit), Origin::Coordinator, NOW).unwrap();
    assert_eq!(outcome(waiting, since).await, (6, vec![]));
}

/// The fetch of an old consumer.
fn converted(partition: &Arc<Partition>, fetch_offset: Offset, max_bytes: i32) -> Fetch {
    let mut fetch = Fetch { converted: true, ..fetch(partition, Isolation::ReadUncommitted) };
    fetch.partitions.iter_mut().for_each(|partition| {
        (partition.request.fetch_offset, partition.request.max_bytes) = (fetch_offset, max_bytes);
    });
    fetch
}

/// The base offsets of the batches that were read.
fn offsets(result: &FetchResult) -> Vec<Offset> {
    let Fetched::Read(read) = &result.partitions[0] else { panic!("{result:?}") };
    batches(&read.slice.bytes).map(|batch| batch.unwrap().header().base_offset).collect()
}

#[track_caller]
fn check_converted(partition: &Arc<Partition>, from: Offset, max_bytes: i32, expect: &[Offset]) {
    let fetch = converted(partition, from, max_bytes);
    let result = fetch.read();
    assert_eq!(offsets(&result), expect, "from {from}");
    assert_eq!(fetch.is_satisfied_by(&result), !expect.is_empty(), "from {from}");
}

#[test]
fn converted_fetch_skips_control_batches() {
    let partition = partition();
    let append = |batches: &[Verified]| {
        for batch in batches {
            partition.append(batch, Origin::Coordinator, NOW).unwrap();
        }
    };
    let (data, marker) = (outside_of_transactions(), abort());
    append(&[data.clone(), marker.clone(), marker.clone(), data.clone(), marker.clone()]);
    let [one, of_marker] = [&data, &marker].map(|batch| batch.bytes().len() as i32);
    check_converted(&partition, 0, one, &[0]);
    check_converted(&partition, 0, one + of_marker, &[0, 1]);
    for max_bytes in [0, of_marker, of_marker + one, of_marker * 2] {
        // Markers are only returned together with records.
        let expect: &[Offset] = if max_bytes < of_marker + one { &[3] } else { &[2, 3] };
        check_converted(&partition, 2, max_bytes, expect);
    }
    check_converted(&partition, 1, 1 << 20, &[1, 2, 3, 4]);
    // Only a marker is left: the fetch waits.
    check_converted(&partition, 4, 1 << 20, &[]);
    append(&[data]);
    check_converted(&partition, 4, one, &[5]);
    let unconverted = Fetch { converted: false, ..converted(&partition, 4, one) };
    assert_eq!(offsets(&unconverted.read()), [4], "a fetch without conversion returns the marker");
}

/// A partition that is not in the metadata.
fn unknown(fault: FetchFault) -> FetchPartition {
    let known = fetch(&partition(), Isolation::ReadUncommitted).partitions.remove(0);
    FetchPartition { partition: Err(fault), ..known }
}

/// An empty partition, with a changed request.
fn idle(change: impl FnOnce(&mut PartitionRequest)) -> FetchPartition {
    let mut idle = fetch(&partition(), Isolation::ReadUncommitted).partitions.remove(0);
    change(&mut idle.request);
    idle
}

/// Whether a fetch of these partitions is answered at once, and not after `max_wait`.
async fn is_answered_at_once(partitions: Vec<FetchPartition>) -> bool {
    let since = Instant::now();
    let fetch = Fetch { partitions, ..fetch(&partition(), Isolation::ReadUncommitted) };
    let count = fetch.partitions.len();
    assert_eq!(fetch.wait(Clock::start(), HOUR).await.partitions.len(), count);
    let elapsed = since.elapsed();
    assert!(elapsed == Duration::ZERO || elapsed == HOUR, "{elapsed:?}");
    elapsed == Duration::ZERO
}

#[tokio::test(start_paused = true)]
async fn fetch_of_unknown_partitions_waits_for_the_other_partitions() {
    for fault in [FetchFault::UnknownTopicOrPartition, FetchFault::UnknownTopicId] {
        let unknown = || unknown(fault.clone());
        assert!(is_answered_at_once(vec![unknown()]).await, "{fault}: alone");
        assert!(is_answered_at_once(vec![unknown(), unknown()]).await, "{fault}: two of them");
        assert!(!is_answered_at_once(vec![unknown(), idle(|_| ())]).await, "{fault}: before an idle one");
        assert!(!is_answered_at_once(vec![idle(|_| ()), unknown()]).await, "{fault}: behind an idle one");
    }
    assert!(is_answered_at_once(vec![]).await, "no partitions");
}

#[tokio::test(start_paused = true)]
async fn fetch_of_a_partition_that_cannot_be_read_is_answered_at_once() {
    let deleted = || {
        let deleted = idle(|_| ());
        let _ = deleted.partition.as_ref().unwrap().delete(Uuid::ZERO);
        deleted
    };
    let cases: [(&str, &dyn Fn() -> FetchPartition); 5] = [
        ("above the end", &|| idle(|request| request.fetch_offset = 1)),
        ("below the start", &|| idle(|request| request.fetch_offset = -1)),
        ("of an unknown leader epoch", &|| idle(|request| request.current_leader_epoch = 1)),
        ("diverging", &|| idle(|request| (request.fetch_offset, request.last_fetched_epoch) = (1, 0))),
        ("deleted", &deleted),
    ];
    for (what, failing) in cases {
        assert!(is_answered_at_once(vec![failing()]).await, "{what}");
        assert!(is_answered_at_once(vec![idle(|_| ()), failing()]).await, "{what}: behind an idle one");
        assert!(
            is_answered_at_once(vec![unknown(FetchFault::UnknownTopicId), failing()]).await,
            "{what}: behind an unknown one"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn fetch_with_an_unknown_partition_is_woken_by_an_append_and_a_deletion() {
    let waiting = |idle: &Arc<Partition>| {
        let mut fetch = fetch(idle, Isolation::ReadUncommitted);
        let partitions = vec![unknown(FetchFault::UnknownTopicOrPartition), fetch.partitions.remove(0)];
        tokio::spawn(Fetch { partitions, ..fetch }.wait(Clock::start(), HOUR))
    };
    let since = Instant::now();
    let (appended, deleted) = (partition(), partition());
    let (of_appended, of_deleted) = (waiting(&appended), waiting(&deleted));
    tokio::task::yield_now().await;
    appended.append(&outside_of_transactions(), Origin::Client, NOW).unwrap();
    let _ = deleted.delete(Uuid::ZERO);
    let (of_appended, of_deleted) = (of_appended.await.unwrap().partitions, of_deleted.await.unwrap().partitions);
    assert_eq!(since.elapsed(), Duration::ZERO);
    let [Fetched::Fault(FetchFault::UnknownTopicOrPartition), Fetched::Read(read)] = &of_appended[..] else {
        panic!("{of_appended:?}")
    };
    assert_eq!(read.slice.next_offset, 1);
    let [Fetched::Fault(FetchFault::UnknownTopicOrPartition), Fetched::Fault(FetchFault::Partition(_))] =
        &of_deleted[..]
    else {
        panic!("{of_deleted:?}")
    };
}

#[tokio::test(start_paused = true)]
async fn fetch_of_withheld_records_waits_for_them() {
    let withheld = FetchPartition { error_for_client: Some(FetchFault::UnsupportedCompression), ..idle(|_| ()) };
    let (partition, withheld) = (Arc::clone(withheld.partition.as_ref().unwrap()), vec![withheld]);
    let since = Instant::now();
    let waiting = tokio::spawn(
        Fetch { partitions: withheld, ..fetch(&partition, Isolation::ReadUncommitted) }.wait(Clock::start(), HOUR),
    );
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    partition.append(&outside_of_transactions(), Origin::Client, NOW).unwrap();
    let result = waiting.await.unwrap();
    assert_eq!(since.elapsed(), Duration::ZERO);
    assert!(matches!(result.partitions[..], [Fetched::Fault(FetchFault::UnsupportedCompression)]));
}
