//! What the authorizer logs for a request, compared with Apache Kafka: each resource once, with the number of times that the
//! request names it (`resourceRefCount`).
//!
//! `tests/data/authorizer-log.tsv` has requests, and the operations, resources and numbers in the lines of Kafka's
//! `kafka.authorizer.logger`. To record them again, set `AUTHORIZER_LOG_OF_4_3` to the address of a broker of Apache Kafka
//! 4.3 at which everybody is a super user, a comma, and the path of its log.

use std::fmt::Write as _;
use std::time::Duration;

use common::Broker;
use ottla_wire::protocol::ApiKey;

use super::AUTHORIZER;
use crate::wire::WireClient;

const ANSWERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/authorizer-log.tsv");
/// After a request, Kafka has written its lines.
const WRITTEN: Duration = Duration::from_millis(300);

/// Creates what the requests are about.
fn prepare(client: &mut WireClient) {
    let topics = ["t", "u"].map(|name| format!("{{name={name} num_partitions=3 replication_factor=1}}"));
    client.until("$t", ApiKey::CreateTopics, 7, &format!("topics=[{}]", topics.join(" ")));
    client.until("$u", ApiKey::Metadata, 12, "topics=[{name=t} {name=u}]");
    client.until("node_id=1", ApiKey::FindCoordinator, 4, "coordinator_keys=[g]");
    client.until("node_id=1", ApiKey::FindCoordinator, 4, "key_type=1 coordinator_keys=[txn]");
    client.until(
        "topics=[",
        ApiKey::OffsetCommit,
        8,
        "group_id=g generation_id_or_member_epoch=-1 topics=[{name=t partitions=[{}]}]",
    );
}

/// The decisions on a request in a part of a log, sorted: operation, resource and number.
fn decisions(log: &str, api: &str) -> String {
    let between = |line: &str, start: &str, end: &str| {
        let (_, rest) = line.split_once(start)?;
        Some(rest.split(end).next().unwrap_or_default().to_owned())
    };
    let decision = |line: &str| {
        let count = between(line, "with resourceRefCount = ", " ")?;
        (between(line, "for request = ", " ")? == api).then_some(())?;
        let (operation, resource) = (between(line, "operation = ", " ")?, between(line, "on resource = ", " ")?);
        Some(format!("{operation} {resource} {count}"))
    };
    let mut found: Vec<String> = log.lines().filter_map(decision).collect();
    found.sort();
    found.join(", ")
}

fn requests(table: &str) -> impl Iterator<Item = [&str; 4]> {
    table.lines().skip(1).map(|line| {
        let mut columns = line.split('\t');
        [(); 4].map(|()| columns.next().unwrap_or_default())
    })
}

fn key(api: &str) -> ApiKey {
    *ApiKey::ALL.iter().find(|key| key.name() == api).unwrap_or_else(|| panic!("{api}"))
}

fn record(address: &str, log: &str) {
    let mut client = WireClient::new(address, &[]);
    let level = "resources=[{resource_type=8 resource_name=1 configs=[{name=kafka.authorizer.logger value=DEBUG}]}]";
    client.call(ApiKey::IncrementalAlterConfigs, 1, level);
    prepare(&mut client);
    let table = std::fs::read_to_string(ANSWERS).unwrap();
    let mut recorded = "api\tversion\trequest\tdecisions\n".to_owned();
    for [api, version, request, _] in requests(&table) {
        std::thread::sleep(WRITTEN);
        let before = std::fs::read_to_string(log).unwrap().len();
        client.call(key(api), version.parse().unwrap(), request);
        std::thread::sleep(WRITTEN);
        let written = std::fs::read_to_string(log).unwrap().split_off(before);
        let _ = writeln!(recorded, "{api}\t{version}\t{request}\t{}", decisions(&written, api));
    }
    std::fs::write(ANSWERS, recorded).unwrap();
}

#[test]
fn resources_of_a_request_are_logged_once_with_their_number() {
    if let Ok(kafka) = std::env::var("AUTHORIZER_LOG_OF_4_3") {
        let (address, log) = kafka.split_once(',').unwrap();
        record(address, log);
    }
    let broker = Broker::with()
        .set("authorizer.class.name", AUTHORIZER)
        .set("super.users", "User:ANONYMOUS")
        .set("ottla.log.level", "info,ottla.authorizer=debug")
        .start();
    let mut client = WireClient::new(&super::address(&broker), &[]);
    prepare(&mut client);
    let table = std::fs::read_to_string(ANSWERS).unwrap();
    let mut differ = String::new();
    for (number, [api, version, request, expected]) in requests(&table).enumerate() {
        let before = broker.log().len();
        client.call(key(api), version.parse().unwrap(), request);
        // The lines are in order, so those of the request are there when this one is.
        client.call(ApiKey::Heartbeat, 3, &format!("group_id=end-{number} generation_id=1 member_id=m"));
        broker.wait_for_log(&format!("Group:LITERAL:end-{number} "));
        let here = decisions(&broker.log()[before..], api);
        if here != expected {
            let _ = writeln!(differ, "{api} {version} {request}\n  expected {expected}\n  here     {here}");
        }
    }
    assert!(differ.is_empty(), "\n{differ}");
}
