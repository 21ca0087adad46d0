//! A broker near its limit of file descriptors closes idle files and serves all partitions.

use std::fs;
use std::time::Duration;

use bytes::Bytes;
use common::Broker;
use ottla::client::{Client, produced};
use ottla_wire::record::{BatchBuilder, Codec};
use rustix::process::{Pid, Resource, Rlimit, prlimit};

const PARTITIONS: i32 = 150;
/// Descriptors that the broker may use besides those open when the limit is set.
const MORE: u64 = 12;

fn descriptors(broker: &Broker) -> u64 {
    fs::read_dir(format!("/proc/{}/fd", broker.pid())).expect("it runs").count() as u64
}

/// Sets the descriptor limit of the running broker.
fn limit(broker: &Broker, descriptors: u64) {
    let pid = Pid::from_raw(broker.pid().try_into().expect("a pid"));
    let limit = Rlimit { current: Some(descriptors), maximum: Some(descriptors) };
    prlimit(pid, Resource::Nofile, limit).expect("a limit");
}

fn batch() -> Bytes {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_millis();
    let mut batch = BatchBuilder::new(Codec::None);
    batch.append(now as i64, None, Some(&[7; 100]), &[]);
    batch.build().expect("a batch").bytes().clone()
}

#[tokio::test]
async fn more_partitions_than_descriptors_can_be_written_and_read() {
    let mut broker = Broker::start();
    let client = Client::connect(broker.bootstrap_servers()).await.expect("connects");
    client.create_topic("t", PARTITIONS, &[]).await.expect("is created");
    client.produce("t", 0, batch()).await.expect("is stored");
    let allowed = descriptors(&broker) + MORE;
    limit(&broker, allowed);
    for _ in 0..3 {
        for partition in 0..PARTITIONS {
            let answer = client.submit_produce("t", partition, batch()).await.expect("sent").response().await;
            produced(answer.expect("an answer")).expect("is stored");
        }
        assert!(descriptors(&broker) <= allowed);
    }
    for partition in 0..PARTITIONS {
        let fetched = client.fetch("t", partition, 0, 1 << 20, Duration::ZERO).await.expect("is read");
        let batches = if partition == 0 { 4 } else { 3 };
        assert_eq!(fetched.records.len(), batches * batch().len(), "partition {partition}");
    }
    assert!(!broker.log().contains("ERROR"), "{}", broker.log());
    drop(client);
    broker.stop();
}
