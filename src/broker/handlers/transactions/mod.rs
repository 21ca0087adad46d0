//! InitProducerId (key 22, versions 0 to 5), AddPartitionsToTxn (24, 0 to 5), AddOffsetsToTxn (25, 0 to 4) and EndTxn
//! (26, 0 to 5): transactions as their producers see them.
//!
//! From version 4 on, AddPartitionsToTxn is a request between brokers, with several transactions. From version 5 on,
//! EndTxn is protocol 2 (KIP-890): its response has the producer for the next transaction.
//!
//! Departures: on one node the coordinator is always this broker. An InitProducerId or EndTxn that ends a transaction
//! writes the markers before its response is sent, if that is possible at once, so that clients get
//! CONCURRENT_TRANSACTIONS less often. An InitProducerId that aborts a transaction, and whose abort is then complete,
//! returns what Kafka returns when the client tries again.

mod admin;
mod markers;
mod offsets;
pub(super) mod verification;

use std::sync::Arc;

use super::authorizer::{Denied, Operation, Resource};
use super::context::{Answer, Context};
use super::errors::ToErrorCode;
use super::eventual::Eventual;
use crate::state::Broker;
use crate::state::runtime::{PendingReply, Unavailable};
use ottla_core::coordinator::TransactionalId;
use ottla_core::coordinator::group;
use ottla_core::coordinator::transaction::{
    AddPartitions, EndTxn, InitProducerId, PartitionResults, TransactionError, TransactionMachine,
};
use ottla_core::machine::{Command, Outcome};
use ottla_core::metadata::{CONSUMER_OFFSETS, TRANSACTION_STATE};
use ottla_wire::codec::Str;
use ottla_wire::protocol::messages::add_offsets_to_txn::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};
use ottla_wire::protocol::messages::add_partitions_to_txn::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, AddPartitionsToTxnResult,
    AddPartitionsToTxnTopic, AddPartitionsToTxnTopicResult,
};
use ottla_wire::protocol::messages::end_txn::{EndTxnRequest, EndTxnResponse};
use ottla_wire::protocol::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use ottla_wire::types::{
    ErrorCode, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, ProducerId, ProducerIdEpoch, TopicPartition, is_internal,
};

pub(super) use admin::{describe, describe_producers, list};
pub(super) use markers::write as write_markers;
pub(super) use offsets::commit as commit_offsets;

/// The level of `transaction.version` at which a request ends or extends a transaction of protocol 2.
const PROTOCOL_2: i16 = 2;
/// The first version of EndTxn that uses protocol 2.
const END_TXN_PROTOCOL_2: i16 = 5;
/// The first version of AddPartitionsToTxn that brokers send.
const BETWEEN_BROKERS: i16 = 4;

/// Maximum number of times that one request runs its command again: for a producer id, after the abort that it caused,
/// and for a producer id after that.
const MAX_RUNS_AGAIN: usize = 3;

/// The result of a command about a transaction: [`ErrorCode::None`] is not among the errors.
type TxnResult<T> = Result<T, ErrorCode>;

pub(super) fn init_producer_id(context: &Context, request: InitProducerIdRequest) -> Answer {
    if let Some(transactional_id) = &request.transactional_id
        && let Err(denied) = context.authorize(Operation::Write, Resource::TransactionalId(transactional_id))
    {
        return not_initialized(denied.error_code()).into();
    }
    if request.transactional_id.is_none()
        && !context.allows(Operation::IdempotentWrite, Resource::Cluster)
        && context.authorize(Operation::Write, Resource::AnyTopic).is_err()
    {
        return not_initialized(ErrorCode::ClusterAuthorizationFailed).into();
    }
    if (request.producer_id == NO_PRODUCER_ID) != (request.producer_epoch == NO_PRODUCER_EPOCH) {
        return not_initialized(ErrorCode::InvalidRequest).into();
    }
    let broker = Arc::clone(&context.broker);
    let Some(transactional_id) = request.transactional_id else {
        return Answer::parked(async move {
            match broker.producer_ids().next(broker.metadata()).await {
                Ok(producer_id) => initialized(ProducerIdEpoch { producer_id, epoch: 0 }),
                Err(unavailable) => not_initialized(unavailable.error_code()),
            }
        });
    };
    // Checked before the coordinator is looked up, as in Kafka.
    if transactional_id.is_empty() {
        return not_initialized(ErrorCode::InvalidRequest).into();
    }
    let max_timeout_ms = broker.cluster().config.transactions.max_timeout_ms;
    if !(1..=max_timeout_ms).contains(&request.transaction_timeout_ms) {
        return not_initialized(ErrorCode::InvalidTransactionTimeout).into();
    }
    let expected = ProducerIdEpoch { producer_id: request.producer_id, epoch: request.producer_epoch };
    let command = InitProducerId {
        transactional_id: (&*transactional_id).into(),
        timeout_ms: request.transaction_timeout_ms,
        expected: (expected != ProducerIdEpoch::NONE).then_some(expected),
        fresh_producer_id: None,
    };
    with_fresh_producer_id(broker, command, |result| match result {
        Ok(producer) => initialized(producer),
        Err(error) => not_initialized(error),
    })
}

fn initialized(producer: ProducerIdEpoch) -> InitProducerIdResponse {
    InitProducerIdResponse { producer_id: producer.producer_id, producer_epoch: producer.epoch, ..Default::default() }
}

fn not_initialized(error: ErrorCode) -> InitProducerIdResponse {
    InitProducerIdResponse { error_code: error.code(), ..initialized(ProducerIdEpoch::NONE) }
}

pub(super) fn end(context: &Context, request: EndTxnRequest) -> Answer {
    let version = context.version();
    let refused = |error: ErrorCode| EndTxnResponse { error_code: error.code(), ..Default::default() };
    if let Err(denied) = context.authorize(Operation::Write, Resource::TransactionalId(&request.transactional_id)) {
        return refused(denied.error_code()).into();
    }
    let command = EndTxn {
        transactional_id: (&*request.transactional_id).into(),
        producer: ProducerIdEpoch { producer_id: request.producer_id, epoch: request.producer_epoch },
        outcome: if request.committed { Outcome::Commit } else { Outcome::Abort },
        client_transaction_version: if version >= END_TXN_PROTOCOL_2 { PROTOCOL_2 } else { 0 },
        fresh_producer_id: None,
    };
    with_fresh_producer_id(Arc::clone(&context.broker), command, move |result| match result {
        Ok(next) => EndTxnResponse { producer_id: next.producer_id, producer_epoch: next.epoch, ..Default::default() },
        Err(error) => refused(error),
    })
}

/// A command that may need a producer id that was never assigned.
trait NeedsProducerId: Command<Machine = TransactionMachine, Reply = Result<ProducerIdEpoch, TransactionError>> {
    /// Whether the command can succeed after the end of a transaction that made it fail.
    const WAITS_FOR_THE_END: bool;

    fn transactional_id(&self) -> &TransactionalId;
    fn with_producer_id(self, fresh: ProducerId) -> Self;
}

impl NeedsProducerId for InitProducerId {
    const WAITS_FOR_THE_END: bool = true;

    fn transactional_id(&self) -> &TransactionalId {
        &self.transactional_id
    }

    fn with_producer_id(self, fresh: ProducerId) -> Self {
        InitProducerId { fresh_producer_id: Some(fresh), ..self }
    }
}

impl NeedsProducerId for EndTxn {
    // Its producer is no longer the current one.
    const WAITS_FOR_THE_END: bool = false;

    fn transactional_id(&self) -> &TransactionalId {
        &self.transactional_id
    }

    fn with_producer_id(self, fresh: ProducerId) -> Self {
        EndTxn { fresh_producer_id: Some(fresh), ..self }
    }
}

/// Runs a command. If it needs a new producer id, allocates one and runs the command again with it.
fn with_fresh_producer_id<C, Response>(
    broker: Arc<Broker>,
    command: C,
    respond: impl FnOnce(TxnResult<ProducerIdEpoch>) -> Response + Send + 'static,
) -> Answer
where
    C: NeedsProducerId + Clone + Send + 'static,
    Response: Into<ottla_wire::protocol::Response> + 'static,
{
    let first = match run(&broker, &command) {
        Err(error) => return respond(Err(error)).into().into(),
        Ok(first) => first,
    };
    match first {
        Eventual::Now(reply) if !is_to_run_again(&broker, &command, &reply) => respond(flattened(reply)).into().into(),
        first => Answer::parked(async move {
            let mut reply = first.wait().await;
            let mut command = command;
            for _ in 0..MAX_RUNS_AGAIN {
                if !is_to_run_again(&broker, &command, &reply) {
                    break;
                }
                if needs_producer_id(&reply) {
                    match broker.producer_ids().next(broker.metadata()).await {
                        Ok(fresh) => command = command.with_producer_id(fresh),
                        Err(error) => return respond(Err(error.error_code())),
                    }
                }
                reply = match run(&broker, &command) {
                    Err(error) => return respond(Err(error)),
                    Ok(again) => again.wait().await,
                };
            }
            respond(flattened(reply))
        }),
    }
}

/// The reply to a command that returns a producer.
type ProducerReply = Result<Result<ProducerIdEpoch, TransactionError>, Unavailable>;

fn run<C: NeedsProducerId + Clone + 'static>(broker: &Broker, command: &C) -> TxnResult<Eventual<ProducerReply>> {
    let pending = submit(broker, command.transactional_id(), command.clone())?;
    Ok(Eventual::of(pending, |reply| reply))
}

fn needs_producer_id(reply: &ProducerReply) -> bool {
    matches!(reply, Ok(Err(TransactionError::ProducerIdNeeded)))
}

fn is_to_run_again<C: NeedsProducerId>(broker: &Broker, command: &C, reply: &ProducerReply) -> bool {
    let may_succeed_now = || match reply {
        Ok(Err(TransactionError::ConcurrentTransactions)) if C::WAITS_FOR_THE_END => {
            let id = command.transactional_id();
            broker.transactions().query(id, |machine| machine.is_idle(id)).unwrap_or(false)
        }
        _ => false,
    };
    needs_producer_id(reply) || may_succeed_now()
}

/// The reply of a coordinator, or the error code for the client.
fn flattened<T>(reply: Result<Result<T, TransactionError>, Unavailable>) -> TxnResult<T> {
    reply.map_err(|error| error.error_code())?.map_err(|error| error.error_code())
}

/// Runs a command of a transactional id.
fn submit<C>(broker: &Broker, transactional_id: &str, command: C) -> TxnResult<PendingReply<C>>
where
    C: Command<Machine = TransactionMachine>,
{
    // Checked before the coordinator is looked up, as in Kafka.
    if transactional_id.is_empty() {
        return Err(ErrorCode::InvalidRequest);
    }
    broker.transactions().submit(transactional_id, command).map_err(|error| coordinator_error(broker, &error))
}

/// The error code for a request to a coordinator that cannot be used. Before `__transaction_state` exists, it is
/// NOT_COORDINATOR: no broker is the coordinator.
fn coordinator_error(broker: &Broker, error: &Unavailable) -> ErrorCode {
    match error {
        Unavailable::NotAvailable if !broker.has_internal_topic(TRANSACTION_STATE) => ErrorCode::NotCoordinator,
        error => error.error_code(),
    }
}

pub(super) fn add_offsets(context: &Context, request: AddOffsetsToTxnRequest) -> Answer {
    let respond = |error: ErrorCode| AddOffsetsToTxnResponse { error_code: error.code(), ..Default::default() };
    let denied = context
        .authorize(Operation::Write, Resource::TransactionalId(&request.transactional_id))
        .and_then(|()| context.authorize(Operation::Read, Resource::Group(&request.group_id)));
    if let Err(denied) = denied {
        return respond(denied.error_code()).into();
    }
    let broker = Arc::clone(&context.broker);
    if broker.has_internal_topic(CONSUMER_OFFSETS) {
        return add_offsets_partition(&broker, &request).answer(respond);
    }
    let cause = context.cause("AddOffsetsToTxn");
    Answer::parked(async move {
        match broker.ensure_internal_topic(CONSUMER_OFFSETS, cause).await {
            Ok(()) => respond(add_offsets_partition(&broker, &request).wait().await),
            Err(_) => respond(ErrorCode::CoordinatorNotAvailable),
        }
    })
}

/// Adds the group's partition of `__consumer_offsets` to the transaction.
fn add_offsets_partition(broker: &Broker, request: &AddOffsetsToTxnRequest) -> Eventual<ErrorCode> {
    let count = broker.cluster().topic(CONSUMER_OFFSETS).map_or(0, |topic| topic.image.partition_count());
    let partition = TopicPartition::new(CONSUMER_OFFSETS, group::partition_for(&request.group_id, count));
    let command = AddPartitions {
        transactional_id: (&*request.transactional_id).into(),
        producer: ProducerIdEpoch { producer_id: request.producer_id, epoch: request.producer_epoch },
        partitions: vec![partition],
        verify_only: false,
        client_transaction_version: 0,
    };
    match submit(broker, &request.transactional_id, command) {
        Ok(pending) => Eventual::of(pending, |reply| match flattened(reply) {
            Ok(results) => {
                let failed = results.into_iter().find_map(|(_, result)| result.err());
                failed.map_or(ErrorCode::None, |error| error.error_code())
            }
            Err(error) => error,
        }),
        Err(error) => Eventual::Now(error),
    }
}

/// One transaction of AddPartitionsToTxn.
struct Addition {
    transactional_id: Str,
    producer: ProducerIdEpoch,
    verify_only: bool,
    /// Whether another broker sent the request, for a client of protocol 2.
    from_broker: bool,
    topics: Vec<AddPartitionsToTxnTopic>,
}

pub(super) fn add_partitions(context: &Context, request: AddPartitionsToTxnRequest) -> Answer {
    if context.version() < BETWEEN_BROKERS {
        let addition = Addition {
            transactional_id: request.v3_and_below_transactional_id,
            producer: ProducerIdEpoch {
                producer_id: request.v3_and_below_producer_id,
                epoch: request.v3_and_below_producer_epoch,
            },
            verify_only: false,
            from_broker: false,
            topics: request.v3_and_below_topics,
        };
        return add(context, addition).answer(|results_by_topic_v3_and_below| AddPartitionsToTxnResponse {
            results_by_topic_v3_and_below,
            ..Default::default()
        });
    }
    if let Err(denied) = context.authorize(Operation::ClusterAction, Resource::Cluster) {
        return AddPartitionsToTxnResponse { error_code: denied.error_code().code(), ..Default::default() }.into();
    }
    let added: Vec<_> = request
        .transactions
        .into_iter()
        .map(|transaction| {
            let addition = Addition {
                transactional_id: transaction.transactional_id.clone(),
                producer: ProducerIdEpoch { producer_id: transaction.producer_id, epoch: transaction.producer_epoch },
                verify_only: transaction.verify_only,
                from_broker: true,
                topics: transaction.topics,
            };
            (transaction.transactional_id, add(context, addition))
        })
        .collect();
    Answer::parked(async move {
        let mut results_by_transaction = Vec::with_capacity(added.len());
        for (transactional_id, added) in added {
            let topic_results = added.wait().await;
            results_by_transaction.push(AddPartitionsToTxnResult { transactional_id, topic_results });
        }
        AddPartitionsToTxnResponse { results_by_transaction, ..Default::default() }
    })
}

type TopicResults = Vec<AddPartitionsToTxnTopicResult>;

/// Adds all partitions or none: if the client may not write one, or one does not exist, the result of the others is
/// OPERATION_NOT_ATTEMPTED. Another broker has authorized its clients itself.
fn add(context: &Context, addition: Addition) -> Eventual<TopicResults> {
    let Addition { transactional_id, producer, verify_only, from_broker, topics } = addition;
    if !from_broker
        && let Err(denied) = context.authorize(Operation::Write, Resource::TransactionalId(&transactional_id))
    {
        return Eventual::Now(results_for_all(&topics, |_| denied.error_code()));
    }
    let cluster = context.broker.cluster();
    let mut refused = false;
    // The coordinators themselves add the partitions of internal topics.
    let names = topics.iter().filter(|topic| !from_broker && !is_internal(&topic.name));
    let names = names.flat_map(|topic| std::iter::repeat_n(&*topic.name, topic.partitions.len()));
    let denied = context.denied_topics(Operation::Write, names);
    let checked = results_for_all(&topics, |partition| {
        let authorized = match from_broker {
            true => Ok(()),
            false if is_internal(&partition.topic) => Err(Denied::Topic),
            false => denied.check(&partition.topic),
        };
        let error = match authorized {
            Err(denied) => denied.error_code(),
            Ok(()) if cluster.image.partition(&partition.topic, partition.partition).is_none() => {
                ErrorCode::UnknownTopicOrPartition
            }
            Ok(()) => ErrorCode::OperationNotAttempted,
        };
        refused |= error != ErrorCode::OperationNotAttempted;
        error
    });
    if refused {
        return Eventual::Now(checked);
    }
    let partitions = topics.iter().flat_map(partitions_of).collect();
    let transactional_id: TransactionalId = (&*transactional_id).into();
    let command = AddPartitions {
        transactional_id: TransactionalId::clone(&transactional_id),
        producer,
        partitions,
        verify_only,
        client_transaction_version: if from_broker { PROTOCOL_2 } else { 0 },
    };
    let results = move |result: TxnResult<PartitionResults>| match result {
        Ok(results) => {
            let of = |partition: &TopicPartition| results.iter().find(|(added, _)| added == partition);
            results_for_all(&topics, |partition| match of(&partition) {
                Some((_, Err(error))) => error.error_code(),
                _ => ErrorCode::None,
            })
        }
        Err(error) => results_for_all(&topics, |_| error),
    };
    match submit(&context.broker, &transactional_id, command) {
        Err(error) => Eventual::Now(results(Err(error))),
        Ok(pending) => Eventual::of(pending, move |reply| results(flattened(reply))),
    }
}

fn partitions_of(topic: &AddPartitionsToTxnTopic) -> impl Iterator<Item = TopicPartition> + '_ {
    topic.partitions.iter().map(|index| TopicPartition::new(&*topic.name, *index))
}

fn results_for_all(
    topics: &[AddPartitionsToTxnTopic],
    mut result: impl FnMut(TopicPartition) -> ErrorCode,
) -> TopicResults {
    let mut results = Vec::with_capacity(topics.len());
    for topic in topics {
        let results_by_partition = partitions_of(topic)
            .map(|partition| AddPartitionsToTxnPartitionResult {
                partition_index: partition.partition,
                partition_error_code: result(partition).code(),
            })
            .collect();
        results.push(AddPartitionsToTxnTopicResult { name: topic.name.clone(), results_by_partition });
    }
    results
}
