//! A consumer's view of partitions and of a group's offsets.

use std::collections::HashSet;

use super::client::{Client, Failed, Outcome, call, checked};
use ottla_wire::protocol::messages::fetch::{FetchPartition, FetchRequest, FetchTopic, PartitionData};
use ottla_wire::protocol::messages::find_coordinator::FindCoordinatorRequest;
use ottla_wire::protocol::messages::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use ottla_wire::protocol::messages::offset_fetch::{OffsetFetchRequest, OffsetFetchRequestTopic};
use ottla_wire::record::batches;
use ottla_wire::record::control::ControlType;
use ottla_wire::types::{Offset, ProducerId};

/// The timestamp in ListOffsets that asks for the end.
const LATEST: i64 = -1;
const READ_COMMITTED: i8 = 1;

impl Client {
    /// The values of the committed records from an offset to the last stable offset, and that offset.
    pub async fn read_committed(&mut self, topic: &str, partition: i32, from: Offset) -> Outcome<(Vec<u64>, Offset)> {
        let mut values = Vec::new();
        let mut position = from;
        loop {
            let data = self.retrying(async |client| client.fetch(topic, partition, position).await).await?;
            if position >= data.last_stable_offset {
                return Ok((values, position));
            }
            let next = add_committed(&data, position, &mut values);
            assert!(next > position, "the broker returned no records at {position} of {topic}-{partition}");
            position = next;
        }
    }

    async fn fetch(&mut self, topic: &str, partition: i32, from: Offset) -> Outcome<PartitionData> {
        let request = FetchRequest {
            max_wait_ms: 0,
            min_bytes: 0,
            isolation_level: READ_COMMITTED,
            topics: vec![FetchTopic {
                topic: topic.into(),
                partitions: vec![FetchPartition {
                    partition,
                    fetch_offset: from,
                    partition_max_bytes: 1 << 20,
                    ..Default::default()
                }],
                ..Default::default()
            }],
            ..Default::default()
        };
        let response = call!(self, Fetch, 11, request);
        checked(response.error_code)?;
        let data = response.responses.into_iter().next().unwrap().partitions.into_iter().next().unwrap();
        checked(data.error_code)?;
        Ok(data)
    }

    /// The end of a partition; with `committed` the last stable offset.
    pub async fn end_offset(&mut self, topic: &str, partition: i32, committed: bool) -> Outcome<Offset> {
        let request = ListOffsetsRequest {
            replica_id: -1,
            isolation_level: if committed { READ_COMMITTED } else { 0 },
            topics: vec![ListOffsetsTopic {
                name: topic.into(),
                partitions: vec![ListOffsetsPartition {
                    partition_index: partition,
                    timestamp: LATEST,
                    ..Default::default()
                }],
            }],
            ..Default::default()
        };
        self.retrying(async |client| {
            let response = call!(client, ListOffsets, 7, request.clone());
            let result = &response.topics[0].partitions[0];
            checked(result.error_code)?;
            Ok(result.offset)
        })
        .await
    }

    /// The offset that a group committed for a partition, -1 for none; waits for pending transactions.
    pub async fn committed_offset(&mut self, group: &str, topic: &str, partition: i32) -> Outcome<Offset> {
        let request = OffsetFetchRequest {
            group_id: group.into(),
            topics: Some(vec![OffsetFetchRequestTopic { name: topic.into(), partition_indexes: vec![partition] }]),
            require_stable: true,
            ..Default::default()
        };
        self.retrying(async |client| {
            let response = call!(client, OffsetFetch, 7, request.clone());
            checked(response.error_code)?;
            let result = &response.topics[0].partitions[0];
            checked(result.error_code)?;
            Ok(result.committed_offset)
        })
        .await
    }

    /// Makes the broker create the internal topic of a group or a transactional id, if there is none.
    pub async fn find_coordinator(&mut self, key: &str, is_transaction: bool) -> Outcome<()> {
        let request =
            FindCoordinatorRequest { key: key.into(), key_type: i8::from(is_transaction), ..Default::default() };
        self.retrying(async |client| checked(call!(client, FindCoordinator, 3, request.clone()).error_code)).await
    }
}

/// Adds the values of a fetch's committed records, as a consumer filters them; returns the next offset to fetch.
fn add_committed(data: &PartitionData, from: Offset, values: &mut Vec<u64>) -> Offset {
    let mut aborted = data.aborted_transactions.clone().unwrap_or_default();
    aborted.sort_by_key(|transaction| std::cmp::Reverse(transaction.first_offset));
    let mut aborting: HashSet<ProducerId> = HashSet::new();
    let mut next = from;
    for batch in batches(data.records.as_ref().unwrap()) {
        let batch = batch.unwrap();
        let header = batch.header();
        next = header.next_offset();
        while let Some(begun) = aborted.pop_if(|transaction| transaction.first_offset <= header.last_offset()) {
            aborting.insert(begun.producer_id);
        }
        for record in batch.records().map(Result::unwrap) {
            if header.is_control() {
                if ControlType::from_key(record.key.as_deref().unwrap()).unwrap() == Some(ControlType::Abort) {
                    aborting.remove(&header.producer_id);
                }
            } else if record.offset >= from && !aborting.contains(&header.producer_id) {
                values.push(u64::from_be_bytes(record.value.as_deref().unwrap().try_into().unwrap()));
            }
        }
    }
    next
}

/// Whether the request may have had its effect.
pub fn is_unknown(failed: Failed) -> bool {
    use ottla_wire::types::ErrorCode;
    match failed {
        Failed::NoResponse => true,
        Failed::Error(error) => matches!(
            error,
            ErrorCode::KafkaStorageError
                | ErrorCode::CoordinatorNotAvailable
                | ErrorCode::UnknownServerError
                | ErrorCode::NotEnoughReplicas
                | ErrorCode::NotCoordinator
                | ErrorCode::CoordinatorLoadInProgress
                | ErrorCode::ConcurrentTransactions
        ),
    }
}

/// What a reader of committed records has seen of a topic.
pub struct View {
    topic: String,
    partitions: i32,
    positions: Vec<Offset>,
    seen: HashSet<(i32, u64)>,
    /// Values that were read since the last [`View::take_new`].
    new: Vec<(i32, u64)>,
}

impl View {
    pub fn new(topic: &str, partitions: i32) -> View {
        View {
            topic: topic.to_owned(),
            partitions,
            positions: vec![0; partitions.unsigned_abs() as usize],
            seen: HashSet::new(),
            new: Vec::new(),
        }
    }

    /// Reads on to the last stable offsets.
    pub async fn read(&mut self, client: &mut Client) -> Outcome<()> {
        for (partition, position) in (0..self.partitions).zip(&mut self.positions) {
            let (values, next) = client.read_committed(&self.topic, partition, *position).await?;
            *position = next;
            for value in values {
                assert!(self.seen.insert((partition, value)), "value {value} is twice in partition {partition}");
                self.new.push((partition, value));
            }
        }
        Ok(())
    }

    pub fn has(&self, partition: i32, value: u64) -> bool {
        self.seen.contains(&(partition, value))
    }

    /// Returns the values since the last call, and forgets them.
    pub fn take_new(&mut self) -> Vec<(i32, u64)> {
        self.seen.clear();
        std::mem::take(&mut self.new)
    }

    /// Checks that no transaction is open in the topic and in the groups' offsets.
    pub async fn check_stable(&self, client: &mut Client, what: &str) {
        let data = (0..self.partitions).map(|partition| (&*self.topic, partition));
        for (topic, partition) in data.chain([("__consumer_offsets", 0)]) {
            let end = client.end_offset(topic, partition, false).await;
            let stable = client.end_offset(topic, partition, true).await;
            assert!(end.is_ok() && end == stable, "{what}: {topic}-{partition} ends at {end:?}, stable to {stable:?}");
        }
    }
}
