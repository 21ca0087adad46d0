//! TxnOffsetCommit (key 28), versions 0 to 6: offsets that take effect when their transaction commits.
//!
//! Up to version 4, the client must first add the group's partition of `__consumer_offsets` to the transaction with
//! AddOffsetsToTxn, and this request verifies that with the coordinator. From version 5 on (protocol 2), this request
//! adds the partition. The member, its generation and instance id (version 3 and above) are checked as in OffsetCommit
//! (KIP-447). Version 6 names topics by id.

use std::sync::Arc;

use super::super::authorizer::{Operation, Resource};
use super::super::commit_plan::{CommitPlan, RequestedTopic};
use super::super::context::{Answer, Context};
use super::super::errors::{ToErrorCode, code_of};
use super::super::eventual::Eventual;
use super::verification::{self, Client, Verifying};
use crate::state::Broker;
use ottla_core::coordinator::group::{CommitTxnOffsets, PartitionCommit};
use ottla_core::metadata::CONSUMER_OFFSETS;
use ottla_log::TxnVerification;
use ottla_wire::protocol::messages::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestTopic, TxnOffsetCommitResponse, TxnOffsetCommitResponsePartition,
    TxnOffsetCommitResponseTopic,
};
use ottla_wire::types::{ErrorCode, ProducerIdEpoch};

/// The first version of protocol 2, whose requests add the partition to the transaction.
const PROTOCOL_2: i16 = 5;
/// The first version whose clients know TRANSACTION_ABORTABLE.
const KNOWS_ABORTABLE: i16 = 4;
/// The first version whose clients all retry after COORDINATOR_LOAD_IN_PROGRESS, as in Kafka.
const KNOWS_LOADING: i16 = 2;
/// The first version that names topics by id.
const BY_ID: i16 = 6;

pub(in super::super) fn commit(context: &Context, mut request: TxnOffsetCommitRequest) -> Answer {
    let denied = context
        .authorize(Operation::Write, Resource::TransactionalId(&request.transactional_id))
        .and_then(|()| context.authorize(Operation::Read, Resource::Group(&request.group_id)));
    let mut plan = CommitPlan::default();
    let cluster = context.broker.cluster();
    let by_id = context.version() >= BY_ID;
    let topics = std::mem::take(&mut request.topics).into_iter().map(requested_topic);
    match &denied {
        Err(denied) => topics.for_each(|topic| plan.refuse(topic, denied.error_code())),
        Ok(()) => plan.add_all(context, &cluster, topics.collect(), by_id),
    }
    let is_before_2_0 = context.version() < KNOWS_LOADING;
    let respond = move |plan: CommitPlan, outcome: Outcome| response(plan, outcome, is_before_2_0);
    if plan.topics.is_empty() {
        return respond(plan, Err(ErrorCode::None)).into();
    }
    // Before the verification, which would add the partition to the transaction.
    if request.group_id.is_empty() {
        return respond(plan, Err(ErrorCode::InvalidGroupId)).into();
    }
    let producer = ProducerIdEpoch { producer_id: request.producer_id, epoch: request.producer_epoch };
    let command = CommitTxnOffsets {
        group_id: (&*request.group_id).into(),
        producer,
        member_id: (&*request.member_id).into(),
        instance_id: request.group_instance_id.as_deref().map(Arc::from),
        generation: request.generation_id_or_member_epoch,
        topics: std::mem::take(&mut plan.topics),
    };
    let client =
        Client { protocol_2: context.version() >= PROTOCOL_2, knows_abortable: context.version() >= KNOWS_ABORTABLE };
    let broker = Arc::clone(&context.broker);
    if !broker.has_internal_topic(CONSUMER_OFFSETS) {
        let cause = context.cause("TxnOffsetCommit");
        return Answer::parked(async move {
            let outcome = match broker.ensure_internal_topic(CONSUMER_OFFSETS, cause).await {
                Ok(()) => run_verified(&broker, verify(&broker, &request, client).wait().await, command).await,
                Err(_) => Err(ErrorCode::CoordinatorNotAvailable),
            };
            respond(plan, outcome)
        });
    }
    match verify(&broker, &request, client) {
        // Submitted before this returns, in the order of requests.
        Eventual::Now(Ok(verification)) => {
            run(&broker, command, verification).answer(move |outcome| respond(plan, outcome))
        }
        Eventual::Now(Err(error)) => respond(plan, Err(error)).into(),
        Eventual::Later(verified) => {
            Answer::parked(async move { respond(plan, run_verified(&broker, verified.await, command).await) })
        }
    }
}

/// Verifies that the group's partition belongs to the transaction.
fn verify(broker: &Broker, request: &TxnOffsetCommitRequest, client: Client) -> Verifying {
    let producer = ProducerIdEpoch { producer_id: request.producer_id, epoch: request.producer_epoch };
    match broker.groups().partition_of(&request.group_id) {
        Ok(partition) => verification::of_offsets(broker, &request.transactional_id, producer, &partition, client),
        Err(error) => Eventual::Now(Err(error.error_code())),
    }
}

async fn run_verified(
    broker: &Broker,
    verified: Result<TxnVerification, ErrorCode>,
    command: CommitTxnOffsets,
) -> Outcome {
    run(broker, command, verified?).wait().await
}

/// Runs the commit.
fn run(broker: &Broker, command: CommitTxnOffsets, verification: TxnVerification) -> Eventual<Outcome> {
    let group_id = Arc::clone(&command.group_id);
    match broker.groups().submit_verified(&group_id, command, verification) {
        Ok(pending) => Eventual::of(pending, |reply| match reply {
            Ok(Ok(results)) => {
                Ok(results.into_iter().flat_map(|topic| topic.partitions).map(|(_, result)| code_of(&result)).collect())
            }
            Ok(Err(error)) => Err(error.error_code()),
            Err(unavailable) => Err(unavailable.error_code()),
        }),
        Err(unavailable) => Eventual::Now(Err(unavailable.error_code())),
    }
}

/// The error code of each partition, or one for all.
type Outcome = Result<Vec<i16>, ErrorCode>;

fn requested_topic(topic: TxnOffsetCommitRequestTopic) -> RequestedTopic {
    let partitions = topic.partitions.into_iter().map(|partition| PartitionCommit {
        partition: partition.partition_index,
        offset: partition.committed_offset,
        leader_epoch: partition.committed_leader_epoch,
        metadata: partition.committed_metadata.as_deref().map(Box::from),
        timestamp: None,
    });
    RequestedTopic { name: topic.name, topic_id: topic.topic_id, partitions: partitions.collect() }
}

/// `is_before_2_0`: the client may be a producer of Kafka before 2.0, which fails on COORDINATOR_LOAD_IN_PROGRESS
/// (KAFKA-7296).
fn response(plan: CommitPlan, outcome: Outcome, is_before_2_0: bool) -> TxnOffsetCommitResponse {
    let outcome = match outcome {
        Err(ErrorCode::CoordinatorLoadInProgress) if is_before_2_0 => Err(ErrorCode::CoordinatorNotAvailable),
        outcome => outcome,
    };
    let topics = plan.complete(&outcome).into_iter().map(|topic| TxnOffsetCommitResponseTopic {
        name: topic.name,
        topic_id: topic.topic_id,
        partitions: topic
            .partitions
            .into_iter()
            .map(|(partition_index, error_code)| TxnOffsetCommitResponsePartition { partition_index, error_code })
            .collect(),
    });
    TxnOffsetCommitResponse { topics: topics.collect(), ..Default::default() }
}
