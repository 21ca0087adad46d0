//! A transactional producer that sends one request after another, as Kafka's clients do for each transaction.
//!
//! It does little work besides encoding and decoding, so that the broker gets most of the CPU of a small machine. Its
//! share is the same for every broker.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla_wire::codec::Str;
use ottla_wire::protocol::frame::decode_response;
use ottla_wire::protocol::messages::add_partitions_to_txn::{AddPartitionsToTxnRequest, AddPartitionsToTxnTopic};
use ottla_wire::protocol::messages::end_txn::EndTxnRequest;
use ottla_wire::protocol::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use ottla_wire::protocol::{ApiKey, Request, Response};
use ottla_wire::record::{BatchBuilder, Codec, Verified};
use ottla_wire::types::{ErrorCode, ProducerIdEpoch};

use crate::admin::Admin;
use crate::load::{connect, request};

/// The wait before a request is sent again that the broker cannot serve yet: the transaction before it is still being
/// completed. Shorter than the 20 ms of Kafka's Java producer, so that it is not the wait that is measured.
const RETRY_BACKOFF: Duration = Duration::from_millis(1);
/// How often a request is sent again before the benchmark gives up.
const MAX_RETRIES: usize = 10_000;
/// All answers here are small.
const MAX_ANSWER: usize = 1 << 20;

/// How a client and the broker agree about the partitions of a transaction and its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Partitions are added by a request of their own, and the epoch stays the same.
    One,
    /// KIP-890: producing adds the partitions, and each transaction has an epoch of its own.
    Two,
}

impl Protocol {
    pub fn number(self) -> u8 {
        match self {
            Protocol::One => 1,
            Protocol::Two => 2,
        }
    }

    /// The newest version of Produce that names topics by name and uses this protocol.
    pub fn produce_version(self) -> i16 {
        match self {
            Protocol::One => 11,
            Protocol::Two => 12,
        }
    }

    pub fn end_txn_version(self) -> i16 {
        match self {
            Protocol::One => 4,
            Protocol::Two => 5,
        }
    }
}

/// The newest version of AddPartitionsToTxn for clients.
pub const ADD_PARTITIONS_VERSION: i16 = 3;

/// The latencies of one transaction.
#[derive(Clone, Copy, Debug)]
pub struct Timings {
    /// From the first request of the transaction to the answer of the commit.
    pub whole: Duration,
    /// From the request to commit to its answer.
    pub commit: Duration,
}

/// A producer with an open connection; after [`TxnProducer::initialize`] it may run transactions.
pub struct TxnProducer {
    socket: TcpStream,
    protocol: Protocol,
    transactional_id: Str,
    topic: Str,
    partitions: i32,
    producer: ProducerIdEpoch,
    next_sequence: i32,
    /// The batch for each partition, without its producer and sequence number.
    batch: Verified,
    /// Requests that were sent again.
    pub retries: u64,
}

impl TxnProducer {
    /// Connects, and initializes the transactional id. Each transaction writes a batch of one record of `record_bytes` to
    /// each of the topic's partitions.
    pub fn initialize(
        admin: &Admin,
        transactional_id: &str,
        protocol: Protocol,
        topic: &str,
        partitions: i32,
        record_bytes: usize,
    ) -> TxnProducer {
        let mut batch = BatchBuilder::new(Codec::None).transactional();
        batch.append(1_700_000_000_000, None, Some(&vec![7; record_bytes]), &[]);
        TxnProducer {
            socket: connect(admin.address()),
            protocol,
            transactional_id: transactional_id.into(),
            topic: topic.into(),
            partitions,
            producer: admin.init_producer_id(transactional_id),
            next_sequence: 0,
            batch: batch.build().expect("a batch"),
            retries: 0,
        }
    }

    /// Runs a transaction and commits it.
    pub fn transaction(&mut self) -> io::Result<Timings> {
        let began = Instant::now();
        if self.protocol == Protocol::One {
            self.add_partitions()?;
        }
        self.produce(self.batch.clone(), self.partitions)?;
        let committing = Instant::now();
        self.end(true)?;
        Ok(Timings { whole: began.elapsed(), commit: committing.elapsed() })
    }

    /// Writes `batches` batches of `records` records to partition 0 in one transaction, and returns the first one's offset.
    pub fn transaction_of(&mut self, batch: &Verified, records: i32, batches: u64, committed: bool) -> io::Result<i64> {
        if self.protocol == Protocol::One {
            self.add_partitions()?;
        }
        let mut first = None;
        for _ in 0..batches {
            let offset = self.produce(batch.clone(), 1)?;
            first.get_or_insert(offset);
            // `produce` counts one record.
            self.next_sequence += records - 1;
        }
        self.end(committed)?;
        Ok(first.expect("at least one batch"))
    }

    fn add_partitions(&mut self) -> io::Result<()> {
        let topic = AddPartitionsToTxnTopic { name: self.topic.clone(), partitions: (0..self.partitions).collect() };
        let request = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: self.transactional_id.clone(),
            v3_and_below_producer_id: self.producer.producer_id,
            v3_and_below_producer_epoch: self.producer.epoch,
            v3_and_below_topics: vec![topic],
            ..Default::default()
        };
        self.until_done(ApiKey::AddPartitionsToTxn, ADD_PARTITIONS_VERSION, &request.into(), |response| {
            let Response::AddPartitionsToTxn(response) = response else { panic!("{response:?}") };
            let topics = response.results_by_topic_v3_and_below.iter();
            topics.flat_map(|topic| &topic.results_by_partition).map(|result| result.partition_error_code).collect()
        })?;
        Ok(())
    }

    /// Sends the batch to each partition in one request, and returns the offset of the first.
    fn produce(&mut self, batch: Verified, partitions: i32) -> io::Result<i64> {
        let batch = batch.with_producer(self.producer, self.next_sequence).expect("a batch");
        let data = |index| PartitionProduceData { index, records: Some(batch.bytes().clone()) };
        let topic = TopicProduceData {
            name: self.topic.clone(),
            partition_data: (0..partitions).map(data).collect(),
            ..Default::default()
        };
        let request = ProduceRequest {
            transactional_id: Some(self.transactional_id.clone()),
            acks: -1,
            timeout_ms: 30_000,
            topic_data: vec![topic],
        };
        let response =
            self.until_done(ApiKey::Produce, self.protocol.produce_version(), &request.into(), |response| {
                let Response::Produce(response) = response else { panic!("{response:?}") };
                response.responses.iter().flat_map(|topic| &topic.partition_responses).map(|p| p.error_code).collect()
            })?;
        self.next_sequence += 1;
        let Response::Produce(response) = response else { panic!("{response:?}") };
        Ok(response.responses[0].partition_responses[0].base_offset)
    }

    fn end(&mut self, committed: bool) -> io::Result<()> {
        let request = EndTxnRequest {
            transactional_id: self.transactional_id.clone(),
            producer_id: self.producer.producer_id,
            producer_epoch: self.producer.epoch,
            committed,
        };
        let response =
            self.until_done(ApiKey::EndTxn, self.protocol.end_txn_version(), &request.into(), |response| {
                let Response::EndTxn(response) = response else { panic!("{response:?}") };
                vec![response.error_code]
            })?;
        let Response::EndTxn(response) = response else { panic!("{response:?}") };
        if self.protocol == Protocol::Two {
            self.producer = ProducerIdEpoch { producer_id: response.producer_id, epoch: response.producer_epoch };
            self.next_sequence = 0;
        }
        Ok(())
    }

    /// Sends the request until the response has no error. A retriable error, or the end of the transaction before that is
    /// not complete, is waited for.
    fn until_done(
        &mut self,
        key: ApiKey,
        version: i16,
        body: &Request,
        errors: impl Fn(&Response) -> Vec<i16>,
    ) -> io::Result<Response> {
        let frame = request(key, version, body.clone());
        for _ in 0..MAX_RETRIES {
            self.socket.write_all(&frame)?;
            let answer = read_answer(&mut self.socket)?;
            let (_, response) = decode_response(key, version, answer).expect("a response");
            let errors = errors(&response);
            if errors.iter().all(|error| *error == 0) {
                return Ok(response);
            }
            let code = |error: &i16| ErrorCode::from_code(*error).unwrap_or(ErrorCode::UnknownServerError);
            let may_retry = |error: &i16| {
                let code = code(error);
                code.is_none() || code.is_retriable() || code == ErrorCode::ConcurrentTransactions
            };
            assert!(
                errors.iter().all(may_retry),
                "{key:?} is answered {:?}",
                errors.iter().map(code).collect::<Vec<_>>()
            );
            self.retries += 1;
            thread::sleep(RETRY_BACKOFF);
        }
        Err(io::Error::other(format!("the broker answered {MAX_RETRIES} times that {key:?} must be sent again")))
    }
}

fn read_answer(socket: &mut TcpStream) -> io::Result<Bytes> {
    let mut size = [0; 4];
    socket.read_exact(&mut size)?;
    let size = u32::from_be_bytes(size) as usize;
    if size > MAX_ANSWER {
        return Err(io::Error::other(format!("a response of {size} bytes")));
    }
    let mut answer = vec![0; size];
    socket.read_exact(&mut answer)?;
    Ok(answer.into())
}
