//! Produce (key 0), versions 0 to 13.
//!
//! Versions 0 to 2 carry message formats 0 and 1, in any mixture and with any number of compressed wrappers; they are
//! converted. They may also carry no records, which succeeds. From version 3 on, each partition has exactly one v2
//! batch. With acks 0 there is no response; after a failure the connection is closed, as in Kafka, so that the client
//! notices. Appends of one connection are done in the order of its requests. A response waits only for the sync that
//! `flush.messages` requires.
//!
//! Departures: acks 1 and all are the same on one node. Every error has a message, whereas Kafka has one for some
//! errors only, and the message on an invalid timestamp names the setting that it violates. At most
//! [`RecordFaults::MAX_LISTED`] invalid records are listed. Records that cannot be decompressed or decoded, and null
//! records, are INVALID_RECORD, and an unknown codec is UNSUPPORTED_COMPRESSION_TYPE, where Kafka answers
//! UNKNOWN_SERVER_ERROR or nothing; `tests/data/produce-departures.tsv` lists all cases. Transactional batches are
//! verified with the transaction coordinator before they are appended; from version 12 on (protocol 2) their partitions are
//! thereby added to the transaction. Version 13 names topics by id. The response to a duplicate repeats the one to the original batch; Kafka returns
//! the producer's timestamp as the log append time there.
//!
//! [`RecordFaults::MAX_LISTED`]: ottla_wire::record::RecordFaults::MAX_LISTED

use std::sync::Arc;

use super::authorizer::{Operation, Resource};
use super::context::{Answer, Context};
use super::denied_topics::DeniedTopics;
use super::errors::ToErrorCode;
use super::eventual::Eventual;
use super::schema_validation::Invalid;
use super::transactions::verification::Verifications;
use crate::log_rate_limiter::log_limited;
use crate::server::CloseReason;
use crate::state::cluster::{Cluster, NotServed, Topic};
use crate::state::partition::{Partition, PartitionError};
use ottla_log::{AppendError, Appended, Origin, TxnVerification};
use ottla_wire::codec::Str;
use ottla_wire::protocol::messages::produce::{
    BatchIndexAndErrorMessage, PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceData,
    TopicProduceResponse,
};
use ottla_wire::record::{Accepts, BatchHeader, RecordError, Unverified, VerifyRules};
use ottla_wire::types::{ErrorCode, NO_TIMESTAMP, Offset, TopicPartition};

/// The first version that names topics by id.
const BY_ID: i16 = 13;

/// The one client id that may write to internal topics, as in Kafka.
const ADMIN_CLIENT_ID: &str = "__admin_client";

/// Kafka's message to transactional batches of several producers in one request.
const SEVERAL_PRODUCERS: &str = "Transactional records contained more than one producer ID";
/// Kafka's message where the transaction coordinator does not have a partition.
const NOT_ADDED: &str = "Partition was not added to the transaction";

/// The kind of log line for connections closed because a produce request with acks 0 failed.
const FAILED_WITHOUT_ACKS: &str = "connections closed for a failed produce request with acks=0";

pub(super) fn handle(context: &Context, request: ProduceRequest) -> Answer {
    if has_transactional_batch(&request) {
        let transactional_id = request.transactional_id.as_deref();
        let is_allowed = |id: &str| context.authorize(Operation::Write, Resource::TransactionalId(id)).is_ok();
        match (transactional_id.is_some_and(is_allowed), request.acks) {
            (true, _) => {}
            (false, 0) => {
                return Answer::Close("sent a transactional batch without an authorized transactional id".into());
            }
            (false, _) => return refuse_all(&request, ErrorCode::TransactionalIdAuthorizationFailed).into(),
        }
    }
    match Verifications::begin(context, &request) {
        Ok(Eventual::Now(verifications)) => respond(context, request, &verifications),
        // Producers with transactions send acks=all. A request with acks=0 has no response that could wait.
        Ok(Eventual::Later(_)) if request.acks == 0 => Answer::Close(CloseReason::new(
            FAILED_WITHOUT_ACKS,
            "sent a transactional batch with acks=0 whose partition the coordinator has not confirmed yet".to_owned(),
        )),
        Ok(Eventual::Later(verifications)) => {
            let context = context.clone();
            Answer::parked(async move { append_all(&context, request, &verifications.await).synced().await })
        }
        Err(error) => {
            let mut response = refuse_all(&request, error);
            let partitions = response.responses.iter_mut().flat_map(|topic| &mut topic.partition_responses);
            partitions.for_each(|partition| partition.error_message = Some(Str::from_static(SEVERAL_PRODUCERS)));
            response.into()
        }
    }
}

/// Appends all batches and responds.
fn respond(context: &Context, request: ProduceRequest, verifications: &Verifications) -> Answer {
    let acks = request.acks;
    let production = append_all(context, request, verifications);
    if acks == 0 {
        return match production.failure() {
            None => Answer::Nothing,
            Some(failure) => Answer::Close(CloseReason::new(
                FAILED_WITHOUT_ACKS,
                format!("sent a produce request with acks=0 that failed: {failure}"),
            )),
        };
    }
    if production.syncs.is_empty() {
        return production.response.into();
    }
    Answer::parked(production.synced())
}

/// Reads the headers only, because batches are not decoded before the request is authorized.
fn has_transactional_batch(request: &ProduceRequest) -> bool {
    let mut batches = request.topic_data.iter().flat_map(|topic| &topic.partition_data);
    batches.any(|data| {
        let header = data.records.as_ref().map(|records| BatchHeader::parse(records));
        header.is_some_and(|header| header.is_ok_and(|header| header.is_transactional()))
    })
}

/// The response after the appends, and the syncs needed before it may be sent.
struct Production {
    response: ProduceResponse,
    syncs: Vec<PendingSync>,
}

/// A partition whose response waits for a sync, by its indexes in the response.
struct PendingSync {
    topic: usize,
    partition: usize,
    log: Arc<Partition>,
    end: Offset,
}

impl Production {
    /// A description of the first failed partition.
    fn failure(&self) -> Option<String> {
        self.response.responses.iter().find_map(|topic| {
            let failed = topic.partition_responses.iter().find(|partition| partition.error_code != 0)?;
            let code = ErrorCode::from_code(failed.error_code).map_or("an unknown error", ErrorCode::name);
            Some(format!("{}-{}: {code}", topic.name, failed.index))
        })
    }

    async fn synced(mut self) -> ProduceResponse {
        for sync in self.syncs {
            let Err(error) = sync.log.sync_to(sync.end).await else { continue };
            let slot = self.response.responses.get_mut(sync.topic);
            if let Some(slot) = slot.and_then(|topic| topic.partition_responses.get_mut(sync.partition)) {
                *slot = failed(slot.index, error.error_code(), error.to_string());
            }
        }
        self.response
    }
}

/// The topics that the caller may not write. A topic counts once for each partition.
fn denied_topics(context: &Context, cluster: &Cluster, request: &ProduceRequest) -> DeniedTopics {
    let names = request.topic_data.iter().flat_map(|data| {
        let name = match context.version() {
            BY_ID.. => cluster.topic_by_id(data.topic_id).map(|topic| &**topic.name()),
            _ => Some(&*data.name),
        };
        name.into_iter().flat_map(|name| std::iter::repeat_n(name, data.partition_data.len()))
    });
    context.denied_topics(Operation::Write, names)
}

fn append_all(context: &Context, request: ProduceRequest, verifications: &Verifications) -> Production {
    let cluster = context.broker.cluster();
    let now = context.broker.now().wall;
    let accepts = Accepts::for_produce(context.version());
    let has_valid_acks = matches!(request.acks, -1..=1);
    let mut production = Production { response: ProduceResponse::default(), syncs: Vec::new() };
    let denied = denied_topics(context, &cluster, &request);
    for topic_data in request.topic_data.into_iter().filter(|topic| !topic.partition_data.is_empty()) {
        let topic = cluster.topic_of(&topic_data.name, topic_data.topic_id);
        let name = match (topic, context.version()) {
            (None, BY_ID..) => {
                // The absence of a topic with a given id is visible to every caller.
                production.response.responses.push(refuse_topic(&topic_data, ErrorCode::UnknownTopicId));
                continue;
            }
            (Some(topic), BY_ID..) => topic.name().to_string(),
            _ => topic_data.name.to_string(),
        };
        if let Err(denied) = denied.check(&name) {
            production.response.responses.push(refuse_topic(&topic_data, denied.error_code()));
            continue;
        }
        let rules = topic.map(|topic| topic.verify_rules(accepts, now));
        let mut responses = Vec::with_capacity(topic_data.partition_data.len());
        for data in topic_data.partition_data {
            let index = data.index;
            let found = topic.ok_or(NotServed::Unknown).and_then(|topic| Ok((topic, topic.partition(index)?)));
            let (topic, partition, rules) = match (found, &rules) {
                (Ok((_, partition)), Some(rules)) if !has_valid_acks => {
                    let records = Unverified::new(data.records.unwrap_or_default());
                    let code = refusal_for_acks(context, partition, &records, rules, verifications);
                    responses.push(failed(index, code, None));
                    continue;
                }
                (Ok((topic, partition)), Some(rules)) => (topic, partition, rules),
                (Err(NotServed::NotLeader | NotServed::AbsentDirectory), _) if !has_valid_acks => {
                    responses.push(failed(index, ErrorCode::InvalidRequiredAcks, None));
                    continue;
                }
                (Err(why @ (NotServed::NotLeader | NotServed::AbsentDirectory)), _) => {
                    responses.push(failed(index, why.error_code(), why.to_string()));
                    continue;
                }
                _ => {
                    responses.push(failed(index, ErrorCode::UnknownTopicOrPartition, None));
                    continue;
                }
            };
            if topic.image.is_internal() && context.client_id() != ADMIN_CLIENT_ID {
                let refusal = Refusal::Rule(ErrorCode::InvalidTopicException, "only the broker writes to this topic");
                refusal.log(context, partition);
                responses.push(refusal.response(index, partition));
                continue;
            }
            let records = Unverified::new(data.records.unwrap_or_default());
            if accepts == Accepts::AnyFormat && records.has_no_whole_batch() {
                responses.push(PartitionProduceResponse { index, base_offset: -1, ..Default::default() });
                continue;
            }
            match append(context, topic, partition, &records, rules, verifications) {
                Ok(appended) => {
                    let end = appended.last_offset + 1;
                    if partition.must_sync_before_ack(end) {
                        let (topic, partition_index) = (production.response.responses.len(), responses.len());
                        production.syncs.push(PendingSync {
                            topic,
                            partition: partition_index,
                            log: Arc::clone(partition),
                            end,
                        });
                    }
                    context.broker.after_append(partition, &appended);
                    responses.push(accepted(index, &appended));
                }
                Err(refusal) => {
                    refusal.log(context, partition);
                    responses.push(refusal.response(index, partition));
                }
            }
        }
        production.response.responses.push(TopicProduceResponse {
            name: topic_data.name,
            topic_id: topic_data.topic_id,
            partition_responses: responses,
        });
    }
    production
}

/// The error code if the request has invalid acks. As in Kafka, a set of records that the version does not allow and a
/// transaction that is not confirmed count first, and all other properties of the records do not.
fn refusal_for_acks(
    context: &Context,
    partition: &Partition,
    records: &Unverified,
    rules: &VerifyRules,
    verifications: &Verifications,
) -> ErrorCode {
    match context.large_batches.verify(records, rules, None) {
        Err(error @ RecordError::NotOneBatch(_)) => error.error_code(),
        _ => verifications.of(partition.id()).err().unwrap_or(ErrorCode::InvalidRequiredAcks),
    }
}

/// The reason for not appending the records of a partition.
enum Refusal {
    Records(RecordError),
    Partition(PartitionError),
    Rule(ErrorCode, &'static str),
    /// The transaction coordinator did not confirm the partition.
    Transaction(ErrorCode),
    /// The records could not be validated by their schemas.
    NotValidated(ErrorCode, String),
}

fn append(
    context: &Context,
    topic: &Topic,
    partition: &Partition,
    records: &Unverified,
    rules: &VerifyRules,
    verifications: &Verifications,
) -> Result<Appended, Refusal> {
    let verified = context.schemas.verify(&context.large_batches, topic, records, rules);
    let verified = verified.map_err(|invalid| match invalid {
        Invalid::Records(error) => {
            count_refused(partition, records, &error);
            Refusal::Records(error)
        }
        Invalid::NotValidated(code, reason) => Refusal::NotValidated(code, reason),
    })?;
    let verification = match verified.first.header().is_transactional() {
        true => verifications.of(partition.id()).map_err(Refusal::Transaction)?,
        false => TxnVerification::NotVerified,
    };
    partition.append_set_verified(&verified, Origin::Client, verification, rules.now).map_err(Refusal::Partition)
}

/// Counts records that are refused because of what they are.
fn count_refused(partition: &Partition, records: &Unverified, error: &RecordError) {
    let traffic = partition.traffic();
    traffic.add(|counters| &counters.produce_requests, 1);
    match error {
        RecordError::TooLarge { .. } | RecordError::ExpandsTooFar { .. } => {
            traffic.add(|counters| &counters.bytes_rejected, records.len() as u64);
        }
        RecordError::Corrupt(_) | RecordError::Truncated { .. } => traffic.add(|counters| &counters.invalid_crc, 1),
        _ => traffic.add(|counters| &counters.failed_produce, 1),
    }
}

impl Refusal {
    fn code(&self) -> ErrorCode {
        match self {
            Refusal::Records(error) => error.error_code(),
            Refusal::Partition(error) => error.error_code(),
            Refusal::Rule(code, _) | Refusal::Transaction(code) | Refusal::NotValidated(code, _) => *code,
        }
    }

    /// Logs the refusal with client and partition, rate-limited.
    fn log(&self, context: &Context, partition: &Partition) {
        let reason: &dyn std::fmt::Display = match self {
            Refusal::Records(error) => error,
            Refusal::Partition(error) => error,
            Refusal::Rule(_, reason) => reason,
            Refusal::NotValidated(_, reason) => reason,
            Refusal::Transaction(_) => &"the transaction coordinator did not confirm the partition",
        };
        let code = self.code();
        log_limited!(
            INFO, context.broker.log_rate_limiter(), context.connection.peer.ip(), "refused produce requests",
            client = %context.connection, client_id = context.client_id(), partition = %partition.id(),
            error = %code, %reason, "refused produce request"
        );
    }

    /// The log start offset, if the refusal came from the log; as in the response to a success.
    fn log_start_offset(&self, partition: &Partition) -> Offset {
        match self {
            Refusal::Partition(PartitionError::Append(AppendError::LargerThanSegment { .. })) => -1,
            Refusal::Records(RecordError::Invalid(_) | RecordError::Records(_))
            | Refusal::Partition(PartitionError::Append(_)) => partition.offsets().map_or(-1, |offsets| offsets.start),
            _ => -1,
        }
    }

    fn response(self, index: i32, partition: &Partition) -> PartitionProduceResponse {
        let log_start_offset = self.log_start_offset(partition);
        PartitionProduceResponse { log_start_offset, ..self.describe(index, partition.id()) }
    }

    fn describe(self, index: i32, partition: &TopicPartition) -> PartitionProduceResponse {
        let code = self.code();
        match self {
            Refusal::Records(RecordError::Records(faults)) => {
                let record_errors = faults.listed().iter().map(|record| BatchIndexAndErrorMessage {
                    batch_index: record.batch_index,
                    batch_index_error_message: Some(record.message(partition).into()),
                });
                let record_errors = record_errors.collect();
                PartitionProduceResponse { record_errors, ..failed(index, code, faults.message(partition)) }
            }
            Refusal::Records(error) => failed(index, code, error.to_string()),
            Refusal::Partition(error) => failed(index, code, error.to_string()),
            Refusal::Rule(_, reason) => failed(index, code, reason.to_owned()),
            Refusal::NotValidated(_, reason) => failed(index, code, reason),
            Refusal::Transaction(ErrorCode::InvalidTxnState) => failed(index, code, NOT_ADDED.to_owned()),
            Refusal::Transaction(_) => failed(index, code, None),
        }
    }
}

fn accepted(index: i32, appended: &Appended) -> PartitionProduceResponse {
    PartitionProduceResponse {
        index,
        error_code: ErrorCode::None.code(),
        base_offset: appended.base_offset,
        log_append_time_ms: appended.log_append_time.unwrap_or(NO_TIMESTAMP),
        log_start_offset: appended.log_start_offset,
        ..Default::default()
    }
}

fn failed(index: i32, code: ErrorCode, message: impl Into<Option<String>>) -> PartitionProduceResponse {
    PartitionProduceResponse {
        index,
        error_code: code.code(),
        base_offset: -1,
        error_message: message.into().map(Str::from),
        ..Default::default()
    }
}

fn refuse_all(request: &ProduceRequest, code: ErrorCode) -> ProduceResponse {
    let responses = request.topic_data.iter().map(|topic| refuse_topic(topic, code));
    ProduceResponse { responses: responses.collect(), ..Default::default() }
}

fn refuse_topic(topic: &TopicProduceData, code: ErrorCode) -> TopicProduceResponse {
    TopicProduceResponse {
        name: topic.name.clone(),
        topic_id: topic.topic_id,
        partition_responses: topic.partition_data.iter().map(|data| failed(data.index, code, None)).collect(),
    }
}
