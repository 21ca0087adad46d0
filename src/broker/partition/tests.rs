//! A partition on a simulated disk that fails.

use std::path::Path;
use std::pin::pin;
use std::task::{Context, Waker};

use super::*;
use crate::log::{Disk, OpenAt, Simulation};
use crate::record::{BatchBuilder, Codec};

const NOW: TimestampMs = 1_700_000_000_000;

/// A partition on `disk`, and what it wakes when it fails.
fn partition(disk: &Simulation) -> (Arc<Partition>, Arc<Notify>) {
    let (disk, trouble) = (Disk::simulated(disk), Arc::new(Notify::new()));
    let open: OpenLog = Box::new(move || Log::open(&disk, Path::new("/data/t-0"), Arc::default(), OpenAt::fresh(NOW)));
    let id = TopicPartition::new("t", 0);
    (Arc::new(Partition::new(id, TopicId::METADATA, 0, i64::MAX, open, Arc::clone(&trouble))), trouble)
}

fn append(partition: &Partition, value: &str) -> Result<Appended, PartitionError> {
    let mut batch = BatchBuilder::new(Codec::None);
    batch.append(NOW, None, Some(value.as_bytes()), &[]);
    partition.append(&batch.build().unwrap(), Origin::Client, NOW)
}

/// Whether `notify` was woken since this was last asked.
fn was_woken(notify: &Notify) -> bool {
    pin!(notify.notified()).poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

#[test]
fn a_full_disk_latches_until_it_has_room() {
    let disk = Simulation::default();
    let (partition, trouble) = partition(&disk);
    append(&partition, "a").unwrap();
    let fetch = Arc::new(Notify::new());
    let _waiting = partition.watch(&fetch);
    disk.fail_after_changes(Some(0));
    assert!(matches!(append(&partition, "b"), Err(PartitionError::Storage(_))));
    assert!(partition.is_failed() && was_woken(&trouble) && was_woken(&fetch));
    assert!(matches!(append(&partition, "c"), Err(PartitionError::Storage(LogError::Latched(_)))));
    assert!(!was_woken(&trouble), "told once");
    assert!(!partition.recover(NOW), "the disk fails still");
    let read = partition.read(0, 1000, true, Isolation::ReadUncommitted).unwrap();
    assert_eq!(read.high_watermark, 1, "what was written can be read");
    disk.fail_after_changes(None);
    assert!(partition.recover(NOW) && !partition.is_failed());
    assert!(was_woken(&fetch));
    assert_eq!(append(&partition, "b").unwrap().base_offset, 1);
}

#[test]
fn a_partition_that_could_not_be_opened_is_not_tried_by_everyone() {
    let disk = Simulation::default();
    let (partition, trouble) = partition(&disk);
    disk.fail_after_changes(Some(0));
    append(&partition, "a").unwrap_err();
    assert!(partition.is_failed() && was_woken(&trouble));
    disk.fail_after_changes(None);
    append(&partition, "a").unwrap_err();
    assert!(partition.recover(NOW));
    assert_eq!(append(&partition, "a").unwrap().base_offset, 0);
}

#[test]
fn settings_change_and_topics_go_while_a_log_has_failed() {
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
