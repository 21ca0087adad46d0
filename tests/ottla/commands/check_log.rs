//! `ottla check-log` on the directory of a broker: intact, corrupt, repaired, and while the broker runs.

use std::fs;
use std::path::Path;
use std::process::Output;

use common::Broker;
use common::transactions::{TransactionalProducer, TxnProtocol, state_of};
use ottla_wire::types::ErrorCode;
use serde_json::{Value, json};

use crate::fixture::{Fixture, connect};
use crate::settings::dynamic::eventually;

const RECORDS: usize = 12;

fn check_log(data: &Path, flags: &[&str]) -> (Option<i32>, Value, String) {
    let folder = data.display().to_string();
    let args = [&["check-log", &folder, "--json"], flags].concat();
    let Output { status, stdout, stderr } = common::run(&args);
    let report = serde_json::from_slice(&stdout).unwrap_or(Value::Null);
    (status.code(), report, String::from_utf8_lossy(&stderr).into_owned())
}

fn partition<'a>(report: &'a Value, name: &str) -> &'a Value {
    let partitions = report["partitions"].as_array().expect("partitions");
    partitions.iter().find(|partition| partition["partition"] == name).expect("the partition")
}

fn consumed(broker: &Broker) -> Vec<String> {
    let server = broker.bootstrap_servers();
    let output = common::run(&["consume", "t", "--from-beginning", "--until-end", "-b", server]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn check_log_finds_and_repairs_a_corrupt_batch() {
    let mut broker = Broker::with().set("num.partitions", "1").start();
    for index in 0..RECORDS {
        let value = format!("record {index}");
        assert!(common::run(&["produce", "t", &value, "-b", broker.bootstrap_servers()]).status.success());
    }
    assert_eq!(consumed(&broker).len(), RECORDS);
    let data = broker.data_dir().to_path_buf();
    let (code, _, why) = check_log(&data, &[]);
    assert_eq!(code, Some(2), "a broker runs: {why}");
    assert!(why.contains("is in use by another broker"), "{why}");
    broker.stop();

    let (code, report, why) = check_log(&data, &[]);
    assert_eq!(code, Some(0), "{report}\n{why}");
    assert_eq!(partition(&report, "t-0")["records"], RECORDS);

    fs::write(data.join("t-0/00000000000000000003.log.deleted"), b"old").expect("written");
    let (code, report, _) = check_log(&data, &[]);
    let found = partition(&report, "t-0");
    assert_eq!(code, Some(0), "a file that waits for its removal is not a finding: {report}");
    assert_eq!(found["notes"][0]["file"], "00000000000000000003.log.deleted", "{report}");

    let segment = data.join("t-0/00000000000000000000.log");
    let mut bytes = fs::read(&segment).expect("a segment");
    let middle = bytes.windows(8).position(|window| window == b"record 7").expect("the record");
    bytes[middle + 7] = b'X';
    fs::write(&segment, &bytes).expect("written");
    let (code, report, _) = check_log(&data, &[]);
    let found = partition(&report, "t-0");
    assert_eq!(code, Some(1), "{report}");
    assert_eq!(found["findings"][0]["lost"]["first_offset"], 7, "{report}");
    assert_eq!(found["findings"][0]["lost"]["last_offset"], 7, "{report}");
    assert_eq!(fs::read(&segment).expect("a segment"), bytes, "nothing is changed without --repair");

    let (code, report, why) = check_log(&data.join("t-0"), &["--repair"]);
    assert_eq!(code, Some(0), "{report}\n{why}");
    assert_eq!(partition(&report, "t-0")["repaired"]["moved_aside"].as_array().map(Vec::len), Some(1), "{report}");
    let (code, report, _) = check_log(&data, &[]);
    assert_eq!(code, Some(0), "{report}");

    broker.restart();
    let values = consumed(&broker);
    assert_eq!(values.len(), RECORDS - 1);
    assert!(!values.iter().any(|value| value.contains("record 7") || value.contains("record X")));
}

#[test]
fn check_log_of_a_folder_without_data_is_refused() {
    let empty = tempfile::TempDir::with_prefix("ottla-test-").expect("a folder");
    assert_eq!(check_log(empty.path(), &[]).0, Some(2));
    assert_eq!(check_log(&empty.path().join("absent"), &[]).0, Some(2));
}

/// A folder with a huge partition index is reported and kept, and the indexes below it get no partitions.
#[test]
fn repair_leaves_a_stray_folder_with_a_huge_partition_index() {
    let mut broker = Broker::with().set("num.partitions", "1").start();
    assert!(common::run(&["produce", "t", "hello", "-b", broker.bootstrap_servers()]).status.success());
    broker.stop();
    let data = broker.data_dir().to_path_buf();
    let stray = data.join("t-2000000000");
    fs::create_dir(&stray).expect("created");
    for entry in fs::read_dir(data.join("t-0")).expect("a folder") {
        let entry = entry.expect("an entry");
        fs::copy(entry.path(), stray.join(entry.file_name())).expect("copied");
    }
    fs::remove_dir_all(data.join("__cluster_metadata-0")).expect("removed");
    let (code, report, why) = check_log(&data, &["--repair"]);
    assert_eq!(code, Some(1), "{report}\n{why}");
    let left = report["repaired"]["not_repaired"][0].as_str().expect("what is left");
    assert!(left.contains("1 partition (t-2000000000)"), "{left}");
    assert!(stray.exists());
    broker.restart();
    assert!(matches!(consumed(&broker).as_slice(), [line] if line.ends_with("hello")));
}

#[tokio::test]
async fn check_log_lists_open_transactions() {
    let options = Broker::with().set("transaction.partition.verification.enable", "false");
    let mut fixture = Fixture::with(options).await;
    fixture.topic("t", &[]).await;
    let mut ended = TransactionalProducer::start(&fixture.client, "ended", TxnProtocol::V1, 60_000).await;
    assert_eq!(ended.write("t", 0, "x").await, ErrorCode::None);
    assert_eq!(ended.end(true).await, ErrorCode::None);
    let mut open = TransactionalProducer::start(&fixture.client, "billing", TxnProtocol::V1, 60_000).await;
    assert_eq!(open.write("t", 0, "x").await, ErrorCode::None);
    let mut hanging = TransactionalProducer::start(&fixture.client, "audit", TxnProtocol::V1, 60_000).await;
    assert_eq!(hanging.produce("t", 0, "x").await, ErrorCode::None);
    fixture.broker.stop();
    let data = fixture.broker.data_dir().to_path_buf();
    let (code, report, why) = check_log(&data, &[]);
    assert_eq!(code, Some(0), "open transactions are not a fault: {report}\n{why}");
    let of = |start: i64, producer_id: i64, id: Option<&str>| {
        let state = id.map(|_| "Ongoing");
        json!({"start_offset": start, "producer_id": producer_id, "producer_epoch": 0, "transactional_id": id, "state": state})
    };
    let expect = json!([of(2, 1, Some("billing")), of(3, 2, None)]);
    assert_eq!(partition(&report, "t-0")["open_transactions"], expect);
    let text = common::run(&["check-log", data.to_str().unwrap()]).stdout;
    let text = String::from_utf8(text).unwrap();
    let lines = "  open transaction from offset 2, producer 1, epoch 0, transactional id billing (Ongoing)\n  \
                 open transaction from offset 3, producer 2, epoch 0: no transactional id is known for it\n";
    assert!(text.contains(lines), "{text}");
}

#[tokio::test]
async fn coordinator_serves_a_repaired_transaction_log() {
    let mut fixture = Fixture::with(Broker::with().set("transaction.state.log.num.partitions", "1")).await;
    for id in ["first", "second", "third"] {
        TransactionalProducer::start(&fixture.client, id, TxnProtocol::V1, 60_000).await;
    }
    fixture.broker.stop();
    let data = fixture.broker.data_dir().to_path_buf();
    let segment = data.join("__transaction_state-0/00000000000000000000.log");
    let mut bytes = fs::read(&segment).unwrap();
    let middle = bytes.windows(6).position(|window| window == b"second").unwrap();
    bytes[middle] = b'X';
    fs::write(&segment, &bytes).unwrap();
    let (code, report, _) = check_log(&data, &[]);
    assert_eq!(code, Some(1), "{report}");
    let lost = json!({"first_offset": 1, "last_offset": 1, "bytes": partition(&report, "__transaction_state-0")["findings"][0]["lost"]["bytes"]});
    assert_eq!(partition(&report, "__transaction_state-0")["findings"][0]["lost"], lost);

    // A coordinator does not load a corrupt log: it would lose the decision about a transaction.
    fixture.broker.restart();
    fixture.client = connect(&fixture.broker).await;
    let client = &fixture.client;
    let unavailable = async || state_of(client, "first").await == Err(ErrorCode::CoordinatorNotAvailable);
    eventually("the failure of the coordinator", unavailable).await;
    fixture.broker.stop();
    let (code, report, _) = check_log(&data, &["--repair"]);
    assert_eq!(code, Some(0), "{report}");
    fixture.broker.restart();
    fixture.client = connect(&fixture.broker).await;
    let client = &fixture.client;
    eventually("the coordinator", async || state_of(client, "third").await.as_deref() == Ok("Empty")).await;
    assert_eq!(state_of(client, "first").await.as_deref(), Ok("Empty"));
    assert_eq!(state_of(client, "second").await, Err(ErrorCode::TransactionalIdNotFound));
    TransactionalProducer::start(client, "second", TxnProtocol::V1, 60_000).await;
}

#[tokio::test]
async fn check_log_reports_ids_in_a_partition_that_does_not_coordinate_them() {
    let options =
        Broker::with().set("transaction.state.log.num.partitions", "2").set("offsets.topic.num.partitions", "2");
    let mut fixture = Fixture::with(options).await;
    // By their hashes, `b` belongs to partition 0 and `a` to partition 1.
    for id in ["a", "b"] {
        TransactionalProducer::start(&fixture.client, id, TxnProtocol::V1, 60_000).await;
    }
    fixture.broker.stop();
    let data = fixture.broker.data_dir().to_path_buf();
    let (code, report, why) = check_log(&data, &[]);
    assert_eq!(code, Some(0), "{report}\n{why}");
    let [zero, one, aside] = ["0", "1", "aside"].map(|index| data.join(format!("__transaction_state-{index}")));
    for (from, to) in [(&zero, &aside), (&one, &zero), (&aside, &one)] {
        fs::rename(from, to).unwrap();
    }
    let (code, report, _) = check_log(&data, &[]);
    assert_eq!(code, Some(1), "{report}");
    for (index, id, other) in [(0, "a", 1), (1, "b", 0)] {
        let checked = partition(&report, &format!("__transaction_state-{index}"));
        let belongs_to = format!("__transaction_state-{other}");
        assert_eq!(checked["misplaced_ids"], json!([{"id": id, "first_offset": 0, "belongs_to": belongs_to}]));
        assert_eq!(checked["findings"], json!([]));
    }
    let text = String::from_utf8(common::run(&["check-log", data.to_str().unwrap()]).stdout).unwrap();
    let line = "  the records of a from offset 0 belong to __transaction_state-1: no request finds them here\n";
    assert!(text.contains(line) && text.ends_with("2 findings\n"), "{text}");
    let (code, report, _) = check_log(&data, &["--repair"]);
    assert_eq!(code, Some(1), "a repair moves no records: {report}");
}

/// As Kafka, recovery keeps what precedes a corrupt batch.
#[tokio::test]
async fn start_after_a_crash_logs_the_records_behind_a_corrupt_batch_that_are_lost() {
    let mut fixture = Fixture::with(Broker::with().set("transaction.state.log.num.partitions", "1")).await;
    for id in ["first", "second", "third", "fourth"] {
        TransactionalProducer::start(&fixture.client, id, TxnProtocol::V1, 60_000).await;
    }
    fixture.broker.kill();
    let data = fixture.broker.data_dir().to_path_buf();
    // As after a power loss, the whole log is read.
    fs::remove_file(data.join("ottla-positions")).ok();
    let segment = data.join("__transaction_state-0/00000000000000000000.log");
    let mut bytes = fs::read(&segment).unwrap();
    let middle = bytes.windows(6).position(|window| window == b"second").unwrap();
    bytes[middle] = b'X';
    fs::write(&segment, &bytes).unwrap();
    let (code, report, _) = check_log(&data, &[]);
    assert_eq!(code, Some(1), "{report}");
    let finding = &partition(&report, "__transaction_state-0")["findings"][0];
    assert_eq!(finding["lost"]["first_offset"], 1, "{report}");
    assert_eq!(finding["at_start"], "truncates", "{report}");

    fixture.broker.restart();
    fixture.client = connect(&fixture.broker).await;
    let client = &fixture.client;
    eventually("the coordinator", async || state_of(client, "first").await.as_deref() == Ok("Empty")).await;
    for id in ["second", "third", "fourth"] {
        assert_eq!(state_of(client, id).await, Err(ErrorCode::TransactionalIdNotFound), "{id}");
    }
    fixture.broker.wait_for_log("lost records");
    fixture.broker.wait_for_log("kept a copy of truncated batches in");
    let log = fixture.broker.log();
    let lost = log.lines().find(|line| line.contains("lost records")).unwrap_or_else(|| panic!("{log}"));
    assert!(lost.contains("partition=__transaction_state-0 first_offset=1 end_offset=4"), "{lost}");
}
