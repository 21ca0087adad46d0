//! kafka-transactions, kafka-client-metrics.

use ottla::client::Client;

use super::side_by_side::{SideBySide, check};
use crate::harness::trials;
use common::Broker;
use libtest_mimic::Trial;

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
        on_tokio: transactions_tool_prints_the_same
    ]
}
