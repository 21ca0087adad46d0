//! Administrative requests of the benchmarks: topics, and whether their partitions serve.

use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla::client::{Client, produced};
use ottla_wire::protocol::messages::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use tokio::runtime::{Builder, Runtime};

use crate::contender::Running;

/// Apache Kafka needs time to elect the leaders of new partitions, and much more for many partitions after a crash.
const TIMEOUT: Duration = Duration::from_secs(240);
/// Requests in flight.
const IN_FLIGHT: usize = 64;
/// The timestamp with which ListOffsets returns the end offset.
const LATEST: i64 = -1;

/// A blocking client.
pub struct Admin {
    runtime: Runtime,
    client: Client,
}

impl Admin {
    pub fn connect(broker: &Running) -> Admin {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let client = runtime.block_on(Client::connect(&broker.address().to_string())).expect("the broker answers");
        Admin { runtime, client }
    }

    /// Creates a topic and waits until each partition serves.
    pub fn create_topic(&self, name: &str, partitions: i32) {
        self.runtime.block_on(self.client.create_topic(name, partitions, &[])).expect("a topic is created");
        self.wait_for_ends(name, partitions, 0);
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
                for answer in pending {
                    produced(answer.answer().await.expect("an answer")).expect("stored");
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
