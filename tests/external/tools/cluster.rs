//! kafka-broker-api-versions, kafka-cluster, kafka-features, kafka-metadata-quorum and kafka-leader-election.

use std::fs;

use super::side_by_side::{self, Ran};
use crate::harness::trials;
use common::Broker;
use libtest_mimic::Trial;
use ottla::client::Client;

/// Compares Ottla's tool with Kafka's on this broker; `@` in the line is its address.
fn check(broker: &Broker, line: &str, normalise: fn(&str) -> String) -> Ran {
    side_by_side::check(&line.replace('@', broker.bootstrap_servers()), "", normalise)
}

fn broker() -> Broker {
    Broker::with().set("ottla.ephemeral", "true").start()
}

fn api_versions() {
    let broker = broker();
    // Kafka's client is older than Ottla's, so it may use older versions.
    let served = |text: &str| {
        let lines = text.lines().map(|line| line.split(" [usable").next().unwrap_or(line));
        lines.collect::<Vec<_>>().join("\n")
    };
    let ran = check(&broker, "kafka-broker-api-versions --bootstrap-server @", served);
    assert!(ran.out.contains("\n\tMetadata(3): 0 to 13\n"), "{}", ran.out);
    check(&broker, "kafka-broker-api-versions --bogus", served);
}

fn cluster() {
    let broker = broker();
    let check = |line: &str| check(&broker, line, str::to_owned);
    assert!(check("kafka-cluster cluster-id --bootstrap-server @").out.starts_with("Cluster ID: "));
    check("kafka-cluster cluster-id -b @");
    check("kafka-cluster list-endpoints --bootstrap-server @");
    check("kafka-cluster list-endpoints -b @ --include-fenced-brokers");
    check("kafka-cluster unregister --bootstrap-server @ --id 99");
    // Kafka's tool ends its virtual machine for these.
    for line in [
        "kafka-cluster",
        "kafka-cluster bogus",
        "kafka-cluster cluster-id",
        "kafka-cluster cluster-id --bootstrap-server a:1 --bootstrap-controller a:1",
        "kafka-cluster unregister --bootstrap-server a:1",
        "kafka-cluster unregister --bootstrap-server a:1 --id x",
    ] {
        let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
        let ran = side_by_side::ours(&words, "");
        assert_eq!((ran.code, &*ran.out), (1, ""), "{line}");
        assert!(ran.err.starts_with("usage: kafka-cluster "), "{line}: {}", ran.err);
    }
    check("kafka-cluster cluster-id --bootstrap-server @ --config /dev/null");
    check("kafka-cluster cluster-id --bootstrap-server @ --command-config /does/not/exist");
}

fn features_of_a_cluster() {
    let broker = broker();
    // Apache Kafka 4.3 has no name for the newest level that this broker knows.
    let named = |text: &str| text.replace("4.4-IV2   ", "UNKNOWN 33");
    let described = check(&broker, "kafka-features --bootstrap-server @ describe", named);
    assert!(described.out.contains("FinalizedVersionLevel: 4.3-IV0"), "{}", described.out);
    let check = |line: &str| check(&broker, &format!("kafka-features --bootstrap-server @ {line}"), str::to_owned);
    check("upgrade");
    check("upgrade --release-version 4.3 --feature a=1");
    check("upgrade --dry-run --release-version 4.3");
    check("upgrade --dry-run --release-version 4.0.1");
    check("upgrade --dry-run --release-version 9.9");
    check("upgrade --dry-run --metadata 4.3");
    check("upgrade --feature metadata.version=30");
    check("upgrade --feature metadata.version=99");
    check("upgrade --dry-run --feature group.version=1 --feature foo=1");
    check("upgrade --feature metadata.version=x");
    check("upgrade --feature metadata.version");
    check("upgrade --feature metadata.version=0");
    check("upgrade --feature metadata.version=30 --feature metadata.version=30");
    check("downgrade --metadata 4.0");
    check("downgrade --unsafe --dry-run --metadata 4.0");
    check("disable");
    check("disable --feature metadata.version");
    check("disable --dry-run --unsafe --feature foo");
    check("bogus");
    side_by_side::check("kafka-features describe", "", str::to_owned);
}

fn features_of_releases() {
    let check = |line: &str| side_by_side::check(&format!("kafka-features {line}"), "", str::to_owned);
    for release in
        ["", "--release-version 3.3-IV3", "--release-version 3.9", "--release-version 4.1.2", "--release-version 5.0"]
    {
        check(&format!("version-mapping {release}"));
    }
    check("feature-dependencies");
    check("feature-dependencies --feature group.version=1 --feature eligible.leader.replicas.version=1");
    check("feature-dependencies --feature metadata.version=17 --feature kraft.version=0");
    check("feature-dependencies --feature metadata.version=99");
    check("feature-dependencies --feature group.version=7");
    check("feature-dependencies --feature foo=1");
}

fn metadata_quorum() {
    let broker = broker();
    // Times, and offsets that grow between the two runs.
    let steady = |text: &str| {
        let times = regex::Regex::new("1[0-9]{12}|[0-9]+ ms ago +").unwrap();
        times.replace_all(text, "T").into_owned()
    };
    let check = |line: &str| check(&broker, &format!("kafka-metadata-quorum {line}"), steady);
    let status = check("--bootstrap-server @ describe --status").out;
    assert!(status.contains("LeaderId:               1\nLeaderEpoch:            1\n"), "{status}");
    check("--bootstrap-server @ describe --replication");
    check("--bootstrap-server @ describe --replication --human-readable");
    check("--bootstrap-server @ describe --status --replication");
    check("--bootstrap-server @ describe --status --human-readable");
    check("--bootstrap-server @ describe");
    check("--bootstrap-server @");
    check("describe --status");
    check("--bootstrap-server @ add-controller");
    check("--bootstrap-server @ remove-controller --controller-id 1 --controller-directory-id AAAAAAAAAAAAAAAAAAAAAQ");
    check("--bootstrap-server @ --command-config /does/not/exist describe --status");
}

async fn leader_election() {
    let broker = broker();
    let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
    client.create_topic("t", 3, &[]).await.unwrap();
    client.create_topic("u", 1, &[]).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let listed = |name: &str, json: &str| {
        let path = dir.path().join(name);
        fs::write(&path, json).unwrap();
        path.display().to_string()
    };
    let check = |line: &str| {
        let line = format!("kafka-leader-election --bootstrap-server @ {line}");
        check(&broker, &line, str::to_owned)
    };
    check("--election-type preferred --all-topic-partitions");
    check("--election-type UNCLEAN --all-topic-partitions");
    let needless = check("--election-type preferred --topic t --partition 0");
    assert_eq!(needless.out, "Valid replica already elected for partitions t-0\n");
    check("--election-type unclean --topic t --partition 0");
    check("--election-type preferred --topic t --partition 9");
    check("--election-type preferred --topic missing --partition 0");
    for (name, json) in [
        ("some", r#"{"partitions": [{"topic": "u", "partition": 0}, {"topic": "t", "partition": 2}]}"#),
        ("unknown", r#"{"partitions": [{"topic": "u", "partition": 7}, {"topic": "x", "partition": 2}]}"#),
        ("none", r#"{"partitions": []}"#),
        ("twice", r#"{"partitions": [{"topic": "u", "partition": 0}, {"topic": "u", "partition": 0}]}"#),
        ("nothing", "{}"),
        ("broken", "{"),
    ] {
        check(&format!("--election-type preferred --path-to-json-file {}", listed(name, json)));
    }
    check("--election-type preferred");
    check("--election-type preferred --topic t");
    check("--election-type preferred --all-topic-partitions --topic t --partition 0");
    check("--election-type bogus --all-topic-partitions");
    check("--all-topic-partitions");
    check("--bogus");
}

pub fn tests() -> Vec<Trial> {
    trials![
        plain: api_versions, cluster, features_of_a_cluster, features_of_releases, metadata_quorum;
        on_tokio: leader_election
    ]
}
