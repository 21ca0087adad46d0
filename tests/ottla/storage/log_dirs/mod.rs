//! Directories and partitions that are served: data of Apache Kafka in two `log.dirs`, the directory of one node of a larger
//! cluster, a directory without `meta.properties`, and a metadata log in a directory of its own.
//!
//! `tests/data/kafka-two-log-dirs` was written by Apache Kafka 4.3.1: a topic `orders` of four partitions with 100
//! records each, `__consumer_offsets` of two, and the groups `other` (in `d1`), `grp` and `third` (in `d2`) at offset 100
//! of each partition. The metadata log is in `d1`, as are `orders-0`, `orders-2` and `__consumer_offsets-0`.

mod repair;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::Broker;
use ottla::client::{Client, ClientError};
use ottla_core::metadata::records::{MetadataRecord, PartitionRecord, RegisterBrokerRecord, TopicRecord};
use ottla_log::{AppendParams, Disk, Log, LogConfig, OpenParams, Origin, TxnVerification};
use ottla_wire::protocol::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use ottla_wire::protocol::messages::describe_log_dirs::DescribeLogDirsRequest;
use ottla_wire::protocol::messages::describe_producers::{DescribeProducersRequest, TopicRequest};
use ottla_wire::protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponsePartition};
use ottla_wire::protocol::messages::offset_for_leader_epoch::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use ottla_wire::record::{BatchBuilder, Codec};
use ottla_wire::types::{ErrorCode, TopicId, Uuid};
use tempfile::TempDir;

/// A copy of Kafka's two directories.
fn two_dirs() -> TempDir {
    let dir = TempDir::with_prefix("ottla-test-").unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/kafka-two-log-dirs"), dir.path());
    dir
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, target) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// The content of every file below a directory.
fn contents(dir: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    for path in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            found.extend(contents(&path));
            found.insert(path, None);
        } else {
            let content = fs::read(&path).unwrap();
            found.insert(path, Some(content));
        }
    }
    found
}

/// The names of the folders in a directory, sorted.
fn folders(dir: &Path) -> Vec<String> {
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let mut names: Vec<String> = paths.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

/// Starts a broker with these settings, which must be refused with one line, and returns the line.
fn refused(settings: &[&str]) -> String {
    let settings = settings.iter().flat_map(|setting| ["--set", setting]);
    let args: Vec<&str> = settings.chain(["--port", "0"]).collect();
    let output = common::run(&args);
    let printed = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), printed.lines().count()), (Some(2), 1), "{printed}");
    printed
}

fn start(dir: &Path) -> Broker {
    Broker::with().data_dir(dir).start()
}

async fn connect(broker: &Broker) -> Client {
    Client::connect(broker.bootstrap_servers()).await.unwrap()
}

fn batch(value: &str) -> Bytes {
    let mut builder = BatchBuilder::new(Codec::None);
    builder.append(1, None, Some(value.as_bytes()), &[]);
    builder.build().unwrap().bytes().clone()
}

async fn metadata(client: &Client, topic: &str) -> Vec<MetadataResponsePartition> {
    let topic = MetadataRequestTopic { name: Some(topic.into()), ..Default::default() };
    let request = MetadataRequest { topics: Some(vec![topic]), ..Default::default() };
    client.call(request).await.unwrap().topics.remove(0).partitions
}

fn code<T: std::fmt::Debug>(outcome: Result<T, ClientError>) -> ErrorCode {
    outcome.unwrap_err().code().unwrap()
}

fn code_of(code: i16) -> ErrorCode {
    ErrorCode::from_code(code).unwrap()
}

/// Checks that each request about a partition returns this error.
async fn all_refuse(client: &Client, topic: &str, partition: i32, expected: ErrorCode) {
    let produced = client.produce(topic, partition, batch("lost?")).await;
    assert_eq!(code(produced), expected, "Produce");
    assert_eq!(code(client.fetch(topic, partition, 0, 1000, Duration::ZERO).await), expected, "Fetch");
    assert_eq!(code(client.list_offset(topic, partition, -1).await), expected, "ListOffsets");
    let requested = OffsetForLeaderPartition { partition, current_leader_epoch: -1, leader_epoch: 0 };
    let topics = vec![OffsetForLeaderTopic { topic: topic.into(), partitions: vec![requested] }];
    let answer = client.call(OffsetForLeaderEpochRequest { topics, ..Default::default() }).await.unwrap();
    assert_eq!(code_of(answer.topics[0].partitions[0].error_code), expected, "OffsetForLeaderEpoch");
    let partitions = vec![DeleteRecordsPartition { partition_index: partition, offset: 0 }];
    let topics = vec![DeleteRecordsTopic { name: topic.into(), partitions }];
    let answer = client.call(DeleteRecordsRequest { topics, timeout_ms: 1000 }).await.unwrap();
    assert_eq!(code_of(answer.topics[0].partitions[0].error_code), expected, "DeleteRecords");
    let topics = vec![TopicRequest { name: topic.into(), partition_indexes: vec![partition] }];
    let answer = client.call(DescribeProducersRequest { topics }).await.unwrap();
    assert_eq!(code_of(answer.topics[0].partitions[0].error_code), expected, "DescribeProducers");
}

/// The partitions in DescribeLogDirs, sorted.
async fn described(client: &Client) -> Vec<String> {
    let answer = client.call(DescribeLogDirsRequest { topics: None }).await.unwrap();
    let topics = answer.results.iter().flat_map(|dir| &dir.topics);
    let partitions =
        topics.flat_map(|topic| topic.partitions.iter().map(|it| (topic.name.clone(), it.partition_index)));
    let mut names: Vec<String> = partitions.map(|(topic, index)| format!("{topic}-{index}")).collect();
    names.sort();
    names
}

async fn end_offset(client: &Client, partition: i32) -> i64 {
    client.list_offset("orders", partition, -1).await.unwrap().offset
}

#[tokio::test]
async fn two_log_dirs_with_data_refuse_the_start_and_stay_unchanged() {
    let dir = two_dirs();
    let (first, second) = (dir.path().join("d1"), dir.path().join("d2"));
    let before = contents(dir.path());
    let log_dirs = format!("log.dirs={},{}", first.display(), second.display());
    let printed = refused(&[&log_dirs]);
    assert_eq!(contents(dir.path()), before);
    for part in [
        format!(
            "{} holds the metadata log and 3 partitions (__consumer_offsets-0, orders-0, orders-2)",
            first.display()
        ),
        format!("{} holds 3 partitions (__consumer_offsets-1, orders-1, orders-3)", second.display()),
        format!("move the directories of all partitions into {}", first.display()),
    ] {
        assert!(printed.contains(&part), "{printed}");
    }
    // As the error recommends.
    for folder in folders(&second) {
        fs::rename(second.join(&folder), first.join(&folder)).unwrap();
    }
    let mut broker = start(&first);
    let client = connect(&broker).await;
    for partition in 0..4 {
        assert_eq!(end_offset(&client, partition).await, 100);
    }
    for group in ["other", "grp", "third"] {
        let committed = client.committed_offsets(group, "orders", &[0, 1, 2, 3]).await.unwrap();
        assert!(committed.iter().all(|partition| partition.offset == 100), "{group}: {committed:?}");
    }
    drop(client);
    broker.stop();
    // The metadata records assign the partitions to this directory now, also without their folders.
    fs::remove_dir_all(first.join("orders-1")).unwrap();
    broker.restart();
    assert_eq!(metadata(&connect(&broker).await, "orders").await[1].leader_id, 1);
}

#[tokio::test]
async fn partitions_of_an_absent_log_dir_return_storage_errors_and_get_no_folder() {
    let dir = two_dirs();
    let first = dir.path().join("d1");
    let before = folders(&first);
    let mut broker = start(&first);
    broker.wait_for_log(
        "3 partitions (__consumer_offsets-1, orders-1, orders-3) are in a log directory that this broker does not have",
    );
    let client = connect(&broker).await;
    for (index, partition) in metadata(&client, "orders").await.into_iter().enumerate() {
        let expected = match index {
            0 | 2 => (1, ErrorCode::None, vec![]),
            _ => (-1, ErrorCode::LeaderNotAvailable, vec![1]),
        };
        let found = (partition.leader_id, code_of(partition.error_code), partition.offline_replicas);
        assert_eq!(found, expected, "orders-{index}");
    }
    all_refuse(&client, "orders", 1, ErrorCode::KafkaStorageError).await;
    all_refuse(&client, "orders", 3, ErrorCode::KafkaStorageError).await;
    assert_eq!(client.produce("orders", 2, batch("here")).await.unwrap().base_offset, 100);
    assert_eq!(described(&client).await, ["__consumer_offsets-0", "orders-0", "orders-2"]);

    assert_eq!(client.find_coordinator("other").await.unwrap().node_id, 1);
    let committed = client.committed_offsets("other", "orders", &[0, 1, 2, 3]).await.unwrap();
    assert!(committed.iter().all(|partition| partition.offset == 100), "{committed:?}");
    client.commit_offsets("other", None, "orders", &[(1, 99)]).await.unwrap();
    for group in ["grp", "third"] {
        assert_eq!(code(client.find_coordinator(group).await), ErrorCode::CoordinatorNotAvailable, "{group}");
        let committed = client.committed_offsets(group, "orders", &[0]).await;
        assert_eq!(code(committed), ErrorCode::NotCoordinator, "{group}");
        let commit = client.commit_offsets(group, None, "orders", &[(0, 1)]).await;
        assert_eq!(code(commit), ErrorCode::NotCoordinator, "{group}");
    }
    let groups = client.list_groups(&[], &[]).await.unwrap();
    assert_eq!(groups.iter().map(|group| &*group.id).collect::<Vec<_>>(), ["other"]);

    // A start after a crash, and the files that a stop writes.
    broker.kill();
    broker.restart();
    assert_eq!(end_offset(&connect(&broker).await, 2).await, 101);
    broker.stop();
    assert_eq!(folders(&first), before);
    for name in ["recovery-point-offset-checkpoint", "replication-offset-checkpoint"] {
        let text = fs::read_to_string(first.join(name)).unwrap();
        assert!(!text.contains("orders 1 ") && !text.contains("orders 3 "), "{name}: {text}");
    }

    // Deleting the topic removes only its folders in this directory.
    broker.restart();
    connect(&broker).await.delete_topic("orders").await.unwrap();
    broker.stop();
    assert_eq!(folders(&first).iter().filter(|name| !name.ends_with("-delete")).count(), 2, "{:?}", folders(&first));
    assert_eq!(folders(&dir.path().join("d2")).len(), 3);
}

#[tokio::test]
async fn only_log_dir_with_data_is_used() {
    let dir = two_dirs();
    let (first, empty) = (dir.path().join("d1"), dir.path().join("empty"));
    let log_dirs = format!("log.dirs={},{}", empty.display(), first.display());
    fs::remove_dir_all(dir.path().join("d2")).unwrap();
    let ready = dir.path().join("ready.json");
    let mut command = common::command(&[]);
    command.args(["--set", &log_dirs, "--port", "0", "--ready-file"]).arg(&ready);
    let log = dir.path().join("log.txt");
    let mut process = command.stderr(fs::File::create(&log).unwrap()).spawn().unwrap();
    common::wait_until("the broker", || ready.exists());
    let started: serde_json::Value = serde_json::from_slice(&fs::read(&ready).unwrap()).unwrap();
    assert_eq!(started["data_dir"].as_str(), first.to_str());
    let client = Client::connect(started["bootstrap_servers"].as_str().unwrap()).await.unwrap();
    assert_eq!(end_offset(&client, 0).await, 100);
    process.kill().unwrap();
    process.wait().unwrap();
    let printed = fs::read_to_string(&log).unwrap();
    assert!(printed.contains("log.dirs names 2 directories and one is used"), "{printed}");
    assert!(!empty.exists());
}

/// Appends records to the metadata log of a stopped broker.
fn append_metadata(data: &Path, records: &[MetadataRecord]) {
    let at = OpenParams { clean_shutdown: true, ..OpenParams::fresh(0) };
    let folder = data.join("__cluster_metadata-0");
    let mut log = Log::open(&Disk::plain(), &folder, Arc::new(LogConfig::default()), at).unwrap();
    let mut batch = BatchBuilder::new(Codec::None);
    for record in records {
        batch.append(1, None, Some(&record.encode().unwrap()), &[]);
    }
    let how = AppendParams {
        leader_epoch: log.latest_epoch().unwrap(),
        origin: Origin::Coordinator,
        verification: TxnVerification::NotVerified,
        now: 1,
    };
    log.append(&batch.build().unwrap(), how).unwrap();
    log.close().unwrap().sync().unwrap();
}

#[tokio::test]
async fn partitions_of_other_nodes_have_no_leader_and_no_folder() {
    let dir = two_dirs();
    let data = dir.path().join("d1");
    // The `directory.id` of `d1`.
    let ours = Uuid::parse("V-XyydCjmIKgchRxTKGApw").unwrap();
    let (far, offsets) = (Uuid([5; 16]), Uuid([6; 16]));
    let partition = |topic_id: TopicId, partition_id: i32, replicas: &[i32], isr: &[i32]| {
        let record = PartitionRecord {
            partition_id,
            topic_id,
            replicas: replicas.to_vec(),
            isr: isr.to_vec(),
            leader: isr[0],
            leader_epoch: 3,
            partition_epoch: 0,
            directories: replicas.iter().map(|id| if *id == 1 { ours } else { Uuid([9; 16]) }).collect(),
            ..Default::default()
        };
        MetadataRecord::new(1, record)
    };
    let other = RegisterBrokerRecord { broker_id: 2, broker_epoch: 1000, fenced: false, ..Default::default() };
    append_metadata(
        &data,
        &[
            MetadataRecord::new(3, other),
            MetadataRecord::new(0, TopicRecord { name: "far".into(), topic_id: far }),
            partition(far, 0, &[2], &[2]),
            partition(far, 1, &[2, 1], &[2, 1]),
            partition(far, 2, &[2, 1], &[2]),
            MetadataRecord::new(0, TopicRecord { name: "__share_group_state".into(), topic_id: offsets }),
            partition(offsets, 0, &[2], &[2]),
        ],
    );
    let before = folders(&data);
    let mut broker = start(&data);
    broker.wait_for_log("3 partitions (__share_group_state-0, far-0, far-2) have no leader here");
    let client = connect(&broker).await;
    let leaders: Vec<_> =
        metadata(&client, "far").await.into_iter().map(|it| (it.leader_id, it.offline_replicas)).collect();
    assert_eq!(leaders, [(-1, vec![2]), (1, vec![2]), (-1, vec![2])]);
    all_refuse(&client, "far", 0, ErrorCode::NotLeaderOrFollower).await;
    all_refuse(&client, "far", 2, ErrorCode::NotLeaderOrFollower).await;
    assert_eq!(client.produce("far", 1, batch("in sync")).await.unwrap().base_offset, 0);
    assert!(!described(&client).await.contains(&"far-0".to_owned()));
    broker.stop();
    let mut expected = before;
    // This broker has replicas of these two; that of the second is out of sync.
    expected.extend(["far-1", "far-2"].map(str::to_owned));
    expected.sort();
    assert_eq!(folders(&data), expected);
}

#[tokio::test]
async fn data_without_meta_properties_starts_after_the_recommended_format() {
    let mut broker = Broker::start();
    let client = connect(&broker).await;
    client.create_topic("used", 1, &[]).await.unwrap();
    client.create_topic("unused", 1, &[]).await.unwrap();
    client.produce("used", 0, batch("kept")).await.unwrap();
    drop(client);
    broker.stop();
    let data = broker.data_dir().to_path_buf();
    // Like the folder of a partition that was never used.
    let _ = fs::remove_dir_all(data.join("unused-0"));
    fs::remove_file(data.join("meta.properties")).unwrap();
    let before = contents(&data);
    let log_dirs = format!("log.dirs={}", data.display());
    let printed = refused(&[&log_dirs]);
    assert!(
        printed.contains("contains the metadata log and 1 partition (used-0), but no meta.properties"),
        "{printed}"
    );
    assert_eq!(contents(&data), before);

    assert!(printed.contains("ottla kafka-storage format --cluster-id ID --config FILE"), "{printed}");
    let file = data.with_file_name("server.properties");
    fs::write(&file, format!("node.id=1\n{log_dirs}\n")).unwrap();
    let id = "5L6g3nShT-eMCtK--X86sw";
    let formatted = common::run(&["kafka-storage", "format", "--cluster-id", id, "--config", file.to_str().unwrap()]);
    assert!(formatted.status.success(), "{formatted:?}");
    broker.restart();
    let client = connect(&broker).await;
    assert_eq!(client.metadata(None).await.unwrap().cluster_id.as_deref(), Some(id));
    assert_eq!(client.produce("used", 0, batch("more")).await.unwrap().base_offset, 1);
    assert_eq!(client.produce("unused", 0, batch("first")).await.unwrap().base_offset, 0);
}

#[tokio::test]
async fn metadata_log_dir_holds_the_metadata_log() {
    let dir = TempDir::with_prefix("ottla-test-").unwrap();
    let metadata_dir = dir.path().join("metadata");
    let setting = metadata_dir.display().to_string();
    let mut broker = Broker::with().set("metadata.log.dir", &setting).start();
    let data = broker.data_dir().to_path_buf();
    connect(&broker).await.create_topic("t", 1, &[]).await.unwrap();
    assert_eq!(connect(&broker).await.produce("t", 0, batch("1")).await.unwrap().base_offset, 0);
    broker.kill();
    broker.restart();
    assert_eq!(connect(&broker).await.produce("t", 0, batch("2")).await.unwrap().base_offset, 1);
    assert!(
        String::from_utf8(common::run(&["--set", &format!("log.dirs={setting}"), "--port", "0"]).stderr)
            .unwrap()
            .contains("is in use by another broker")
    );
    broker.stop();
    assert_eq!(folders(&metadata_dir), ["__cluster_metadata-0"]);
    assert_eq!(folders(&data), ["t-0"]);
    let line = |dir: &Path, name: &str| {
        let text = fs::read_to_string(dir.join("meta.properties")).unwrap();
        text.lines().find(|line| line.starts_with(name)).unwrap().to_owned()
    };
    assert_eq!(line(&metadata_dir, "cluster.id="), line(&data, "cluster.id="));
    assert_ne!(line(&metadata_dir, "directory.id="), line(&data, "directory.id="));

    // Without `metadata.log.dir` the topics are not known.
    let printed = refused(&[&format!("log.dirs={}", data.display())]);
    assert!(printed.contains("metadata.log.dir"), "{printed}");
    broker.restart();
    assert_eq!(connect(&broker).await.produce("t", 0, batch("3")).await.unwrap().base_offset, 2);
}

#[test]
fn unusable_log_dir_is_refused_with_its_cause() {
    let dir = TempDir::with_prefix("ottla-test-").unwrap();
    let at = |name: &str| dir.path().join(name);
    std::os::unix::fs::symlink(at("missing"), at("link")).unwrap();
    fs::write(at("file"), "").unwrap();
    fs::create_dir(at("old")).unwrap();
    fs::write(at("old/meta.properties"), "version=0\nbroker.id=0\ncluster.id=x\n").unwrap();
    for (name, expected) in
        [("link", "is a symbolic link to"), ("file", "is not a directory"), ("old", "that ran with ZooKeeper")]
    {
        let printed = refused(&[&format!("log.dirs={}", at(name).display())]);
        assert!(printed.contains(expected), "{printed}");
    }
}

#[test]
fn check_log_of_two_log_dirs_knows_the_topics_of_both() {
    let dir = two_dirs();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let check = |args: &[&str]| {
        let output = common::run(&[&["check-log"], args].concat());
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let before = contents(dir.path());
    let (code, printed) = check(&[&at("d1"), &at("d2")]);
    assert!(code == Some(0) && printed.contains("7 partitions") && printed.contains("no faults found"), "{printed}");
    let (code, printed) = check(&[&at("d2")]);
    assert!(code == Some(1) && printed.contains("if it is in another directory"), "{printed}");
    let mut after = contents(dir.path());
    after.retain(|path, _| !path.ends_with(".lock"));
    assert_eq!(after, before);
}

#[test]
fn storage_format_and_info_cover_every_log_dir() {
    let dir = TempDir::with_prefix("ottla-test-").unwrap();
    let at = |name: &str| dir.path().join(name).display().to_string();
    let file = at("server.properties");
    let text = format!("node.id=1\nlog.dirs={},{}\nmetadata.log.dir={}\n", at("a"), at("b"), at("m"));
    fs::write(&file, text).unwrap();
    let id = "5L6g3nShT-eMCtK--X86sw";
    let format = || common::run(&["kafka-storage", "format", "-g", "-t", id, "-c", &file]);
    let printed = String::from_utf8(format().stdout).unwrap();
    for expected in ["metadata directory", "data directory"] {
        assert!(printed.contains(&format!("Formatting {expected}")), "{printed}");
    }
    assert_eq!(String::from_utf8(format().stdout).unwrap(), "All of the log directories are already formatted.\n");
    let info = common::run(&["kafka-storage", "info", "-c", &file]);
    let printed = String::from_utf8(info.stdout).unwrap();
    assert!(info.status.success() && printed.starts_with("Found log directories:\n"), "{printed}");
    assert_eq!(printed.matches("Found metadata: {cluster.id=5L6g3nShT-eMCtK--X86sw").count(), 3, "{printed}");
    fs::remove_file(dir.path().join("b/meta.properties")).unwrap();
    let info = common::run(&["kafka-storage", "info", "-c", &file]);
    let printed = String::from_utf8(info.stdout).unwrap();
    assert!(!info.status.success() && printed.contains("b is not formatted."), "{printed}");
}
