//! kafka-transactions, kafka-client-metrics.

use std::fs;
use std::time::Duration;

use ottla::client::Client;
use ottla_wire::types::ErrorCode;

use super::side_by_side::{SideBySide, check};
use crate::harness::trials;
use common::Broker;
use common::transactions::{TransactionalProducer, TxnProtocol};
use libtest_mimic::Trial;

const TIMEOUT_MS: i32 = 600_000;

async fn transactions_tool_prints_the_same() {
    let broker = Broker::with().set("ottla.ephemeral", "true").start();
    let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
    client.create_topic("orders", 2, &[]).await.unwrap();
    for line in [
        "list",
        "list --duration-filter 5",
        "list --transactional-id-pattern x.*",
        "describe-producers --topic orders --partition 0",
        "find-hanging --topic orders",
        "find-hanging --topic orders --partition 1 --max-transaction-timeout 1",
        "find-hanging --broker-id 1",
        "find-hanging",
        "find-hanging --broker-id 1 --partition 0",
        "abort --topic orders --partition 0 --start-offset 3",
        "abort --topic orders --partition 0",
        "abort --topic orders --partition 0 --producer-id 5",
        "describe",
        "",
    ] {
        let line = format!("kafka-transactions --bootstrap-server {} {line}", broker.bootstrap_servers());
        check(&line, "", str::to_owned);
    }
}

/// A hash set prints these partitions in another order than the one in which they were added.
const UNSORTED: [(&str, i32); 4] = [("orders", 1), ("payments", 0), ("orders", 0), ("orders", 2)];

/// Transactional ids in every state that lasts, with both protocols.
async fn every_state(client: &Client) {
    for (topic, partitions) in [("orders", 3), ("payments", 1), ("closed", 1)] {
        client.create_topic(topic, partitions, &[]).await.unwrap();
    }
    for (protocol, name) in [(TxnProtocol::V1, "1"), (TxnProtocol::V2, "2")] {
        let start =
            async |id: &str| TransactionalProducer::start(client, &format!("{id}-{name}"), protocol, TIMEOUT_MS).await;
        start("empty").await;
        let mut open = start("open").await;
        for (topic, partition) in UNSORTED {
            assert_eq!(open.write(topic, partition, "x").await, ErrorCode::None);
        }
        for (id, commit) in [("committed", true), ("aborted", false)] {
            let mut ended = start(id).await;
            assert_eq!(ended.write("orders", 0, "x").await, ErrorCode::None);
            assert_eq!(ended.end(commit).await, ErrorCode::None);
        }
        start("fenced").await;
        start("fenced").await;
    }
}

/// Leaves transactions prepared: the markers cannot be written to a partition whose file was truncated.
async fn prepared(broker: &Broker, client: &Client) {
    let mut producers = Vec::new();
    for (id, commit) in [("committing", true), ("aborting", false)] {
        let mut producer = TransactionalProducer::start(client, id, TxnProtocol::V1, TIMEOUT_MS).await;
        assert_eq!(producer.write("closed", 0, "x").await, ErrorCode::None);
        producers.push((producer, commit));
    }
    let segment = broker.data_dir().join("closed-0/00000000000000000000.log");
    fs::File::options().write(true).open(segment).unwrap().set_len(0).unwrap();
    // A read notices it, and closes the partition.
    assert!(client.fetch("closed", 0, 0, 1 << 20, Duration::ZERO).await.is_err());
    for (mut producer, commit) in producers {
        assert_eq!(producer.end(commit).await, ErrorCode::None);
    }
}

/// Removes the durations of transactions.
fn without_durations(text: &str) -> String {
    let mut duration = None;
    let line = |line: &str| {
        let mut cells: Vec<_> = line.split('\t').collect();
        let heading = cells.iter().position(|cell| ["TransactionDurationMs", "Duration(min)"].contains(&cell.trim()));
        duration = heading.or(duration);
        match duration.and_then(|column| cells.get_mut(column)) {
            Some(cell) if cell.trim().parse::<i64>().is_ok() => *cell = "…",
            _ => {}
        }
        cells.join("\t") + "\n"
    };
    text.lines().map(line).collect()
}

async fn transactions_tool_prints_the_same_for_every_state() {
    let broker = Broker::with().set("transaction.state.log.num.partitions", "1").start();
    let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
    every_state(&client).await;
    prepared(&broker, &client).await;
    let servers = broker.bootstrap_servers().to_owned();
    let check = |line: &str| {
        check(&format!("kafka-transactions --bootstrap-server {servers} {line}"), "", without_durations).out
    };
    let listed = check("list");
    for state in ["Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort"] {
        assert!(listed.contains(&format!("\t{state:<16}\t")), "{state}\n{listed}");
    }
    check("list --duration-filter 0");
    check("list --duration-filter 100000");
    check("list --transactional-id-pattern open.*");
    check("list --transactional-id-pattern '('");
    let ids = ["empty", "open", "committed", "aborted", "fenced"].map(|id| [format!("{id}-1"), format!("{id}-2")]);
    for id in ids.as_flattened().iter().map(String::as_str).chain(["committing", "aborting", "unknown"]) {
        let described = check(&format!("describe --transactional-id {id}"));
        if id == "open-1" {
            assert!(UNSORTED.iter().all(|(topic, partition)| described.contains(&format!("{topic}-{partition}"))));
        }
    }
    for (topic, partition) in UNSORTED {
        check(&format!("describe-producers --topic {topic} --partition {partition}"));
    }
    check("describe-producers --topic orders --partition 0 --broker-id 1");
    transaction_log_prints_the_same(&broker);
}

fn transaction_log_prints_the_same(broker: &Broker) {
    let segment = broker.data_dir().join("__transaction_state-0/00000000000000000000.log");
    for flags in ["", "--print-data-log", "--skip-record-metadata"] {
        let line = format!("kafka-dump-log --transaction-log-decoder --files {} {flags}", segment.display());
        let dumped = super::side_by_side::check(&line, "", str::to_owned).out;
        assert!(dumped.contains(r#""transactionalId":"committing""#), "{dumped}");
    }
    let consumer = "kafka-console-consumer --topic __transaction_state --from-beginning --timeout-ms 5000";
    let formatter = "org.apache.kafka.tools.consumer.TransactionLogMessageFormatter";
    let servers = broker.bootstrap_servers();
    let line = format!("{consumer} --formatter {formatter} --bootstrap-server {servers}");
    let read = super::side_by_side::check(&line, "", str::to_owned).out;
    assert!(read.contains(r#""transactionalId":"committing""#), "{read}");
}

/// Each tool ends the transactions of ids of its own.
async fn transactions_tool_ends_transactions_as_apache_kafkas_does() {
    let broker = Broker::with().set("ottla.ephemeral", "true").start();
    let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
    let servers = broker.bootstrap_servers().to_owned();
    let both = |line: &str| {
        let ran = check(&format!("kafka-transactions --bootstrap-server {servers} {line}"), "", without_durations);
        (ran.code, ran.out)
    };
    let ours = |line: &str| {
        let line = format!("kafka-transactions --bootstrap-server {servers} {line}");
        let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
        super::side_by_side::ours(&words, "").out
    };
    client.create_topic("mine", 1, &[]).await.unwrap();
    client.create_topic("java", 1, &[]).await.unwrap();
    // An open transaction of each protocol, no transaction, and an id that does not exist.
    let mut zombies = Vec::new();
    for protocol in [TxnProtocol::V1, TxnProtocol::V2] {
        for tool in ["mine", "java"] {
            let id = format!("{protocol:?}-{tool}");
            let mut open = TransactionalProducer::start(&client, &id, protocol, TIMEOUT_MS).await;
            assert_eq!(open.write(tool, 0, "x").await, ErrorCode::None);
            zombies.push(open);
        }
    }
    for line in ["V1-{}", "V2-{}", "V1-{}", "new-{}"] {
        assert_eq!(both(&format!("forceTerminateTransaction --transactionalId {line}")), (0, String::new()), "{line}");
    }
    for tool in ["mine", "java"] {
        let listed = ours(&format!("list --transactional-id-pattern V.-{tool}"));
        assert_eq!(listed.matches("CompleteAbort").count() + listed.matches("Empty").count(), 2, "{listed}");
        assert!(!listed.contains("Ongoing"), "{listed}");
    }
    for mut zombie in zombies {
        let error = zombie.end(true).await;
        let fenced = [ErrorCode::ProducerFenced, ErrorCode::InvalidProducerEpoch];
        assert!(fenced.contains(&error), "{error:?}");
    }
}

/// Records of a transaction that the coordinator does not know, because nothing was verified.
async fn transactions_tool_finds_and_aborts_hanging_transactions() {
    let settings = Broker::with().set("ottla.ephemeral", "true");
    let broker = settings.set("transaction.partition.verification.enable", "false").start();
    let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
    let servers = broker.bootstrap_servers().to_owned();
    let both = |line: &str| {
        let ran = check(&format!("kafka-transactions --bootstrap-server {servers} {line}"), "", without_durations);
        (ran.code, ran.out)
    };
    for topic in ["mine", "java", "orders"] {
        client.create_topic(topic, 3, &[]).await.unwrap();
    }
    let mut producer = TransactionalProducer::start(&client, "a", TxnProtocol::V1, TIMEOUT_MS).await;
    // Known to the coordinator.
    assert_eq!(producer.write("orders", 0, "x").await, ErrorCode::None);
    for topic in ["mine", "java", "orders"] {
        for partition in 1..3 {
            assert_eq!(producer.produce(topic, partition, "x").await, ErrorCode::None);
        }
    }
    let (code, found) = both("find-hanging --broker-id 1 --max-transaction-timeout 0");
    assert_eq!((code, found.lines().count()), (0, 1 + 6), "{found}");
    both("find-hanging --topic orders --max-transaction-timeout 0");
    both("find-hanging --topic orders --partition 0");
    both("find-hanging --topic orders --partition 2 --max-transaction-timeout 0");
    both("find-hanging --topic orders");
    for line in ["--start-offset 0", "--start-offset 0", "--start-offset 5"] {
        both(&format!("abort --topic {{}} --partition 1 {line}"));
    }
    let id = producer.producer.producer_id;
    both(&format!("abort --topic {{}} --partition 2 --producer-id {id} --producer-epoch 0 --coordinator-epoch 0"));
    both(&format!("abort --topic {{}} --partition 2 --producer-id {id} --producer-epoch 7 --coordinator-epoch -1"));
    let (_, found) = both("find-hanging --broker-id 1 --max-transaction-timeout 0");
    assert_eq!(found.lines().count(), 1 + 2, "{found}");
}

fn client_metrics_tool_prints_the_same() {
    let side = SideBySide::new(Broker::with().set("ottla.ephemeral", "true").start());
    for line in [
        "--list",
        "--describe",
        "--alter --name {} --interval 5000 --metrics a.b,c --match client_id=x,client_source_port=1.*",
        "--describe --name {}",
        "--alter --name {} --interval= --metrics q",
        "--describe --name {}",
        "--alter --name {} --interval 5",
        "--alter --name {} --match bogus=5",
        "--alter --name {} --interval x",
        "--alter",
        "--delete",
        "--delete --name {}",
        "--describe --name {}",
        "--list",
        "--list --name x",
        "--list --describe",
        "--bogus",
    ] {
        side.check(&format!("kafka-client-metrics {line}"));
    }
}

pub fn tests() -> Vec<Trial> {
    trials![
        plain: client_metrics_tool_prints_the_same;
        on_tokio: transactions_tool_prints_the_same,
        transactions_tool_prints_the_same_for_every_state,
        transactions_tool_ends_transactions_as_apache_kafkas_does,
        transactions_tool_finds_and_aborts_hanging_transactions
    ]
}
