//! `ottla check-log` on the directory of a broker: intact, corrupt, repaired, and while the broker runs.

use std::fs;
use std::path::Path;
use std::process::Output;

use common::Broker;
use serde_json::Value;

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
