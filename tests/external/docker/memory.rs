//! A container of 64 MiB under a load that exceeds its memory.

use std::time::Duration;

use bytes::Bytes;
use ottla::client::Client;
use ottla_wire::record::{BatchBuilder, Codec, batches};

use crate::docker::engine::{Container, docker_available};
use crate::harness::trials;
use libtest_mimic::Trial;

const CONNECTIONS: usize = 8;
const ROUNDS: usize = 24;
/// Not compressed, so that the broker needs this much memory wherever it holds the batch.
const BATCH_BYTES: usize = 900_000;
/// What each connection requests in one fetch.
const FETCH_BYTES: i32 = 8 << 20;

/// Several connections write and read a multiple of the memory limit at once: the kernel does not kill the broker, and
/// no record is lost.
async fn container_of_64_mib_under_load_is_not_killed_and_loses_nothing() {
    if !docker_available() {
        return;
    }
    let broker = Container::ready(&["--memory=64m", "--memory-swap=64m"]);
    let address = broker.bootstrap_server();
    let batch = batch();
    let mut work = Vec::new();
    for number in 0..CONNECTIONS {
        let (address, batch) = (address.clone(), batch.clone());
        work.push(tokio::spawn(async move { write_and_read(&address, &format!("load-{number}"), batch).await }));
    }
    for each in work {
        each.await.unwrap();
    }
    assert_eq!(broker.inspect("{{.State.Status}} {{.State.OOMKilled}} {{.RestartCount}}"), "running false 0");
}

/// Writes the batches of one connection, two in flight, and reads them back.
async fn write_and_read(address: &str, topic: &str, batch: Bytes) {
    let client = Client::connect(address).await.unwrap();
    client.create_topic(topic, 1, &[]).await.unwrap();
    for _ in 0..ROUNDS / 2 {
        let first = client.submit_produce(topic, 0, batch.clone()).await.unwrap();
        let second = client.submit_produce(topic, 0, batch.clone()).await.unwrap();
        ottla::client::produced(first.response().await.unwrap()).unwrap();
        ottla::client::produced(second.response().await.unwrap()).unwrap();
    }
    let mut offset = 0;
    while offset < ROUNDS as i64 {
        let fetched = client.fetch(topic, 0, offset, FETCH_BYTES, Duration::from_secs(5)).await.unwrap();
        let whole = batches(&fetched.records).filter(Result::is_ok).count();
        assert!(whole > 0, "{topic} ends at {offset}");
        offset += whole as i64;
    }
}

fn batch() -> Bytes {
    let mut value = vec![0; BATCH_BYTES];
    getrandom::fill(&mut value).unwrap();
    let mut batch = BatchBuilder::new(Codec::None);
    batch.append(0, None, Some(&value), &[]);
    batch.build().unwrap().bytes().clone()
}

pub fn tests() -> Vec<Trial> {
    trials![
        on_tokio: container_of_64_mib_under_load_is_not_killed_and_loses_nothing
    ]
}
