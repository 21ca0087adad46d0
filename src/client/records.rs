//! Produce, Fetch and ListOffsets requests, mostly for one partition.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bytes::Bytes;

use super::{Client, ClientError, Pending, Result, check_error_code};
use ottla_wire::codec::Str;
use ottla_wire::protocol::ApiKey;
use ottla_wire::protocol::messages::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic};
use ottla_wire::protocol::messages::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use ottla_wire::protocol::messages::produce::{
    PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData,
};
use ottla_wire::types::{LeaderEpoch, Offset, PartitionIndex, TimestampMs};

/// The last versions of Produce and Fetch that identify topics by name instead of id.
const PRODUCE_BY_NAME: i16 = 12;
const FETCH_BY_NAME: i16 = 12;
/// The isolation level `read_uncommitted`.
const READ_UNCOMMITTED: i8 = 0;
/// How long the broker may take to store a batch.
const PRODUCE_TIMEOUT_MS: i32 = 30_000;

/// The result of producing a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Produced {
    pub base_offset: Offset,
    /// -1 if the topic keeps the producer's timestamps.
    pub log_append_time: TimestampMs,
    pub log_start_offset: Offset,
}

/// The result of fetching from one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Complete batches, the last of which may be cut off; see [`ottla_wire::record::batches`].
    pub records: Bytes,
    pub high_watermark: Offset,
    pub last_stable_offset: Offset,
    pub log_start_offset: Offset,
}

/// An offset found by ListOffsets, with the timestamp and epoch of its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedOffset {
    /// -1 if no record matches.
    pub offset: Offset,
    pub timestamp: TimestampMs,
    pub leader_epoch: LeaderEpoch,
}

impl Client {
    /// Produces one batch, unchanged, and awaits the acknowledgement (acks -1).
    pub async fn produce(&self, topic: &str, partition: PartitionIndex, batch: Bytes) -> Result<Produced> {
        produced(self.submit_produce(topic, partition, batch).await?.response().await?)
    }

    /// Sends one batch without awaiting the response, for pipelining; pass the response to [`produced`].
    pub async fn submit_produce(
        &self,
        topic: &str,
        partition: PartitionIndex,
        batch: Bytes,
    ) -> Result<Pending<ProduceRequest>> {
        let version = self.version_up_to(ApiKey::Produce, PRODUCE_BY_NAME)?;
        self.submit_at(produce_request(topic, partition, batch, -1), version).await
    }

    /// Sends one batch without an acknowledgement (acks 0).
    pub async fn produce_unacknowledged(&self, topic: &str, partition: PartitionIndex, batch: Bytes) -> Result<()> {
        let version = self.version_up_to(ApiKey::Produce, PRODUCE_BY_NAME)?;
        self.send_without_response(produce_request(topic, partition, batch, 0), version).await
    }

    /// Fetches up to `max_bytes` from `offset` on. Waits up to `max_wait` if there are no records yet.
    pub async fn fetch(
        &self,
        topic: &str,
        partition: PartitionIndex,
        offset: Offset,
        max_bytes: i32,
        max_wait: Duration,
    ) -> Result<Fetched> {
        fetched(self.submit_fetch(topic, partition, offset, max_bytes, max_wait).await?.response().await?)
    }

    /// Sends a fetch without awaiting the response; pass the response to [`fetched`].
    pub async fn submit_fetch(
        &self,
        topic: &str,
        partition: PartitionIndex,
        offset: Offset,
        max_bytes: i32,
        max_wait: Duration,
    ) -> Result<Pending<FetchRequest>> {
        let version = self.version_up_to(ApiKey::Fetch, FETCH_BY_NAME)?;
        let partition =
            FetchPartition { partition, fetch_offset: offset, partition_max_bytes: max_bytes, ..Default::default() };
        let request = FetchRequest {
            max_wait_ms: i32::try_from(max_wait.as_millis()).unwrap_or(i32::MAX),
            min_bytes: 1,
            max_bytes,
            topics: vec![FetchTopic { topic: Str::from(topic), partitions: vec![partition], ..Default::default() }],
            ..Default::default()
        };
        self.submit_at(request, version).await
    }

    /// Finds the first offset whose record is not older than `timestamp`, or the offset for a special timestamp: -1 the
    /// end, -2 the start, -3 the record with the highest timestamp.
    pub async fn list_offset(
        &self,
        topic: &str,
        partition: PartitionIndex,
        timestamp: TimestampMs,
    ) -> Result<ListedOffset> {
        let mut listed = self.list_offsets(&[(topic, partition, timestamp)]).await?;
        listed.pop().unwrap_or(Err(ClientError::Incomplete { key: ApiKey::ListOffsets }))
    }

    /// Like [`Client::list_offset`], for many partitions in one request; the results have the order of `requested`.
    pub async fn list_offsets(
        &self,
        requested: &[(&str, PartitionIndex, TimestampMs)],
    ) -> Result<Vec<Result<ListedOffset>>> {
        self.list_offsets_at(requested, READ_UNCOMMITTED).await
    }

    /// Like [`Client::list_offsets`], with an isolation level: with 1 (`read_committed`), the end is the last stable
    /// offset.
    pub async fn list_offsets_at(
        &self,
        requested: &[(&str, PartitionIndex, TimestampMs)],
        isolation_level: i8,
    ) -> Result<Vec<Result<ListedOffset>>> {
        let key = ApiKey::ListOffsets;
        let mut topics: BTreeMap<&str, Vec<ListOffsetsPartition>> = BTreeMap::new();
        for (topic, partition, timestamp) in requested {
            let partition =
                ListOffsetsPartition { partition_index: *partition, timestamp: *timestamp, ..Default::default() };
            topics.entry(topic).or_default().push(partition);
        }
        let topics =
            topics.into_iter().map(|(name, partitions)| ListOffsetsTopic { name: Str::from(name), partitions });
        let request =
            ListOffsetsRequest { replica_id: -1, isolation_level, topics: topics.collect(), ..Default::default() };
        let response = self.call(request).await?;
        let mut found = HashMap::new();
        for topic in &response.topics {
            for partition in &topic.partitions {
                let listed = check_error_code(key, partition.error_code, None).map(|()| ListedOffset {
                    offset: partition.offset,
                    timestamp: partition.timestamp,
                    leader_epoch: partition.leader_epoch,
                });
                found.insert((topic.name.to_string(), partition.partition_index), listed);
            }
        }
        let listed_or_missing = |(topic, partition, _): &(&str, PartitionIndex, TimestampMs)| {
            found.remove(&((*topic).to_owned(), *partition)).unwrap_or(Err(ClientError::Incomplete { key }))
        };
        Ok(requested.iter().map(listed_or_missing).collect())
    }
}

fn produce_request(topic: &str, partition: PartitionIndex, batch: Bytes, acks: i16) -> ProduceRequest {
    let partition = PartitionProduceData { index: partition, records: Some(batch) };
    ProduceRequest {
        acks,
        timeout_ms: PRODUCE_TIMEOUT_MS,
        topic_data: vec![TopicProduceData {
            name: Str::from(topic),
            partition_data: vec![partition],
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// Extracts the result of a produce request with one batch.
pub fn produced(response: ProduceResponse) -> Result<Produced> {
    let key = ApiKey::Produce;
    let partition = response.responses.first().and_then(|topic| topic.partition_responses.first());
    let partition = partition.ok_or(ClientError::Incomplete { key })?;
    check_error_code(key, partition.error_code, partition.error_message.as_ref())?;
    Ok(Produced {
        base_offset: partition.base_offset,
        log_append_time: partition.log_append_time_ms,
        log_start_offset: partition.log_start_offset,
    })
}

/// Extracts the result of a fetch request with one partition.
pub fn fetched(mut response: FetchResponse) -> Result<Fetched> {
    let key = ApiKey::Fetch;
    check_error_code(key, response.error_code, None)?;
    let partition = response.responses.first_mut().and_then(|topic| topic.partitions.first_mut());
    let partition = partition.ok_or(ClientError::Incomplete { key })?;
    check_error_code(key, partition.error_code, None)?;
    Ok(Fetched {
        records: partition.records.take().unwrap_or_default(),
        high_watermark: partition.high_watermark,
        last_stable_offset: partition.last_stable_offset,
        log_start_offset: partition.log_start_offset,
    })
}
