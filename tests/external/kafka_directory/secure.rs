//! A data directory that was used with `--secure` is opened by Apache Kafka.

use std::fs;

use crate::harness::trials;
use crate::java::java;
use common::Broker;
use libtest_mimic::Trial;
use ottla::client::Client;
use tempfile::TempDir;

use super::apache::{ApacheKafka, QUIET};

async fn directory_of_a_secure_broker_is_opened_by_apache_kafka() {
    let Some(java) = java() else { return };
    let dir = TempDir::with_prefix("ottla-test-").unwrap();
    let data = dir.path().join("data");
    let options = || Broker::with().secure("ann", "secret").arg("--admin-port").arg("0").data_dir(&data);
    let mut ours = options().start();
    Client::connect(ours.bootstrap_servers()).await.unwrap().create_topic("orders", 1, &[]).await.unwrap();
    let authority = fs::read(ours.ready().ca.as_ref().unwrap()).unwrap();
    ours.stop();

    let theirs = ApacheKafka::start(java, &data, QUIET).await;
    let topics = Client::connect(theirs.address()).await.unwrap().metadata(Some(&["orders"])).await.unwrap().topics;
    assert_eq!(topics[0].partitions, [0]);
    theirs.stop();

    let mut ours = options().start();
    assert_eq!(fs::read(ours.ready().ca.as_ref().unwrap()).unwrap(), authority);
    ours.stop();
}

pub fn tests() -> Vec<Trial> {
    trials![on_tokio: directory_of_a_secure_broker_is_opened_by_apache_kafka]
}
