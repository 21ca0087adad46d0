//! An idempotent producer like those of Kafka's clients: it has five batches in flight, and after a crash it sends the
//! same bytes again in the same order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ottla::client::{Client, ClientError, produced};
use ottla_wire::protocol::messages::init_producer_id::InitProducerIdRequest;
use ottla_wire::record::{BatchBuilder, Codec};
use ottla_wire::types::ProducerIdEpoch;

use super::ledger::{Acknowledged, RecordId};
use super::random::Random;
use super::{PARTITIONS, Shared, TOPIC, expect_crash};

/// The number of batches that a broker remembers for each producer and partition.
const MAX_IN_FLIGHT: usize = 5;
/// A timestamp in the past: the broker must not expire a producer because its records are old.
const TIMESTAMP: i64 = 1_600_000_000_000;

pub struct Producer {
    shared: Arc<Shared>,
    index: usize,
    codec: Codec,
    random: Random,
    id: ProducerIdEpoch,
    /// The sequence number of the next record, by partition.
    next: Vec<i32>,
    /// Batches without a response, in order.
    unacknowledged: VecDeque<Sent>,
}

struct Sent {
    first: RecordId,
    count: i32,
    batch: Bytes,
}

impl Producer {
    pub async fn new(shared: Arc<Shared>, index: usize, codec: Codec, random: Random) -> Producer {
        let id = new_producer_id(&shared.connect().await).await.unwrap();
        let next = vec![0; PARTITIONS as usize];
        Producer { shared, index, codec, random, id, next, unacknowledged: VecDeque::new() }
    }

    /// Produces across all crashes until the test stops and everything is acknowledged. Returns the number of records
    /// sent, by partition.
    pub async fn run(mut self) -> Vec<i32> {
        loop {
            let client = self.shared.connect().await;
            match self.produce(&client).await {
                Ok(()) => return self.next,
                Err(error) => expect_crash(error),
            }
        }
    }

    /// Produces until the connection is lost or everything is acknowledged.
    async fn produce(&mut self, client: &Client) -> Result<(), ClientError> {
        let mut in_flight = VecDeque::new();
        loop {
            while in_flight.len() < MAX_IN_FLIGHT {
                if in_flight.len() == self.unacknowledged.len() {
                    if self.shared.stopping() {
                        break;
                    }
                    let batch = self.next_batch();
                    self.unacknowledged.push_back(batch);
                }
                let Sent { first, batch, .. } = &self.unacknowledged[in_flight.len()];
                in_flight.push_back(client.submit_produce(TOPIC, first.partition, batch.clone()).await?);
            }
            let Some(answer) = in_flight.pop_front() else { return Ok(()) };
            // A retry of a stored batch gets the response of the first attempt.
            let base_offset = produced(answer.response().await?)?.base_offset;
            let Some(Sent { first, count, .. }) = self.unacknowledged.pop_front() else { unreachable!() };
            self.shared.ledger.lock().acknowledge(Acknowledged { first, count, base_offset });
            self.pause().await;
        }
    }

    fn next_batch(&mut self) -> Sent {
        let partition = self.random.within(0..PARTITIONS as u64) as i32;
        let count = if self.random.one_in(4) { 1 } else { self.random.within(1..12) as i32 };
        let sequence = self.next[partition as usize];
        self.next[partition as usize] += count;
        let record_id = |step| RecordId { producer: self.index, partition, sequence: sequence + step };
        let mut batch = BatchBuilder::new(self.codec).producer(self.id, sequence);
        for id in (0..count).map(record_id) {
            batch.append(TIMESTAMP, Some(id.key().as_bytes()), Some(&id.value()), &[]);
        }
        Sent { first: record_id(0), count, batch: batch.build().unwrap().bytes().clone() }
    }

    /// Pauses briefly after half of the batches, so that crashes happen both while the producer is idle and while it is
    /// busy.
    async fn pause(&mut self) {
        if self.random.one_in(2) {
            tokio::time::sleep(Duration::from_millis(self.random.within(1..40))).await;
        }
    }
}

pub async fn new_producer_id(client: &Client) -> Result<ProducerIdEpoch, ClientError> {
    let answer = client.call(InitProducerIdRequest::default()).await?;
    assert_eq!(answer.error_code, 0);
    Ok(ProducerIdEpoch { producer_id: answer.producer_id, epoch: answer.producer_epoch })
}
