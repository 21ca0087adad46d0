//! kafka-delete-records, kafka-log-dirs and kafka-reassign-partitions.

use std::path::PathBuf;

use ottla::client::Client;
use ottla_wire::record::{BatchBuilder, Codec};
use tempfile::TempDir;

use super::normalise::normalise;
use super::side_by_side::{Ran, SideBySide};
use crate::harness::trials;
use common::Broker;
use libtest_mimic::Trial;

/// A broker with topics `a` (one partition) and `b` (three), records in all partitions, and a directory for JSON files.
struct Fixture {
    side: SideBySide,
    files: TempDir,
}

impl Fixture {
    async fn new() -> Fixture {
        let broker = Broker::with().set("ottla.ephemeral", "true").set("log.retention.ms", "-1").start();
        let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
        for (topic, partitions) in [("a", 1), ("b", 3)] {
            client.create_topic(topic, partitions, &[]).await.unwrap();
            for partition in 0..partitions {
                let mut batch = BatchBuilder::new(Codec::None);
                (0..10).for_each(|_| batch.append(1_000, None, Some(b"value"), &[]));
                client.produce(topic, partition, batch.build().unwrap().bytes().clone()).await.unwrap();
            }
        }
        Fixture { side: SideBySide::new(broker).normalised(normalise), files: TempDir::new().unwrap() }
    }

    fn file(&self, json: &str) -> String {
        let path: PathBuf = self.files.path().join("input.json");
        std::fs::write(&path, json).unwrap();
        path.display().to_string()
    }

    fn check(&self, arguments: &str, json: &str) -> Ran {
        self.side.check(&format!("{arguments} {}", self.file(json)))
    }
}

async fn delete_records() {
    let fixture = Fixture::new().await;
    let check = |json: &str| fixture.check("kafka-delete-records --offset-json-file", json);
    let done = check(
        r#"{"partitions":[{"topic":"b","partition":0,"offset":2},{"topic":"b","partition":1,"offset":-1},
        {"topic":"a","partition":0,"offset":0}],"version":1}"#,
    );
    assert!(done.out.contains("partition: b-1\tlow_watermark: 10"), "{}", done.out);
    check(r#"{"partitions":[{"topic":"b","partition":0,"offset":1}]}"#);
    check(r#"{"partitions":[{"topic":"b","partition":0,"offset":99}],"version":1}"#);
    check(r#"{"partitions":[],"version":1}"#);
    check(r#"{"partitions":[],"version":2}"#);
    check(r#"{"version":1}"#);
    check(r#"{"partitions":[{"topic":"b","partition":0}],"version":1}"#);
    check(r#"{"partitions":[{"topic":"b","partition":"0","offset":1}],"version":1}"#);
    check(r#"{"partitions":[{"topic":"b","partition":0,"offset":1},{"topic":"b","partition":0,"offset":2}]}"#);
    check("[]");
    check("{");
    fixture.side.check("kafka-delete-records");
    fixture.side.check("kafka-delete-records --offset-json-file /nope");
}

async fn log_dirs() {
    let fixture = Fixture::new().await;
    let check = |arguments: &str| fixture.side.check(&format!("kafka-log-dirs {arguments}"));
    assert!(check("--describe").out.contains(r#"{"partition":"b-2","size":"#));
    check("--describe --topic-list a,b");
    check("--describe --topic-list nope");
    check("--describe --broker-list 1");
    check("--describe --broker-list 1,7,9");
    check("--describe --broker-list x");
    check("");
}

async fn reassign_partitions() {
    let fixture = Fixture::new().await;
    let side = &fixture.side;
    side.check("kafka-reassign-partitions --list");
    let generate = |brokers: &str, json: &str| {
        let generate = format!("kafka-reassign-partitions --generate --broker-list {brokers}");
        fixture.check(&format!("{generate} --topics-to-move-json-file"), json)
    };
    let topics = r#"{"topics":[{"topic":"a"},{"topic":"b"}],"version":1}"#;
    generate("1", topics);
    generate("1,2", topics);
    generate("2", topics);
    generate("1,1", topics);
    generate("x", topics);
    generate("1", r#"{"topics":[{"topic":"nope"}]}"#);
    generate("1", "{");
    let run = |action: &str, json: &str| {
        fixture.check(&format!("kafka-reassign-partitions {action} --reassignment-json-file"), json)
    };
    let one = r#"{"partitions":[{"topic":"b","partition":0,"replicas":[1]},
        {"topic":"a","partition":0,"replicas":[1],"log_dirs":["any"]}],"version":1}"#;
    assert!(run("--execute", one).out.ends_with("Successfully started partition reassignments for a-0,b-0"));
    run("--verify", one);
    run("--verify --preserve-throttles", one);
    run("--cancel", one);
    run("--cancel --preserve-throttles", one);
    run("--execute --throttle 5000", one);
    side.check("kafka-configs --describe --topic b");
    side.check("kafka-configs --describe --broker 1");
    run("--verify", one);
    side.check("kafka-configs --describe --broker 1");
    run("--execute --additional --replica-alter-log-dirs-throttle 5000", one);
    run("--execute --timeout x", one);
    run("--verify --throttle 1", one);
    let of_b = |partition: &str| format!(r#"{{"partitions":[{{"topic":"b","partition":{partition}}}],"version":1}}"#);
    run("--execute", &of_b(r#"0,"replicas":[1,2]"#));
    run("--execute", &of_b(r#"9,"replicas":[1]"#));
    run("--verify", &of_b(r#"9,"replicas":[1]"#));
    run("--execute", &of_b(r#"0,"replicas":[1,1]"#));
    run("--execute", &of_b(r#"0,"replicas":[]"#));
    run("--execute", &of_b(r#"0,"replicas":[1],"log_dirs":["any","any"]"#));
    run("--execute --timeout 300", &of_b(r#"0,"replicas":[1],"log_dirs":["/nope"]"#));
    run("--verify", &of_b(r#"0,"replicas":[1],"log_dirs":["/nope"]"#));
    let dir = side.broker.ready().data_dir.display().to_string();
    run("--execute --timeout 300", &of_b(&format!(r#"0,"replicas":[1],"log_dirs":["{dir}"]"#)));
    run("--verify", &of_b(&format!(r#"0,"replicas":[1],"log_dirs":["{dir}"]"#)));
    run("--execute", r#"{"partitions":[]}"#);
    for wrong in ["", "--list --execute", "--list --timeout 5", "--execute", "--generate", "--bogus"] {
        side.check(&format!("kafka-reassign-partitions {wrong}"));
    }
}

pub fn tests() -> Vec<Trial> {
    trials![
        on_tokio: delete_records, log_dirs, reassign_partitions
    ]
}
