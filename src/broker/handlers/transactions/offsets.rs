//! TxnOffsetCommit (key 28), versions 0 to 6: offsets that take effect when their transaction commits.
//!
//! Up to version 4, the client must first add the group's partition of `__consumer_offsets` to the transaction with
//! AddOffsetsToTxn, and this request verifies that with the coordinator. From version 5 on (protocol 2), this request
//! adds the partition. The member, its generation and instance id (version 3 and above) are checked as in OffsetCommit
//! (KIP-447). Version 6 names topics by id.

use std::sync::Arc;

use super::super::authorizer::{Operation, Resource};
use super::super::context::{Answer, Context};
use super::super::errors::{ToErrorCode, code_of};
use super::verification::{self, Client, Verifying};
use crate::state::Broker;
use crate::state::cluster::Cluster;
use ottla_core::coordinator::group::{CommitTxnOffsets, PartitionCommit, TopicCommits};
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

pub(in super::super) fn commit(context: &Context, request: TxnOffsetCommitRequest) -> Answer {
    let denied = context
        .authorize(Operation::Write, Resource::TransactionalId(&request.transactional_id))
        .and_then(|()| context.authorize(Operation::Read, Resource::Group(&request.group_id)));
    let mut plan = Plan { is_before_2_0: context.version() < KNOWS_LOADING, ..Default::default() };
    let cluster = context.broker.cluster();
    for topic in &request.topics {
        match &denied {
            Err(denied) => plan.refuse(topic, denied.error_code()),
            Ok(()) => plan.add(context, &cluster, topic),
        }
    }
    if plan.topics.is_empty() {
        return plan.respond(&Err(ErrorCode::None)).into();
    }
    // Before the verification, which would add the partition to the transaction.
    if request.group_id.is_empty() {
        return plan.respond(&Err(ErrorCode::InvalidGroupId)).into();
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
        return Answer::parked(async move {
            let outcome = match broker.ensure_internal_topic(CONSUMER_OFFSETS).await {
                Ok(()) => match verify(&broker, &request, client) {
                    Ok(verifying) => match verifying.finished().await {
                        Ok(verification) => run(&broker, command, verification).await,
                        Err(error) => Err(error),
                    },
                    Err(error) => Err(error),
                },
                Err(_) => Err(ErrorCode::CoordinatorNotAvailable),
            };
            plan.respond(&outcome)
        });
    }
    match verify(&broker, &request, client) {
        Err(error) => plan.respond(&Err(error)).into(),
        Ok(Verifying::Done(verification)) => {
            // Submitted before this returns, in the order of requests.
            let running = run(&broker, command, verification);
            Answer::parked(async move { plan.respond(&running.await) })
        }
        Ok(verifying) => Answer::parked(async move {
            let outcome = match verifying.finished().await {
                Ok(verification) => run(&broker, command, verification).await,
                Err(error) => Err(error),
            };
            plan.respond(&outcome)
        }),
    }
}

/// Verifies that the group's partition belongs to the transaction.
fn verify(broker: &Broker, request: &TxnOffsetCommitRequest, client: Client) -> Result<Verifying, ErrorCode> {
    let partition = broker.groups().partition_of(&request.group_id).map_err(|error| error.error_code())?;
    let producer = ProducerIdEpoch { producer_id: request.producer_id, epoch: request.producer_epoch };
    verification::of_offsets(broker, &request.transactional_id, producer, &partition, client)
}

/// Runs the commit; returns the error code of each partition.
fn run(
    broker: &Broker,
    command: CommitTxnOffsets,
    verification: TxnVerification,
) -> impl Future<Output = Result<Vec<i16>, ErrorCode>> + Send + use<> {
    let group_id = Arc::clone(&command.group_id);
    let submitted = broker.groups().submit_verified(&group_id, command, verification);
    async move {
        match submitted.map_err(|error| error.error_code())?.reply().await {
            Ok(Ok(results)) => {
                Ok(results.into_iter().flat_map(|topic| topic.partitions).map(|(_, result)| code_of(&result)).collect())
            }
            Ok(Err(error)) => Err(error.error_code()),
            Err(unavailable) => Err(unavailable.error_code()),
        }
    }
}

/// The offsets to commit, and a response to be completed with the outcomes.
#[derive(Default)]
struct Plan {
    /// Whether the client may be a producer of Kafka before 2.0, which fails on COORDINATOR_LOAD_IN_PROGRESS
    /// (KAFKA-7296).
    is_before_2_0: bool,
    topics: Vec<TopicCommits>,
    response: Vec<TxnOffsetCommitResponseTopic>,
    /// The topic and partition indexes in `response` of each partition of `topics`, in order.
    positions: Vec<(usize, usize)>,
}

impl Plan {
    fn refuse(&mut self, requested: &TxnOffsetCommitRequestTopic, error: ErrorCode) {
        let partitions = requested.partitions.iter().map(|partition| TxnOffsetCommitResponsePartition {
            partition_index: partition.partition_index,
            error_code: error.code(),
        });
        self.response.push(TxnOffsetCommitResponseTopic {
            name: requested.name.clone(),
            topic_id: requested.topic_id,
            partitions: partitions.collect(),
        });
    }

    fn add(&mut self, context: &Context, cluster: &Cluster, requested: &TxnOffsetCommitRequestTopic) {
        let by_id = context.version() >= BY_ID;
        let topic = match by_id {
            true => cluster.topic_by_id(requested.topic_id),
            false => cluster.topic(&requested.name),
        };
        let name = match by_id {
            true => topic.map(|topic| &**topic.name()),
            false => Some(&*requested.name),
        };
        if let Some(Err(denied)) = name.map(|name| context.authorize(Operation::Read, Resource::Topic(name))) {
            return self.refuse(requested, denied.error_code());
        }
        let Some(topic) = topic else {
            let unknown = if by_id { ErrorCode::UnknownTopicId } else { ErrorCode::UnknownTopicOrPartition };
            return self.refuse(requested, unknown);
        };
        let topic_index = self.response.len();
        let mut commits = Vec::with_capacity(requested.partitions.len());
        let mut partitions = Vec::with_capacity(requested.partitions.len());
        for partition in &requested.partitions {
            let exists = topic.image.partition(partition.partition_index).is_some();
            if exists {
                self.positions.push((topic_index, partitions.len()));
                commits.push(PartitionCommit {
                    partition: partition.partition_index,
                    offset: partition.committed_offset,
                    leader_epoch: partition.committed_leader_epoch,
                    metadata: partition.committed_metadata.as_deref().map(Box::from),
                    timestamp: None,
                });
            }
            let error = if exists { ErrorCode::None } else { ErrorCode::UnknownTopicOrPartition };
            partitions.push(TxnOffsetCommitResponsePartition {
                partition_index: partition.partition_index,
                error_code: error.code(),
            });
        }
        self.response.push(TxnOffsetCommitResponseTopic {
            name: requested.name.clone(),
            topic_id: requested.topic_id,
            partitions,
        });
        if !commits.is_empty() {
            let topic_id = topic.id();
            self.topics.push(TopicCommits { topic: Arc::clone(topic.name()), topic_id, partitions: commits });
        }
    }

    fn respond(mut self, outcome: &Result<Vec<i16>, ErrorCode>) -> TxnOffsetCommitResponse {
        for (index, (topic, partition)) in self.positions.into_iter().enumerate() {
            let code = match outcome {
                Ok(codes) => codes.get(index).copied().unwrap_or(ErrorCode::UnknownServerError.code()),
                Err(ErrorCode::CoordinatorLoadInProgress) if self.is_before_2_0 => {
                    ErrorCode::CoordinatorNotAvailable.code()
                }
                Err(error) => error.code(),
            };
            let slot = self.response.get_mut(topic).and_then(|topic| topic.partitions.get_mut(partition));
            if let Some(slot) = slot {
                slot.error_code = code;
            }
        }
        TxnOffsetCommitResponse { topics: self.response, ..Default::default() }
    }
}
