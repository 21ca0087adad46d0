//! The calls of a transactional producer: initialize, begin, send offsets, commit, abort.
//!
//! As in Kafka's Java producer: a request that the coordinator cannot serve yet is sent again, at most for
//! `max.block.ms`. After an error in a transaction only [`Producer::abort_transaction`] is possible. If an abort or a
//! commit itself gets no response, the caller may call it again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::transaction::{PROTOCOL_2, Transactions};
use super::{Producer, SendError, Shared};
use crate::{ApiRequest, Client, ClientError, Member};
use ottla_wire::codec::Str;
use ottla_wire::protocol::ApiKey;
use ottla_wire::protocol::messages::add_offsets_to_txn::AddOffsetsToTxnRequest;
use ottla_wire::protocol::messages::add_partitions_to_txn::{AddPartitionsToTxnRequest, AddPartitionsToTxnTopic};
use ottla_wire::protocol::messages::end_txn::EndTxnRequest;
use ottla_wire::protocol::messages::find_coordinator::FindCoordinatorRequest;
use ottla_wire::protocol::messages::init_producer_id::InitProducerIdRequest;
use ottla_wire::protocol::messages::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use ottla_wire::types::{ErrorCode, Offset, PartitionIndex, ProducerIdEpoch, TopicPartition};

/// The newest versions that name a single coordinator and that clients send, and the first versions of protocol 2.
const FIND_ONE_COORDINATOR: i16 = 3;
const ADD_PARTITIONS_BY_CLIENT: i16 = 3;
const END_TXN_PROTOCOL_2: i16 = 5;
const OFFSETS_PROTOCOL_2: i16 = 5;
pub(super) const PRODUCE_PROTOCOL_2: i16 = 12;
/// The `key_type` of FindCoordinator for transactional ids.
const TRANSACTION_COORDINATOR: i8 = 1;
/// The wait while the transaction before is being completed, as in Kafka's Java producer.
const CONCURRENT_TRANSACTIONS_BACKOFF: Duration = Duration::from_millis(20);

impl<T: Send + 'static> Producer<T> {
    /// Initializes the transactional id: fences its other producers, and ends their open transaction.
    pub async fn init_transactions(&self) -> Result<(), SendError> {
        let id = self.shared.transactions(|transactions| transactions.id.clone())?;
        let find = FindCoordinatorRequest { key: id, key_type: TRANSACTION_COORDINATOR, ..Default::default() };
        self.shared.call(find, FIND_ONE_COORDINATOR, |response| response.error_code).await?;
        self.shared.init_producer_id(ProducerIdEpoch::NONE).await
    }

    /// Begins a transaction. Records are sent with [`Producer::send`].
    pub fn begin_transaction(&self) -> Result<(), SendError> {
        self.shared.transactions(Transactions::begin)?
    }

    /// Adds offsets of a group to the transaction: they are committed with it. As `member`, or without a member if the
    /// group is empty.
    pub async fn send_offsets_to_transaction(
        &self,
        group: &str,
        member: Option<&Member>,
        offsets: &BTreeMap<TopicPartition, Offset>,
    ) -> Result<(), SendError> {
        self.shared.transactions(|transactions| transactions.check_open())??;
        let sent = self.shared.send_offsets(group, member, offsets).await;
        sent.inspect_err(|error| self.shared.fail_transaction(error))
    }

    /// Sends all records, and commits the transaction. On an error it is still open, and must be aborted.
    pub async fn commit_transaction(&self) -> Result<(), SendError> {
        self.shared.transactions(|transactions| transactions.check_open())??;
        self.flush().await;
        self.shared.transactions(|transactions| transactions.check_open())??;
        self.shared.end_transaction(true).await
    }

    /// Drops the records that were not sent yet, and aborts the transaction.
    pub async fn abort_transaction(&self) -> Result<(), SendError> {
        self.shared.transactions(|transactions| transactions.check_abortable())??;
        self.shared.transactions(|transactions| transactions.fail(&SendError::Aborted))?;
        self.flush().await;
        self.shared.transactions(|transactions| transactions.check_abortable())??;
        self.shared.end_transaction(false).await
    }
}

impl<T: Send + 'static> Shared<T> {
    /// Runs `work` on the state of the transactions. Fails if the producer is not transactional.
    fn transactions<R>(&self, work: impl FnOnce(&mut Transactions) -> R) -> Result<R, SendError> {
        let mut accumulator = self.accumulator.lock();
        accumulator.transactions_mut().map(work).ok_or(SendError::State("the producer has no transactional.id"))
    }

    fn fail_transaction(&self, error: &SendError) {
        // A producer that is not transactional has no transaction.
        let _ = self.transactions(|transactions| transactions.fail(error));
        self.work.notify_one();
    }

    async fn init_producer_id(&self, current: ProducerIdEpoch) -> Result<(), SendError> {
        let id = self.transactions(|transactions| transactions.id.clone())?;
        let request = InitProducerIdRequest {
            transactional_id: Some(id),
            transaction_timeout_ms: i32::try_from(self.options.transaction_timeout.as_millis()).unwrap_or(i32::MAX),
            producer_id: current.producer_id,
            producer_epoch: current.epoch,
        };
        let (client, response) = self.call(request, i16::MAX, |response| response.error_code).await?;
        let producer = ProducerIdEpoch { producer_id: response.producer_id, epoch: response.producer_epoch };
        let mut accumulator = self.accumulator.lock();
        accumulator.set_producer_id(producer);
        if let Some(transactions) = accumulator.transactions_mut() {
            transactions.initialized(producer, protocol(&client));
        }
        Ok(())
    }

    /// Adds partitions that are not part of the transaction yet (protocol 1).
    pub(super) async fn add_partitions(&self, partitions: Vec<(Str, PartitionIndex)>) -> Result<(), SendError> {
        let (id, producer) = self.transactions(|transactions| (transactions.id.clone(), transactions.producer))?;
        let mut topics: BTreeMap<Str, Vec<PartitionIndex>> = BTreeMap::new();
        for (topic, index) in &partitions {
            topics.entry(topic.clone()).or_default().push(*index);
        }
        let topics = topics.into_iter().map(|(name, partitions)| AddPartitionsToTxnTopic { name, partitions });
        let request = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: id,
            v3_and_below_producer_id: producer.producer_id,
            v3_and_below_producer_epoch: producer.epoch,
            v3_and_below_topics: topics.collect(),
            ..Default::default()
        };
        self.call(request, ADD_PARTITIONS_BY_CLIENT, |response| {
            let results = response.results_by_topic_v3_and_below.iter().flat_map(|topic| &topic.results_by_partition);
            first_error(results.map(|result| result.partition_error_code))
        })
        .await?;
        self.transactions(|transactions| transactions.add(partitions))
    }

    async fn send_offsets(
        &self,
        group: &str,
        member: Option<&Member>,
        offsets: &BTreeMap<TopicPartition, Offset>,
    ) -> Result<(), SendError> {
        let (id, producer, protocol_2) = self.transactions(|transactions| {
            transactions.start();
            (transactions.id.clone(), transactions.producer, transactions.uses_protocol_2())
        })?;
        let ProducerIdEpoch { producer_id, epoch: producer_epoch } = producer;
        if !protocol_2 {
            let request = AddOffsetsToTxnRequest {
                transactional_id: id.clone(),
                producer_id,
                producer_epoch,
                group_id: group.into(),
            };
            self.call(request, i16::MAX, |response| response.error_code).await?;
        }
        let mut topics: BTreeMap<Str, Vec<TxnOffsetCommitRequestPartition>> = BTreeMap::new();
        for (at, offset) in offsets {
            topics.entry(Str::from(&*at.topic)).or_default().push(TxnOffsetCommitRequestPartition {
                partition_index: at.partition,
                committed_offset: *offset,
                ..Default::default()
            });
        }
        let topic = |(name, partitions)| TxnOffsetCommitRequestTopic { name, partitions, ..Default::default() };
        let request = TxnOffsetCommitRequest {
            transactional_id: id,
            group_id: group.into(),
            producer_id,
            producer_epoch,
            generation_id_or_member_epoch: member.map_or(-1, |member| member.generation),
            member_id: member.map_or(Str::default(), |member| Str::from(member.id.as_str())),
            group_instance_id: member.and_then(|member| member.instance_id.as_deref()).map(Str::from),
            topics: topics.into_iter().map(topic).collect(),
        };
        let newest = if protocol_2 { OFFSETS_PROTOCOL_2 } else { OFFSETS_PROTOCOL_2 - 1 };
        self.call(request, newest, |response| {
            let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
            first_error(partitions.map(|partition| partition.error_code))
        })
        .await?;
        Ok(())
    }

    async fn end_transaction(&self, committed: bool) -> Result<(), SendError> {
        let (id, producer, protocol_2, is_started) = self.transactions(|transactions| {
            let protocol_2 = transactions.uses_protocol_2();
            (transactions.id.clone(), transactions.producer, protocol_2, transactions.is_started())
        })?;
        let mut next = producer;
        if is_started {
            let ProducerIdEpoch { producer_id, epoch: producer_epoch } = producer;
            let request = EndTxnRequest { transactional_id: id, producer_id, producer_epoch, committed };
            let newest = if protocol_2 { END_TXN_PROTOCOL_2 } else { END_TXN_PROTOCOL_2 - 1 };
            let ended = self.call(request, newest, |response| response.error_code).await;
            let (_, response) = ended.inspect_err(|error| self.fail_transaction(error))?;
            if protocol_2 {
                next = ProducerIdEpoch { producer_id: response.producer_id, epoch: response.producer_epoch };
            }
        }
        let has_gap = {
            let mut accumulator = self.accumulator.lock();
            if next != producer {
                accumulator.set_producer_id(next);
            }
            if let Some(transactions) = accumulator.transactions_mut() {
                transactions.ended(next);
            }
            accumulator.has_sequence_gap()
        };
        match has_gap {
            // Sequence numbers start again with the next epoch.
            true => self.init_producer_id(next).await,
            false => Ok(()),
        }
    }

    /// Sends a request in the newest version that both sides support, at most `newest`, again and again while the broker
    /// returns a retriable error, at most for `max.block.ms`.
    async fn call<R: ApiRequest + Clone>(
        &self,
        request: R,
        newest: i16,
        error_code: impl Fn(&R::ApiResponse) -> i16,
    ) -> Result<(Client, R::ApiResponse), SendError> {
        let deadline = Instant::now() + self.options.max_block;
        loop {
            let error = match self.client().await {
                Err(refused) => refused.unwrap_or(SendError::Disconnected),
                Ok(client) => match self.call_once(&client, request.clone(), newest).await {
                    Ok(response) if error_code(&response) == 0 => return Ok((client, response)),
                    Ok(response) => SendError::refused(error_code(&response), None),
                    Err(error) => SendError::from_client(&error),
                },
            };
            if !error.is_retriable() || Instant::now() >= deadline {
                return Err(error);
            }
            let wait = match error.code() {
                ErrorCode::ConcurrentTransactions => self.options.retry_backoff.min(CONCURRENT_TRANSACTIONS_BACKOFF),
                _ => self.options.retry_backoff,
            };
            tokio::time::sleep(wait).await;
        }
    }

    async fn call_once<R: ApiRequest>(
        &self,
        client: &Client,
        request: R,
        newest: i16,
    ) -> Result<R::ApiResponse, ClientError> {
        let response = client.call_at(request, client.version_up_to(R::KEY, newest)?).await;
        if matches!(response, Err(ClientError::Timeout { .. })) {
            self.connection.disconnect().await;
        }
        response
    }
}

/// The level of `transaction.version` to use with the broker.
fn protocol(client: &Client) -> i16 {
    let serves = |key, version| client.served(key).is_some_and(|(_, newest)| newest >= version);
    let level = client.feature_level("transaction.version").unwrap_or(0);
    let serves_2 = serves(ApiKey::Produce, PRODUCE_PROTOCOL_2)
        && serves(ApiKey::EndTxn, END_TXN_PROTOCOL_2)
        && serves(ApiKey::TxnOffsetCommit, OFFSETS_PROTOCOL_2);
    if serves_2 { level } else { level.min(PROTOCOL_2 - 1) }
}

/// The first error code that is not 0, or 0.
fn first_error(codes: impl Iterator<Item = i16>) -> i16 {
    codes.into_iter().find(|code| *code != 0).unwrap_or(0)
}
