//! Fetches: reads several partitions up to one size limit, and waits until there are enough bytes.
//!
//! A waiting fetch is registered with each of its partitions. An append wakes it, or a timer ends the wait. Nothing
//! polls.
//!
//! A fetch is answered at once for the same reasons as in Kafka (`KafkaApis.handleFetchRequest`,
//! `ReplicaManager.fetchMessages`, `DelayedFetch`): enough bytes, or a partition that cannot be read, for example
//! because of an offset out of range, a fenced leader epoch, a failed log, or because it was deleted meanwhile. An
//! unknown topic or partition does not end the wait, unless the fetch has no other partitions.

#[cfg(test)]
mod tests;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::Notify;

use super::cluster::NotServed;
use super::fetch_sessions::{FetchKey, PartitionRequest};
use super::partition::{Isolation, Offsets, Partition, PartitionError, Read};
use crate::clock::Clock;
use ottla_wire::record::converts_to_nothing;
use ottla_wire::types::{LeaderEpoch, Offset};

/// A fetch whose partitions have been looked up.
#[derive(Debug)]
pub struct Fetch {
    pub partitions: Vec<FetchPartition>,
    /// The largest size of the response. A larger first batch is returned nevertheless, because the consumer cannot
    /// continue without it.
    pub max_bytes: usize,
    /// The fetch waits while there are fewer bytes.
    pub min_bytes: usize,
    pub isolation: Isolation,
    /// Whether the records are converted to an old format. Batches without a record in that format, such as control
    /// batches, are then skipped.
    pub converted: bool,
}

/// One partition of a fetch.
#[derive(Debug)]
pub struct FetchPartition {
    pub key: FetchKey,
    pub request: PartitionRequest,
    /// The partition, or an error of the metadata, which waiting does not change.
    pub partition: Result<Arc<Partition>, FetchFault>,
    /// The error to return instead of the partition's records, if the client cannot read them. The fetch waits for
    /// these records like for any others.
    pub error_for_client: Option<FetchFault>,
}

/// Why a partition of a fetch cannot be read. Kafka's error codes have the same names.
#[derive(Clone, Debug, Error)]
pub enum FetchFault {
    #[error("the client may not read this topic")]
    TopicAuthorizationFailed,
    #[error("no topic has this id")]
    UnknownTopicId,
    #[error("no such topic or partition")]
    UnknownTopicOrPartition,
    #[error("this broker is not the leader of the partition")]
    NotLeader,
    #[error("the partition is in a log directory that this broker does not have")]
    AbsentDirectory,
    #[error("the client's leader epoch is older than the partition's")]
    FencedLeaderEpoch,
    #[error("the client's leader epoch is newer than the partition's")]
    UnknownLeaderEpoch,
    #[error("the topic's codec is unknown to the client")]
    UnsupportedCompression,
    #[error(transparent)]
    Partition(#[from] PartitionError),
}

impl From<NotServed> for FetchFault {
    fn from(why: NotServed) -> Self {
        match why {
            NotServed::Unknown => FetchFault::UnknownTopicOrPartition,
            NotServed::NotLeader => FetchFault::NotLeader,
            NotServed::AbsentDirectory => FetchFault::AbsentDirectory,
        }
    }
}

/// The outcome for one partition.
#[derive(Clone, Debug)]
pub enum Fetched {
    Read(Read),
    /// The client's log differs from this one after `end_offset` (KIP-595): it must truncate.
    Diverging {
        epoch: LeaderEpoch,
        end_offset: Offset,
        offsets: Offsets,
    },
    Fault(FetchFault),
}

/// The outcomes of a fetch, in the order of its partitions.
#[derive(Debug, Default)]
pub struct FetchResult {
    pub partitions: Vec<Fetched>,
    bytes: usize,
    /// Whether a known partition could not be read.
    failed: bool,
    /// Whether the longest wait had passed.
    pub expired: bool,
}

impl Fetch {
    /// Reads the records that are available now.
    pub fn read(&self) -> FetchResult {
        let mut bytes_left = self.max_bytes;
        let mut result =
            FetchResult { partitions: Vec::with_capacity(self.partitions.len()), ..FetchResult::default() };
        for partition in &self.partitions {
            let fetched = self.read_partition(partition, bytes_left, result.bytes == 0);
            match &fetched {
                Fetched::Read(read) => {
                    result.bytes += read.slice.bytes.len();
                    bytes_left = bytes_left.saturating_sub(read.slice.bytes.len());
                }
                Fetched::Diverging { .. } | Fetched::Fault(_) => result.failed |= !partition.is_unknown(),
            }
            result.partitions.push(partition.error_for_client.clone().map_or(fetched, Fetched::Fault));
        }
        result
    }

    fn read_partition(&self, partition: &FetchPartition, bytes_left: usize, at_least_one: bool) -> Fetched {
        let mut from = partition.request.fetch_offset;
        loop {
            let fetched = partition.read(from, bytes_left, at_least_one, self);
            match &fetched {
                Fetched::Read(Read { slice, .. })
                    if self.converted && !slice.bytes.is_empty() && converts_to_nothing(&slice.bytes, from) =>
                {
                    from = slice.next_offset;
                }
                _ => return fetched,
            }
        }
    }

    /// Whether the fetch is answered without waiting further.
    pub fn is_satisfied_by(&self, result: &FetchResult) -> bool {
        result.failed || result.bytes >= self.min_bytes || self.partitions.iter().all(|p| p.partition.is_err())
    }

    /// Reads again each time one of the partitions changes, until the fetch is satisfied or `max_wait` is over.
    pub async fn wait(self, clock: Clock, max_wait: Duration) -> FetchResult {
        let mut timeout = pin!(clock.sleep(max_wait));
        let notify = Arc::new(Notify::new());
        // Registered before the first read, so that an append after it leaves a permit in `notify`.
        let _registrations: Vec<_> =
            self.partitions.iter().filter_map(|p| Some(p.partition.as_ref().ok()?.watch(&notify))).collect();
        loop {
            let result = self.read();
            if self.is_satisfied_by(&result) {
                return result;
            }
            tokio::select! {
                () = &mut timeout => return FetchResult { expired: true, ..self.read() },
                () = notify.notified() => {}
            }
        }
    }
}

impl FetchPartition {
    /// Whether the metadata does not have the partition. As in Kafka, this does not end the wait.
    fn is_unknown(&self) -> bool {
        matches!(self.partition, Err(FetchFault::UnknownTopicId | FetchFault::UnknownTopicOrPartition))
    }

    fn read(&self, from: Offset, bytes_left: usize, at_least_one: bool, fetch: &Fetch) -> Fetched {
        let partition = match &self.partition {
            Ok(partition) => partition,
            Err(fault) => return Fetched::Fault(fault.clone()),
        };
        self.read_from(partition, from, bytes_left, at_least_one, fetch).unwrap_or_else(Fetched::Fault)
    }

    fn read_from(
        &self,
        partition: &Partition,
        from: Offset,
        bytes_left: usize,
        at_least_one: bool,
        fetch: &Fetch,
    ) -> Result<Fetched, FetchFault> {
        check_leader_epoch(self.request.current_leader_epoch, partition.leader_epoch())?;
        if let Some(diverging) = self.diverging(partition)? {
            return Ok(diverging);
        }
        let max_bytes = usize::try_from(self.request.max_bytes).unwrap_or(0).min(bytes_left);
        let read = match fetch.converted {
            true => partition.read_copied(from, max_bytes, at_least_one, fetch.isolation),
            false => partition.read(from, max_bytes, at_least_one, fetch.isolation),
        };
        Ok(Fetched::Read(read?))
    }

    /// Returns where the client's log and this one differ, if they do (KIP-595).
    fn diverging(&self, partition: &Partition) -> Result<Option<Fetched>, FetchFault> {
        let last_fetched = self.request.last_fetched_epoch;
        if last_fetched < 0 {
            return Ok(None);
        }
        let offsets = partition.offsets()?;
        let Some((epoch, end_offset)) = partition.end_offset_for_epoch(last_fetched)? else {
            return Err(FetchFault::Partition(PartitionError::OutOfRange {
                asked: self.request.fetch_offset,
                start: offsets.start,
                end: offsets.end,
            }));
        };
        let diverges = epoch < last_fetched || end_offset < self.request.fetch_offset;
        Ok(diverges.then_some(Fetched::Diverging { epoch, end_offset, offsets }))
    }
}

/// Compares the leader epoch that a client knows (-1: none) with the partition's (KIP-320).
pub fn check_leader_epoch(known: LeaderEpoch, current: LeaderEpoch) -> Result<(), FetchFault> {
    match known {
        ..0 => Ok(()),
        known if known < current => Err(FetchFault::FencedLeaderEpoch),
        known if known > current => Err(FetchFault::UnknownLeaderEpoch),
        _ => Ok(()),
    }
}
