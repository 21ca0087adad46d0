//! Answers to administrators' requests, mostly invalid ones, compared with Apache Kafka's.
//!
//! Requests and Kafka's answers are in `tests/data/admin-answers.tsv`, `quota-answers.tsv` and
//! `given-settings-answers.tsv`, in the order in which they are sent to a new broker and in the text form of
//! [`crate::wire`]. Intended differences, with reasons, are in tables of the same names with `departures`.
//!
//! To record Kafka's answers again, set `ADMIN_ANSWERS_OF_4_3` to the address of a new broker of Apache Kafka 4.3 and
//! `ADMIN_ANSWERS_OF_4_3_DIR` to its `log.dirs` (or `QUOTA_ANSWERS_OF_4_3`, or `GIVEN_SETTINGS_OF_4_3` for a broker with the
//! settings of [`GIVEN`]). Its cluster id must be [`CLUSTER`], its internal topics must have one replica
//! (`offsets.topic.replication.factor=1` and the like), and `group.initial.rebalance.delay.ms` must be 0. In a new line
//! of a table, the column of the answer may be missing until Kafka's answer is recorded.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use ottla_wire::protocol::ApiKey;

use crate::wire::WireClient;
use common::Broker;

/// A table of requests with Kafka's answers, a table of intended differences, and the environment variable with the
/// address of a Kafka broker whose answers are to be recorded; the variable with `_DIR` appended has its `log.dirs`.
pub struct Table {
    pub answers: &'static str,
    pub departures: &'static str,
    pub kafka: &'static str,
    /// Settings of the broker.
    pub settings: &'static [(&'static str, &'static str)],
}

const ADMIN: Table = Table {
    answers: concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/admin-answers.tsv"),
    departures: concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/admin-departures.tsv"),
    kafka: "ADMIN_ANSWERS_OF_4_3",
    settings: &[],
};

/// Changes of client quotas.
const QUOTAS: Table = Table {
    answers: concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/quota-answers.tsv"),
    departures: concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/quota-departures.tsv"),
    kafka: "QUOTA_ANSWERS_OF_4_3",
    settings: &[],
};

/// Descriptions of settings that are configured at the start and changed while the broker runs, with their sources.
const GIVEN: Table = Table {
    answers: concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/given-settings-answers.tsv"),
    departures: concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/given-settings-departures.tsv"),
    kafka: "GIVEN_SETTINGS_OF_4_3",
    settings: &[
        ("broker.rack", "here"),
        ("group.consumer.session.timeout.ms", "50000"),
        ("group.share.heartbeat.interval.ms", "6000"),
        ("log.cleanup.policy", "compact"),
        ("log.retention.hours", "5"),
        ("log.retention.minutes", "90"),
        ("log.roll.hours", "7"),
        ("message.max.bytes", "2000000"),
        ("min.insync.replicas", "2"),
        ("num.io.threads", "8"),
        ("ssl.key.password", "secret"),
        ("unclean.leader.election.enable", "TRUE"),
    ],
};
/// How long Kafka's broker takes to learn of its controller's changes.
const PROPAGATION: Duration = Duration::from_millis(60);
/// Attempts while Kafka creates the topic that a coordinator needs.
const TRIES: usize = 100;
/// The cluster id of both brokers.
pub const CLUSTER: &str = "5L6g3nShT-eMCtK--X86sw";

/// A line of a table: a request, the versions in which it is sent, and the answer.
#[derive(Clone, Debug)]
struct Line<'a> {
    api: ApiKey,
    versions: Vec<i16>,
    request: &'a str,
    answer: &'a str,
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Option<Line<'a>> {
        if line.is_empty() || line.starts_with('#') || line.starts_with("api\t") {
            return None;
        }
        let mut columns = line.split('\t');
        let api = columns.next()?;
        let known = ApiKey::ALL.iter().find(|known| known.name() == api);
        let api = *known.unwrap_or_else(|| panic!("no API is called {api}"));
        let versions = columns.next()?.split(',').map(|version| version.parse().expect("a version")).collect();
        Some(Line { api, versions, request: columns.next()?, answer: columns.next().unwrap_or_default() })
    }
}

#[test]
fn admin_answers_match_kafka() {
    ADMIN.compare();
}

#[test]
fn answers_to_changes_of_client_quotas_match_kafka() {
    QUOTAS.compare();
}

#[test]
fn configured_settings_are_described_as_by_kafka() {
    GIVEN.compare();
}

impl Table {
    /// Sends the requests to a new broker; panics if an answer is neither Kafka's nor an intended difference.
    pub fn compare(&self) {
        if let Some(mut client) = self.kafka() {
            let recorded = record(&mut client, &std::fs::read_to_string(self.answers).unwrap());
            std::fs::write(self.answers, recorded).unwrap();
        }
        let (table, departures) =
            (std::fs::read_to_string(self.answers).unwrap(), std::fs::read_to_string(self.departures).unwrap());
        compare(&table, &departures, self.settings);
    }

    /// A client of the Apache Kafka broker to record, if the environment names one.
    pub fn kafka(&self) -> Option<WireClient> {
        let address = std::env::var(self.kafka).ok()?;
        let dir = std::env::var(format!("{}_DIR", self.kafka)).expect("the broker's log.dirs");
        Some(WireClient::new(&address, &[(&dir, "DIR")]))
    }
}

/// A new broker with a client.
pub fn ours(settings: &[(&str, &str)]) -> (Broker, WireClient) {
    let options = Broker::with().set("ottla.cluster.id", CLUSTER);
    let broker = settings.iter().fold(options, |options, (name, value)| options.set(name, value)).start();
    let data = broker.data_dir().display().to_string();
    let client = WireClient::new(broker.bootstrap_servers(), &[(&data, "DIR")]);
    (broker, client)
}

fn compare(table: &str, departures: &str, settings: &[(&str, &str)]) {
    let mut departing = BTreeMap::new();
    for line in departures.lines().filter_map(Line::parse) {
        for version in line.versions {
            let before = departing.insert((line.api, version, line.request), line.answer);
            assert_eq!(before, None, "{} {version} {} departs twice", line.api, line.request);
        }
    }
    let (_broker, mut client) = ours(settings);
    let mut differ = String::new();
    for line in table.lines().filter_map(Line::parse) {
        for version in line.versions {
            let ours = client.call(line.api, version, line.request);
            let departure = departing.remove(&(line.api, version, line.request));
            let expected = departure.unwrap_or(line.answer);
            if ours != expected {
                let _ = writeln!(
                    differ,
                    "{}\t{version}\t{}\n  expected {expected}\n  here     {ours}",
                    line.api, line.request
                );
            }
            if departure == Some(line.answer) {
                let _ = writeln!(differ, "{}\t{version}\t{}\n  is not a departure", line.api, line.request);
            }
        }
    }
    for (api, version, request) in departing.keys() {
        let _ = writeln!(differ, "{api}\t{version}\t{request}\n  is not in the table");
    }
    assert!(differ.is_empty(), "\n{differ}");
}

/// Records the answers of a broker in a table. Versions with the same answer share a line.
fn record(client: &mut WireClient, table: &str) -> String {
    let mut recorded = String::new();
    for text in table.lines() {
        let Some(line) = Line::parse(text) else {
            let _ = writeln!(recorded, "{text}");
            continue;
        };
        let mut answers: Vec<(String, Vec<String>)> = Vec::new();
        for version in line.versions {
            let mut call = || {
                std::thread::sleep(PROPAGATION);
                client.call(line.api, version, line.request)
            };
            let is_final = |answer: &String| !answer.contains("COORDINATOR_NOT_AVAILABLE");
            let mut attempts = std::iter::repeat_with(&mut call).take(TRIES);
            let answer = attempts.find(is_final).unwrap_or_else(call);
            match answers.iter_mut().find(|(known, _)| *known == answer) {
                Some((_, versions)) => versions.push(version.to_string()),
                None => answers.push((answer, vec![version.to_string()])),
            }
        }
        for (answer, versions) in answers {
            let _ = writeln!(recorded, "{}\t{}\t{}\t{answer}", line.api, versions.join(","), line.request);
        }
    }
    recorded
}
