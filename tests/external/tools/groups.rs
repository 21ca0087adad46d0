//! kafka-consumer-groups, kafka-groups.

use std::io::Write as _;
use std::time::Duration;

use bytes::Bytes;
use ottla::client::{Client, Joined, Subscription};
use ottla_wire::codec::write_prefixed;
use ottla_wire::protocol::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, TopicPartition,
};
use ottla_wire::record::{BatchBuilder, Codec};

use super::side_by_side::{Ran, SideBySide, check, ours};
use crate::harness::trials;
use common::Broker;
use libtest_mimic::Trial;

const LONG_TOPIC: &str = "a-topic-with-quite-a-long-name";

/// Starts a broker with two topics of ten records in each partition, and a group without members that has committed
/// some offsets.
async fn start() -> (SideBySide, Client) {
    let broker = Broker::with()
        .set("ottla.ephemeral", "true")
        .set("group.initial.rebalance.delay.ms", "0")
        .set("offsets.topic.num.partitions", "1")
        .start();
    let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
    for (topic, partitions) in [("orders", 3), (LONG_TOPIC, 1)] {
        client.create_topic(topic, partitions, &[]).await.unwrap();
        for partition in 0..partitions {
            let mut batch = BatchBuilder::new(Codec::None);
            for second in 0..10 {
                batch.append(1_700_000_000_000 + second * 1000, None, Some(b"value"), &[]);
            }
            client.produce(topic, partition, batch.build().unwrap().bytes().clone()).await.unwrap();
        }
    }
    client.commit_offsets("idle", None, "orders", &[(0, 3), (1, 10)]).await.unwrap();
    client.commit_offsets("idle", None, LONG_TOPIC, &[(0, 1)]).await.unwrap();
    (SideBySide::new(broker), client)
}

/// Joins `group` as its only member, with these partitions of the topic. The session timeout is longer than the test.
async fn join(client: &Client, group: &str, topic: &'static str, partitions: &[i32], instance: Option<&str>) -> Joined {
    let joined = client.join_group(&subscription(group, "consumer", topic, instance), "").await.unwrap();
    client.sync_group(&joined, &[(joined.member.id.clone(), assignment(topic, partitions))]).await.unwrap();
    joined
}

fn subscription(group: &str, protocol_type: &str, topic: &'static str, instance: Option<&str>) -> Subscription {
    let topics = vec![topic.into()];
    let subscription = ConsumerProtocolSubscription { topics, ..Default::default() };
    Subscription {
        group: group.to_owned(),
        protocol_type: protocol_type.to_owned(),
        protocols: vec![("range".to_owned(), write_prefixed(0, &subscription, 0).unwrap())],
        session_timeout: Duration::from_secs(600),
        rebalance_timeout: Duration::from_secs(600),
        instance_id: instance.map(str::to_owned),
    }
}

fn assignment(topic: &'static str, partitions: &[i32]) -> Bytes {
    let assigned = TopicPartition { topic: topic.into(), partitions: partitions.to_vec() };
    let assignment = ConsumerProtocolAssignment { assigned_partitions: vec![assigned], ..Default::default() };
    write_prefixed(0, &assignment, 0).unwrap()
}

async fn list_and_describe_print_the_same() {
    let (side, client) = start().await;
    join(&client, "active", "orders", &[0, 1, 2], None).await;
    join(&client, "static-with-quite-a-long-name", LONG_TOPIC, &[0], Some("an-instance-of-it")).await;
    client.commit_offsets("no-lag", None, "orders", &[(2, 10)]).await.unwrap();
    // One group waits for the assignment of its leader, and one has another protocol type.
    client.join_group(&subscription("unsettled", "consumer", "orders", None), "").await.unwrap();
    client.join_group(&subscription("workers", "connect", "orders", None), "").await.unwrap();
    let listed = side.check_errors_too("kafka-consumer-groups --list");
    assert_eq!(listed.out.lines().count(), 5, "{listed:?}");
    for line in [
        "--list --state",
        "--list --type",
        "--list --type --state",
        "--list --state stable",
        "--list --state Stable,empty --type classic",
        "--list --type=consumer",
        "--describe --group idle",
        "--describe --group idle --verbose",
        "--describe --group idle --offsets",
        "--describe --group idle --members",
        "--describe --group idle --members --verbose",
        "--describe --group idle --state",
        "--describe --group active",
        "--describe --group active --members",
        "--describe --group active --members --verbose",
        "--describe --group active --state --verbose",
        "--describe --group static-with-quite-a-long-name --verbose",
        "--describe --group static-with-quite-a-long-name --members --verbose",
        "--describe --group static-with-quite-a-long-name --state",
        "--describe --group idle --group no-lag --group active",
        "--describe --group unsettled",
        "--describe --group unsettled --members --verbose",
        "--describe --group unsettled --state",
        "--describe --group workers",
        "--describe --all-groups",
        "--describe --all-groups --members",
        "--describe --all-groups --state",
        "--describe --group nobody",
        "--describe --group idle --group nobody --state",
    ] {
        side.check_errors_too(&format!("kafka-consumer-groups {line}"));
    }
    for line in [
        "--list",
        "--list --consumer",
        "--list --share",
        "--list --group-type classic",
        "--list --group-type classic --protocol consumer",
        "--list --protocol nothing",
        "--list --protocol connect",
        "--list --group-type bogus",
        "--list --share --streams",
        "--consumer",
    ] {
        side.check(&format!("kafka-groups {line}"));
    }
}

async fn reset_offsets_prints_and_sets_the_same() {
    let (side, client) = start().await;
    join(&client, "active", "orders", &[0, 1, 2], None).await;
    let mut plan = tempfile::NamedTempFile::new().unwrap();
    plan.write_all(b"orders,0,4\norders,1,99\n").unwrap();
    let mut plans = tempfile::NamedTempFile::new().unwrap();
    plans.write_all(format!("idle,orders,0,4\nother,\"{LONG_TOPIC}\",0,2\n").as_bytes()).unwrap();
    let (plan, plans) = (plan.path().display(), plans.path().display());
    for line in [
        "--group idle --to-earliest --all-topics",
        "--group idle --to-earliest --all-topics --dry-run",
        "--group idle --to-latest --topic orders --dry-run",
        "--group idle --to-current --topic orders --dry-run",
        "--group idle --to-offset 3 --topic orders:0,2 --dry-run",
        "--group idle --to-offset 99 --topic orders:0 --dry-run",
        "--group idle --shift-by -2 --topic orders:0,1 --dry-run",
        "--group idle --shift-by -20 --topic orders:0,1 --dry-run",
        "--group idle --shift-by 1 --topic orders --dry-run",
        "--group idle --to-datetime 2023-11-14T22:13:24.500 --topic orders --dry-run",
        "--group idle --to-datetime 2023-11-14T23:13:24.500+01:00 --topic orders --dry-run",
        "--group idle --to-datetime 2033-11-14T22:13:24.000Z --topic orders:1 --dry-run",
        "--group idle --to-datetime soon --topic orders --dry-run",
        "--group idle --to-datetime Tomorrow --topic orders --dry-run",
        "--group idle --by-duration P9000D --topic orders --dry-run",
        "--group idle --by-duration PT0.5S --topic orders:0 --dry-run",
        "--group idle --by-duration ages --topic orders --dry-run",
        &format!("--group idle --from-file {plan} --dry-run"),
        &format!("--group idle --group other --from-file {plans} --dry-run"),
        &format!("--group nobody --from-file {plans} --dry-run"),
        "--group idle --from-file /nowhere/plan --dry-run",
        &format!("--group idle --to-earliest --topic orders --topic {LONG_TOPIC} --export --dry-run"),
        "--group idle --group other --to-latest --topic orders --export --dry-run",
        "--all-groups --to-earliest --topic orders --dry-run",
        "--group new-{} --to-earliest --topic orders --execute",
        "--group new-{} --to-latest --all-topics --execute",
        "--group active --to-earliest --topic orders --execute",
        "--group idle --to-earliest --topic nothing --execute",
        "--group idle --to-earliest --topic nothing:0 --execute",
        "--group idle --to-earliest --topic orders:7,8 --execute",
        "--group idle --to-earliest --topic orders:x --execute",
        "--group idle --to-earliest --topic orders: --execute",
        "--group idle --to-earliest --dry-run",
        "--group idle --topic orders --dry-run",
    ] {
        side.check(&format!("kafka-consumer-groups --reset-offsets {line}"));
    }
    let moved = side.check("kafka-consumer-groups --describe --group new-{}");
    assert!(moved.out.contains(" 10              10              0 "), "{moved:?}");
    let ours = side.ours("kafka-consumer-groups --reset-offsets --group idle --to-offset 5 --topic orders:0 --execute");
    assert_eq!(ours.code, 0, "{ours:?}");
    let committed = client.committed_offsets("idle", "orders", &[0, 1]).await.unwrap();
    assert_eq!(committed.iter().map(|committed| committed.offset).collect::<Vec<_>>(), [5, 10]);
}

async fn delete_of_groups_and_offsets_prints_the_same() {
    let (side, client) = start().await;
    join(&client, "active", "orders", &[0, 1, 2], None).await;
    client.commit_offsets("mine-group", None, "orders", &[(0, 1), (1, 1)]).await.unwrap();
    client.commit_offsets("java-group", None, "orders", &[(0, 1), (1, 1)]).await.unwrap();
    for line in [
        "--delete-offsets --group {}-group --topic orders:0",
        "--delete-offsets --group {}-group --topic orders",
        "--delete-offsets --group {}-group --topic nothing",
        "--delete-offsets --group {}-group --topic nothing:0 --topic orders:1",
        "--delete-offsets --group active --topic orders",
        "--delete-offsets --group nobody --topic orders",
        "--delete --group active",
        "--delete --group active --group nobody",
        "--delete --group {}-group",
        "--delete --group {}-group",
    ] {
        side.check_errors_too(&format!("kafka-consumer-groups {line}"));
    }
    let remaining = client.list_groups(&[], &[]).await.unwrap();
    assert_eq!(remaining.len(), 2, "active and idle: {remaining:?}");
}

async fn wrong_options_give_the_same_errors() {
    let (side, _client) = start().await;
    for line in [
        "--describe",
        "--describe --group idle --members --state",
        "--describe --group idle --state stable",
        "--describe --group idle --all-groups",
        "--describe --group idle --topic orders",
        "--list --group idle",
        "--list --members",
        "--list --state bogus",
        "--list --type bogus",
        "--list --describe --group idle",
        "--delete",
        "--delete --group idle --topic orders",
        "--delete-offsets --group idle",
        "--reset-offsets --group idle --to-earliest --to-latest --topic orders --dry-run",
        "--reset-offsets --group idle --to-earliest --topic orders --dry-run --execute",
        "--reset-offsets --to-earliest --topic orders --dry-run",
        "--bogus",
    ] {
        let ran = side.check(&format!("kafka-consumer-groups {line}"));
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{line}");
    }
    for pattern in ["orders-.*", "(", "[a", "a**", "*a", "a*?", "[b-a]"] {
        check(&format!("kafka-consumer-groups --validate-regex '{pattern}'"), "", str::to_owned);
    }
    check("kafka-consumer-groups --list", "", str::to_owned);
}

/// Runs `ottla groups` with these arguments, and asserts that it succeeds.
fn own(side: &SideBySide, line: &str) -> String {
    let Ran { code, out, err } = own_command(side, line);
    assert_eq!((code, err.as_str()), (0, ""), "{line}: {out}");
    out
}

fn own_command(side: &SideBySide, line: &str) -> Ran {
    let words = ["groups", "-b", side.broker.bootstrap_servers()].into_iter().chain(line.split_whitespace());
    ours(&words.map(str::to_owned).collect::<Vec<_>>(), "")
}

async fn own_groups_command_lists_describes_and_resets() {
    let (side, client) = start().await;
    join(&client, "active", "orders", &[0, 1, 2], Some("first")).await;
    assert_eq!(own(&side, ""), "GROUP   TYPE     STATE\nactive  classic  Stable\nidle    classic  Empty\n");
    let described = own(&side, "describe idle active");
    for part in [
        "idle: Empty",
        "orders                                  0          3   10    7",
        "active: Stable, assignor range",
    ] {
        assert!(described.contains(part), "{part} in {described}");
    }
    let described: serde_json::Value = serde_json::from_str(&own(&side, "describe active --json")).unwrap();
    assert_eq!(described[0]["members"][0]["instance_id"], "first");
    assert_eq!(described[0]["partitions"][2]["end_offset"], 10);

    own(&side, "reset-offsets idle --shift-by -1 --topic orders:0 --dry-run");
    let moved: serde_json::Value =
        serde_json::from_str(&own(&side, "reset-offsets idle --shift-by -1 --topic orders:0 --json")).unwrap();
    assert_eq!(moved["offsets"][0]["offset"], 2, "a dry run moves nothing");
    assert_eq!(client.committed_offsets("idle", "orders", &[0]).await.unwrap()[0].offset, 2);
    own(&side, "delete-offsets idle --topic orders");
    assert_eq!(client.committed_offsets("idle", "orders", &[0]).await.unwrap()[0].offset, -1);
    assert_eq!(own(&side, "delete idle"), "deleted idle\n");

    for (line, why) in [
        ("delete active", "active: The group is not empty."),
        ("describe nobody", "Group nobody not found."),
        (
            "reset-offsets active --to-latest",
            "the group active is Stable: offsets can be reset only without active members",
        ),
        ("reset-offsets x --to-latest --to-current", "--to-latest cannot be used with --to-current"),
        ("reset-offsets x --by-duration 1h", "'1h' is not a duration such as P1DT12H or PT30M"),
    ] {
        let ran = own_command(&side, line);
        assert_eq!((ran.code, ran.err), (1, format!("ottla: {why}\n")), "{line}");
    }
}

pub fn tests() -> Vec<Trial> {
    trials![
        on_tokio:
            list_and_describe_print_the_same,
            reset_offsets_prints_and_sets_the_same,
            delete_of_groups_and_offsets_prints_the_same,
            wrong_options_give_the_same_errors,
            own_groups_command_lists_describes_and_resets
    ]
}
