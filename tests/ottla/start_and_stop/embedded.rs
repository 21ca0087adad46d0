//! An embedded broker in the process of a test, with and without a runtime.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ottla::client::Client;
use ottla::{Broker, BrokerError};
use ottla_wire::record::{BatchBuilder, Codec, batches};

fn batch(value: &str) -> Bytes {
    let mut builder = BatchBuilder::new(Codec::None);
    builder.append(1_700_000_000_000, None, Some(value.as_bytes()), &[]);
    builder.build().unwrap().bytes().clone()
}

async fn connect(broker: &Broker) -> Client {
    Client::connect(broker.bootstrap_servers()).await.unwrap()
}

/// The values of partition 0.
async fn values(client: &Client, topic: &str) -> Vec<String> {
    let fetched = client.fetch(topic, 0, 0, 1 << 20, Duration::ZERO).await.unwrap();
    let batches = batches(&fetched.records).map(|batch| batch.unwrap());
    let records =
        batches.flat_map(|batch| batch.records().map(|record| record.unwrap().value.unwrap()).collect::<Vec<_>>());
    records.map(|value| String::from_utf8(value.to_vec()).unwrap()).collect()
}

async fn topics(client: &Client) -> Vec<String> {
    let topics = client.metadata(None).await.unwrap().topics;
    let mut names: Vec<String> = topics.into_iter().filter_map(|topic| topic.name).collect();
    names.sort();
    names
}

async fn produce_and_consume(broker: &Broker, value: &str) {
    let client = connect(broker).await;
    client.create_topic("t", 1, &[]).await.unwrap();
    client.produce("t", 0, batch(value)).await.unwrap();
    assert_eq!(values(&client, "t").await, [value]);
}

#[test]
fn embedded_broker_runs_without_a_runtime() {
    let broker = Broker::start().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(produce_and_consume(&broker, "sync"));
    broker.reset().unwrap();
    runtime.block_on(async {
        let client = connect(&broker).await;
        assert_eq!(topics(&client).await, Vec::<String>::new());
    });
}

#[tokio::test]
async fn embedded_broker_runs_in_a_single_thread_runtime() {
    let broker = Broker::start().unwrap();
    produce_and_consume(&broker, "one thread").await;
    broker.reset().unwrap();
    produce_and_consume(&broker, "one thread, again").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn embedded_broker_runs_in_a_multi_thread_runtime() {
    let broker = Broker::start().unwrap();
    produce_and_consume(&broker, "many threads").await;
    broker.reset().unwrap();
    produce_and_consume(&broker, "many threads, again").await;
}

#[tokio::test]
async fn embedded_broker_reset_recreates_configured_topics() {
    let broker = Broker::with()
        .set("num.partitions", "4")
        .set("ottla.create.topics", "from-a-setting")
        .topic("orders", 3)
        .topic("audit", 1)
        .start()
        .unwrap();
    let client = connect(&broker).await;
    for _ in 0..2 {
        let listed = client.metadata(None).await.unwrap().topics;
        let mut seen: Vec<_> = listed.iter().map(|t| (t.name.clone().unwrap(), t.partitions.len())).collect();
        seen.sort();
        let expect = [("audit", 1), ("from-a-setting", 4), ("orders", 3)];
        assert_eq!(seen, expect.map(|(name, partitions)| (name.to_owned(), partitions)));
        client.produce("orders", 0, batch("x")).await.unwrap();
        broker.reset().unwrap();
        assert_eq!(values(&client, "orders").await, Vec::<String>::new());
    }
}

/// Registers a schema over HTTP and returns its id.
fn register(url: &str) -> u64 {
    let body = r#"{"schema":"\"string\""}"#;
    let request = ureq::post(format!("{url}/subjects/s/versions")).content_type("application/json");
    let answer = request.send(body).unwrap().into_body().read_to_string().unwrap();
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    answer["id"].as_u64().unwrap()
}

#[test]
fn embedded_schema_registry_is_emptied_by_a_reset() {
    let broker = Broker::with().schema_registry().start().unwrap();
    let url = broker.schema_registry_url().unwrap().to_owned();
    for _ in 0..2 {
        assert_eq!(ureq::get(format!("{url}/subjects")).call().unwrap().into_body().read_to_string().unwrap(), "[]");
        assert_eq!(register(&url), 1);
        broker.reset().unwrap();
    }
    assert_eq!(Broker::start().unwrap().schema_registry_url(), None);
    drop(broker);
    assert!(ureq::get(format!("{url}/subjects")).call().is_err());
}

#[test]
fn invalid_embedded_options_return_a_one_line_error() {
    let check = |started: Result<Broker, BrokerError>, expect: &str| {
        let message = started.unwrap_err().to_string();
        assert!(message.contains(expect) && message.lines().count() == 1, "{message}");
    };
    check(Broker::with().set("num.partition", "3").start(), "num.partitions");
    check(Broker::with().set("num.partitions", "many").start(), "Not a number");
    check(Broker::with().topic("t", 0).start(), "t:0");
    check(Broker::with().topic("no spaces", 1).start(), "no spaces");
    check(Broker::with().set("listeners", "PLAINTEXT://192.0.2.1:0").start(), "cannot listen");
}

#[tokio::test]
async fn embedded_brokers_in_one_process_are_independent() {
    let brokers: Vec<Broker> = (0..20).map(|n| Broker::with().topic(format!("of-{n}"), 1).start().unwrap()).collect();
    for (n, broker) in brokers.iter().enumerate() {
        let client = connect(broker).await;
        assert_eq!(topics(&client).await, [format!("of-{n}")]);
        client.produce(&format!("of-{n}"), 0, batch("x")).await.unwrap();
    }
}

#[tokio::test]
async fn dropped_embedded_broker_closes_connections_and_removes_its_directory() {
    let directories = || {
        let entries = std::fs::read_dir(std::env::temp_dir()).unwrap().flatten();
        let of_ours = entries.filter(|entry| {
            entry.file_name().to_string_lossy().starts_with("ottla-") && entry.path().join("dropped-0").is_dir()
        });
        of_ours.count()
    };
    let broker = Broker::with().topic("dropped", 1).start().unwrap();
    let client = connect(&broker).await;
    client.produce("dropped", 0, batch("x")).await.unwrap();
    assert_eq!(directories(), 1);
    let waiting = client.submit_fetch("dropped", 0, 1, 1 << 20, Duration::from_secs(60)).await.unwrap();
    let address = broker.bootstrap_servers().to_owned();
    let begun = Instant::now();
    drop(broker);
    assert!(begun.elapsed() < Duration::from_secs(5), "it took {:?}", begun.elapsed());
    assert_eq!(directories(), 0);
    assert!(TcpStream::connect(&address).is_err());
    assert!(waiting.response().await.is_err());
}

/// An embedded broker does not change the signal handlers of the process. Read of this thread: the test harness blocks
/// signals in its own thread now and then.
#[test]
fn embedded_broker_leaves_signal_handlers_unchanged() {
    let caught = || {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = |name| status.lines().find(|line: &&str| line.starts_with(name)).unwrap().to_owned();
        (line("SigCgt"), line("SigIgn"), line("SigBlk"))
    };
    let before = caught();
    let broker = Broker::start().unwrap();
    assert_eq!(caught(), before);
    drop(broker);
    assert_eq!(caught(), before);
}

/// Truncates the log file of the topic's first partition.
fn truncate_log_of(topic: &str) {
    let of_brokers = std::fs::read_dir(std::env::temp_dir()).unwrap().filter_map(Result::ok);
    for folder in of_brokers.map(|entry| entry.path().join(format!("{topic}-0"))).filter(|folder| folder.is_dir()) {
        let path = folder.join("00000000000000000000.log");
        std::fs::File::options().write(true).open(path).and_then(|file| file.set_len(0)).unwrap();
    }
}

#[test]
fn truncated_log_file_fails_only_its_partition_mapped_or_not() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for map in [false, true] {
        let broker = Broker::with().map_files(map).start().unwrap();
        runtime.block_on(async {
            let client = connect(&broker).await;
            let topic = format!("truncated-{map}-{}", std::process::id());
            for name in [&*topic, "whole"] {
                client.create_topic(name, 1, &[]).await.unwrap();
                client.produce(name, 0, batch(&"v".repeat(100_000))).await.unwrap();
                assert_eq!(values(&client, name).await.len(), 1);
            }
            truncate_log_of(&topic);
            let refused = client.fetch(&topic, 0, 0, 1 << 20, Duration::ZERO).await.unwrap_err();
            assert_eq!(refused.code(), Some(ottla_wire::types::ErrorCode::KafkaStorageError), "{refused}");
            assert_eq!(values(&client, "whole").await.len(), 1);
        });
    }
}
