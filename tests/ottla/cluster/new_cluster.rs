//! The answers, settings and files of a new broker, compared with those of a new broker of Apache Kafka 4.3.
//!
//! Kafka's were recorded from a broker with only the required settings. If `NEW_CLUSTER_OF_4_3` has the address of such a
//! broker and `NEW_CLUSTER_OF_4_3_DIR` its `log.dirs`, the tests record its answers and settings again, and compare its
//! files with the table.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use ottla_config::{Scope, table};
use ottla_wire::protocol::ApiKey;

use crate::cluster::admin_answers::{Table, ours};
use crate::wire::WireClient;
use common::{Broker, run};

const ANSWERS: Table = Table {
    answers: concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/new-cluster-answers.tsv"),
    departures: concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/new-cluster-departures.tsv"),
    kafka: "NEW_CLUSTER_OF_4_3",
    settings: &[],
};
/// Every setting that DescribeConfigs returns, by type of resource.
const SETTINGS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/new-cluster-settings.tsv");
/// Intended differences in the description of settings, with reasons. Different defaults are in the table of settings
/// ([`ottla_config::setting::Departure`]).
const SETTING_DEPARTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/new-cluster-setting-departures.tsv");
/// Files and records of the data directory: of both brokers, of Kafka alone, or of Ottla alone (`here`).
const FILES: &str = include_str!("../../data/new-cluster-files.tsv");

const RESOURCES: [(&str, i8, &str); 5] =
    [("broker", 4, "1"), ("brokers", 4, ""), ("topic", 2, "new"), ("group", 32, "new"), ("client-metrics", 16, "new")];
/// The text for a setting that is not described.
const ABSENT: &str = "not described";

#[test]
fn new_broker_answers_match_kafka() {
    ANSWERS.compare();
}

#[test]
fn new_broker_settings_match_kafka() {
    if let Some(mut kafka) = ANSWERS.kafka() {
        let mut table = "resource\tsetting\tdescribed\n".to_owned();
        for ((resource, name), described) in settings(&mut kafka) {
            let _ = writeln!(table, "{resource}\t{name}\t{described}");
        }
        fs::write(SETTINGS, table).unwrap();
    }
    let (kafkas, departures) = (fs::read_to_string(SETTINGS).unwrap(), fs::read_to_string(SETTING_DEPARTURES).unwrap());
    let (kafkas, mut departures) = (by_setting(&kafkas), by_setting(&departures));
    let (_broker, mut client) = ours(ANSWERS.settings);
    let ours = settings(&mut client);
    let keys = |settings: &BTreeMap<(String, String), String>| settings.keys().cloned().collect::<BTreeSet<_>>();
    let mut differ = String::new();
    for key in keys(&kafkas).union(&keys(&ours)) {
        let of = |settings: &BTreeMap<_, String>| settings.get(key).map_or(ABSENT.to_owned(), String::clone);
        let (theirs, ours, (resource, name)) = (of(&kafkas), of(&ours), key);
        if theirs == ours || (theirs == ABSENT && name.starts_with("ottla.")) || is_other_default(name, &theirs, &ours)
        {
            continue;
        }
        if departures.remove(key).as_ref() != Some(&ours) {
            let _ = writeln!(differ, "{resource}\t{name}\n  Kafka {theirs}\n  here  {ours}");
        }
    }
    differ.extend(departures.keys().map(|(resource, name)| format!("{resource}\t{name}\n  is not a departure\n")));
    assert!(differ.is_empty(), "\n{differ}");
}

/// Whether only the default differs and the table of settings says why.
fn is_other_default(name: &str, theirs: &str, ours: &str) -> bool {
    let Some(setting) = table::find(Scope::Broker, name) else { return false };
    let default = setting.default.unwrap_or_default();
    setting.departure.is_some_and(|departure| {
        let quoted = |text: &str| if text.contains(['=', ' ']) { format!("\"{text}\"") } else { text.to_owned() };
        theirs.replace(&format!("value={} ", quoted(departure.kafka_default)), &format!("value={} ", quoted(default)))
            == ours
    })
}

fn by_setting(table: &str) -> BTreeMap<(String, String), String> {
    let lines = table.lines().skip(1).filter(|line| !line.starts_with('#'));
    let read = lines.map(|line| match line.splitn(3, '\t').collect::<Vec<_>>()[..] {
        [resource, name, described] => ((resource.to_owned(), name.to_owned()), described.to_owned()),
        _ => panic!("{line}"),
    });
    read.collect()
}

fn settings(client: &mut WireClient) -> BTreeMap<(String, String), String> {
    let request = "topics=[{name=new num_partitions=1 replication_factor=1}]";
    client.call(ApiKey::CreateTopics, 7, request);
    // Kafka's broker learns of the topic a little later.
    std::thread::sleep(std::time::Duration::from_millis(if ANSWERS.kafka().is_some() { 500 } else { 0 }));
    let described = RESOURCES.into_iter().flat_map(|(resource, kind, name)| {
        let request = format!(
            "resources=[{{resource_type={kind} resource_name=\"{name}\"}}] include_synonyms=true \
             include_documentation=true"
        );
        let all = client.call_for_each(ApiKey::DescribeConfigs, 4, &request, "configs");
        all.into_iter().map(move |(name, described)| ((resource.to_owned(), name), described)).collect::<Vec<_>>()
    });
    described.collect()
}

/// The first start stores the broker's `min.insync.replicas` in the metadata log, as Kafka does.
#[test]
fn min_insync_replicas_keeps_the_value_of_the_first_start() {
    const REQUEST: &str =
        "resources=[{resource_type=4 resource_name=1 configuration_keys=[min.insync.replicas]}] include_synonyms=true";
    let synonyms = |broker: &Broker| {
        let mut client = WireClient::new(broker.bootstrap_servers(), &[]);
        let all = client.call_for_each(ApiKey::DescribeConfigs, 4, REQUEST, "synonyms");
        all.get("min.insync.replicas").cloned().unwrap_or_default()
    };
    let dir = tempfile::tempdir().unwrap();
    let start = |value: &str| Broker::with().data_dir(dir.path()).set("min.insync.replicas", value).start();
    assert_eq!(synonyms(&start("2")), "value=2 source=3, value=2 source=4, value=1 source=5");
    assert_eq!(synonyms(&start("4")), "value=2 source=3, value=4 source=4, value=1 source=5");
}

#[test]
fn new_broker_data_directory_matches_kafka() {
    let expected = |sides: &[&str]| -> BTreeSet<String> {
        let lines = FILES.lines().skip(1).filter(|line| !line.starts_with('#'));
        let facts = lines.map(|line| line.split_once('\t').unwrap_or_else(|| panic!("{line}")));
        facts.filter(|(side, _)| sides.contains(side)).map(|(_, fact)| fact.to_owned()).collect()
    };
    let compare = |dir: &Path, port: &str, expected: BTreeSet<String>| {
        let found = facts(dir, port);
        let missing: Vec<_> = expected.difference(&found).collect();
        let more: Vec<_> = found.difference(&expected).collect();
        assert!(missing.is_empty() && more.is_empty(), "\nmissing: {missing:#?}\nnot expected: {more:#?}");
    };
    if let (Ok(address), Ok(dir)) = (std::env::var(ANSWERS.kafka), std::env::var(format!("{}_DIR", ANSWERS.kafka))) {
        let (_, port) = address.rsplit_once(':').unwrap();
        compare(Path::new(&dir), port, expected(&["both", "Kafka"]));
    }
    let (broker, _) = ours(ANSWERS.settings);
    compare(broker.data_dir(), &broker.port().to_string(), expected(&["both", "here"]));
}

/// The files of a data directory, the lines of `meta.properties` and the first records of a new broker's metadata log,
/// without random values and timestamps.
fn facts(dir: &Path, port: &str) -> BTreeSet<String> {
    let mut facts = BTreeSet::new();
    for folder in [dir.to_owned(), dir.join("__cluster_metadata-0")] {
        let found = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path());
        for file in found.filter(|file| file.is_file()) {
            facts.insert(format!("file {}", file.strip_prefix(dir).unwrap().display()));
        }
    }
    let properties = fs::read_to_string(dir.join("meta.properties")).unwrap();
    let named = properties.lines().filter_map(|line| line.split_once('='));
    facts.extend(
        named.map(|(name, value)| {
            format!("meta.properties {name}={}", if name == "directory.id" { "ID" } else { value })
        }),
    );
    for file in ["bootstrap.checkpoint", "__cluster_metadata-0/00000000000000000000.log"] {
        let path = dir.join(file).display().to_string();
        let dumped = run(&["kafka-dump-log", "--cluster-metadata-decoder", "--files", &path]);
        let text = String::from_utf8(dumped.stdout).unwrap();
        let records = text.lines().filter_map(|line| line.split_once(" payload: "));
        let lasting =
            records.filter(|(_, record)| !record.contains("\"NO_OP_RECORD\"") && !record.contains("TOPIC_RECORD"));
        let lasting = lasting.filter(|(_, record)| !record.contains("PARTITION_RECORD"));
        facts.extend(lasting.map(|(_, record)| format!("{file} {}", plain(record, port))));
    }
    facts
}

/// A record with sorted features and without random values and its offset.
fn plain(record: &str, port: &str) -> String {
    let mut record: serde_json::Value = serde_json::from_str(record).unwrap();
    let data = record["data"].as_object_mut().unwrap();
    for (name, value) in data.iter_mut() {
        match (name.as_str(), value) {
            ("incarnationId", id) => *id = "ID".into(),
            ("logDirs", dirs) => *dirs = "ID".into(),
            ("brokerEpoch", epoch) => *epoch = "OFFSET".into(),
            ("features", serde_json::Value::Array(features)) => {
                features.sort_by_key(|feature| feature["name"].to_string())
            }
            _ => {}
        }
    }
    record.to_string().replace(port, "PORT")
}
