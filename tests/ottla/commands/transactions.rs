//! `ottla transactions`.

use std::process::Output;

use common::transactions::{TransactionalProducer, TxnProtocol};
use common::{Broker, command, run_command};
use ottla_wire::types::ErrorCode;
use serde_json::{Value, json};

use crate::fixture::Fixture;

const TIMEOUT_MS: i32 = 60_000;

fn run(fixture: &Fixture, line: &str) -> Output {
    let servers = ("KAFKA_BOOTSTRAP_SERVERS".to_owned(), fixture.broker.bootstrap_servers().to_owned());
    run_command(command(&[servers]).arg("transactions").args(line.split_whitespace()))
}

fn stdout(fixture: &Fixture, line: &str) -> String {
    let output = run(fixture, line);
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn json_of(fixture: &Fixture, line: &str) -> Value {
    serde_json::from_str(&stdout(fixture, &format!("{line} --json"))).unwrap()
}

fn failure(fixture: &Fixture, line: &str) -> String {
    let output = run(fixture, line);
    assert_eq!(output.status.code(), Some(1), "{line}");
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test]
async fn transactions_are_listed_described_and_aborted() {
    let fixture = Fixture::with(Broker::with().set("ottla.ephemeral", "true")).await;
    fixture.topic("orders", &[]).await;
    assert_eq!(stdout(&fixture, ""), "No transactional ids. One appears when a producer with it is initialized.\n");
    let mut open = TransactionalProducer::start(&fixture.client, "billing", TxnProtocol::V1, TIMEOUT_MS).await;
    assert_eq!(open.write("orders", 0, "x").await, ErrorCode::None);
    TransactionalProducer::start(&fixture.client, "audit", TxnProtocol::V1, TIMEOUT_MS).await;
    let expect = "TRANSACTIONAL ID  STATE    PRODUCER ID\n\
                  audit             Empty              1\n\
                  billing           Ongoing            0\n";
    assert_eq!(stdout(&fixture, "list"), expect);
    assert_eq!(
        json_of(&fixture, "list")[1],
        json!({"transactional_id": "billing", "state": "Ongoing", "producer_id": 0})
    );

    let described = stdout(&fixture, "describe billing audit");
    assert!(described.starts_with("billing: Ongoing, producer 0, epoch 0, timeout 60000 ms\nopen for "), "{described}");
    let end = "ms\n\nTOPIC   PARTITION\norders          0\n\naudit: Empty, producer 1, epoch 0, timeout 60000 ms\n";
    assert!(described.ends_with(end), "{described}");
    let described = json_of(&fixture, "describe billing");
    assert_eq!(described[0]["partitions"], json!([{"topic": "orders", "partition": 0}]));
    assert!(described[0]["start_ms"].as_i64() > Some(0));

    let unknown = "ottla: there is no transactional id biling. Did you mean billing?\n";
    assert_eq!(failure(&fixture, "describe biling"), unknown);
    assert_eq!(failure(&fixture, "abort biling"), unknown);
    // A transaction that its coordinator knows does not hang.
    assert_eq!(stdout(&fixture, "find-hanging --longer-than 0"), "No hanging transactions.\n");
    let hanging = "abort --topic orders --partition 0 --start-offset 0";
    assert!(failure(&fixture, hanging).contains("does not hang: its coordinator will end it"));
    assert_eq!(stdout(&fixture, "abort billing"), "aborted billing\n");
    assert_eq!(json_of(&fixture, "describe billing")[0]["state"], json!("Empty"));
    assert_eq!(open.end(true).await, ErrorCode::ProducerFenced);
    assert_eq!(json_of(&fixture, "abort audit"), json!({"aborted": ["audit"]}));
    let none = "ottla: no open transaction starts at offset 0 of orders-0\n";
    assert_eq!(failure(&fixture, hanging), none);
}

#[tokio::test]
async fn hanging_transaction_is_found_and_aborted() {
    let options = Broker::with().set("transaction.partition.verification.enable", "false");
    let fixture = Fixture::with(options).await;
    fixture.topic("orders", &[]).await;
    let mut producer = TransactionalProducer::start(&fixture.client, "a", TxnProtocol::V1, TIMEOUT_MS).await;
    assert_eq!(producer.produce("orders", 0, "x").await, ErrorCode::None);
    assert_eq!(stdout(&fixture, "find-hanging"), "No hanging transactions.\n");
    let expect = "TOPIC   PARTITION  START OFFSET  PRODUCER ID  PRODUCER EPOCH  IDLE MINUTES\n\
                  orders          0             0            0               0             0\n\
                  Abort one with: ottla transactions abort --topic orders --partition 0 --start-offset 0\n";
    for line in ["find-hanging --longer-than 0", "find-hanging --topic orders --longer-than 0"] {
        assert_eq!(stdout(&fixture, line), expect);
    }
    let found = json_of(&fixture, "find-hanging --longer-than 0");
    assert_eq!((&found[0]["topic"], &found[0]["start_offset"]), (&json!("orders"), &json!(0)));
    let aborted = stdout(&fixture, "abort --topic orders --partition 0 --start-offset 0");
    assert_eq!(aborted, "aborted the transaction at offset 0 of orders-0\n");
    assert_eq!(stdout(&fixture, "find-hanging --longer-than 0"), "No hanging transactions.\n");
    let end = fixture.client.list_offsets_at(&[("orders", 0, -1)], 1).await.unwrap().remove(0).unwrap();
    assert_eq!(end.offset, 2);
}

#[tokio::test]
async fn consume_with_read_committed_prints_committed_records_only() {
    let fixture = Fixture::with(Broker::with().set("ottla.ephemeral", "true")).await;
    fixture.topic("orders", &[]).await;
    let mut producer = TransactionalProducer::start(&fixture.client, "billing", TxnProtocol::V1, TIMEOUT_MS).await;
    for (value, commits) in [("aborted", false), ("committed", true)] {
        assert_eq!(producer.write("orders", 0, value).await, ErrorCode::None);
        assert_eq!(producer.end(commits).await, ErrorCode::None);
    }
    assert_eq!(producer.write("orders", 0, "open").await, ErrorCode::None);
    let server = fixture.broker.bootstrap_servers();
    let consume = |flags: &[&str]| {
        let arguments = ["consume", "orders", "--from-beginning", "--until-end", "-b", server];
        let output = common::run(&[&arguments, flags].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().filter_map(|line| line.split(' ').next_back().map(str::to_owned)).collect::<Vec<_>>()
    };
    let committed = ["committed"];
    assert_eq!(consume(&["--isolation-level", "read_committed"]), committed);
    let all = ["aborted", "committed", "open"];
    assert_eq!(consume(&["--isolation-level", "read_uncommitted"]), all);
    assert_eq!(consume(&[]), all);
    let properties = tempfile::NamedTempFile::with_prefix("ottla-test-").unwrap();
    std::fs::write(properties.path(), "isolation.level=read_committed\n").unwrap();
    let file = ["--command-config", properties.path().to_str().unwrap()];
    assert_eq!(consume(&file), committed);
    assert_eq!(consume(&[&file[..], &["--isolation-level", "read_uncommitted"]].concat()), all);
    let refused = common::run(&["consume", "orders", "--isolation-level", "serializable", "-b", server]);
    assert_eq!(refused.status.code(), Some(2));
}
