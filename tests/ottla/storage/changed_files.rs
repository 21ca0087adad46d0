//! Log files that are truncated, overwritten or removed while the broker and its consumers use them: the broker
//! continues, the partition returns KAFKA_STORAGE_ERROR and logs its file once, other partitions are served, and the
//! next start logs the lost records.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use common::{Broker, wait_until};
use ottla::client::{Client, ClientError};
use ottla_wire::protocol::RequestHeader;
use ottla_wire::protocol::frame::encode_request;
use ottla_wire::protocol::messages::fetch::{FetchPartition, FetchRequest, FetchTopic};
use ottla_wire::record::{BatchBuilder, Codec, batches};
use ottla_wire::types::ErrorCode;

const BATCHES: usize = 200;
/// The broker opens a failed log again after 1 s. This many attempts, with a pause after each, take longer.
const ATTEMPTS: usize = 400;
const PAUSE: Duration = Duration::from_millis(20);

fn batch(number: usize) -> Bytes {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let mut batch = BatchBuilder::new(Codec::None);
    batch.append(now as i64, None, Some(format!("{number} {}", "v".repeat(5000)).as_bytes()), &[]);
    batch.build().unwrap().bytes().clone()
}

async fn connect(broker: &Broker) -> Client {
    Client::connect(broker.bootstrap_servers()).await.unwrap()
}

async fn fill(client: &Client, topic: &str, count: usize) {
    client.create_topic(topic, 1, &[]).await.unwrap();
    for number in 0..count {
        client.produce(topic, 0, batch(number)).await.unwrap();
    }
}

fn log_file(broker: &Broker, topic: &str) -> PathBuf {
    broker.data_dir().join(format!("{topic}-0/00000000000000000000.log"))
}

/// Checks the CRC of all fetched batches and returns their number.
fn check(records: &Bytes, topic: &str) -> usize {
    let mut count = 0;
    for batch in batches(records).filter_map(Result::ok) {
        batch.check_crc().unwrap_or_else(|error| panic!("{topic}: {error}"));
        count += 1;
    }
    count
}

/// Fetches the topic repeatedly until `stop`, also after a closed connection.
async fn consume(address: String, topic: &'static str, stop: Arc<AtomicBool>, read: Arc<AtomicUsize>) {
    let mut client = Client::connect(&address).await.unwrap();
    let mut offset = 0;
    while !stop.load(Ordering::Relaxed) {
        match client.fetch(topic, 0, offset, 200_000, Duration::ZERO).await {
            Ok(fetched) => {
                let count = check(&fetched.records, topic);
                read.fetch_add(count, Ordering::Relaxed);
                offset = if count == 0 { 0 } else { offset + count as i64 };
            }
            Err(ClientError::Refused { .. }) => tokio::time::sleep(PAUSE).await,
            Err(_) => client = Client::connect(&address).await.unwrap(),
        }
    }
}

/// Repeats a request until it is refused, and returns the error code.
async fn refused<T: std::fmt::Debug>(
    what: &str,
    mut request: impl AsyncFnMut() -> Result<T, ClientError>,
) -> ErrorCode {
    for _ in 0..ATTEMPTS {
        match request().await {
            Err(ClientError::Refused { code, .. }) => return ErrorCode::from_code(code).unwrap(),
            other => drop(other),
        }
        tokio::time::sleep(PAUSE).await;
    }
    panic!("{what}: not refused")
}

fn truncate(path: &Path, len: u64) {
    File::options().write(true).open(path).and_then(|file| file.set_len(len)).unwrap();
}

/// A topic, a change of its log file, and the least number of batches that remain.
type FileChange = (&'static str, fn(&Path), usize);

const FILE_CHANGES: [FileChange; 5] = [
    // truncate -s 0, and `> file`
    ("truncated", |path| truncate(path, 0), 0),
    ("emptied", |path| drop(File::create(path).unwrap()), 0),
    ("middle", |path| truncate(path, fs::metadata(path).unwrap().len() / 2), BATCHES / 2 - 1),
    (
        "copied-over",
        |path| {
            let part = fs::read(path).unwrap()[..100_000].to_vec();
            fs::write(path, part).unwrap();
        },
        19,
    ),
    ("removed", |path| fs::remove_file(path).unwrap(), 0),
];

#[tokio::test(flavor = "multi_thread")]
async fn changed_log_files_fail_only_their_partitions() {
    let mut broker = Broker::start();
    let client = connect(&broker).await;
    fill(&client, "other", BATCHES).await;
    for (topic, ..) in FILE_CHANGES {
        fill(&client, topic, BATCHES).await;
    }
    let (stop, read) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut consumers = Vec::new();
    for topic in FILE_CHANGES.iter().map(|(topic, ..)| *topic).chain(["other"]) {
        let address = broker.bootstrap_servers().to_owned();
        consumers.push(tokio::spawn(consume(address, topic, Arc::clone(&stop), Arc::clone(&read))));
    }
    wait_until("consumers to read", || read.load(Ordering::Relaxed) > 2000);
    for (topic, change, _) in FILE_CHANGES {
        change(&log_file(&broker, topic));
    }
    for (topic, ..) in FILE_CHANGES {
        let produced = async || client.produce(topic, 0, batch(0)).await;
        assert_eq!(refused(topic, produced).await, ErrorCode::KafkaStorageError, "{topic}: produce");
        let fetched = async || connect(&broker).await.fetch(topic, 0, 0, 1 << 20, Duration::ZERO).await;
        assert_eq!(refused(topic, fetched).await, ErrorCode::KafkaStorageError, "{topic}: fetch");
        let listed = async || client.list_offset(topic, 0, -1).await;
        assert_eq!(refused(topic, listed).await, ErrorCode::KafkaStorageError, "{topic}: list offsets");
    }
    for number in 0..10 {
        let offset = client.produce("other", 0, batch(number)).await.unwrap().base_offset;
        assert_eq!(offset as usize, BATCHES + number, "the other partition is served");
    }
    let before = read.load(Ordering::Relaxed);
    wait_until("the consumer of the other topic to read", || read.load(Ordering::Relaxed) > before + 500);
    // Longer than until the log is opened again.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    stop.store(true, Ordering::Relaxed);
    for consumer in consumers {
        consumer.await.unwrap();
    }
    let text = broker.log();
    for (topic, ..) in FILE_CHANGES {
        let path = log_file(&broker, topic);
        // Besides the lines of refused requests.
        let failures = text.lines().filter(|line| !line.contains("refused produce request"));
        let lines: Vec<&str> = failures.filter(|line| line.contains(&*path.to_string_lossy())).collect();
        assert_eq!(lines.len(), 1, "{topic}: {lines:#?}");
        assert!(lines[0].contains("partition offline until") && lines[0].contains("while it was in use"), "{lines:?}");
    }
    broker.kill();
    broker.restart();
    let client = connect(&broker).await;
    for (topic, _, left) in FILE_CHANGES {
        broker.wait_for_log(&format!("partition={topic}-0"));
        let fetched = client.fetch(topic, 0, 0, 2 << 20, Duration::ZERO).await.unwrap();
        let found = check(&fetched.records, topic);
        assert!((left..BATCHES).contains(&found), "{topic}: {found} batches");
        assert_eq!(client.produce(topic, 0, batch(0)).await.unwrap().base_offset, found as i64, "{topic}");
        let is_reported = |line: &str| {
            line.contains("lost records")
                && line.contains(&format!("partition={topic}-0"))
                && line.contains(&format!("first_offset={found} end_offset="))
        };
        wait_until(&format!("{topic}: lost records from {found}"), || broker.log().lines().any(is_reported));
    }
    assert_eq!(
        client.fetch("other", 0, 0, 2 << 20, Duration::ZERO).await.unwrap().high_watermark as usize,
        BATCHES + 10
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn response_from_a_truncated_file_is_aborted() {
    let broker = Broker::start();
    let client = connect(&broker).await;
    fill(&client, "large", 4000).await;
    fill(&client, "other", 3).await;
    // Far more than the buffers of a connection.
    let partition = FetchPartition { partition_max_bytes: 50 << 20, ..Default::default() };
    let topic = FetchTopic { topic: "large".into(), partitions: vec![partition], ..Default::default() };
    let request = FetchRequest { max_bytes: 50 << 20, topics: vec![topic], ..Default::default() };
    let header = RequestHeader { api_key: 1, api_version: 12, correlation_id: 1, client_id: None };
    let mut slow = broker.connect();
    slow.write_all(&encode_request(&header, &request.into()).unwrap().concat()).unwrap();
    let mut size = [0; 4];
    slow.read_exact(&mut size).unwrap();
    assert!(u32::from_be_bytes(size) > 19 << 20);
    truncate(&log_file(&broker, "large"), 0);
    let mut rest = Vec::new();
    // The connection is closed or reset.
    let _ = slow.read_to_end(&mut rest);
    assert!(rest.len() < u32::from_be_bytes(size) as usize, "{} bytes arrived", rest.len());
    broker.wait_for_log("cannot be read from their file");
    let fetched = async || connect(&broker).await.fetch("large", 0, 0, 1 << 20, Duration::ZERO).await;
    assert_eq!(refused("large", fetched).await, ErrorCode::KafkaStorageError);
    assert_eq!(client.produce("other", 0, batch(0)).await.unwrap().base_offset, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn corrupt_batch_is_logged_once_and_when_it_is_readable_again() {
    let broker = Broker::start();
    let client = connect(&broker).await;
    fill(&client, "corrupt", 20).await;
    let path = log_file(&broker, "corrupt");
    let file = File::options().write(true).read(true).open(&path).unwrap();
    // The magic byte of the first batch.
    let mut magic = [0];
    file.read_exact_at(&mut magic, 16).unwrap();
    file.write_all_at(&[77], 16).unwrap();
    for _ in 0..10 {
        let refused = client.fetch("corrupt", 0, 0, 1 << 20, Duration::ZERO).await.unwrap_err();
        assert_eq!(refused.code(), Some(ErrorCode::KafkaStorageError), "{refused}");
        let later = client.fetch("corrupt", 0, 10, 1 << 20, Duration::ZERO).await.unwrap();
        assert_eq!(check(&later.records, "corrupt"), 10, "intact batches are served");
    }
    client.produce("corrupt", 0, batch(20)).await.unwrap();
    let lines_with = |text: &str| broker.log().lines().filter(|line| line.contains(text)).count();
    broker.wait_for_log("failed to read a part of the partition");
    assert_eq!(lines_with("failed to read a part of the partition"), 1);
    assert_eq!(lines_with(&path.to_string_lossy()), 1, "the line names the file");
    file.write_all_at(&magic, 16).unwrap();
    assert_eq!(check(&client.fetch("corrupt", 0, 0, 1 << 20, Duration::ZERO).await.unwrap().records, "corrupt"), 21);
    broker.wait_for_log("a part of the partition that could not be read is readable again");
}
