//! Retention as clients see it, and the removal of files.

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use common::{Broker, wait_until};
use ottla::client::Client;
use ottla_wire::record::{BatchBuilder, Codec};
use ottla_wire::types::Offset;

const HOUR_MS: i64 = 3_600_000;

/// A record with a timestamp of this many hours ago.
fn aged(hours: i64) -> Bytes {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    let mut batch = BatchBuilder::new(Codec::None);
    batch.append(now - hours * HOUR_MS, None, Some(b"value"), &[]);
    batch.build().unwrap().bytes().clone()
}

fn files(broker: &Broker, topic: &str, ending: &str) -> usize {
    let names = fs::read_dir(broker.data_dir().join(format!("{topic}-0"))).unwrap();
    names.filter(|name| name.as_ref().unwrap().path().to_string_lossy().ends_with(ending)).count()
}

async fn start_of(client: &Client, topic: &str) -> Offset {
    client.list_offset(topic, 0, -2).await.unwrap().offset
}

async fn wait_for_start(client: &Client, topic: &str, offset: Offset) {
    for _ in 0..1000 {
        if start_of(client, topic).await == offset {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{topic} begins at {}, not at {offset}", start_of(client, topic).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_segments_are_removed_and_their_files_after_the_delay() {
    let broker =
        Broker::with().set("log.initial.task.delay.ms", "0").set("log.retention.check.interval.ms", "50").start();
    let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
    let settings =
        |delay: &'static str| [("segment.ms", "3000000"), ("retention.ms", "5400000"), ("file.delete.delay.ms", delay)];
    for (topic, delay, ages) in [("at-once", "0", [2, 1, 0]), ("later", "3600000", [2, 1, 0]), ("old", "0", [4, 3, 2])]
    {
        client.create_topic(topic, 1, &settings(delay)).await.unwrap();
        for hours in ages {
            client.produce(topic, 0, aged(hours)).await.unwrap();
        }
    }
    // Retention is an hour and a half. The active segment is dropped too if all its records are older.
    for (topic, start) in [("at-once", 1), ("later", 1), ("old", 3)] {
        wait_for_start(&client, topic, start).await;
        assert_eq!(client.produce(topic, 0, aged(0)).await.unwrap().base_offset, 3, "{topic} keeps its end offset");
        assert_eq!(start_of(&client, topic).await, start);
    }
    for topic in ["at-once", "old"] {
        wait_until("the removal of files", || files(&broker, topic, ".deleted") == 0);
    }
    assert!(files(&broker, "later", ".deleted") > 0, "files stay for current readers during the delay");
}
