//! Partitions on a simulated disk with faults.

use std::path::Path;
use std::pin::pin;
use std::task::{Context, Waker};

use super::*;
use ottla_log::{Disk, DiskOp, Fault, OpenParams, Simulation, TimestampQuery, TxnStateError};
use ottla_wire::record::control::{ControlType, EndTxnMarker};
use ottla_wire::record::{BatchBuilder, Codec};

const NOW: TimestampMs = 1_700_000_000_000;

/// A partition on `disk`, and the receiver that is notified when it fails.
fn partition(disk: &Simulation) -> (Arc<Partition>, watch::Receiver<()>) {
    partition_at(disk, OpenParams::fresh(NOW))
}

fn partition_at(disk: &Simulation, at: OpenParams) -> (Arc<Partition>, watch::Receiver<()>) {
    let (disk, partition_failed) = (Disk::simulated(disk), watch::Sender::new(()));
    let notified = partition_failed.subscribe();
    let open: OpenLog = Box::new(move || Log::open(&disk, Path::new("/data/t-0"), Arc::default(), at));
    let id = TopicPartition::new("t", 0);
    (Arc::new(Partition::new(id, TopicId::METADATA, 0, i64::MAX, open, partition_failed)), notified)
}

fn append(partition: &Partition, value: &str) -> Result<Appended, PartitionError> {
    append_at(partition, value, NOW)
}

fn append_at(partition: &Partition, value: &str, now: TimestampMs) -> Result<Appended, PartitionError> {
    let mut batch = BatchBuilder::new(Codec::None);
    batch.append(now, None, Some(value.as_bytes()), &[]);
    partition.append(&batch.build().unwrap(), Origin::Client, now)
}

/// Whether a failure was reported since the last call.
fn was_notified(partition_failed: &mut watch::Receiver<()>) -> bool {
    let notified = partition_failed.has_changed().unwrap();
    partition_failed.mark_unchanged();
    notified
}

/// Whether `notify` was woken since the last call.
fn was_woken(notify: &Notify) -> bool {
    pin!(notify.notified()).poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

#[test]
fn partition_with_full_disk_is_offline_until_the_disk_has_space() {
    let disk = Simulation::default();
    let (partition, mut partition_failed) = partition(&disk);
    append(&partition, "a").unwrap();
    let fetch = Arc::new(Notify::new());
    let _waiting = partition.watch(&fetch);
    disk.fail_after_changes(Some(0));
    assert!(matches!(append(&partition, "b"), Err(PartitionError::Storage(_))));
    assert!(partition.is_failed() && was_notified(&mut partition_failed) && was_woken(&fetch));
    assert!(matches!(append(&partition, "c"), Err(PartitionError::Storage(LogError::Latched(_)))));
    assert!(!was_notified(&mut partition_failed), "it was notified before");
    assert!(!partition.recover(NOW), "the disk still fails");
    let read = partition.read(0, 1000, true, Isolation::ReadUncommitted).unwrap();
    assert_eq!(read.high_watermark, 1, "the records before the failure are readable");
    disk.fail_after_changes(None);
    assert!(partition.recover(NOW) && !partition.is_failed());
    assert!(was_woken(&fetch));
    assert_eq!(append(&partition, "b").unwrap().base_offset, 1);
}

#[test]
fn partition_that_could_not_be_opened_is_not_opened_by_requests() {
    let disk = Simulation::default();
    let (partition, mut partition_failed) = partition(&disk);
    disk.fail_after_changes(Some(0));
    append(&partition, "a").unwrap_err();
    assert!(partition.is_failed() && was_notified(&mut partition_failed));
    disk.fail_after_changes(None);
    append(&partition, "a").unwrap_err();
    assert!(partition.recover(NOW));
    assert_eq!(append(&partition, "a").unwrap().base_offset, 0);
}

#[test]
fn failed_partition_accepts_changed_settings_and_deletion() {
    let disk = Simulation::default();
    let (partition, _) = partition(&disk);
    append(&partition, "a").unwrap();
    disk.fail_after_changes(Some(0));
    append(&partition, "b").unwrap_err();
    disk.fail_after_changes(None);
    let config = LogConfig { retention_ms: 5, ..LogConfig::default() };
    partition.set_config(Arc::new(config.clone()), i64::MAX);
    assert!(partition.recover(NOW));
    assert_eq!(partition.if_open(|log| (**log.config()).clone()), Some(config));
    disk.fail_after_changes(Some(0));
    append(&partition, "b").unwrap_err();
    disk.fail_after_changes(None);
    assert!(matches!(partition.delete(Uuid([7; 16])), Some(Ok(_))));
    assert!(!partition.is_failed());
    assert!(matches!(append(&partition, "c"), Err(PartitionError::Deleted)));
}

#[tokio::test]
async fn concurrent_appends_share_one_sync() {
    let disk = Simulation::default();
    let (partition, _) = partition(&disk);
    append(&partition, "first").unwrap();
    partition.sync_to(1).await.unwrap();
    let before = disk.syncs();
    let ends: Vec<Offset> = (0..64).map(|_| append(&partition, "x").unwrap().last_offset + 1).collect();
    let waiting: Vec<_> = ends
        .into_iter()
        .map(|end| {
            let partition = Arc::clone(&partition);
            tokio::spawn(async move { partition.sync_to(end).await })
        })
        .collect();
    for acknowledged in waiting {
        acknowledged.await.unwrap().unwrap();
    }
    assert_eq!(disk.syncs() - before, 1, "one sync of one file");
    assert_eq!(partition.if_open(|log| log.durable_offset()), Some(65));
}

#[tokio::test]
async fn failed_sync_is_an_error_for_all_waiting_appends_and_reopening_syncs_them() {
    let disk = Simulation::default();
    let (partition, _) = partition(&disk);
    append(&partition, "a").unwrap();
    disk.inject_faults(|op| (op == DiskOp::Sync).then_some(Fault::SyncDropsDirtyPages));
    assert!(partition.sync_to(1).await.is_err());
    assert!(partition.sync_to(1).await.is_err());
    let read = partition.read(0, 1000, true, Isolation::ReadUncommitted);
    assert!(matches!(read, Err(PartitionError::Storage(_))), "the content of the page cache is unknown");
    disk.clear_faults();
    assert!(partition.recover(NOW));
    let before = disk.syncs();
    partition.sync_to(1).await.unwrap();
    assert_eq!(disk.syncs(), before, "it was synced when it was opened");
    let survivor = disk.power_loss(&mut || 0);
    let (partition, _) = self::partition(&survivor);
    assert_eq!(partition.offsets().unwrap().end, 1);
}

#[test]
fn records_without_acknowledgement_are_synced_before_a_reopened_log_is_read() {
    for (flush_messages, durable) in [(1, 1), (i64::MAX, 0)] {
        let disk = Simulation::default();
        let (partition, _) = partition(&disk);
        partition.set_config(Arc::default(), flush_messages);
        append(&partition, "a").unwrap();
        disk.inject_faults(|op| (op == DiskOp::Write).then_some(Fault::NoSpace));
        append(&partition, "b").unwrap_err();
        disk.clear_faults();
        assert!(partition.recover(NOW));
        assert_eq!(partition.if_open(|log| (log.end_offset(), log.durable_offset())), Some((1, durable)));
        // As after kill -9.
        let (partition, _) = partition_at(&disk, OpenParams { clean_shutdown: false, ..OpenParams::fresh(NOW) });
        partition.set_config(Arc::default(), flush_messages);
        assert_eq!(partition.offsets().unwrap().end, 1);
        assert_eq!(partition.if_open(|log| log.durable_offset()), Some(durable));
    }
}

#[test]
fn changed_flush_messages_decides_whether_an_append_waits_for_a_sync() {
    let disk = Simulation::default();
    let (partition, _) = partition(&disk);
    let end = append(&partition, "a").unwrap().last_offset + 1;
    let cases = [(i64::MAX, false), (2, false), (1, true)];
    for (flush_messages, expect) in cases {
        partition.set_config(Arc::default(), flush_messages);
        assert_eq!(partition.must_sync_before_ack(end), expect, "{flush_messages}");
    }
    partition.sync_now().unwrap();
    assert!(!partition.must_sync_before_ack(end));
}

/// Builds a batch that begins a producer's transaction.
fn in_transaction(producer: ProducerIdEpoch) -> VerifiedSet {
    let mut batch = BatchBuilder::new(Codec::None).producer(producer, 0).transactional();
    batch.append(NOW, None, Some(b"x"), &[]);
    VerifiedSet { first: batch.build().unwrap(), rest: Vec::new() }
}

#[test]
fn transaction_begins_only_with_a_verification_newer_than_the_last_marker() {
    let (partition, _) = partition(&Simulation::default());
    let producer = ProducerIdEpoch { producer_id: 7, epoch: 0 };
    let set = in_transaction(producer);
    let not_verified = |appended: Result<Appended, PartitionError>| {
        let why = TxnStateError::NotVerified;
        matches!(appended, Err(PartitionError::Append(AppendError::InvalidTxnState { why: found, .. })) if found == why)
    };
    assert!(not_verified(partition.append_set(&set, Origin::Client, NOW)));
    assert!(not_verified(partition.append(&set.first, Origin::Coordinator, NOW)));
    let late = partition.begin_verification(producer, 0, false, NOW).unwrap().confirmed();
    let marker = EndTxnMarker { coordinator_epoch: 0 };
    let marker = BatchBuilder::end_transaction(producer, ControlType::Abort, marker, NOW).unwrap();
    partition.append(&marker, Origin::Coordinator, NOW).unwrap();
    assert!(not_verified(partition.append_set_verified(&set, Origin::Client, late, NOW)));
    let verified = partition.begin_verification(producer, 0, false, NOW).unwrap().confirmed();
    partition.append_set_verified(&set, Origin::Client, verified, NOW).unwrap();
    assert_eq!(partition.offsets().unwrap(), Offsets { start: 0, last_stable: 1, end: 2 });
    let older = ProducerIdEpoch { epoch: -1, ..producer };
    let refused = partition.begin_verification(older, 0, false, NOW);
    assert!(matches!(refused, Err(PartitionError::Append(AppendError::InvalidProducerEpoch { .. }))), "{refused:?}");
}

#[test]
fn current_leader_epoch_begins_at_the_end_of_the_log() {
    let (partition, _) = partition(&Simulation::default());
    let ends = |epochs: [LeaderEpoch; 5]| epochs.map(|epoch| partition.end_offset_for_epoch(epoch).unwrap());
    let epoch_at = |query| partition.offset_for_timestamp(query).unwrap().unwrap().leader_epoch;
    let epochs_at_ends = || (epoch_at(TimestampQuery::Earliest), epoch_at(TimestampQuery::Latest));

    partition.raise_leader_epoch(2);
    assert_eq!(ends([-1, 0, 1, 2, 3]), [None, Some((0, 0)), Some((1, 0)), Some((2, 0)), None]);
    assert_eq!(epochs_at_ends(), (2, 2));
    append(&partition, "a").unwrap();
    partition.raise_leader_epoch(5);
    // The newest record has epoch 2, the next one will have 5.
    assert_eq!(ends([1, 2, 4, 5, 6]), [Some((1, 0)), Some((2, 1)), Some((2, 1)), Some((5, 1)), None]);
    assert_eq!(epochs_at_ends(), (2, 5));
    append(&partition, "b").unwrap();
    assert_eq!(ends([1, 2, 4, 5, 6]), [Some((1, 0)), Some((2, 1)), Some((2, 1)), Some((5, 2)), None]);
    assert_eq!(epochs_at_ends(), (2, 5));
    partition.delete_records(1).unwrap();
    assert_eq!(ends([1, 2, 4, 5, 6]), [Some((1, 1)), Some((2, 1)), Some((4, 1)), Some((5, 2)), None]);
    assert_eq!(epochs_at_ends(), (5, 5));
    partition.raise_leader_epoch(7);
    partition.delete_records(2).unwrap();
    assert_eq!(epochs_at_ends(), (7, 7));
}

#[test]
fn failed_read_does_not_take_the_partition_offline() {
    let disk = Simulation::default();
    let (partition, mut partition_failed) = partition(&disk);
    for value in ["a", "b", "c"] {
        append(&partition, value).unwrap();
    }
    let read = |from| partition.read(from, 1000, true, Isolation::ReadUncommitted);
    disk.inject_faults(|op| (op == DiskOp::Read).then_some(Fault::Error));
    assert!(matches!(read(0), Err(PartitionError::Storage(LogError::Io { .. }))));
    assert!(matches!(partition.offset_for_timestamp(TimestampQuery::At(NOW)), Err(PartitionError::Storage(_))));
    assert!(!partition.is_failed() && !was_notified(&mut partition_failed));
    assert_eq!(append(&partition, "d").unwrap().base_offset, 3, "appends still work");
    disk.clear_faults();
    assert_eq!(read(0).unwrap().slice.next_offset, 4);
    assert!(partition.offset_for_timestamp(TimestampQuery::At(NOW)).unwrap().is_some());
}

/// An access to a truncated file. Returns whether it failed.
type Access = (&'static str, fn(&Partition) -> bool);

#[test]
fn truncated_file_takes_the_partition_offline_at_every_access() {
    let path = Path::new("/data/t-0/00000000000000000000.log");
    let accesses: [Access; 6] = [
        ("fetch", |it| it.read(0, 1000, true, Isolation::ReadUncommitted).is_err()),
        ("replay", |it| it.read_copied(0, 1000, true, Isolation::ReadUncommitted).is_err()),
        ("list offsets", |it| it.offset_for_timestamp(TimestampQuery::Max).is_err()),
        // An append within the same millisecond does not check the file.
        ("append", |it| append_at(it, "more", NOW + 1).is_err()),
        ("periodic check", |it| it.if_open(Log::check_active).is_none_or(|seen| seen.is_err())),
        ("close", |it| it.close(false).is_none_or(|closed| closed.is_err())),
    ];
    for (what, fails) in accesses {
        let disk = Simulation::default();
        let (partition, mut partition_failed) = partition(&disk);
        for value in ["a", "b", "c"] {
            append(&partition, value).unwrap();
        }
        disk.corrupt(path, |bytes| bytes.truncate(bytes.len() / 2));
        assert!(fails(&partition), "{what}");
        assert!(partition.is_failed() && was_notified(&mut partition_failed), "{what}");
        let failure = partition.health.failure().unwrap();
        assert!(
            failure.contains("was truncated while it was in use") && failure.contains("00.log"),
            "{what}: {failure}"
        );
        assert!(append(&partition, "d").is_err(), "{what}");
        assert!(partition.read(0, 1, true, Isolation::ReadUncommitted).is_err(), "{what}");
        assert!(!partition.recover(NOW), "{what}: the records are still lost");
        assert_eq!(partition.health.failure(), Some(failure), "{what}: the same failure");
    }
}

#[test]
fn append_at_an_end_succeeds_only_while_the_log_ends_there() {
    let disk = Simulation::default();
    let (partition, _partition_failed) = partition(&disk);
    let mut batch = BatchBuilder::new(Codec::None);
    batch.append(NOW, None, Some(b"a"), &[]);
    let batch = batch.build().unwrap();
    let append_at = |end| partition.append_at(end, &batch, Origin::Coordinator, NOW).unwrap();
    let start = partition.log_end().unwrap();
    assert_eq!(append_at(start).unwrap().base_offset, 0);
    assert_eq!(append_at(start), None);
    let end = partition.log_end().unwrap();
    append(&partition, "of another writer").unwrap();
    assert_eq!(append_at(end), None);
    assert_eq!(append_at(LogEnd { offset: 2, ..end }).unwrap().base_offset, 2);
    // Opened again after a failure, the log may have other records up to the same offset.
    let end = partition.log_end().unwrap();
    disk.fail_after_changes(Some(0));
    append(&partition, "lost").unwrap_err();
    assert!(partition.append_at(end, &batch, Origin::Coordinator, NOW).is_err());
    disk.fail_after_changes(None);
    assert!(partition.recover(NOW));
    assert_eq!(append_at(end), None);
    assert_eq!(append_at(partition.log_end().unwrap()).unwrap().base_offset, 3);
}
