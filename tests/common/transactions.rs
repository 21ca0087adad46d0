//! A producer with a transactional id that sends one request at a time, as a test asks for it.

use std::collections::HashMap;
use std::time::Duration;

use ottla_broker::clock::wall_clock_ms;
use ottla_client::{Client, Pending};
use ottla_wire::codec::Str;
use ottla_wire::protocol::ApiKey;
use ottla_wire::protocol::messages::add_partitions_to_txn::{AddPartitionsToTxnRequest, AddPartitionsToTxnTopic};
use ottla_wire::protocol::messages::describe_transactions::DescribeTransactionsRequest;
use ottla_wire::protocol::messages::end_txn::EndTxnRequest;
use ottla_wire::protocol::messages::find_coordinator::FindCoordinatorRequest;
use ottla_wire::protocol::messages::init_producer_id::InitProducerIdRequest;
use ottla_wire::protocol::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use ottla_wire::record::{BatchBuilder, Codec};
use ottla_wire::types::{ErrorCode, ProducerIdEpoch, TopicPartition};

/// The versions of the requests of protocol 1.
const ADD_PARTITIONS: i16 = 3;
const PRODUCE_1: i16 = 11;
const END_1: i16 = 4;
/// The versions of the requests of protocol 2.
const PRODUCE_2: i16 = 12;
const END_2: i16 = 5;
const TRANSACTION: i8 = 1;
const FIND_ONE: i16 = 3;
/// The number of attempts at a request while a coordinator loads or an earlier transaction ends.
const ATTEMPTS: u32 = 1000;

const PAUSE: Duration = Duration::from_millis(10);

/// The protocol of a producer's transactions (KIP-890).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxnProtocol {
    V1,
    V2,
}

/// A producer with a transactional id.
pub struct TransactionalProducer<'a> {
    client: &'a Client,
    id: String,
    protocol: TxnProtocol,
    timeout_ms: i32,
    pub producer: ProducerIdEpoch,
    sequences: HashMap<TopicPartition, i32>,
}

impl<'a> TransactionalProducer<'a> {
    /// A producer that is not initialized.
    pub fn new(client: &'a Client, id: &str, protocol: TxnProtocol, timeout_ms: i32) -> TransactionalProducer<'a> {
        let (id, producer) = (id.to_owned(), ProducerIdEpoch::NONE);
        TransactionalProducer { client, id, protocol, timeout_ms, producer, sequences: HashMap::new() }
    }

    /// An initialized producer; panics if it cannot be initialized.
    pub async fn start(
        client: &'a Client,
        id: &str,
        protocol: TxnProtocol,
        timeout_ms: i32,
    ) -> TransactionalProducer<'a> {
        let mut producer = TransactionalProducer::new(client, id, protocol, timeout_ms);
        assert_eq!(producer.init().await, ErrorCode::None, "{id}");
        producer
    }

    /// Calls InitProducerId without the current producer, until the coordinator is ready.
    pub async fn init(&mut self) -> ErrorCode {
        let mut error = ErrorCode::None;
        for _ in 0..ATTEMPTS {
            error = self.init_once().await;
            match error {
                ErrorCode::CoordinatorLoadInProgress
                | ErrorCode::CoordinatorNotAvailable
                | ErrorCode::NotCoordinator
                | ErrorCode::ConcurrentTransactions => self.find_coordinator().await,
                error => return error,
            }
        }
        error
    }

    pub async fn init_once(&mut self) -> ErrorCode {
        let request = InitProducerIdRequest {
            transactional_id: Some(Str::from(self.id.as_str())),
            transaction_timeout_ms: self.timeout_ms,
            ..Default::default()
        };
        let answer = self.client.call(request).await.expect("an answer");
        if answer.error_code == 0 {
            self.producer = ProducerIdEpoch { producer_id: answer.producer_id, epoch: answer.producer_epoch };
            self.sequences.clear();
        }
        error(answer.error_code)
    }

    /// Calls FindCoordinator, and pauses. The first such request creates `__transaction_state`.
    async fn find_coordinator(&self) {
        let version = self.client.version_up_to(ApiKey::FindCoordinator, FIND_ONE).expect("a version");
        let request =
            FindCoordinatorRequest { key: Str::from(self.id.as_str()), key_type: TRANSACTION, ..Default::default() };
        self.client.call_at(request, version).await.expect("an answer");
        tokio::time::sleep(PAUSE).await;
    }

    /// Calls AddPartitionsToTxn of protocol 1 with one partition.
    pub async fn add(&self, topic: &str, partition: i32) -> ErrorCode {
        let request = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: Str::from(self.id.as_str()),
            v3_and_below_producer_id: self.producer.producer_id,
            v3_and_below_producer_epoch: self.producer.epoch,
            v3_and_below_topics: vec![AddPartitionsToTxnTopic { name: Str::from(topic), partitions: vec![partition] }],
            ..Default::default()
        };
        let answer = self.client.call_at(request, ADD_PARTITIONS).await.expect("an answer");
        error(answer.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code)
    }

    /// Writes a record without adding its partition in a request of protocol 1.
    pub async fn produce(&mut self, topic: &str, partition: i32, value: &str) -> ErrorCode {
        let sequence = self.sequences.entry(TopicPartition::new(topic, partition)).or_insert(0);
        let mut batch = BatchBuilder::new(Codec::None).producer(self.producer, *sequence).transactional();
        batch.append(wall_clock_ms(), None, Some(value.as_bytes()), &[]);
        let records = batch.build().expect("a batch").bytes().clone();
        let request = ProduceRequest {
            transactional_id: Some(Str::from(self.id.as_str())),
            acks: -1,
            timeout_ms: 30_000,
            topic_data: vec![TopicProduceData {
                name: Str::from(topic),
                partition_data: vec![PartitionProduceData { index: partition, records: Some(records) }],
                ..Default::default()
            }],
        };
        let version = if self.protocol == TxnProtocol::V2 { PRODUCE_2 } else { PRODUCE_1 };
        let answer = self.client.call_at(request, version).await.expect("an answer");
        let error = error(answer.responses[0].partition_responses[0].error_code);
        if error == ErrorCode::None {
            *sequence += 1;
        }
        error
    }

    /// Adds the partition, with protocol 1, and writes a record.
    pub async fn write(&mut self, topic: &str, partition: i32, value: &str) -> ErrorCode {
        if self.protocol == TxnProtocol::V1 {
            let mut added = ErrorCode::ConcurrentTransactions;
            for _ in 0..ATTEMPTS {
                added = self.add(topic, partition).await;
                if added != ErrorCode::ConcurrentTransactions {
                    break;
                }
                tokio::time::sleep(PAUSE).await;
            }
            if added != ErrorCode::None {
                return added;
            }
        }
        self.produce(topic, partition, value).await
    }

    /// Sends EndTxn without awaiting the answer.
    pub async fn submit_end(&self, commit: bool) -> Pending<EndTxnRequest> {
        let request = EndTxnRequest {
            transactional_id: Str::from(self.id.as_str()),
            producer_id: self.producer.producer_id,
            producer_epoch: self.producer.epoch,
            committed: commit,
        };
        let version = if self.protocol == TxnProtocol::V2 { END_2 } else { END_1 };
        self.client.submit_at(request, version).await.expect("a connection")
    }

    /// Ends the transaction. With protocol 2 the producer continues with the epoch in the answer.
    pub async fn end(&mut self, commit: bool) -> ErrorCode {
        let answer = self.submit_end(commit).await.answer().await.expect("an answer");
        if answer.error_code == 0 && self.protocol == TxnProtocol::V2 {
            self.producer = ProducerIdEpoch { producer_id: answer.producer_id, epoch: answer.producer_epoch };
            self.sequences.clear();
        }
        error(answer.error_code)
    }
}

fn error(code: i16) -> ErrorCode {
    ErrorCode::from_code(code).unwrap_or(ErrorCode::UnknownServerError)
}

/// The state of a transactional id, such as `Ongoing`, or why it cannot be described.
pub async fn state_of(client: &Client, transactional_id: &str) -> Result<String, ErrorCode> {
    let request = DescribeTransactionsRequest { transactional_ids: vec![Str::from(transactional_id)] };
    let answer = client.call(request).await.expect("an answer");
    let state = &answer.transaction_states[0];
    match error(state.error_code) {
        ErrorCode::None => Ok(state.transaction_state.to_string()),
        error => Err(error),
    }
}
