//! DescribeProducers (key 61, version 0), DescribeTransactions (65, version 0) and ListTransactions (66,
//! versions 0 to 2): administration of producers and transactions (KIP-664).
//!
//! There are no transactions yet: none is listed, and no transactional id is found. [`refuse`] refuses transactional
//! producers.
//!
//! Departures: DescribeTransactions answers TRANSACTIONAL_ID_NOT_FOUND, where Apache Kafka answers NOT_COORDINATOR
//! until the first transaction has created `__transaction_state`.

use std::collections::HashSet;
use std::sync::Arc;

use regex::RegexBuilder;

use super::authorizer::{Denied, Operation, Resource};
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

/// The message of FindCoordinator for a transactional id.
pub(super) const NOT_SUPPORTED: &str = "transactions are not supported yet";

/// Logs that a client uses transactions, and returns the error for FindCoordinator.
///
/// No error code makes every client fail with a clear message, so it depends on the version. Version 2 is used by
/// librdkafka, which shows the message only with this code and retries on most others. The clients for Java,
/// kafka-python and aiokafka fail on any code that is not retriable, and show the message with versions 3 and above.
pub(super) fn refuse(context: &Context, transactional_id: &str) -> ErrorCode {
    log_limited!(
        WARN,
        context.broker.log_rate_limiter(),
        context.connection.peer.ip(),
        "refused transactional producers",
        client = %context.connection,
        client_id = context.client_id(),
        transactional_id,
        "refused a transactional producer: transactions are not supported yet"
    );
    match context.version() {
        2 => ErrorCode::TransactionalIdAuthorizationFailed,
        _ => ErrorCode::UnsupportedVersion,
    }
}

pub(super) fn describe_producers(context: &Context, request: DescribeProducersRequest) -> Answer {
    let broker = Arc::clone(&context.broker);
    let denied = context.denied_topics(Operation::Read, request.topics.iter().map(|topic| &topic.name));
    // May block: opens the logs that have not been used yet.
    Answer::parked(async move {
        let described = tokio::task::spawn_blocking(move || {
            request.topics.into_iter().map(|topic| described_producers(&broker, topic, &denied)).collect()
        });
        DescribeProducersResponse { topics: described.await.unwrap_or_default(), ..Default::default() }
    })
}

fn described_producers(broker: &Broker, request: TopicRequest, denied: &HashSet<Str>) -> TopicResponse {
    let cluster = broker.cluster();
    let refused = |partition_index: i32, error: ErrorCode, message: Option<String>| PartitionResponse {
        partition_index,
        error_code: error.code(),
        error_message: message.map(Str::from),
        ..Default::default()
    };
    let described = |index: i32| match (names::check(&request.name), cluster.topic(&request.name)) {
        (Err(message), _) => refused(index, ErrorCode::InvalidTopicException, Some(message)),
        (Ok(()), _) if denied.contains(&request.name) => {
            refused(index, Denied::Topic.error_code(), Some(Denied::Topic.message().to_owned()))
        }
        (Ok(()), None) => refused(index, ErrorCode::UnknownTopicOrPartition, Some(NOT_HOSTED.to_owned())),
        (Ok(()), Some(topic)) => match topic.partition(index).map(|partition| partition.producers()) {
            Err(error) => refused(index, error.error_code(), None),
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

pub(super) fn describe(context: &Context, request: DescribeTransactionsRequest) -> Answer {
    let unknown = |transactional_id: Str| {
        let error = match transactional_id.is_empty() {
            true => ErrorCode::InvalidRequest,
            false => match context.authorize(Operation::Describe, Resource::TransactionalId(&transactional_id)) {
                Ok(()) => ErrorCode::TransactionalIdNotFound,
                Err(denied) => denied.error_code(),
            },
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

/// The largest size in bytes of a compiled pattern.
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
