//! The topic of the registry: records of others, deletion, resets, and kill -9.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use bytes::Bytes;
use ottla_wire::record::{BatchBuilder, Codec};
use serde_json::json;

use super::http::Registry;
use super::{AVRO, with_registry};
use crate::admin::http::reset;
use crate::fixture::connect;

const TOPIC: &str = "_schemas";

/// Records of a registry of Confluent's: its first one, and a schema.
fn foreign() -> Bytes {
    let mut batch = BatchBuilder::new(Codec::None);
    batch.append(1, Some(br#"{"keytype":"NOOP","magic":0}"#), None, &[]);
    let key = br#"{"keytype":"SCHEMA","subject":"other","version":1,"magic":1}"#;
    let value = br#"{"subject":"other","version":1,"id":7,"schema":"\"bytes\"","deleted":false}"#;
    batch.append(1, Some(key), Some(value), &[]);
    batch.build().unwrap().bytes().clone()
}

#[tokio::test]
async fn records_of_other_clients_deletion_and_reset_are_seen_by_the_next_request() {
    let broker = with_registry().arg("--admin-port").arg("0").start();
    let client = connect(&broker).await;
    let mut registry = Registry::connect(&broker);
    client.create_topic(TOPIC, 1, &[("cleanup.policy", "compact")]).await.unwrap();
    client.produce(TOPIC, 0, foreign()).await.unwrap();
    assert_eq!(registry.get("GET /subjects"), json!(["other"]));
    assert_eq!(registry.register("s", AVRO), 8);
    client.produce(TOPIC, 0, foreign()).await.unwrap();
    assert_eq!(registry.register("t", r#""long""#), 9);
    client.delete_topic(TOPIC).await.unwrap();
    assert_eq!(registry.get("GET /subjects"), json!([]));
    assert_eq!(registry.register("s", r#""long""#), 1);
    reset(&broker);
    assert_eq!(registry.get("GET /subjects"), json!([]));
    assert_eq!(registry.register("s", AVRO), 1);
}

#[test]
fn requests_during_resets_succeed() {
    let broker = with_registry().arg("--admin-port").arg("0").start();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for client in 0..4 {
            let mut registry = Registry::connect(&broker);
            let is_over = &is_over;
            scope.spawn(move || {
                for turn in 0.. {
                    registry.register(&format!("s{client}-{turn}"), &schema(turn % 100));
                    registry.get("GET /subjects");
                    if is_over.load(Ordering::Relaxed) {
                        return;
                    }
                }
            });
        }
        for _ in 0..30 {
            reset(&broker);
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

/// A schema of the tests. Each is registered under several subjects.
fn schema(number: usize) -> String {
    format!(r#"{{"type":"fixed","name":"F","size":{}}}"#, number + 1)
}

/// 200 registrations of 100 schemas by 10 connections.
#[test]
fn registered_ids_survive_a_kill_in_the_middle_and_have_no_gap() {
    const CLIENTS: usize = 10;
    const EACH: usize = 20;
    let mut broker = with_registry().start();
    let (answered, acknowledged) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let mut registry = Registry::connect(&broker);
            let (answered, acknowledged) = (&answered, &acknowledged);
            scope.spawn(move || {
                for turn in 0..EACH {
                    // Two clients register the same schema under different subjects.
                    let number = client / 2 * EACH + turn;
                    let Some(id) = registry.try_register(&format!("s{client}-{turn}"), &schema(number)) else { return };
                    answered.fetch_add(1, Ordering::Relaxed);
                    let earlier = acknowledged.lock().unwrap().insert(number, id);
                    assert!(earlier.is_none_or(|earlier| earlier == id), "{number}: {earlier:?} and {id}");
                }
            });
        }
        common::wait_until("half of the responses", || answered.load(Ordering::Relaxed) >= CLIENTS * EACH / 2);
        broker.kill();
    });
    broker.restart();
    let acknowledged = acknowledged.into_inner().unwrap();
    assert!(answered.load(Ordering::Relaxed) < CLIENTS * EACH, "it was killed in the middle");
    let mut registry = Registry::connect(&broker);
    let mut ids = Vec::new();
    for number in 0..CLIENTS / 2 * EACH {
        let id = registry.register(&format!("again{number}"), &schema(number));
        assert!(acknowledged.get(&number).is_none_or(|acknowledged| *acknowledged == id), "{number}");
        ids.push(id);
    }
    broker.stop();
    broker.restart();
    assert_eq!(Registry::connect(&broker).register("again0", &schema(0)), ids[0]);
    ids.sort_unstable();
    assert_eq!(ids, (1..=ids.len() as u64).collect::<Vec<_>>());
}
