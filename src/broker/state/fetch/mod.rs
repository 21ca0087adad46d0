//! Reading for consumers: many partitions under one limit, and waiting until there is enough.
//!
//! Waiting is being woken: a fetch is on the list of each of its partitions, an append wakes it,
//! and a timer ends it. Nothing polls.
//!
//! What hurries an answer is as in Kafka (`KafkaApis.handleFetchRequest`, `ReplicaManager.fetchMessages`,
//! `DelayedFetch`): enough bytes, or a partition that cannot be read, such as an offset out of range, a fenced leader
//! epoch, a failed log, a partition deleted meanwhile. Topics and partitions that the metadata doesn't know are told
//! when the others have been waited for; where there are no others, at once.

#[cfg(test)]
mod tests;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::Notify;

use super::cluster::NotServed;
use super::fetch_sessions::{FetchKey, PartitionAsk};
use super::partition::{Isolation, Offsets, Partition, PartitionError, Read};
use ottla_wire::record::converts_to_nothing;
use ottla_wire::types::{LeaderEpoch, Offset};

/// A fetch, with the partitions it names looked up.
#[derive(Debug)]
pub struct Fetch {
    pub partitions: Vec<FetchPartition>,
    /// Bytes of the whole answer at the most; the first batch is given whole even so, or a consumer
    /// could never get past it.
    pub max_bytes: usize,
    /// With fewer than these the fetch waits.
    pub min_bytes: usize,
    pub isolation: Isolation,
    /// Whether what is read is converted to an old format: batches that nothing is left of then, such as control
    /// batches, are no answer, and reading goes on behind them.
    pub converted: bool,
}

/// One partition of a fetch.
#[derive(Debug)]
pub struct FetchPartition {
    pub key: FetchKey,
    pub ask: PartitionAsk,
    /// An error is of the metadata, and is not changed by waiting.
    pub partition: Result<Arc<Partition>, FetchFault>,
    /// What is answered instead of what was read: records that the client couldn't read are waited for as others are.
    pub withheld: Option<FetchFault>,
}

/// Why one partition of a fetch can't be read; Kafka's codes of the same names.
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
    #[error("the partition lies in a log directory that this broker does not have")]
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

/// What became of one partition.
#[derive(Clone, Debug)]
pub enum Fetched {
    Read(Read),
    /// The client's log and ours part after `end_offset` (KIP-595): it must truncate.
    Diverging {
        epoch: LeaderEpoch,
        end_offset: Offset,
        offsets: Offsets,
    },
    Fault(FetchFault),
}

/// The partitions of a fetch, in its order.
#[derive(Debug)]
pub struct FetchResult {
    pub partitions: Vec<Fetched>,
    bytes: usize,
    /// Whether a partition could not be read.
    failed: bool,
}

impl Fetch {
    /// Reads what there is now.
    pub fn read(&self) -> FetchResult {
        let mut left = self.max_bytes;
        let mut result = FetchResult { partitions: Vec::with_capacity(self.partitions.len()), bytes: 0, failed: false };
        for partition in &self.partitions {
            let fetched = self.read_partition(partition, left, result.bytes == 0);
            match &fetched {
                Fetched::Read(read) => {
                    result.bytes += read.slice.bytes.len();
                    left = left.saturating_sub(read.slice.bytes.len());
                }
                Fetched::Diverging { .. } | Fetched::Fault(_) => result.failed |= !partition.is_unknown(),
            }
            result.partitions.push(partition.withheld.clone().map_or(fetched, Fetched::Fault));
        }
        result
    }

    fn read_partition(&self, partition: &FetchPartition, left: usize, at_least_one: bool) -> Fetched {
        let mut from = partition.ask.fetch_offset;
        loop {
            let fetched = partition.read(from, left, at_least_one, self);
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

    /// Whether what was read is answered without waiting.
    pub fn is_satisfied_by(&self, result: &FetchResult) -> bool {
        result.failed || result.bytes >= self.min_bytes || self.partitions.iter().all(|p| p.partition.is_err())
    }

    /// Reads again whenever one of the partitions changes, until it is enough or `max_wait` is over.
    pub async fn wait(self, max_wait: Duration) -> FetchResult {
        let mut over = pin!(tokio::time::sleep(max_wait));
        let notify = Arc::new(Notify::new());
        // Registered before the first reading: an append in between leaves its permit in `notify`.
        let _registrations: Vec<_> =
            self.partitions.iter().filter_map(|p| Some(p.partition.as_ref().ok()?.watch(&notify))).collect();
        loop {
            let result = self.read();
            if self.is_satisfied_by(&result) {
                return result;
            }
            tokio::select! {
                () = &mut over => return self.read(),
                () = notify.notified() => {}
            }
        }
    }
}

impl FetchPartition {
    /// Whether the metadata does not have it. As in Kafka, that does not end the wait.
    fn is_unknown(&self) -> bool {
        matches!(self.partition, Err(FetchFault::UnknownTopicId | FetchFault::UnknownTopicOrPartition))
    }

    fn read(&self, from: Offset, left: usize, at_least_one: bool, fetch: &Fetch) -> Fetched {
        let partition = match &self.partition {
            Ok(partition) => partition,
            Err(fault) => return Fetched::Fault(fault.clone()),
        };
        self.read_from(partition, from, left, at_least_one, fetch).unwrap_or_else(Fetched::Fault)
    }

    fn read_from(
        &self,
        partition: &Partition,
        from: Offset,
        left: usize,
        at_least_one: bool,
        fetch: &Fetch,
    ) -> Result<Fetched, FetchFault> {
        check_leader_epoch(self.ask.current_leader_epoch, partition.leader_epoch())?;
        if let Some(diverging) = self.diverging(partition)? {
            return Ok(diverging);
        }
        let max_bytes = usize::try_from(self.ask.max_bytes).unwrap_or(0).min(left);
        let read = match fetch.converted {
            true => partition.read_copied(from, max_bytes, at_least_one, fetch.isolation),
            false => partition.read(from, max_bytes, at_least_one, fetch.isolation),
        };
        Ok(Fetched::Read(read?))
    }

    /// Whether the records the client has are not the ones this log has (KIP-595).
    fn diverging(&self, partition: &Partition) -> Result<Option<Fetched>, FetchFault> {
        let last_fetched = self.ask.last_fetched_epoch;
        if last_fetched < 0 {
            return Ok(None);
        }
        let offsets = partition.offsets()?;
        let Some((epoch, end_offset)) = partition.end_offset_for_epoch(last_fetched)? else {
            return Err(FetchFault::Partition(PartitionError::OutOfRange {
                asked: self.ask.fetch_offset,
                start: offsets.start,
                end: offsets.end,
            }));
        };
        let diverges = epoch < last_fetched || end_offset < self.ask.fetch_offset;
        Ok(diverges.then_some(Fetched::Diverging { epoch, end_offset, offsets }))
    }
}

/// Compares the leader epoch a client knows (-1: none) with the partition's (KIP-320).
pub fn check_leader_epoch(known: LeaderEpoch, current: LeaderEpoch) -> Result<(), FetchFault> {
    match known {
        ..0 => Ok(()),
        known if known < current => Err(FetchFault::FencedLeaderEpoch),
        known if known > current => Err(FetchFault::UnknownLeaderEpoch),
        _ => Ok(()),
    }
}
