//! Starts that are refused because of the data directory, and succeed after what the error recommends.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::Broker;
use ottla::client::Client;
use ottla_core::metadata::records::{MetadataRecord, PartitionRecord};
use ottla_log::{AppendParams, Disk, Log, LogConfig, OpenParams, Origin, TxnVerification};
use ottla_wire::record::{BatchBuilder, Codec, batches};
use ottla_wire::types::{TopicId, Uuid};

const RECORDS: usize = 10;
const METADATA: &str = "__cluster_metadata-0/00000000000000000000.log";

fn batch(value: &str) -> Bytes {
    let mut builder = BatchBuilder::new(Codec::None);
    builder.append(1_700_000_000_000, Some(b"key"), Some(value.as_bytes()), &[]);
    builder.build().unwrap().bytes().clone()
}

async fn connect(broker: &Broker) -> Client {
    Client::connect(broker.bootstrap_servers()).await.unwrap()
}

/// A stopped broker with records of two topics and a committed offset.
async fn filled() -> Broker {
    let mut broker = Broker::with().set("offsets.topic.num.partitions", "1").start();
    let client = connect(&broker).await;
    client.create_topic("plain", 2, &[("retention.ms", "1000000")]).await.unwrap();
    client.create_topic("other", 1, &[]).await.unwrap();
    for number in 0..RECORDS {
        client.produce("plain", 1, batch(&format!("{number}"))).await.unwrap();
        client.produce("other", 0, batch("x")).await.unwrap();
    }
    client.commit_offsets("group", None, "plain", &[(1, 7)]).await.unwrap();
    drop(client);
    broker.stop();
    broker
}

/// Starts a broker, which must be refused with one line, and returns the line.
fn refused(data: &Path) -> String {
    let output = common::run(&["--data-dir", data.to_str().unwrap(), "--port", "0"]);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), message.lines().count()), (Some(2), 1), "{message}");
    message
}

/// Runs the command that an error names in backticks.
fn run_recommended(message: &str) -> Output {
    let command = message.split('`').nth(1).unwrap_or_else(|| panic!("no command in: {message}"));
    let args: Vec<&str> = command.split_whitespace().collect();
    assert_eq!(args[0], "ottla", "{message}");
    common::run(&args[1..])
}

/// Checks that the start is refused, runs the recommended repair, and starts the broker; returns the repair's report.
async fn repair_as_recommended(mut broker: Broker, what: &str, expected: &str) -> (Broker, String) {
    let data = broker.data_dir().to_path_buf();
    let message = refused(&data);
    assert!(message.contains(expected), "{what}: {message}");
    assert_eq!(refused(&data), message, "{what}: nothing was changed");
    let repair = run_recommended(&message);
    let report = String::from_utf8(repair.stdout).unwrap();
    assert_eq!(repair.status.code(), Some(0), "{what}: {report}\n{}", String::from_utf8_lossy(&repair.stderr));
    let check = common::run(&["check-log", data.to_str().unwrap()]);
    let again = String::from_utf8(check.stdout).unwrap();
    assert!(check.status.success() && again.contains("no faults found"), "{what}: {report}\nand then {again}");
    broker.restart();
    (broker, report)
}

/// Checks that all records can be read and all partitions written.
async fn check_everything_is_served(broker: &Broker, what: &str) {
    let client = connect(broker).await;
    let fetched = client.fetch("plain", 1, 0, 1 << 20, Duration::ZERO).await.unwrap();
    let values: Vec<String> = batches(&fetched.records)
        .flat_map(|batch| batch.unwrap().records().collect::<Vec<_>>())
        .map(|record| String::from_utf8(record.unwrap().value.unwrap().to_vec()).unwrap())
        .collect();
    assert_eq!(values, (0..RECORDS).map(|number| number.to_string()).collect::<Vec<_>>(), "{what}");
    assert_eq!(client.produce("plain", 1, batch("more")).await.unwrap().base_offset, RECORDS as i64, "{what}");
    assert_eq!(client.produce("plain", 0, batch("first")).await.unwrap().base_offset, 0, "{what}");
    assert_eq!(client.produce("other", 0, batch("more")).await.unwrap().base_offset, RECORDS as i64, "{what}");
    let committed = client.committed_offsets("group", "plain", &[1]).await.unwrap();
    assert_eq!(committed[0].offset, 7, "{what}");
    client.create_topic("new", 1, &[]).await.unwrap();
}

/// Overwrites a part of a file.
fn corrupt(path: &Path, from: u64, len: usize) {
    let file = File::options().write(true).open(path).unwrap();
    file.write_all_at(&vec![0xa7; len], from).unwrap();
}

/// Makes the metadata log begin at an offset above 0, as if its first segment were missing.
fn remove_first_segment(data: &Path) {
    let folder = data.join("__cluster_metadata-0");
    let bytes = fs::read(data.join(METADATA)).unwrap();
    let all: Vec<_> = batches(&Bytes::from(bytes.clone())).map(Result::unwrap).collect();
    let (mut position, middle) = (0, all.len() / 2);
    for batch in &all[..middle] {
        position += batch.header().size();
    }
    let base = all[middle].header().base_offset;
    for entry in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.file_name().unwrap().to_str().unwrap().starts_with("0000") {
            fs::remove_file(entry).unwrap();
        }
    }
    fs::write(folder.join(format!("{base:020}.log")), &bytes[position..]).unwrap();
}

/// Appends a partition record without its topic.
fn append_orphan(data: &Path) {
    let at = OpenParams { clean_shutdown: true, ..OpenParams::fresh(0) };
    let folder = data.join("__cluster_metadata-0");
    let mut log = Log::open(&Disk::plain(), &folder, Arc::new(LogConfig::default()), at).unwrap();
    let mut batch = BatchBuilder::new(Codec::None);
    let orphan = PartitionRecord { topic_id: TopicId::from(Uuid([5; 16])), replicas: vec![1], ..Default::default() };
    batch.append(1, None, Some(&MetadataRecord::new(0, orphan).encode().unwrap()), &[]);
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
async fn corrupt_metadata_log_is_repaired_by_the_recommended_command() {
    type Corruption = fn(&Path);
    let corruptions: [(&str, &str, Corruption); 7] = [
        ("corruption at the beginning", "is damaged", |data| corrupt(&data.join(METADATA), 0, 900)),
        ("corruption in the middle", "is damaged", |data| {
            let len = fs::metadata(data.join(METADATA)).unwrap().len();
            corrupt(&data.join(METADATA), len / 2, 200);
        }),
        ("only noise", "is damaged", |data| fs::write(data.join(METADATA), vec![0xa7; 300]).unwrap()),
        ("an empty file", "is missing or empty", |data| fs::write(data.join(METADATA), "").unwrap()),
        ("no folder", "is missing or empty", |data| fs::remove_dir_all(data.join("__cluster_metadata-0")).unwrap()),
        ("no first segment", "", remove_first_segment),
        ("a record without its topic", "no topic with id", append_orphan),
    ];
    for (what, expected, corrupt) in corruptions {
        let broker = filled().await;
        corrupt(broker.data_dir());
        let (mut broker, report) = repair_as_recommended(broker, what, expected).await;
        check_everything_is_served(&broker, what).await;
        let is_rebuilt = report.contains("a new metadata log was created");
        assert!(is_rebuilt || what == "corruption in the middle", "{what}: {report}");
        broker.kill();
        broker.restart();
    }
}

#[tokio::test]
async fn repair_of_an_ottla_directory_recreates_unused_partitions_empty() {
    let broker = filled().await;
    let data = broker.data_dir().to_path_buf();
    // As after a crash before its folder was created.
    fs::remove_dir_all(data.join("plain-0")).unwrap();
    fs::remove_dir_all(data.join("__cluster_metadata-0")).unwrap();
    let (broker, report) = repair_as_recommended(broker, "no folders", "is missing or empty").await;
    assert!(report.contains("without a directory, empty now: 1 partition (plain-0)"), "{report}");
    assert!(!report.contains("not served"), "{report}");
    check_everything_is_served(&broker, "no folders").await;
}

#[tokio::test]
async fn repair_does_not_recreate_a_missing_partition_that_had_records() {
    let broker = filled().await;
    let data = broker.data_dir().to_path_buf();
    let moved = data.with_file_name("moved");
    fs::create_dir(data.join("plain-2")).unwrap();
    fs::copy(data.join("plain-1/partition.metadata"), data.join("plain-2/partition.metadata")).unwrap();
    fs::rename(data.join("plain-1"), &moved).unwrap();
    fs::remove_dir_all(data.join("__cluster_metadata-0")).unwrap();
    let (mut broker, report) = repair_as_recommended(broker, "a folder", "is missing or empty").await;
    assert!(report.contains("not served now (KAFKA_STORAGE_ERROR): 1 partition (plain-1)"), "{report}");
    assert!(connect(&broker).await.produce("plain", 1, batch("lost?")).await.is_err());
    broker.stop();
    fs::rename(&moved, data.join("plain-1")).unwrap();
    broker.restart();
    check_everything_is_served(&broker, "a folder").await;
}

#[tokio::test]
async fn metadata_log_that_continues_a_snapshot_is_read() {
    let broker = filled().await;
    let data = broker.data_dir().to_path_buf();
    // Like Kafka after it has deleted the log before a snapshot.
    let intact = Bytes::from(fs::read(data.join(METADATA)).unwrap());
    let mut image = Vec::new();
    remove_first_segment(&data);
    let folder = data.join("__cluster_metadata-0");
    let names = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let base: i64 = names.filter_map(|name| name.strip_suffix(".log")?.parse().ok()).next().unwrap();
    for batch in batches(&intact).map(Result::unwrap).filter(|batch| !batch.header().is_control()) {
        for record in batch.records().map(Result::unwrap).filter(|record| record.offset < base) {
            image.push(MetadataRecord::decode(&record.value.unwrap()).unwrap());
        }
    }
    // Kafka's checkpoint has no line for the metadata log.
    fs::write(data.join("log-start-offset-checkpoint"), "0\n0\n").unwrap();
    let snapshot = ottla_core::metadata::write_bootstrap(image, 1).unwrap().concat();
    fs::write(folder.join(format!("{base:020}-0000000001.checkpoint")), snapshot).unwrap();
    let check = common::run(&["check-log", data.to_str().unwrap()]);
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
    let mut broker = broker;
    broker.restart();
    check_everything_is_served(&broker, "from a snapshot").await;
    broker.kill();
    broker.restart();
    assert_eq!(connect(&broker).await.list_offset("plain", 1, -1).await.unwrap().offset, RECORDS as i64 + 1);
}

#[tokio::test]
async fn corrupt_log_start_checkpoint_is_reported_briefly_and_renamed() {
    let broker = filled().await;
    let path = broker.data_dir().join("log-start-offset-checkpoint");
    for content in [vec![0; 2611], vec![b'\\'; 100_000]] {
        fs::write(&path, &content).unwrap();
        let message = refused(broker.data_dir());
        assert!(message.len() < 700 && !message.contains("\\0\\0"), "{message}");
    }
    let (broker, report) = repair_as_recommended(broker, "log starts", "log-start-offset-checkpoint is corrupt").await;
    assert!(report.contains("log-start-offset-checkpoint.cut") && report.contains("1 finding, repaired"), "{report}");
    check_everything_is_served(&broker, "log starts").await;
}

#[tokio::test]
async fn partition_with_a_missing_folder_continues_after_its_lost_offsets() {
    let mut broker = filled().await;
    let data = broker.data_dir().to_path_buf();
    fs::remove_dir_all(data.join("plain-1")).unwrap();
    // As after a repair or a move to another machine.
    fs::remove_file(data.join("ottla-positions")).unwrap();
    let check = common::run(&["check-log", data.to_str().unwrap()]);
    let message = String::from_utf8(check.stdout).unwrap();
    assert!(!check.status.success() && message.contains("it had offsets 0 to 9"), "{message}");
    let check = common::run(&["check-log", data.to_str().unwrap(), "--repair"]);
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
    assert!(common::run(&["check-log", data.to_str().unwrap()]).status.success());
    broker.restart();
    assert_eq!(connect(&broker).await.produce("plain", 1, batch("next")).await.unwrap().base_offset, 10);
}

#[tokio::test]
async fn refused_directory_starts_after_the_recommended_fix() {
    let mut broker = filled().await;
    let data = broker.data_dir().to_path_buf();
    let meta = data.join("meta.properties");
    let intact = fs::read_to_string(&meta).unwrap();

    fs::write(&meta, intact.replace("node.id=1", "node.id=5")).unwrap();
    let message = refused(&data);
    assert!(message.contains("start with node.id=5"), "{message}");
    let ready = data.with_file_name("ready-5.json");
    let mut process = common::command(&[])
        .args(["--data-dir", data.to_str().unwrap(), "--port", "0", "--set", "node.id=5", "--ready-file"])
        .arg(&ready)
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    common::wait_until("the broker", || ready.exists());
    process.kill().unwrap();
    process.wait().unwrap();

    fs::write(&meta, "version=7\n").unwrap();
    let message = refused(&data);
    assert!(message.contains("its version \"7\" is unknown"), "{message}");
    fs::rename(&meta, data.with_file_name("meta.old")).unwrap();
    let file = data.with_file_name("server.properties");
    fs::write(&file, format!("node.id=1\nlog.dirs={}\n", data.display())).unwrap();
    let args = ["kafka-storage", "format", "--cluster-id", "x", "--config", file.to_str().unwrap()];
    assert!(common::run(&args).status.success());
    broker.restart();
    check_everything_is_served(&broker, "a new meta.properties").await;
    broker.stop();

    let target = data.with_file_name("volume");
    let link = data.with_file_name("link");
    symlink(&target, &link).unwrap();
    assert!(refused(&link).contains("create that directory"));
    fs::create_dir(&target).unwrap();
    drop(Broker::with().data_dir(&link).start());

    let file = data.with_file_name("file");
    fs::write(&file, "").unwrap();
    assert!(refused(&file).contains("name a directory, or move the file away"));
    fs::remove_file(&file).unwrap();
    drop(Broker::with().data_dir(&file).start());

    let formatted = data.with_file_name("formatted");
    let config = data.with_file_name("formatted.properties");
    fs::write(&config, format!("node.id=1\nlog.dirs={}\n", formatted.display())).unwrap();
    let args = ["kafka-storage", "format", "--cluster-id", "x", "--config", config.to_str().unwrap()];
    assert!(common::run(&args).status.success());
    corrupt(&formatted.join("bootstrap.checkpoint"), 30, 10);
    assert!(refused(&formatted).contains("bootstrap.checkpoint cannot be read"));
    fs::remove_file(formatted.join("bootstrap.checkpoint")).unwrap();
    drop(Broker::with().data_dir(&formatted).start());
}

#[tokio::test]
async fn directory_in_use_is_refused_until_its_broker_stops() {
    let mut first = filled().await;
    first.restart();
    let data = first.data_dir().to_path_buf();
    let message = refused(&data);
    assert!(message.contains("is in use by another broker"), "{message}");
    assert!(message.contains("stop that broker, or name another directory"), "{message}");
    drop(Broker::with().data_dir(&data.with_file_name("another")).start());
    first.stop();
    let next = Broker::with().data_dir(&data).start();
    check_everything_is_served(&next, "in use before").await;
}

#[tokio::test]
async fn metadata_directory_of_another_cluster_is_refused() {
    let dir = tempfile::TempDir::with_prefix("ottla-test-").unwrap();
    let at = |name: &str| dir.path().join(name);
    let setting = |name: &str| format!("metadata.log.dir={}", at(name).display());
    let started = |data: &str, metadata: &str| {
        Broker::with().data_dir(&at(data)).set("metadata.log.dir", at(metadata).to_str().unwrap()).start()
    };
    let mut broker = started("data", "metadata");
    connect(&broker).await.create_topic("t", 1, &[]).await.unwrap();
    connect(&broker).await.produce("t", 0, batch("1")).await.unwrap();
    broker.stop();
    started("other-data", "other-metadata").stop();

    let cluster = |name: &str| {
        let text = fs::read_to_string(at(name).join("meta.properties")).unwrap();
        text.lines().find_map(|line| line.strip_prefix("cluster.id=")).unwrap().to_owned()
    };
    let data = at("data");
    let args = ["--data-dir", data.to_str().unwrap(), "--port", "0", "--set", &setting("other-metadata")];
    let output = common::run(&args);
    let message = String::from_utf8(output.stderr).unwrap();
    let expected = format!("name a directory of cluster {} instead", cluster("data"));
    assert!(output.status.code() == Some(2) && message.contains(&expected), "{message}");
    assert!(message.contains(&format!("belongs to cluster {}", cluster("other-metadata"))), "{message}");
    let broker = started("data", "metadata");
    assert_eq!(connect(&broker).await.produce("t", 0, batch("2")).await.unwrap().base_offset, 1);
}

#[test]
fn zookeeper_directory_is_refused_and_left_unchanged() {
    let dir = tempfile::TempDir::with_prefix("ottla-test-").unwrap();
    let data = dir.path().join("old");
    fs::create_dir_all(data.join("t-0")).unwrap();
    fs::write(data.join("t-0/00000000000000000000.log"), batch("kept")).unwrap();
    fs::write(data.join("t-0/leader-epoch-checkpoint"), "0\n1\n0 0\n").unwrap();
    let meta = data.join("meta.properties");
    fs::write(&meta, "version=0\nbroker.id=1\ncluster.id=x\n").unwrap();
    let names = || {
        let names = fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name != ".lock").collect();
        names.sort();
        names
    };
    let message = refused(&data);
    assert!(message.contains("Migrate that cluster to KRaft with Apache Kafka 3.9"), "{message}");
    assert!(message.contains("for an empty broker, name another directory"), "{message}");
    // A repair fails with the same cause.
    let repair = common::run(&["check-log", "--repair", data.to_str().unwrap()]);
    let report = String::from_utf8(repair.stdout).unwrap() + &String::from_utf8(repair.stderr).unwrap();
    assert!(
        !repair.status.success() && report.contains("version 0 is of a broker that ran with ZooKeeper"),
        "{report}"
    );
    assert_eq!(names(), ["meta.properties", "t-0"], "{report}");
    assert_eq!(refused(&data), message);
    drop(Broker::with().data_dir(&dir.path().join("another")).start());
    // A migrated directory has version 1. This one has neither a metadata log nor partitions.
    fs::remove_dir_all(data.join("t-0")).unwrap();
    fs::write(&meta, "version=1\nnode.id=1\ncluster.id=x\n").unwrap();
    drop(Broker::with().data_dir(&data).start());
}

/// The uid of commands when the test runs as root.
const NOBODY: u32 = 65534;

#[test]
fn directory_without_permissions_starts_after_the_recommended_command() {
    let dir = tempfile::TempDir::with_prefix("ottla-test-").unwrap();
    let data = dir.path().join("data");
    let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    set(dir.path(), 0o777);
    Broker::with().data_dir(&data).start().stop();
    let is_root = rustix::process::geteuid().is_root();
    let start = || {
        let mut command = common::command(&[]);
        let ready = dir.path().join("ready");
        command.args(["--data-dir", data.to_str().unwrap(), "--port", "0", "--ready-file", ready.to_str().unwrap()]);
        if is_root {
            command.uid(NOBODY).gid(NOBODY);
        }
        (command, ready)
    };
    let refused = || {
        let output = common::run_command(&mut start().0);
        let message = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), message.lines().count()), (Some(2), 1), "{message}");
        message
    };
    // Runs the command in parentheses.
    let run_recommended = |message: &str| {
        let command = message.rsplit_once('(').unwrap().1.split(')').next().unwrap();
        assert!(command.starts_with("ch"), "{message}");
        let args: Vec<&str> = command.split(' ').collect();
        assert!(std::process::Command::new(args[0]).args(&args[1..]).status().unwrap().success(), "{message}");
    };
    if is_root {
        fs::remove_file(data.join(".lock")).unwrap();
        let message = refused();
        assert!(
            message.contains(&format!("belongs to uid 0 (mode 755), and this process runs as uid {NOBODY}")),
            "{message}"
        );
        // Only the folder belongs to the user now; the files in it are checked next.
        std::os::unix::fs::chown(&data, Some(NOBODY), None).unwrap();
        fs::write(data.join(".lock"), "").unwrap();
        let message = refused();
        assert!(message.contains(&format!("{}/.lock belongs to uid 0", data.display())), "{message}");
        run_recommended(&message);
    }
    for (path, mode) in [(data.join(".lock"), 0o400), (data.clone(), 0o500), (data.clone(), 0o555)] {
        set(&path, mode);
        let message = refused();
        assert!(message.contains(&format!("but its mode {mode:o} forbids access")), "{message}");
        run_recommended(&message);
    }
    // Recovery after a kill writes nothing before this check.
    let _ = fs::remove_file(data.join(".kafka_cleanshutdown"));
    set(&data, 0o500);
    let message = refused();
    assert!(message.contains("but its mode 500 forbids access"), "{message}");
    run_recommended(&message);
    let (mut command, ready) = start();
    let mut process = command.stderr(std::process::Stdio::null()).spawn().unwrap();
    common::wait_until("the broker", || ready.exists());
    process.kill().unwrap();
    process.wait().unwrap();
}

/// `check-log` needs no permission to write and writes nothing, and it detects a running broker.
#[test]
fn check_log_of_a_read_only_directory_succeeds() {
    let dir = tempfile::TempDir::with_prefix("ottla-test-").unwrap();
    let data = dir.path().join("data");
    let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    set(dir.path(), 0o755);
    let mut broker = Broker::with().data_dir(&data).arg("--create-topic").arg("orders").start();
    let is_root = rustix::process::geteuid().is_root();
    let check = |more: &[&str]| {
        let mut command = common::command(&[]);
        command.arg("check-log").args(more).arg(&data);
        if is_root {
            command.uid(NOBODY).gid(NOBODY);
        }
        common::run_command(&mut command)
    };
    let output = check(&[]);
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && message.contains("is in use by another broker"), "{message}");
    broker.stop();
    set(&data, 0o555);
    set(&data.join(".lock"), 0o444);
    let output = check(&[]);
    let message = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && message.contains("no faults found"),
        "{message} {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let output = check(&["--repair"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("Permission denied"), "{output:?}");
    set(&data, 0o755);
    fs::remove_file(data.join(".lock")).unwrap();
    assert!(check(&[]).status.success() && !data.join(".lock").exists());
}
