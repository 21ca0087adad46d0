//! An idempotent producer as clients have them: five batches in flight, and after a crash the same
//! bytes again, in the same order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ottla::client::{Client, ClientError, produced};
use ottla_wire::protocol::messages::init_producer_id::InitProducerIdRequest;
use ottla_wire::record::{BatchBuilder, Codec};
use ottla_wire::types::ProducerIdEpoch;

use super::ledger::{Acknowledged, Name};
use super::random::Random;
use super::{PARTITIONS, TOPIC, World, expect_crash};

/// As many as a broker remembers of each producer and partition.
const MAX_IN_FLIGHT: usize = 5;
/// Long ago: a producer is not to be forgotten because its records are old.
const TIMESTAMP: i64 = 1_600_000_000_000;

pub struct Producer {
    world: Arc<World>,
    index: usize,
    codec: Codec,
    random: Random,
    id: ProducerIdEpoch,
    /// By partition, the sequence number of its next record.
    next: Vec<i32>,
    /// Sent or to be sent, in order; kept until the answer is here.
    unacknowledged: VecDeque<Sent>,
}

struct Sent {
    first: Name,
    count: i32,
    batch: Bytes,
}

impl Producer {
    pub async fn new(world: Arc<World>, index: usize, codec: Codec, random: Random) -> Producer {
        let id = new_producer_id(&world.connect().await).await.unwrap();
        let next = vec![0; PARTITIONS as usize];
        Producer { world, index, codec, random, id, next, unacknowledged: VecDeque::new() }
    }

    /// Produces through all crashes until the world stops, then until all is acknowledged. How many
    /// records it sent to each partition.
    pub async fn run(mut self) -> Vec<i32> {
        loop {
            let client = self.world.connect().await;
            match self.produce(&client).await {
                Ok(()) => return self.next,
                Err(error) => expect_crash(error),
            }
        }
    }

    /// Produces until the connection is lost, or all is done.
    async fn produce(&mut self, client: &Client) -> Result<(), ClientError> {
        let mut in_flight = VecDeque::new();
        loop {
            while in_flight.len() < MAX_IN_FLIGHT {
                if in_flight.len() == self.unacknowledged.len() {
                    if self.world.stopping() {
                        break;
                    }
                    let batch = self.next_batch();
                    self.unacknowledged.push_back(batch);
                }
                let Sent { first, batch, .. } = &self.unacknowledged[in_flight.len()];
                in_flight.push_back(client.submit_produce(TOPIC, first.partition, batch.clone()).await?);
            }
            let Some(answer) = in_flight.pop_front() else { return Ok(()) };
            // A retry of what is stored already is answered like the first attempt.
            let base_offset = produced(answer.answer().await?)?.base_offset;
            let Some(Sent { first, count, .. }) = self.unacknowledged.pop_front() else { unreachable!() };
            self.world.ledger.lock().acknowledge(Acknowledged { first, count, base_offset });
            self.pause().await;
        }
    }

    fn next_batch(&mut self) -> Sent {
        let partition = self.random.within(0..PARTITIONS as u64) as i32;
        let count = if self.random.one_in(4) { 1 } else { self.random.within(1..12) as i32 };
        let sequence = self.next[partition as usize];
        self.next[partition as usize] += count;
        let name = |step| Name { producer: self.index, partition, sequence: sequence + step };
        let mut batch = BatchBuilder::new(self.codec).producer(self.id, sequence);
        for name in (0..count).map(name) {
            batch.append(TIMESTAMP, Some(name.key().as_bytes()), Some(&name.value()), &[]);
        }
        Sent { first: name(0), count, batch: batch.build().unwrap().bytes().clone() }
    }

    /// Crashes shall find it waiting as well as busy, and many of them in little time.
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
