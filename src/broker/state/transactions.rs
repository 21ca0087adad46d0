//! The transaction coordinators: a [`CoordinatorRuntime`] over `__transaction_state`, and the writer of their markers.
//!
//! If possible, markers are written at once, on the task that ended the transaction: then a client's next transaction
//! does not wait for the end of this one. If a partition cannot append its marker now, a task tries again until it can,
//! as Kafka does.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;

use super::cluster::NotServed;
use super::groups::Groups;
use super::housekeeping::Signals;
use super::partition::{Partition, PartitionError};
use super::publisher::Publisher;
use super::runtime::{CoordinatorRuntime, Hosted, LoggedMachine, PendingReply, Unavailable};
use crate::clock::Clock;
use ottla_core::coordinator::records::{RecordError, TransactionRecord, TransactionRecordError};
use ottla_core::coordinator::transaction::{
    self, MarkersWritten, TransactionAction, TransactionConfig, TransactionMachine, WriteMarkers,
};
use ottla_core::machine::{Command, Outcome};
use ottla_core::metadata::{CONSUMER_OFFSETS, TRANSACTION_STATE};
use ottla_log::{AppendError, Origin};
use ottla_wire::record::control::{ControlType, EndTxnMarker};
use ottla_wire::record::{BatchBuilder, Codec, Verified};
use ottla_wire::types::{Offset, ProducerIdEpoch, TopicPartition};

/// The first and the last wait before markers are tried again; it doubles in between.
const MARKER_RETRY_DELAY: Duration = Duration::from_millis(100);
const MAX_MARKER_RETRY_DELAY: Duration = Duration::from_secs(1);

/// The first `transaction.version` whose markers have an epoch above that of the records.
const MARKERS_WITH_NEW_EPOCH: i16 = 2;

impl LoggedMachine for TransactionMachine {
    // Without a lost record a transaction could be committed in one partition and open in another.
    const SKIP_CORRUPT_BATCHES: bool = false;
    const CHANGES_ONLY_BY_REPLAY: bool = false;

    fn encode(record: &TransactionRecord) -> Result<(Option<Bytes>, Option<Bytes>), String> {
        let (key, value) = record.encode().map_err(|error| error.to_string())?;
        Ok((Some(key), value))
    }

    fn decode(key: Option<Bytes>, value: Option<Bytes>) -> Result<Option<TransactionRecord>, String> {
        let key = key.ok_or("it has no key")?;
        match TransactionRecord::decode(&key, value.as_ref()) {
            Ok(record) => Ok(Some(record)),
            Err(TransactionRecordError::Record(error @ RecordError::UnknownType(_))) => {
                tracing::warn!(%error, "skipped a record of an unknown type in the transaction log");
                Ok(None)
            }
            Err(error) => Err(error.to_string()),
        }
    }
}

/// The marker of one transaction, as it is written to each partition.
struct Marker {
    batch: Verified,
    origin: Origin,
    producer: ProducerIdEpoch,
    outcome: Outcome,
}

/// The result of writing one marker.
enum Written {
    Done,
    /// Done once the partition is synced up to this offset.
    Unsynced(Arc<Partition>, Offset),
    TryAgain,
}

/// The transaction coordinators of all partitions of `__transaction_state`.
pub struct Transactions {
    clock: Clock,
    runtime: Arc<CoordinatorRuntime<TransactionMachine>>,
    publisher: Arc<Publisher>,
    groups: Arc<Groups>,
    housekeeping: Signals,
}

impl Transactions {
    pub fn new(
        clock: Clock,
        config: TransactionConfig,
        publisher: Arc<Publisher>,
        groups: Arc<Groups>,
        housekeeping: Signals,
    ) -> Arc<Transactions> {
        let config = Arc::new(config);
        Arc::new_cyclic(|this: &Weak<Transactions>| {
            let this = Weak::clone(this);
            let hosted = Hosted {
                name: "transaction",
                topic: TRANSACTION_STATE,
                codec: Codec::None,
                new_machine: Box::new(move || TransactionMachine::new(Arc::clone(&config))),
                act: Box::new(move |TransactionAction::WriteMarkers(markers)| {
                    if let Some(transactions) = this.upgrade() {
                        transactions.write_markers(markers);
                    }
                }),
            };
            let runtime = Arc::new(CoordinatorRuntime::new(clock, Arc::clone(&publisher), hosted));
            Transactions { clock, runtime, publisher, groups, housekeeping }
        })
    }

    /// The runtime of the machines.
    pub fn runtime(&self) -> &Arc<CoordinatorRuntime<TransactionMachine>> {
        &self.runtime
    }

    /// The partition of `__transaction_state` that coordinates the transactional id.
    pub fn partition_of(&self, transactional_id: &str) -> Result<Arc<Partition>, Unavailable> {
        self.runtime.partition(|count| transaction::partition_for(transactional_id, count))
    }

    /// Runs a command of one transactional id; see [`CoordinatorRuntime::submit`].
    pub fn submit<C>(&self, transactional_id: &str, command: C) -> Result<PendingReply<C>, Unavailable>
    where
        C: Command<Machine = TransactionMachine>,
    {
        self.runtime.submit(&self.partition_of(transactional_id)?, command)
    }

    /// Queries the transactional id's machine.
    pub fn query<T>(
        &self,
        transactional_id: &str,
        query: impl FnOnce(&TransactionMachine) -> T,
    ) -> Result<T, Unavailable> {
        self.runtime.query(&self.partition_of(transactional_id)?, query)
    }

    /// Waits until the transactional id's machine is loaded, at most `limit`.
    pub async fn wait_until_loaded(&self, transactional_id: &str, limit: Duration) {
        if let Ok(partition) = self.partition_of(transactional_id) {
            self.runtime.wait_until_loaded(&partition, limit).await;
        }
    }

    /// Whether the coordinator has a log to write to.
    pub fn is_available(&self, transactional_id: &str) -> bool {
        self.partition_of(transactional_id).is_ok_and(|partition| !partition.is_failed())
    }

    /// Writes the markers of a transaction that has ended, and reports those that are written.
    fn write_markers(self: &Arc<Self>, markers: WriteMarkers) {
        let attempt = self.write_missing(&markers);
        self.report_written(&markers, attempt.written);
        if !attempt.unsynced.is_empty() {
            let (this, markers) = (Arc::clone(self), markers.clone());
            tokio::spawn(async move { this.sync_markers(markers, attempt.unsynced).await });
        }
        if !attempt.to_retry.is_empty() {
            self.try_again(WriteMarkers { partitions: attempt.to_retry, ..markers }, MARKER_RETRY_DELAY);
        }
    }

    /// Writes the markers that the coordinator still waits for. The coordinator is locked meanwhile, so that its
    /// transaction cannot be completed before the write. Otherwise the marker could end the producer's next
    /// transaction, which has the same epoch in protocol 1.
    fn write_missing(&self, markers: &WriteMarkers) -> Attempt {
        let mut attempt = Attempt::default();
        let Ok(marker) = self.marker(markers).inspect_err(|error| {
            let transactional_id = &*markers.transactional_id;
            tracing::error!(transactional_id, %error, "failed to build a transaction marker");
        }) else {
            return attempt;
        };
        // A coordinator that is not available writes all markers again when it is loaded.
        let _ = self.query(&markers.transactional_id, |machine| {
            let missing = machine.unwritten(&markers.transactional_id, markers.position);
            for partition in missing.iter().filter(|partition| markers.partitions.contains(partition)) {
                match self.write_marker(partition, &marker) {
                    Written::Done => attempt.written.push(partition.clone()),
                    Written::Unsynced(log, end) => attempt.unsynced.push((partition.clone(), log, end)),
                    Written::TryAgain => attempt.to_retry.push(partition.clone()),
                }
            }
        });
        attempt
    }

    /// Builds the marker as a batch. Its coordinator epoch is the leader epoch of the coordinator's partition.
    fn marker(&self, markers: &WriteMarkers) -> Result<Marker, String> {
        let coordinator = self.partition_of(&markers.transactional_id).map_err(|error| error.to_string())?;
        let coordinator_epoch = coordinator.leader_epoch();
        marker(markers.producer, markers.outcome, coordinator_epoch, markers.transaction_version, self.clock.now().wall)
    }

    /// Appends the marker of a WriteTxnMarkers request, and syncs it if `flush.messages` requires that. Blocks on the
    /// disk.
    pub fn write_foreign_marker(&self, partition: &TopicPartition, foreign: &ForeignMarker) -> Result<(), MarkerError> {
        let ForeignMarker { producer, outcome, coordinator_epoch, transaction_version } = *foreign;
        let cluster = self.publisher.current();
        let log = cluster.partition(&partition.topic, partition.partition).map_err(MarkerError::NotServed)?;
        let marker = marker(producer, outcome, coordinator_epoch, transaction_version, self.clock.now().wall)
            .map_err(|_| MarkerError::Unavailable)?;
        let end = self.append_marker(log, &marker)?;
        match log.must_sync_before_ack(end) {
            true => log.sync_now().map_err(|_| MarkerError::Unavailable),
            false => Ok(()),
        }
    }

    fn write_marker(&self, partition: &TopicPartition, marker: &Marker) -> Written {
        let cluster = self.publisher.current();
        match cluster.partition(&partition.topic, partition.partition) {
            Ok(log) => match self.append_marker(log, marker) {
                Ok(end) if log.must_sync_before_ack(end) => Written::Unsynced(Arc::clone(log), end),
                Ok(_) => Written::Done,
                Err(MarkerError::Refused(error)) => {
                    // A newer transaction of the producer has ended in the partition, so this marker is not needed.
                    tracing::warn!(%partition, %error, "skipped a transaction marker that the partition refused");
                    Written::Done
                }
                Err(MarkerError::Unavailable | MarkerError::NotServed(_)) => Written::TryAgain,
            },
            // Deleted.
            Err(NotServed::Unknown) => Written::Done,
            Err(NotServed::NotLeader | NotServed::AbsentDirectory) => Written::TryAgain,
        }
    }

    /// Appends a marker, and returns the log end offset. In `__consumer_offsets`, a commit makes the transaction's
    /// offsets visible.
    fn append_marker(&self, log: &Arc<Partition>, marker: &Marker) -> Result<Offset, MarkerError> {
        if *log.id().topic == *CONSUMER_OFFSETS {
            let Marker { batch, origin, producer, outcome } = marker;
            return match self.groups.runtime().end_transaction(log, batch, *origin, *producer, *outcome) {
                Ok(end) => Ok(end),
                Err(Unavailable::Refused(error)) => Err(MarkerError::Refused(error)),
                Err(_) => Err(MarkerError::Unavailable),
            };
        }
        match log.append(&marker.batch, marker.origin, self.clock.now().wall) {
            Ok(appended) => {
                if appended.rolled {
                    self.housekeeping.rolled(log);
                }
                Ok(appended.last_offset + 1)
            }
            Err(PartitionError::Append(error)) if error.is_producer_error() => Err(MarkerError::Refused(error)),
            Err(_) => Err(MarkerError::Unavailable),
        }
    }

    fn report_written(&self, markers: &WriteMarkers, partitions: Vec<TopicPartition>) {
        if partitions.is_empty() {
            return;
        }
        let transactional_id = markers.transactional_id.clone();
        let id = transactional_id.clone();
        let report = MarkersWritten { transactional_id, position: markers.position, partitions };
        // A coordinator that is not available writes all markers again when it is loaded.
        let _ = self.submit(&id, report);
    }

    async fn sync_markers(self: Arc<Self>, markers: WriteMarkers, unsynced: Vec<Unsynced>) {
        let (written, to_retry) = synced(unsynced).await;
        self.report_written(&markers, written);
        if !to_retry.is_empty() {
            self.try_again(WriteMarkers { partitions: to_retry, ..markers }, MARKER_RETRY_DELAY);
        }
    }

    /// Writes the markers again after `delay`. If the coordinator stops or is loaded again meanwhile, nothing is
    /// written: a loaded coordinator requests its markers itself.
    fn try_again(self: &Arc<Self>, mut markers: WriteMarkers, mut delay: Duration) {
        let (this, clock) = (Arc::downgrade(self), self.clock);
        let retry = self.publisher.work().marker_retries.begin();
        tokio::spawn(async move {
            let _retry = retry;
            while !markers.partitions.is_empty() {
                clock.sleep(delay).await;
                let Some(transactions) = this.upgrade() else { return };
                let Attempt { mut written, unsynced, mut to_retry } = transactions.write_missing(&markers);
                let (also_written, also_to_retry) = synced(unsynced).await;
                written.extend(also_written);
                to_retry.extend(also_to_retry);
                transactions.report_written(&markers, written);
                markers.partitions = to_retry;
                delay = (delay * 2).min(MAX_MARKER_RETRY_DELAY);
            }
        });
    }
}

/// A marker that is appended but must be synced up to an offset.
type Unsynced = (TopicPartition, Arc<Partition>, Offset);

/// The result of one attempt to write the markers of a transaction.
#[derive(Default)]
struct Attempt {
    written: Vec<TopicPartition>,
    unsynced: Vec<Unsynced>,
    to_retry: Vec<TopicPartition>,
}

/// Syncs the partitions. Returns those whose markers are durable, and those where the sync failed.
async fn synced(unsynced: Vec<Unsynced>) -> (Vec<TopicPartition>, Vec<TopicPartition>) {
    let (mut written, mut to_retry) = (Vec::new(), Vec::new());
    for (partition, log, end) in unsynced {
        match log.sync_to(end).await {
            Ok(()) => written.push(partition),
            Err(_) => to_retry.push(partition),
        }
    }
    (written, to_retry)
}

/// Why a marker was not appended.
#[derive(Debug)]
pub enum MarkerError {
    NotServed(NotServed),
    /// The partition cannot append it now.
    Unavailable,
    /// The producer's state in the partition does not allow it.
    Refused(AppendError),
}

/// A marker of a WriteTxnMarkers request: no coordinator of this broker has decided it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForeignMarker {
    pub producer: ProducerIdEpoch,
    pub outcome: Outcome,
    pub coordinator_epoch: i32,
    pub transaction_version: i16,
}

fn marker(
    producer: ProducerIdEpoch,
    outcome: Outcome,
    coordinator_epoch: i32,
    transaction_version: i16,
    now: i64,
) -> Result<Marker, String> {
    let control = match outcome {
        Outcome::Commit => ControlType::Commit,
        Outcome::Abort => ControlType::Abort,
    };
    let batch = BatchBuilder::end_transaction(producer, control, EndTxnMarker { coordinator_epoch }, now)
        .map_err(|error| error.to_string())?;
    let origin = match transaction_version {
        MARKERS_WITH_NEW_EPOCH.. => Origin::CoordinatorV2,
        _ => Origin::Coordinator,
    };
    Ok(Marker { batch, origin, producer, outcome })
}
