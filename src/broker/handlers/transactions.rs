//! DescribeProducers (key 61, version 0), DescribeTransactions (65, version 0) and ListTransactions (66,
//! versions 0 to 2): producers and transactions as administrators see them (KIP-664).
//!
//! There are no transactions yet, so none is listed and none is found by its id. [`refuse`] is what a transactional
//! producer hears.
//!
//! Departures: DescribeTransactions answers TRANSACTIONAL_ID_NOT_FOUND from the start, where Apache Kafka
//! answers NOT_COORDINATOR until the first use of a transaction created `__transaction_state`.

use std::sync::Arc;

use regex::RegexBuilder;

use super::context::{Answer, Context};
use super::errors::{NOT_HOSTED, ToErrorCode};
use crate::log_rate_limiter::log_limited;
use crate::state::Broker;
use ottla_core::metadata::names;
use ottla_log::ProducerDescription;
use ottla_wire::codec::Str;
use ottla_wire::protocol::messages::describe_producers::{
    DescribeProducersRequest, DescribeProducersResponse, PartitionResponse, ProducerState, TopicRequest, TopicResponse,
};
use ottla_wire::protocol::messages::describe_transactions::{
    DescribeTransactionsRequest, DescribeTransactionsResponse, TransactionState,
};
use ottla_wire::protocol::messages::list_transactions::{ListTransactionsRequest, ListTransactionsResponse};
use ottla_wire::types::ErrorCode;

/// What FindCoordinator tells whoever wants the coordinator of a transaction, and the log.
pub(super) const NOT_SUPPORTED: &str = "transactions are not supported yet";

/// Says in the log that a client asked for a transaction, and gives the error for FindCoordinator.
///
/// No code says it in every client, so it depends on the version: what asks with version 2 is librdkafka, which shows
/// the message beside this code alone and to most others asks again and again. Java's, kafka-python's and aiokafka's
/// clients give up at any code that isn't retriable; those of version 3 and above show the message.
pub(super) fn refuse(context: &Context, transactional_id: &str) -> ErrorCode {
    log_limited!(
        WARN,
        context.broker.log_rate_limiter(),
        context.connection.peer.ip(),
        "requests for transactions",
        "client '{}' at {} asks for transactions ({transactional_id}): {NOT_SUPPORTED}",
        context.client_id(),
        context.connection.peer
    );
    match context.version() {
        2 => ErrorCode::TransactionalIdAuthorizationFailed,
        _ => ErrorCode::UnsupportedVersion,
    }
}

pub(super) fn describe_producers(context: &Context, request: DescribeProducersRequest) -> Answer {
    let broker = Arc::clone(&context.broker);
    // Logs that nobody has used yet are opened for this, which may take a while.
    Answer::parked(async move {
        let described = tokio::task::spawn_blocking(move || {
            request.topics.into_iter().map(|topic| described_producers(&broker, topic)).collect()
        });
        DescribeProducersResponse { topics: described.await.unwrap_or_default(), ..Default::default() }
    })
}

fn described_producers(broker: &Broker, request: TopicRequest) -> TopicResponse {
    let cluster = broker.cluster();
    let refused = |partition_index: i32, error: ErrorCode, why: Option<String>| PartitionResponse {
        partition_index,
        error_code: error.code(),
        error_message: why.map(Str::from),
        ..Default::default()
    };
    let described = |index: i32| match (names::check(&request.name), cluster.topic(&request.name)) {
        (Err(why), _) => refused(index, ErrorCode::InvalidTopicException, Some(why)),
        (Ok(()), None) => refused(index, ErrorCode::UnknownTopicOrPartition, Some(NOT_HOSTED.to_owned())),
        (Ok(()), Some(topic)) => match topic.partition(index).map(|partition| partition.producers()) {
            Err(why) => refused(index, why.error_code(), None),
            Ok(Err(error)) => refused(index, error.error_code(), None),
            Ok(Ok(producers)) => PartitionResponse {
                partition_index: index,
                active_producers: producers.into_iter().map(producer_state).collect(),
                ..Default::default()
            },
        },
    };
    let partitions = request.partition_indexes.iter().copied().map(described).collect();
    TopicResponse { name: request.name, partitions }
}

fn producer_state(producer: ProducerDescription) -> ProducerState {
    ProducerState {
        producer_id: producer.producer_id,
        producer_epoch: producer.epoch.into(),
        last_sequence: producer.last_sequence,
        last_timestamp: producer.last_timestamp,
        coordinator_epoch: producer.coordinator_epoch,
        current_txn_start_offset: producer.current_txn_start.unwrap_or(-1),
    }
}

pub(super) fn describe(request: DescribeTransactionsRequest) -> Answer {
    let unknown = |transactional_id: Str| {
        let error = match transactional_id.is_empty() {
            true => ErrorCode::InvalidRequest,
            false => ErrorCode::TransactionalIdNotFound,
        };
        TransactionState { error_code: error.code(), transactional_id, ..Default::default() }
    };
    let transaction_states = request.transactional_ids.into_iter().map(unknown).collect();
    DescribeTransactionsResponse { transaction_states, ..Default::default() }.into()
}

/// The states that a transaction can be in (Kafka's `TransactionState`).
const STATES: [&str; 8] = [
    "Ongoing",
    "PrepareCommit",
    "PrepareAbort",
    "CompleteCommit",
    "CompleteAbort",
    "Empty",
    "PrepareEpochFence",
    "Dead",
];

/// Bytes that a client's pattern may compile to.
const MAX_PATTERN_SIZE: usize = 1 << 20;

pub(super) fn list(request: ListTransactionsRequest) -> Answer {
    if let Some(pattern) = request.transactional_id_pattern.as_deref()
        && RegexBuilder::new(pattern).size_limit(MAX_PATTERN_SIZE).build().is_err()
    {
        let error_code = ErrorCode::InvalidRegularExpression.code();
        return ListTransactionsResponse { error_code, ..Default::default() }.into();
    }
    let mut unknown_state_filters: Vec<Str> = Vec::new();
    for state in request.state_filters {
        if !STATES.contains(&&*state) && !unknown_state_filters.contains(&state) {
            unknown_state_filters.push(state);
        }
    }
    ListTransactionsResponse { unknown_state_filters, ..Default::default() }.into()
}
