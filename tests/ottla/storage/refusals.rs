//! Starts that are refused for what is in the data directory: what the refusal recommends leads to a start.

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
use ottla_log::{AppendAs, Disk, Log, LogConfig, OpenAt, Origin};
use ottla_wire::record::{BatchBuilder, Codec, batches};
use ottla_wire::types::{TopicId, Uuid};

const RECORDS: usize = 10;
const METADATA: &str = "__cluster_metadata-0/00000000000000000000.log";

fn batch(value: &str) -> Bytes {
    let mut builder = BatchBuilder::new(Codec::None);
    builder.append(1_700_000_000_000, Some(b"key"), Some(value.as_bytes()), &[]);
    builder.build().unwrap().bytes().clone()
}

async fn client(broker: &Broker) -> Client {
    Client::connect(broker.bootstrap_servers()).await.unwrap()
}

/// A stopped broker with records of two topics, and with a group's offset.
async fn filled() -> Broker {
    let mut broker = Broker::with().set("offsets.topic.num.partitions", "1").start();
    let asking = client(&broker).await;
    asking.create_topic("plain", 2, &[("retention.ms", "1000000")]).await.unwrap();
    asking.create_topic("other", 1, &[]).await.unwrap();
    for number in 0..RECORDS {
        asking.produce("plain", 1, batch(&format!("{number}"))).await.unwrap();
        asking.produce("other", 0, batch("x")).await.unwrap();
    }
    asking.commit_offsets("group", None, "plain", &[(1, 7)]).await.unwrap();
    drop(asking);
    broker.stop();
    broker
}

/// A start, which must be refused in one line; the line.
fn refused(data: &Path) -> String {
    let output = common::run(&["--data-dir", data.to_str().unwrap(), "--port", "0"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), said.lines().count()), (Some(2), 1), "{said}");
    said
}

/// Runs the command that a refusal names in backticks.
fn follow(said: &str) -> Output {
    let command = said.split('`').nth(1).unwrap_or_else(|| panic!("no command in: {said}"));
    let words: Vec<&str> = command.split_whitespace().collect();
    assert_eq!(words[0], "ottla", "{said}");
    common::run(&words[1..])
}

/// Refused, mended as the refusal recommends, started: all records are there, and may be written.
async fn mended_by_its_advice(mut broker: Broker, what: &str, expected: &str) -> (Broker, String) {
    let data = broker.data_dir().to_path_buf();
    let said = refused(&data);
    assert!(said.contains(expected), "{what}: {said}");
    assert_eq!(refused(&data), said, "{what}: nothing was changed");
    let repair = follow(&said);
    let report = String::from_utf8(repair.stdout).unwrap();
    assert_eq!(repair.status.code(), Some(0), "{what}: {report}\n{}", String::from_utf8_lossy(&repair.stderr));
    let check = common::run(&["check-log", data.to_str().unwrap()]);
    let again = String::from_utf8(check.stdout).unwrap();
    assert!(check.status.success() && again.contains("no faults found"), "{what}: {report}\nand then {again}");
    broker.restart();
    (broker, report)
}

async fn serves_everything(broker: &Broker, what: &str) {
    let asking = client(broker).await;
    let fetched = asking.fetch("plain", 1, 0, 1 << 20, Duration::ZERO).await.unwrap();
    let values: Vec<String> = batches(&fetched.records)
        .flat_map(|batch| batch.unwrap().records().collect::<Vec<_>>())
        .map(|record| String::from_utf8(record.unwrap().value.unwrap().to_vec()).unwrap())
        .collect();
    assert_eq!(values, (0..RECORDS).map(|number| number.to_string()).collect::<Vec<_>>(), "{what}");
    assert_eq!(asking.produce("plain", 1, batch("more")).await.unwrap().base_offset, RECORDS as i64, "{what}");
    assert_eq!(asking.produce("plain", 0, batch("first")).await.unwrap().base_offset, 0, "{what}");
    assert_eq!(asking.produce("other", 0, batch("more")).await.unwrap().base_offset, RECORDS as i64, "{what}");
    let committed = asking.committed_offsets("group", "plain", &[1]).await.unwrap();
    assert_eq!(committed[0].offset, 7, "{what}");
    asking.create_topic("new", 1, &[]).await.unwrap();
}

fn damage(path: &Path, from: u64, len: usize) {
    let file = File::options().write(true).open(path).unwrap();
    file.write_all_at(&vec![0xa7; len], from).unwrap();
}

/// A metadata log that begins at an offset above 0, as one does of which the first segment is gone.
fn begin_late(data: &Path) {
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

/// Appends a record that cannot follow those before it.
fn append_orphan(data: &Path) {
    let at = OpenAt { clean_shutdown: true, ..OpenAt::fresh(0) };
    let folder = data.join("__cluster_metadata-0");
    let mut log = Log::open(&Disk::plain(), &folder, Arc::new(LogConfig::default()), at).unwrap();
    let mut batch = BatchBuilder::new(Codec::None);
    let orphan = PartitionRecord { topic_id: TopicId::from(Uuid([5; 16])), replicas: vec![1], ..Default::default() };
    batch.append(1, None, Some(&MetadataRecord::new(0, orphan).encode().unwrap()), &[]);
    let how = AppendAs { leader_epoch: log.latest_epoch().unwrap(), origin: Origin::Coordinator, now: 1 };
    log.append(&batch.build().unwrap(), how).unwrap();
    log.close().unwrap().sync().unwrap();
}

#[tokio::test]
async fn metadata_logs_are_mended_by_what_their_refusals_recommend() {
    type Damage = fn(&Path);
    let damages: [(&str, &str, Damage); 7] = [
        ("damage at the beginning", "is damaged", |data| damage(&data.join(METADATA), 0, 900)),
        ("damage in the middle", "is damaged", |data| {
            let len = fs::metadata(data.join(METADATA)).unwrap().len();
            damage(&data.join(METADATA), len / 2, 200);
        }),
        ("noise alone", "is damaged", |data| fs::write(data.join(METADATA), vec![0xa7; 300]).unwrap()),
        ("an empty file", "is missing or empty", |data| fs::write(data.join(METADATA), "").unwrap()),
        ("no folder", "is missing or empty", |data| fs::remove_dir_all(data.join("__cluster_metadata-0")).unwrap()),
        ("no first segment", "", begin_late),
        ("a record without its topic", "no topic with id", append_orphan),
    ];
    for (what, expected, damage) in damages {
        let broker = filled().await;
        damage(broker.data_dir());
        let (mut broker, report) = mended_by_its_advice(broker, what, expected).await;
        serves_everything(&broker, what).await;
        let said = report.contains("a new metadata log was created");
        assert!(said || what == "damage in the middle", "{what}: {report}");
        broker.kill();
        broker.restart();
    }
}

#[tokio::test]
async fn a_partition_that_was_never_used_is_new_after_a_repair_of_a_directory_that_only_ottla_has_used() {
    let broker = filled().await;
    let data = broker.data_dir().to_path_buf();
    // As after a crash before its folder was made.
    fs::remove_dir_all(data.join("plain-0")).unwrap();
    fs::remove_dir_all(data.join("__cluster_metadata-0")).unwrap();
    let (broker, report) = mended_by_its_advice(broker, "no folders", "is missing or empty").await;
    assert!(report.contains("without a directory, empty now: 1 partition (plain-0)"), "{report}");
    assert!(!report.contains("not served"), "{report}");
    serves_everything(&broker, "no folders").await;
}

#[tokio::test]
async fn a_partition_that_had_records_is_not_new_after_a_repair_where_its_folder_is_gone() {
    let broker = filled().await;
    let data = broker.data_dir().to_path_buf();
    let moved = data.with_file_name("moved");
    fs::create_dir(data.join("plain-2")).unwrap();
    fs::copy(data.join("plain-1/partition.metadata"), data.join("plain-2/partition.metadata")).unwrap();
    fs::rename(data.join("plain-1"), &moved).unwrap();
    fs::remove_dir_all(data.join("__cluster_metadata-0")).unwrap();
    let (mut broker, report) = mended_by_its_advice(broker, "a folder", "is missing or empty").await;
    assert!(report.contains("not served now (KAFKA_STORAGE_ERROR): 1 partition (plain-1)"), "{report}");
    assert!(client(&broker).await.produce("plain", 1, batch("lost?")).await.is_err());
    broker.stop();
    fs::rename(&moved, data.join("plain-1")).unwrap();
    broker.restart();
    serves_everything(&broker, "a folder").await;
}

#[tokio::test]
async fn a_metadata_log_that_goes_on_from_a_snapshot_is_used() {
    let broker = filled().await;
    let data = broker.data_dir().to_path_buf();
    // What Kafka leaves when the log before a snapshot has aged.
    let whole = Bytes::from(fs::read(data.join(METADATA)).unwrap());
    let mut image = Vec::new();
    begin_late(&data);
    let folder = data.join("__cluster_metadata-0");
    let names = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let base: i64 = names.filter_map(|name| name.strip_suffix(".log")?.parse().ok()).next().unwrap();
    for batch in batches(&whole).map(Result::unwrap).filter(|batch| !batch.header().is_control()) {
        for record in batch.records().map(Result::unwrap).filter(|record| record.offset < base) {
            image.push(MetadataRecord::decode(&record.value.unwrap()).unwrap());
        }
    }
    // Kafka's has no line for the metadata log.
    fs::write(data.join("log-start-offset-checkpoint"), "0\n0\n").unwrap();
    let snapshot = ottla_core::metadata::write_bootstrap(image, 1).unwrap().concat();
    fs::write(folder.join(format!("{base:020}-0000000001.checkpoint")), snapshot).unwrap();
    let check = common::run(&["check-log", data.to_str().unwrap()]);
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
    let mut broker = broker;
    broker.restart();
    serves_everything(&broker, "from a snapshot").await;
    broker.kill();
    broker.restart();
    assert_eq!(client(&broker).await.list_offset("plain", 1, -1).await.unwrap().offset, RECORDS as i64 + 1);
}

#[tokio::test]
async fn a_damaged_checkpoint_of_log_starts_is_told_briefly_and_set_aside() {
    let broker = filled().await;
    let path = broker.data_dir().join("log-start-offset-checkpoint");
    for content in [vec![0; 2611], vec![b'\\'; 100_000]] {
        fs::write(&path, &content).unwrap();
        let said = refused(broker.data_dir());
        assert!(said.len() < 700 && !said.contains("\\0\\0"), "{said}");
    }
    let (broker, report) = mended_by_its_advice(broker, "log starts", "log-start-offset-checkpoint is corrupt").await;
    assert!(report.contains("log-start-offset-checkpoint.cut") && report.contains("1 finding, repaired"), "{report}");
    serves_everything(&broker, "log starts").await;
}

#[tokio::test]
async fn a_partition_whose_folder_is_gone_is_found_and_goes_on_behind_what_is_lost() {
    let mut broker = filled().await;
    let data = broker.data_dir().to_path_buf();
    fs::remove_dir_all(data.join("plain-1")).unwrap();
    // As after a repair, or where another machine has it.
    fs::remove_file(data.join("ottla-positions")).unwrap();
    let check = common::run(&["check-log", data.to_str().unwrap()]);
    let said = String::from_utf8(check.stdout).unwrap();
    assert!(!check.status.success() && said.contains("it had offsets 0 to 9"), "{said}");
    let check = common::run(&["check-log", data.to_str().unwrap(), "--repair"]);
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
    assert!(common::run(&["check-log", data.to_str().unwrap()]).status.success());
    broker.restart();
    assert_eq!(client(&broker).await.produce("plain", 1, batch("next")).await.unwrap().base_offset, 10);
}

#[tokio::test]
async fn directories_are_mended_by_what_their_refusals_recommend() {
    let mut broker = filled().await;
    let data = broker.data_dir().to_path_buf();
    let meta = data.join("meta.properties");
    let whole = fs::read_to_string(&meta).unwrap();

    fs::write(&meta, whole.replace("node.id=1", "node.id=5")).unwrap();
    let said = refused(&data);
    assert!(said.contains("start with node.id=5"), "{said}");
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
    let said = refused(&data);
    assert!(said.contains("its version \"7\" is unknown"), "{said}");
    fs::rename(&meta, data.with_file_name("meta.old")).unwrap();
    let file = data.with_file_name("server.properties");
    fs::write(&file, format!("node.id=1\nlog.dirs={}\n", data.display())).unwrap();
    let words = ["kafka-storage", "format", "--cluster-id", "x", "--config", file.to_str().unwrap()];
    assert!(common::run(&words).status.success());
    broker.restart();
    serves_everything(&broker, "a new meta.properties").await;
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
    let words = ["kafka-storage", "format", "--cluster-id", "x", "--config", config.to_str().unwrap()];
    assert!(common::run(&words).status.success());
    damage(&formatted.join("bootstrap.checkpoint"), 30, 10);
    assert!(refused(&formatted).contains("bootstrap.checkpoint cannot be read"));
    fs::remove_file(formatted.join("bootstrap.checkpoint")).unwrap();
    drop(Broker::with().data_dir(&formatted).start());
}

#[tokio::test]
async fn a_directory_in_use_is_served_once_the_other_broker_has_stopped_and_another_one_at_once() {
    let mut holder = filled().await;
    holder.restart();
    let data = holder.data_dir().to_path_buf();
    let said = refused(&data);
    assert!(said.contains(&format!("is in use by another broker, process {}", holder.pid())), "{said}");
    assert!(said.contains("stop that broker, or name another directory"), "{said}");
    drop(Broker::with().data_dir(&data.with_file_name("another")).start());
    holder.stop();
    let next = Broker::with().data_dir(&data).start();
    serves_everything(&next, "in use before").await;
}

#[tokio::test]
async fn a_metadata_directory_of_another_cluster_is_refused_and_the_right_one_is_served() {
    let dir = tempfile::TempDir::with_prefix("ottla-test-").unwrap();
    let at = |name: &str| dir.path().join(name);
    let setting = |name: &str| format!("metadata.log.dir={}", at(name).display());
    let started = |data: &str, metadata: &str| {
        Broker::with().data_dir(&at(data)).set("metadata.log.dir", at(metadata).to_str().unwrap()).start()
    };
    let mut broker = started("data", "metadata");
    client(&broker).await.create_topic("t", 1, &[]).await.unwrap();
    client(&broker).await.produce("t", 0, batch("1")).await.unwrap();
    broker.stop();
    started("other-data", "other-metadata").stop();

    let cluster = |name: &str| {
        let text = fs::read_to_string(at(name).join("meta.properties")).unwrap();
        text.lines().find_map(|line| line.strip_prefix("cluster.id=")).unwrap().to_owned()
    };
    let data = at("data");
    let words = ["--data-dir", data.to_str().unwrap(), "--port", "0", "--set", &setting("other-metadata")];
    let output = common::run(&words);
    let said = String::from_utf8(output.stderr).unwrap();
    let expected = format!("name a directory of cluster {} instead", cluster("data"));
    assert!(output.status.code() == Some(2) && said.contains(&expected), "{said}");
    assert!(said.contains(&format!("belongs to cluster {}", cluster("other-metadata"))), "{said}");
    let broker = started("data", "metadata");
    assert_eq!(client(&broker).await.produce("t", 0, batch("2")).await.unwrap().base_offset, 1);
}

#[test]
fn a_zookeeper_brokers_directory_is_left_as_it_is_and_another_one_or_a_migrated_one_is_served() {
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
    let said = refused(&data);
    assert!(said.contains("Migrate that cluster to KRaft with Apache Kafka 3.9"), "{said}");
    assert!(said.contains("for an empty broker, name another directory"), "{said}");
    // Repair has no other answer, and doesn't claim one.
    let repair = common::run(&["check-log", "--repair", data.to_str().unwrap()]);
    let report = String::from_utf8(repair.stdout).unwrap() + &String::from_utf8(repair.stderr).unwrap();
    assert!(
        !repair.status.success() && report.contains("version 0 is of a broker that ran with ZooKeeper"),
        "{report}"
    );
    assert_eq!(names(), ["meta.properties", "t-0"], "{report}");
    assert_eq!(refused(&data), said);
    drop(Broker::with().data_dir(&dir.path().join("another")).start());
    // A migration leaves a directory of version 1, with a metadata log beside the partitions; here without either.
    fs::remove_dir_all(data.join("t-0")).unwrap();
    fs::write(&meta, "version=1\nnode.id=1\ncluster.id=x\n").unwrap();
    drop(Broker::with().data_dir(&data).start());
}

/// As a user without rights, if we have more.
const NOBODY: u32 = 65534;

#[test]
fn a_directory_without_rights_is_served_once_they_are_given_as_the_refusal_says() {
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
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), said.lines().count()), (Some(2), 1), "{said}");
        said
    };
    // The command in brackets.
    let follow = |said: &str| {
        let command = said.rsplit_once('(').unwrap().1.split(')').next().unwrap();
        assert!(command.starts_with("ch"), "{said}");
        let words: Vec<&str> = command.split(' ').collect();
        assert!(std::process::Command::new(words[0]).args(&words[1..]).status().unwrap().success(), "{said}");
    };
    if is_root {
        fs::remove_file(data.join(".lock")).unwrap();
        let said = refused();
        assert!(
            said.contains(&format!("belongs to uid 0 (mode 755), and this process runs as uid {NOBODY}")),
            "{said}"
        );
        // The folder alone: next are the files in it.
        std::os::unix::fs::chown(&data, Some(NOBODY), None).unwrap();
        fs::write(data.join(".lock"), "").unwrap();
        let said = refused();
        assert!(said.contains(&format!("{}/.lock belongs to uid 0", data.display())), "{said}");
        follow(&said);
    }
    for (path, mode) in [(data.join(".lock"), 0o400), (data.clone(), 0o500), (data.clone(), 0o555)] {
        set(&path, mode);
        let said = refused();
        assert!(said.contains(&format!("but its mode {mode:o} forbids access")), "{said}");
        follow(&said);
    }
    // What it has to do first after a kill writes nothing.
    let _ = fs::remove_file(data.join(".kafka_cleanshutdown"));
    set(&data, 0o500);
    let said = refused();
    assert!(said.contains("but its mode 500 forbids access"), "{said}");
    follow(&said);
    let (mut command, ready) = start();
    let mut process = command.stderr(std::process::Stdio::null()).spawn().unwrap();
    common::wait_until("the broker", || ready.exists());
    process.kill().unwrap();
    process.wait().unwrap();
}

/// Checking needs no right to write, and writes nothing; a broker that runs is noticed all the same.
#[test]
fn directory_that_may_only_be_read_is_checked() {
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
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && said.contains("is in use by another broker"), "{said}");
    broker.stop();
    set(&data, 0o555);
    set(&data.join(".lock"), 0o444);
    let output = check(&[]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("no faults found"),
        "{said} {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let output = check(&["--repair"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("Permission denied"), "{output:?}");
    set(&data, 0o755);
    fs::remove_file(data.join(".lock")).unwrap();
    assert!(check(&[]).status.success() && !data.join(".lock").exists());
}
