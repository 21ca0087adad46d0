//! Transactions, and the producers of a partition.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::{RETRY_DELAY, Result, accepted, incomplete, retry_coordinator};
use crate::cli::tools::exceptions::Exception;
use ottla_client::{Client, ClientError};
use ottla_wire::codec::Str;
use ottla_wire::protocol::ApiKey;
use ottla_wire::protocol::messages::describe_producers::{self, DescribeProducersRequest, TopicRequest};
use ottla_wire::protocol::messages::describe_transactions::DescribeTransactionsRequest;
use ottla_wire::protocol::messages::find_coordinator::FindCoordinatorRequest;
use ottla_wire::protocol::messages::init_producer_id::InitProducerIdRequest;
use ottla_wire::protocol::messages::list_transactions::{ListTransactionsRequest, TransactionState};
use ottla_wire::protocol::messages::write_txn_markers::{
    WritableTxnMarker, WritableTxnMarkerTopic, WriteTxnMarkersRequest,
};
use ottla_wire::types::{ErrorCode, InOrder as _, Offset, ProducerId, ProducerIdEpoch, TimestampMs, TopicPartition};

/// The key type of transactions in FindCoordinator.
const TRANSACTION: i8 = 1;
/// The newest version of FindCoordinator that has a single key.
const FIND_ONE_COORDINATOR: i16 = 3;
/// How long to wait for a coordinator.
const COORDINATOR_TIMEOUT: Duration = Duration::from_secs(60);
/// The transaction timeout of a producer that only fences another one.
const FENCING_TIMEOUT_MS: i32 = 30_000;

/// A filter for transactions.
#[derive(Clone, Debug, Default)]
pub struct TransactionFilter {
    /// All producers if empty.
    pub producer_ids: Vec<ProducerId>,
    /// Only transactions that run longer, in milliseconds.
    pub longer_than_ms: Option<i64>,
    /// A regular expression for the transactional id.
    pub id_pattern: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionListing {
    pub transactional_id: String,
    pub producer_id: ProducerId,
    /// Such as `Ongoing`.
    pub state: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionDescription {
    pub coordinator_id: i32,
    pub producer: ProducerIdEpoch,
    pub state: String,
    pub timeout_ms: i32,
    pub start: Option<TimestampMs>,
    pub partitions: Vec<TopicPartition>,
}

/// A partition's state of a producer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerState {
    pub producer_id: ProducerId,
    pub epoch: i32,
    pub last_sequence: i32,
    pub last_timestamp: TimestampMs,
    /// -1 if no coordinator has written a marker.
    pub coordinator_epoch: i32,
    /// The start offset of its open transaction, if it has one.
    pub open_from: Option<Offset>,
}

/// The transactions that match the filter, in the broker's order.
pub async fn list(client: &Client, filter: &TransactionFilter) -> Result<Vec<TransactionListing>> {
    let request = ListTransactionsRequest {
        producer_id_filters: filter.producer_ids.clone(),
        duration_filter: filter.longer_than_ms.unwrap_or(-1),
        transactional_id_pattern: filter.id_pattern.as_deref().map(Str::from),
        ..Default::default()
    };
    let answer = client.call(request).await?;
    accepted(answer.error_code, None)?;
    let listing = |state: TransactionState| TransactionListing {
        transactional_id: state.transactional_id.to_string(),
        producer_id: state.producer_id,
        state: state.transaction_state.to_string(),
    };
    Ok(answer.transaction_states.into_iter().map(listing).collect())
}

/// Describes the transaction of a transactional id; `None` if the coordinator doesn't know the id.
pub async fn describe(client: &Client, transactional_id: &str) -> Result<Option<TransactionDescription>> {
    let key = ApiKey::DescribeTransactions;
    let ask = async || {
        let request = DescribeTransactionsRequest { transactional_ids: vec![Str::from(transactional_id)] };
        let answer = client.call(request).await?;
        let state = answer.transaction_states.into_iter().next().ok_or(ClientError::Incomplete { key })?;
        match state.error_code {
            0 => Ok(state),
            code => Err(ClientError::Refused { key, code, message: None }),
        }
    };
    let find = async || coordinator(client, transactional_id).await.map(|_| ());
    let state = match retry_coordinator(COORDINATOR_TIMEOUT, ask, find).await {
        Err(error) if error.code() == Some(ErrorCode::TransactionalIdNotFound) => return Ok(None),
        state => state?,
    };
    let partitions = state
        .topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|partition| TopicPartition::new(&*topic.topic, *partition)));
    Ok(Some(TransactionDescription {
        coordinator_id: coordinator(client, transactional_id).await?,
        producer: ProducerIdEpoch { producer_id: state.producer_id, epoch: state.producer_epoch },
        state: state.transaction_state.to_string(),
        timeout_ms: state.transaction_timeout_ms,
        start: (state.transaction_start_time_ms >= 0).then_some(state.transaction_start_time_ms),
        partitions: partitions.collect(),
    }))
}

async fn coordinator(client: &Client, transactional_id: &str) -> Result<i32, ClientError> {
    let key = ApiKey::FindCoordinator;
    let version = client.version_up_to(key, FIND_ONE_COORDINATOR)?;
    let request =
        FindCoordinatorRequest { key: Str::from(transactional_id), key_type: TRANSACTION, ..Default::default() };
    let answer = client.call_at(request, version).await?;
    match answer.error_code {
        0 => Ok(answer.node_id),
        code => Err(ClientError::Refused { key, code, message: None }),
    }
}

/// The producers in a partition's state, in the broker's order.
pub async fn describe_producers(client: &Client, partition: &TopicPartition) -> Result<Vec<ProducerState>> {
    let key = ApiKey::DescribeProducers;
    let topic = TopicRequest { name: Str::from(&*partition.topic), partition_indexes: vec![partition.partition] };
    let answer = client.call(DescribeProducersRequest { topics: vec![topic] }).await?;
    let described = answer.topics.into_iter().flat_map(|topic| topic.partitions).next();
    let described = described.ok_or_else(|| incomplete(key))?;
    accepted(described.error_code, described.error_message.as_deref())?;
    let state = |state: describe_producers::ProducerState| ProducerState {
        producer_id: state.producer_id,
        epoch: state.producer_epoch,
        last_sequence: state.last_sequence,
        last_timestamp: state.last_timestamp,
        coordinator_epoch: state.coordinator_epoch,
        open_from: (state.current_txn_start_offset >= 0).then_some(state.current_txn_start_offset),
    };
    Ok(described.active_producers.into_iter().map(state).collect())
}

/// What failed in a search for hanging transactions, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchError {
    pub what: String,
    pub error: Exception,
}

/// Keeps only hanging transactions: those whose coordinator doesn't know that the partition takes part, and so will
/// never end them.
pub async fn retain_hanging(
    client: &Client,
    open: Vec<(TopicPartition, ProducerState)>,
) -> Result<Vec<(TopicPartition, ProducerState)>, SearchError> {
    let producer_ids: BTreeSet<ProducerId> = open.iter().map(|(_, producer)| producer.producer_id).in_order();
    if producer_ids.is_empty() {
        return Ok(open);
    }
    let what = format!("Failed to list transactions for {} producers", producer_ids.len());
    let filter = TransactionFilter { producer_ids: producer_ids.into_iter().collect(), ..Default::default() };
    let listed = list(client, &filter).await.map_err(|error| SearchError { what, error })?;
    let what = format!("Failed to describe {} transactions", listed.len());
    let failed = |error| SearchError { what: what.clone(), error };
    let mut known: BTreeMap<ProducerId, Vec<TopicPartition>> = BTreeMap::new();
    for listing in listed {
        let described = describe(client, &listing.transactional_id).await.map_err(failed)?;
        known.insert(listing.producer_id, described.map_or_else(Vec::new, |described| described.partitions));
    }
    let is_known = |partition: &TopicPartition, producer: &ProducerState| {
        known.get(&producer.producer_id).is_some_and(|partitions| partitions.contains(partition))
    };
    Ok(open.into_iter().filter(|(partition, producer)| !is_known(partition, producer)).collect())
}

/// Finds the producer whose open transaction starts at an offset.
pub async fn find_open(client: &Client, partition: &TopicPartition, start: Offset) -> Result<Option<ProducerState>> {
    let producers = describe_producers(client, partition).await?;
    Ok(producers.into_iter().find(|producer| producer.open_from == Some(start)))
}

/// Writes the marker that aborts a producer's transaction in a partition, without its coordinator.
pub async fn abort(
    client: &Client,
    partition: &TopicPartition,
    producer: ProducerIdEpoch,
    coordinator_epoch: i32,
) -> Result<()> {
    let topic =
        WritableTxnMarkerTopic { name: Str::from(&*partition.topic), partition_indexes: vec![partition.partition] };
    let marker = WritableTxnMarker {
        producer_id: producer.producer_id,
        producer_epoch: producer.epoch,
        transaction_result: false,
        topics: vec![topic],
        coordinator_epoch,
        ..Default::default()
    };
    let answer = client.call(WriteTxnMarkersRequest { markers: vec![marker] }).await?;
    let mut partitions = answer.markers.iter().flat_map(|marker| &marker.topics).flat_map(|topic| &topic.partitions);
    let written = partitions.next().ok_or_else(|| incomplete(ApiKey::WriteTxnMarkers))?;
    accepted(written.error_code, None)
}

/// Ends the transaction of a transactional id by fencing its producer. Returns when the transaction is aborted.
pub async fn force_terminate(client: &Client, transactional_id: &str) -> Result<()> {
    let key = ApiKey::InitProducerId;
    let ask = async || {
        let request = InitProducerIdRequest {
            transactional_id: Some(Str::from(transactional_id)),
            transaction_timeout_ms: FENCING_TIMEOUT_MS,
            ..Default::default()
        };
        match client.call(request).await?.error_code {
            0 => Ok(()),
            code => Err(ClientError::Refused { key, code, message: None }),
        }
    };
    let find = async || coordinator(client, transactional_id).await.map(|_| ());
    let started = Instant::now();
    loop {
        let left = COORDINATOR_TIMEOUT.saturating_sub(started.elapsed());
        match retry_coordinator(left, ask, find).await {
            // The coordinator aborts the transaction first.
            Err(error) if error.code() == Some(ErrorCode::ConcurrentTransactions) && !left.is_zero() => {
                tokio::time::sleep(RETRY_DELAY).await;
            }
            done => return Ok(done?),
        }
    }
}
