//! Verification that partitions belong to the producer's open transaction, before its records are appended (KIP-890).
//!
//! Three steps: the partition makes a guard; the coordinator confirms that the partition belongs to the transaction;
//! the records are appended with the guard. A marker that is appended in between makes the guard invalid, so that no
//! record of an ended transaction is appended after its marker.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::authorizer::{Operation, Resource};
use super::super::context::Context;
use super::super::errors::ToErrorCode;
use super::super::eventual::Eventual;
use super::PROTOCOL_2;
use crate::state::Broker;
use crate::state::cluster::Cluster;
use crate::state::partition::Partition;
use crate::state::runtime::{PendingReply, Unavailable};
use ottla_core::coordinator::transaction::{AddPartitions, PartitionResults, TransactionError};
use ottla_log::{TxnVerification, Verification};
use ottla_wire::protocol::messages::produce::ProduceRequest;
use ottla_wire::record::BatchHeader;
use ottla_wire::types::{ErrorCode, ProducerIdEpoch, TopicPartition};

/// The sequence number of records without one.
const NO_SEQUENCE: i32 = -1;
/// The first version of Produce that uses protocol 2.
const PRODUCE_PROTOCOL_2: i16 = 12;
/// The first version of Produce whose clients know TRANSACTION_ABORTABLE.
const PRODUCE_KNOWS_ABORTABLE: i16 = 11;

/// What the client's version of its request supports.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client {
    /// Whether the request adds its partitions to the transaction (transaction.version 2).
    pub protocol_2: bool,
    /// Whether the client knows TRANSACTION_ABORTABLE.
    pub knows_abortable: bool,
}

/// The verification of one partition, which may wait until the coordinator's reply is synced.
pub(super) type Verifying = Eventual<Result<TxnVerification, ErrorCode>>;

/// The result for each partition, with the error codes for clients.
type Results = HashMap<TopicPartition, Result<(), ErrorCode>>;

/// Verifies a commit of offsets to a partition of `__consumer_offsets`. Its records have no sequence numbers.
pub(super) fn of_offsets(
    broker: &Broker,
    transactional_id: &str,
    producer: ProducerIdEpoch,
    partition: &Arc<Partition>,
    client: Client,
) -> Verifying {
    if !client.protocol_2 && !broker.cluster().config.transactions.partition_verification_enable {
        return Eventual::Now(Ok(TxnVerification::Disabled));
    }
    let begun = partition.begin_verification(producer, NO_SEQUENCE, client.protocol_2, broker.now().wall);
    let verification = match begun {
        Ok(verification) => verification,
        Err(error) => return Eventual::Now(Err(error.error_code())),
    };
    let confirmed = verification.confirmed();
    if verification == Verification::NotNeeded {
        return Eventual::Now(Ok(confirmed));
    }
    match add_or_verify(broker, transactional_id, producer, vec![partition.id().clone()], client) {
        Err(error) => Eventual::Now(Err(error_for_client(&error))),
        Ok(pending) => Eventual::of(pending, move |reply| {
            client_results(reply, client)?.into_iter().next().map_or(Ok(()), |(_, result)| result)?;
            Ok(confirmed)
        }),
    }
}

/// Asks the coordinator whether the partitions belong to the transaction; protocol 2 adds them to it.
fn add_or_verify(
    broker: &Broker,
    transactional_id: &str,
    producer: ProducerIdEpoch,
    partitions: Vec<TopicPartition>,
    client: Client,
) -> Result<PendingReply<AddPartitions>, Unavailable> {
    let command = AddPartitions {
        transactional_id: transactional_id.into(),
        producer,
        partitions,
        verify_only: !client.protocol_2,
        client_transaction_version: if client.protocol_2 { PROTOCOL_2 } else { 0 },
    };
    broker.transactions().submit(transactional_id, command)
}

/// Converts the coordinator's reply to the error codes for the client.
fn client_results(
    reply: Result<Result<PartitionResults, TransactionError>, Unavailable>,
    client: Client,
) -> Result<Results, ErrorCode> {
    match reply {
        Ok(Ok(results)) => {
            let results = results.into_iter();
            Ok(results.map(|(partition, result)| (partition, result.map_err(|error| code(error, client)))).collect())
        }
        Ok(Err(error)) => Err(code(error, client)),
        Err(unavailable) => Err(error_for_client(&unavailable)),
    }
}

/// The error code for the client, as in Kafka's `AddPartitionsToTxnManager`: a fenced producer gets
/// INVALID_PRODUCER_EPOCH, as for its requests to partitions.
fn code(error: TransactionError, client: Client) -> ErrorCode {
    match error {
        TransactionError::ProducerFenced => ErrorCode::InvalidProducerEpoch,
        TransactionError::TransactionAbortable if !client.knows_abortable => ErrorCode::InvalidTxnState,
        error => error.error_code(),
    }
}

/// The error code for a coordinator that cannot be used. Clients retry these errors, except those of `Refused`.
fn error_for_client(unavailable: &Unavailable) -> ErrorCode {
    match unavailable {
        Unavailable::Loading => ErrorCode::CoordinatorLoadInProgress,
        Unavailable::NotAvailable | Unavailable::NotCoordinator => ErrorCode::CoordinatorNotAvailable,
        Unavailable::Refused(error) => error.error_code(),
    }
}

/// The verifications of a produce request's transactional batches.
#[derive(Debug, Default)]
pub(in super::super) struct Verifications {
    by_partition: HashMap<TopicPartition, Result<TxnVerification, ErrorCode>>,
}

impl Verifications {
    /// Verifies the transactional batches. Fails if they are from several producers.
    pub fn begin(context: &Context, request: &ProduceRequest) -> Result<Eventual<Verifications>, ErrorCode> {
        let mut verifications = Verifications::default();
        let Some(transactional_id) = request.transactional_id.as_deref() else {
            return Ok(Eventual::Now(verifications));
        };
        let version = context.version();
        let client =
            Client { protocol_2: version >= PRODUCE_PROTOCOL_2, knows_abortable: version >= PRODUCE_KNOWS_ABORTABLE };
        let broker = &context.broker;
        let cluster = broker.cluster();
        let is_disabled = !client.protocol_2 && !cluster.config.transactions.partition_verification_enable;
        let mut producer = None;
        let mut needed = Vec::new();
        for (partition, header) in transactional_batches(context, &cluster, request) {
            let of_batch = ProducerIdEpoch { producer_id: header.producer_id, epoch: header.producer_epoch };
            if *producer.get_or_insert(of_batch) != of_batch {
                return Err(ErrorCode::InvalidProducerIdMapping);
            }
            let begun = match is_disabled {
                true => Ok(TxnVerification::Disabled),
                false => partition
                    .begin_verification(of_batch, header.base_sequence, client.protocol_2, broker.now().wall)
                    .map_err(|error| error.error_code())
                    .map(|verification| {
                        if verification != Verification::NotNeeded {
                            needed.push((partition.id().clone(), verification.confirmed()));
                        }
                        verification.confirmed()
                    }),
            };
            verifications.by_partition.insert(partition.id().clone(), begun);
        }
        let Some(producer) = producer.filter(|_| !needed.is_empty()) else { return Ok(Eventual::Now(verifications)) };
        let partitions = needed.iter().map(|(partition, _)| partition.clone()).collect();
        let finish = move |results: Result<Results, ErrorCode>| {
            verifications.add(needed, &results, client);
            verifications
        };
        Ok(match add_or_verify(broker, transactional_id, producer, partitions, client) {
            Ok(pending) => Eventual::of(pending, move |reply| finish(client_results(reply, client))),
            Err(unavailable) => Eventual::Now(finish(Err(error_for_client(&unavailable)))),
        })
    }

    /// The verification with which the partition's batch is appended.
    pub fn of(&self, partition: &TopicPartition) -> Result<TxnVerification, ErrorCode> {
        self.by_partition.get(partition).copied().unwrap_or(Ok(TxnVerification::NotVerified))
    }

    fn add(
        &mut self,
        needed: Vec<(TopicPartition, TxnVerification)>,
        results: &Result<Results, ErrorCode>,
        client: Client,
    ) {
        for (partition, verification) in needed {
            let result = match results {
                Ok(results) => results.get(&partition).copied().unwrap_or(Err(ErrorCode::UnknownServerError)),
                Err(error) => Err(*error),
            };
            let result = result.map(|()| verification).map_err(|error| for_producer(error, client));
            self.by_partition.insert(partition, result);
        }
    }
}

/// The partitions of a produce request with transactional batches that the client may write, and the first header of
/// each.
fn transactional_batches<'a>(
    context: &Context,
    cluster: &'a Cluster,
    request: &ProduceRequest,
) -> Vec<(&'a Arc<Partition>, BatchHeader)> {
    let mut found = Vec::new();
    for data in &request.topic_data {
        let Some(topic) = cluster.topic_of(&data.name, data.topic_id) else { continue };
        if !context.allows(Operation::Write, Resource::Topic(topic.name())) {
            continue;
        }
        for partition in &data.partition_data {
            let header = partition.records.as_ref().and_then(|records| BatchHeader::parse(records).ok());
            let header = header.filter(BatchHeader::is_transactional);
            if let (Some(header), Ok(partition)) = (header, topic.partition(partition.index)) {
                found.push((partition, header));
            }
        }
    }
    found
}

/// The error code for the producer, as in Kafka's `ReplicaManager`: errors that old producers do not retry are replaced
/// by one that they do.
fn for_producer(error: ErrorCode, client: Client) -> ErrorCode {
    match error {
        ErrorCode::CoordinatorLoadInProgress | ErrorCode::CoordinatorNotAvailable | ErrorCode::NotCoordinator => {
            ErrorCode::NotEnoughReplicas
        }
        ErrorCode::ConcurrentTransactions if !client.protocol_2 => ErrorCode::NotEnoughReplicas,
        error => error,
    }
}
