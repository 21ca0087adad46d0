//! kafka-get-offsets.

use super::side_by_side::SideBySide;
use crate::harness::trials;
use common::Broker;
use libtest_mimic::Trial;
use ottla::client::Client;
use ottla_wire::record::{BatchBuilder, Codec};

async fn offsets_of_topics_and_times_match_kafka() {
    let broker = Broker::with().set("ottla.ephemeral", "true").set("log.retention.ms", "-1").start();
    let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
    client.create_topic("a", 12, &[]).await.unwrap();
    client.create_topic("b", 1, &[]).await.unwrap();
    for value in ["one", "two"] {
        let mut batch = BatchBuilder::new(Codec::None);
        batch.append(1_000, None, Some(value.as_bytes()), &[]);
        client.produce("a", 3, batch.build().unwrap().bytes().clone()).await.unwrap();
    }
    let side = SideBySide::new(broker);
    let check = |arguments: &str| side.check_errors_too(&format!("kafka-get-offsets {arguments}"));
    assert!(check("").out.contains("a:3:2\n"));
    check("--time -2");
    check("--time latest --topic a --partitions 0,3");
    check("--time max-timestamp");
    check("--time 1000");
    check("--time earliest-local");
    check("--topic '[ab]' --partitions 0");
    check("--topic-partitions a:1,b:0-3,:11");
    check("--topic-partitions a:10-,b:-1");
    check("--exclude-internal-topics");
    check("--topic nothing");
    check("--topic-partitions a:x");
    check("--topic a --topic-partitions a");
    check("--partitions x");
    check("--time soon");
    side.check("kafka-get-offsets --bogus");
}

pub fn tests() -> Vec<Trial> {
    trials![
        on_tokio: offsets_of_topics_and_times_match_kafka
    ]
}
