//! DescribeProducers (key 61, version 0), DescribeTransactions (65, version 0) and ListTransactions (66,
//! versions 0 to 2): administration of producers and transactions (KIP-664).

use std::collections::HashSet;
use std::sync::Arc;

use regex::RegexBuilder;

use super::super::authorizer::{Denied, Operation, Resource};
use super::super::context::{Answer, Context};
use super::super::errors::{NOT_HOSTED, ToErrorCode};
use super::super::groups::MAX_LOADING_WAIT;
use super::coordinator_error;
use crate::blocking;
use crate::state::Broker;
use crate::state::runtime::Unavailable;
use ottla_core::coordinator::transaction::{ListedTransaction, TransactionFilter, TransactionState as State};
use ottla_core::metadata::names;
use ottla_log::ProducerDescription;
use ottla_wire::codec::Str;
use ottla_wire::protocol::messages::describe_producers::{
    DescribeProducersRequest, DescribeProducersResponse, PartitionResponse, ProducerState, TopicRequest, TopicResponse,
};
use ottla_wire::protocol::messages::describe_transactions::{
    DescribeTransactionsRequest, DescribeTransactionsResponse, TopicData, TransactionState,
};
use ottla_wire::protocol::messages::list_transactions::{
    ListTransactionsRequest, ListTransactionsResponse, TransactionState as ListedState,
};
use ottla_wire::types::{ErrorCode, TopicPartition};

pub(in super::super) fn describe_producers(context: &Context, request: DescribeProducersRequest) -> Answer {
    let broker = Arc::clone(&context.broker);
    let names = request.topics.iter().map(|topic| &topic.name);
    let is_denied = |name: &&Str| context.authorize(Operation::Read, Resource::Topic(name)).is_err();
    let denied: HashSet<Str> = names.filter(is_denied).cloned().collect();
    // May block: opens the logs that have not been used yet.
    Answer::parked(async move {
        let described = blocking::run(move || {
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

pub(in super::super) fn describe(context: &Context, request: DescribeTransactionsRequest) -> Answer {
    let described = request.transactional_ids.into_iter().map(|id| describe_one(context, id));
    DescribeTransactionsResponse { transaction_states: described.collect(), ..Default::default() }.into()
}

fn describe_one(context: &Context, transactional_id: Str) -> TransactionState {
    let broker = &context.broker;
    if let Err(denied) = context.authorize(Operation::Describe, Resource::TransactionalId(&transactional_id)) {
        return TransactionState { error_code: denied.error_code().code(), transactional_id, ..Default::default() };
    }
    let found = match transactional_id.is_empty() {
        true => Err(ErrorCode::InvalidRequest),
        false => match broker.transactions().query(&transactional_id, |machine| machine.describe(&transactional_id)) {
            Ok(Some(found)) => Ok(found),
            Ok(None) => Err(ErrorCode::TransactionalIdNotFound),
            Err(unavailable) => Err(coordinator_error(broker, &unavailable)),
        },
    };
    match found {
        Err(error) => TransactionState { error_code: error.code(), transactional_id, ..Default::default() },
        Ok(found) => TransactionState {
            error_code: ErrorCode::None.code(),
            transactional_id,
            transaction_state: Str::from_static(found.state.name()),
            transaction_timeout_ms: found.timeout_ms,
            transaction_start_time_ms: found.start,
            producer_id: found.producer.producer_id,
            producer_epoch: found.producer.epoch,
            topics: topics_of(context, &found.partitions),
        },
    }
}

/// The partitions by topic, without those that the caller may not describe.
fn topics_of(context: &Context, partitions: &[TopicPartition]) -> Vec<TopicData> {
    let mut topics: Vec<TopicData> = Vec::new();
    for partition in partitions {
        match topics.last_mut().filter(|topic| *topic.topic == *partition.topic) {
            Some(topic) => topic.partitions.push(partition.partition),
            None if context.allows(Operation::Describe, Resource::Topic(&partition.topic)) => {
                topics.push(TopicData { topic: (&*partition.topic).into(), partitions: vec![partition.partition] });
            }
            None => {}
        }
    }
    topics
}

/// The largest size in bytes of a compiled pattern.
const MAX_PATTERN_SIZE: usize = 1 << 20;

pub(in super::super) fn list(context: &Context, request: ListTransactionsRequest) -> Answer {
    let pattern = match request.transactional_id_pattern.as_deref().filter(|pattern| !pattern.is_empty()) {
        None => None,
        Some(pattern) => match compile(pattern) {
            Some(pattern) => Some(pattern),
            None => {
                let error_code = ErrorCode::InvalidRegularExpression.code();
                return ListTransactionsResponse { error_code, ..Default::default() }.into();
            }
        },
    };
    let mut states = Vec::new();
    let mut unknown_state_filters: Vec<Str> = Vec::new();
    for name in &request.state_filters {
        match State::from_name(name) {
            Some(state) => states.push(state),
            None if unknown_state_filters.contains(name) => {}
            None => unknown_state_filters.push(name.clone()),
        }
    }
    let filter = TransactionFilter {
        producer_ids: request.producer_id_filters,
        states: (!request.state_filters.is_empty()).then_some(states),
        min_duration_ms: (request.duration_filter >= 0).then_some(request.duration_filter),
    };
    let context = context.clone();
    let list_all = move |context: &Context| {
        let now = context.broker.now().wall;
        context.broker.transactions().runtime().query_all(|machine| machine.list(&filter, now))
    };
    let respond = move |context: &Context, listed: Result<Vec<Vec<ListedTransaction>>, Unavailable>| {
        let listed = match listed {
            Ok(listed) => listed,
            Err(unavailable) => {
                let error_code = unavailable.error_code().code();
                return ListTransactionsResponse { error_code, ..Default::default() };
            }
        };
        let visible = |id: &str| {
            pattern.as_ref().is_none_or(|pattern| pattern.is_match(id))
                && context.allows(Operation::Describe, Resource::TransactionalId(id))
        };
        let listed = listed.into_iter().flatten().filter(|listed| visible(&listed.transactional_id));
        let transaction_states = listed.map(|listed| ListedState {
            transactional_id: (&*listed.transactional_id).into(),
            producer_id: listed.producer_id,
            transaction_state: Str::from_static(listed.state.name()),
        });
        ListTransactionsResponse {
            unknown_state_filters,
            transaction_states: transaction_states.collect(),
            ..Default::default()
        }
    };
    let listed = list_all(&context);
    if !matches!(listed, Err(Unavailable::Loading)) {
        return respond(&context, listed).into();
    }
    Answer::parked(async move {
        context.broker.transactions().runtime().wait_until_all_loaded(MAX_LOADING_WAIT).await;
        respond(&context, list_all(&context))
    })
}

/// Compiles a pattern that must match a whole id; `None` if it is invalid.
fn compile(pattern: &str) -> Option<regex::Regex> {
    RegexBuilder::new(&format!("^(?:{pattern})$")).size_limit(MAX_PATTERN_SIZE).build().ok()
}
