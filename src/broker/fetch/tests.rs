//! Waiting fetches of committed records.

use std::path::Path;

use tokio::sync::watch;
use tokio::time::Instant;

use super::*;
use crate::broker::fetch_sessions::FetchTopic;
use crate::log::{Disk, Log, OpenAt, Origin, Simulation};
use crate::record::control::{ControlType, EndTxnMarker};
use crate::record::{BatchBuilder, Codec, Verified};
use crate::types::{ProducerIdEpoch, TopicId, TopicPartition};

const NOW: i64 = 1_700_000_000_000;
const PRODUCER: ProducerIdEpoch = ProducerIdEpoch { producer_id: 7, epoch: 0 };
const HOUR: Duration = Duration::from_secs(3600);

fn partition() -> Arc<Partition> {
    let disk = Disk::simulated(&Simulation::default());
    let log = Log::open(&disk, Path::new("/data/t-0"), Arc::default(), OpenAt::fresh(NOW)).unwrap();
    Arc::new(Partition::opened(TopicPartition::new("t", 0), TopicId::METADATA, 0, log, watch::Sender::new(())))
}

fn fetch(partition: &Arc<Partition>, isolation: Isolation) -> Fetch {
    let key = FetchKey { topic: FetchTopic::Name("t".into()), partition: 0 };
    let ask = PartitionAsk { fetch_offset: 0, max_bytes: 1 << 20, current_leader_epoch: -1, last_fetched_epoch: -1 };
    let partitions = vec![FetchPartition { key, ask, partition: Ok(Arc::clone(partition)) }];
    Fetch { partitions, max_bytes: 1 << 20, min_bytes: 1, isolation }
}

fn in_transaction() -> Verified {
    let mut batch = BatchBuilder::new(Codec::None).producer(PRODUCER, 0).transactional();
    batch.append(NOW, None, Some(b"x"), &[]);
    batch.build().unwrap()
}

fn abort() -> Verified {
    let marker = EndTxnMarker { coordinator_epoch: 0 };
    BatchBuilder::end_transaction(PRODUCER, ControlType::Abort, marker, NOW).unwrap()
}

/// What a fetch gave in the end: where the next begins, and where aborted transactions begin. It must have come at once
/// when it could: on a clock that jumps to the next timer whenever nothing else is left to do.
async fn outcome(waiting: tokio::task::JoinHandle<FetchResult>, since: Instant) -> (Offset, Vec<Offset>) {
    let result = waiting.await.unwrap();
    assert!(since.elapsed() < HOUR, "woken, and not by its timer");
    match &result.partitions[..] {
        [Fetched::Read(read)] => {
            (read.slice.next_offset, read.aborted.iter().map(|aborted| aborted.first_offset).collect())
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn readers_of_committed_records_wait_for_the_transactions_end() {
    let (partition, since) = (partition(), Instant::now());
    let committed = tokio::spawn(fetch(&partition, Isolation::ReadCommitted).wait(HOUR));
    let uncommitted = tokio::spawn(fetch(&partition, Isolation::ReadUncommitted).wait(HOUR));
    tokio::task::yield_now().await;
    partition.append(&in_transaction(), Origin::Client, NOW).unwrap();
    assert_eq!(outcome(uncommitted, since).await, (1, vec![]));
    assert!(!committed.is_finished(), "what is open is nothing to readers of committed records");
    partition.append(&abort(), Origin::Coordinator, NOW).unwrap();
    assert_eq!(outcome(committed, since).await, (2, vec![0]));
}
