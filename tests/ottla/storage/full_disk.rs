//! A disk that is full for some time, simulated by a limit on the size of the broker's files that is then removed. A failed
//! write takes its partition offline until writes succeed again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use common::Broker;
use ottla::client::producer::{Delivered, NewRecord, Observer, Producer, ProducerOptions, SendError};
use ottla::client::{Client, ClientError};
use ottla_wire::record::{BatchBuilder, Codec, batches};
use ottla_wire::types::ErrorCode;
use rustix::process::{Pid, Resource, Rlimit, prlimit};

/// The usual limit in bytes.
const SMALL: u64 = 256 << 10;
/// Attempts that take longer than the broker waits before it opens a failed log again.
const ATTEMPTS: usize = 600;

/// Limits the size of the broker's files; `None` removes the limit.
fn limit_files(broker: &Broker, bytes: Option<u64>) {
    let pid = Pid::from_raw(broker.pid().try_into().unwrap()).unwrap();
    let unlimited = prlimit(Some(pid), Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
    assert_eq!(unlimited.maximum, None, "the limit cannot be removed later");
}

fn batch(value: &[u8]) -> Bytes {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let mut batch = BatchBuilder::new(Codec::None);
    batch.append(now as i64, None, Some(value), &[]);
    batch.build().unwrap().bytes().clone()
}

async fn produce(client: &Client, topic: &str, value: &str) -> Result<i64, ClientError> {
    Ok(client.produce(topic, 0, batch(value.as_bytes())).await?.base_offset)
}

/// Repeats a request until it succeeds.
async fn retry<T>(what: &str, mut request: impl AsyncFnMut() -> Result<T, ClientError>) -> T {
    let mut last = None;
    for _ in 0..ATTEMPTS {
        match request().await {
            Ok(answer) => return answer,
            Err(error) => last = Some(error),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what}: {last:?}")
}

async fn values(client: &Client, topic: &str) -> Vec<String> {
    let mut values = Vec::new();
    loop {
        let at = values.len() as i64;
        let fetched = client.fetch(topic, 0, at, 1 << 20, Duration::ZERO).await.unwrap();
        let read = batches(&fetched.records).filter_map(Result::ok).flat_map(|batch| batch.records());
        let read = read.map(Result::unwrap).filter(|record| record.offset >= at);
        values.extend(read.map(|record| String::from_utf8_lossy(&record.value.unwrap()).into_owned()));
        if values.len() as i64 >= fetched.high_watermark || values.len() as i64 == at {
            return values;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn full_disk_fails_only_its_partition_and_loses_no_acknowledged_record() {
    let mut broker = Broker::start();
    let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
    for topic in ["full", "other"] {
        client.create_topic(topic, 1, &[]).await.unwrap();
    }
    limit_files(&broker, Some(SMALL));
    let filler = "x".repeat(10_000);
    let mut taken = 0;
    let refused = loop {
        match produce(&client, "full", &format!("{taken}{filler}")).await {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
        assert!(taken < 100, "the limit has no effect");
    };
    assert_eq!(refused.code(), Some(ErrorCode::KafkaStorageError), "{refused}");
    assert!(taken > 20, "{taken}");
    for number in 0..10 {
        let again = produce(&client, "full", "again").await.unwrap_err();
        assert_eq!(again.code(), Some(ErrorCode::KafkaStorageError), "{again}");
        assert_eq!(produce(&client, "other", "more").await.unwrap(), number);
    }
    assert_eq!(values(&client, "full").await.len(), taken, "stored records can be read");
    broker.wait_for_log("partition offline until");
    limit_files(&broker, None);
    let offset = retry("the partition is online again", async || produce(&client, "full", "after").await).await;
    assert_eq!(offset as usize, taken);
    let lines_with = |line: &str| broker.log().matches(line).count();
    assert_eq!(
        (lines_with("partition offline until"), lines_with("partition online again")),
        (1, 1),
        "each is logged once"
    );
    broker.kill();
    broker.restart();
    let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
    let found = values(&client, "full").await;
    let expect = (0..taken).map(|number| format!("{number}{filler}")).chain(["after".to_owned()]);
    assert!(found.iter().eq(expect.collect::<Vec<_>>().iter()), "{} values", found.len());
}

/// Counts delivered records; panics when a record fails.
struct Count(Arc<AtomicUsize>);

impl Observer<()> for Count {
    fn delivered(&mut self, _batch: &Delivered, tokens: Vec<()>) {
        self.0.fetch_add(tokens.len(), Ordering::Relaxed);
    }

    fn failed(&mut self, _topic: &str, error: &SendError, _tokens: Vec<()>) {
        panic!("a record failed: {error}");
    }

    fn warn(&mut self, _message: &str) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn producer_delivers_every_record_once_across_a_full_disk() {
    let broker = Broker::with().set("num.partitions", "1").start();
    limit_files(&broker, Some(SMALL));
    let delivered = Arc::new(AtomicUsize::new(0));
    let producer = Producer::new(
        vec![broker.bootstrap_servers().to_owned()],
        ProducerOptions::default(),
        Count(Arc::clone(&delivered)),
    );
    let value = |number: usize| format!("{number}{}", "x".repeat(1000));
    let sending = tokio::spawn(async move {
        for number in 0..1000 {
            let value = value(number);
            producer
                .send(&NewRecord { topic: "full", value: Some(value.as_bytes()), ..NewRecord::default() }, ())
                .await;
        }
        producer.flush().await;
    });
    tokio::task::block_in_place(|| broker.wait_for_log("partition offline until"));
    assert!(delivered.load(Ordering::Relaxed) < 1000);
    limit_files(&broker, None);
    sending.await.unwrap();
    assert_eq!(delivered.load(Ordering::Relaxed), 1000);
    let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
    let found = values(&client, "full").await;
    assert!(found.iter().eq((0..1000).map(value).collect::<Vec<_>>().iter()), "{} values", found.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn group_coordinator_is_not_available_while_its_log_is_offline() {
    let broker = Broker::with().set("offsets.topic.num.partitions", "1").start();
    let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
    client.create_topic("t", 1, &[]).await.unwrap();
    retry("a first commit", async || client.commit_offsets("group", None, "t", &[(0, 0)]).await).await;
    limit_files(&broker, Some(8 << 10));
    let mut committed = 0;
    let refused = loop {
        match client.commit_offsets("group", None, "t", &[(0, committed + 1)]).await {
            Ok(()) => committed += 1,
            Err(error) => break error,
        }
        assert!(committed < 1000, "the limit has no effect");
    };
    assert_eq!(refused.code(), Some(ErrorCode::CoordinatorNotAvailable), "{refused}");
    let away = client.find_coordinator("group").await.unwrap_err();
    assert_eq!(away.code(), Some(ErrorCode::CoordinatorNotAvailable), "{away}");
    let unknown = client.committed_offsets("group", "t", &[0]).await.unwrap_err();
    assert_eq!(unknown.code(), Some(ErrorCode::CoordinatorNotAvailable), "{unknown}");
    limit_files(&broker, None);
    retry("the coordinator is available again", async || client.find_coordinator("group").await).await;
    let kept = client.committed_offsets("group", "t", &[0]).await.unwrap();
    assert_eq!(kept[0].offset, committed, "the last acknowledged commit");
    client.commit_offsets("group", None, "t", &[(0, 5000)]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_can_be_changed_after_a_full_disk() {
    let mut broker = Broker::start();
    let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
    client.create_topic("before", 1, &[]).await.unwrap();
    let log = broker.data_dir().join("__cluster_metadata-0/00000000000000000000.log");
    limit_files(&broker, Some(std::fs::metadata(log).unwrap().len() + 20));
    for _ in 0..2 {
        let refused = client.create_topic("refused", 1, &[]).await.unwrap_err();
        assert_eq!(refused.code(), Some(ErrorCode::KafkaStorageError), "{refused}");
    }
    assert_eq!(produce(&client, "before", "more").await.unwrap(), 0);
    limit_files(&broker, None);
    retry("the metadata log is online again", async || client.create_topic("after", 1, &[]).await).await;
    let names = async |client: &Client| {
        let topics = client.metadata(None).await.unwrap().topics;
        let mut names: Vec<String> = topics.into_iter().filter_map(|topic| topic.name).collect();
        names.sort();
        names
    };
    assert_eq!(names(&client).await, ["after", "before"]);
    broker.kill();
    broker.restart();
    let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
    assert_eq!(names(&client).await, ["after", "before"]);
}

#[test]
fn second_broker_on_the_same_directory_is_refused() {
    let broker = Broker::start();
    let directory = broker.data_dir().display().to_string();
    let second = common::run(&["--data-dir", &directory, "--port", "0"]);
    let stderr = String::from_utf8_lossy(&second.stderr);
    assert!(!second.status.success() && stderr.contains("is in use by another broker"), "{stderr}");
}
