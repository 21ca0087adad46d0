//! Administrative requests of the benchmarks: topics, and whether their partitions serve.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla::client::{Client, produced};
use ottla_wire::protocol::ApiKey;
use ottla_wire::protocol::messages::find_coordinator::FindCoordinatorRequest;
use ottla_wire::protocol::messages::init_producer_id::InitProducerIdRequest;
use ottla_wire::protocol::messages::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use ottla_wire::types::ProducerIdEpoch;
use tokio::runtime::{Builder, Runtime};

use crate::contender::Running;

/// Apache Kafka needs time to elect the leaders of new partitions, and much more for many partitions after a crash.
const TIMEOUT: Duration = Duration::from_secs(240);
/// Requests in flight.
const IN_FLIGHT: usize = 64;
/// The timestamp with which ListOffsets returns the end offset.
const LATEST: i64 = -1;
/// The `key_type` of FindCoordinator for transactional ids.
const TRANSACTION_COORDINATOR: i8 = 1;

/// A blocking client.
pub struct Admin {
    runtime: Runtime,
    client: Client,
    address: SocketAddr,
}

impl Admin {
    pub fn connect(broker: &Running) -> Admin {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let client = runtime.block_on(Client::connect(&broker.address().to_string())).expect("the broker answers");
        Admin { runtime, client, address: broker.address() }
    }

    /// Creates a topic and waits until each partition serves.
    pub fn create_topic(&self, name: &str, partitions: i32) {
        self.create_topic_with(name, partitions, &[]);
    }

    /// Like [`Admin::create_topic`], with these settings.
    pub fn create_topic_with(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) {
        self.runtime.block_on(self.client.create_topic(name, partitions, settings)).expect("a topic is created");
        self.wait_for_ends(name, partitions, 0);
    }

    /// The broker's address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the oldest and the newest version that the broker serves.
    pub fn served(&self, key: ApiKey) -> Option<(i16, i16)> {
        self.client.served(key)
    }

    /// Initializes a transactional id; waits until the coordinator has its topic.
    pub fn init_producer_id(&self, transactional_id: &str) -> ProducerIdEpoch {
        let find = FindCoordinatorRequest {
            key_type: TRANSACTION_COORDINATOR,
            coordinator_keys: vec![transactional_id.into()],
            ..Default::default()
        };
        let init = InitProducerIdRequest {
            transactional_id: Some(transactional_id.into()),
            transaction_timeout_ms: 60_000,
            ..Default::default()
        };
        let deadline = Instant::now() + TIMEOUT;
        loop {
            // It creates the topic of the coordinator; whether it has succeeded is seen below.
            self.runtime.block_on(self.client.call(find.clone())).expect("an answer");
            let answer = self.runtime.block_on(self.client.call(init.clone())).expect("an answer");
            if answer.error_code == 0 {
                return ProducerIdEpoch { producer_id: answer.producer_id, epoch: answer.producer_epoch };
            }
            assert!(Instant::now() < deadline, "{transactional_id} is not initialized: {answer:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn delete_topic(&self, name: &str) {
        self.runtime.block_on(self.client.delete_topic(name)).expect("a topic is deleted");
    }

    /// Sends the batch to each partition.
    pub fn produce_to_each(&self, topic: &str, partitions: i32, batch: &Bytes) {
        self.runtime.block_on(async {
            let all: Vec<i32> = (0..partitions).collect();
            for some in all.chunks(IN_FLIGHT) {
                let mut pending = Vec::new();
                for partition in some {
                    pending.push(self.client.submit_produce(topic, *partition, batch.clone()).await.expect("sent"));
                }
                for request in pending {
                    produced(request.response().await.expect("an answer")).expect("stored");
                }
            }
        });
    }

    /// Waits until the end offset of every partition is `end`.
    pub fn wait_for_ends(&self, topic: &str, partitions: i32, end: i64) {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let answer = self.runtime.block_on(self.client.call(ends_request(topic, partitions)));
            let answer = answer.expect("an answer");
            let listed: Vec<_> = answer.topics.into_iter().flat_map(|topic| topic.partitions).collect();
            if listed.iter().all(|partition| partition.error_code == 0 && partition.offset == end) {
                return;
            }
            assert!(Instant::now() < deadline, "each partition of {topic} should end at {end}: {listed:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn ends_request(topic: &str, partitions: i32) -> ListOffsetsRequest {
    let end = |partition_index| ListOffsetsPartition { partition_index, timestamp: LATEST, ..Default::default() };
    let topic = ListOffsetsTopic { name: topic.into(), partitions: (0..partitions).map(end).collect() };
    ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() }
}
