//! What Apache Kafka answers to administrators' requests, above all to wrong ones, beside what we do.
//!
//! Requests and Kafka's answers stand in `tests/data/admin-answers.tsv` and `given-settings-answers.tsv`, in the order in
//! which a new broker is asked, in the text form of [`crate::wire`]. Where we answer otherwise on purpose,
//! `admin-departures.tsv` and `given-settings-departures.tsv` say how and why.
//!
//! To write Kafka's answers anew, give the address of a new broker of Apache Kafka 4.3 in `ADMIN_ANSWERS_OF_4_3` and its
//! `log.dirs` in `ADMIN_ANSWERS_OF_4_3_DIR` (or `GIVEN_SETTINGS_OF_4_3`, of one with [`GIVEN`]'s settings). Its cluster
//! is [`CLUSTER`], its internal topics have one replica (`offsets.topic.replication.factor=1` and the like), and
//! `group.initial.rebalance.delay.ms` is 0. A new line needs no answer before that.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use ottla_wire::protocol::ApiKey;

use crate::wire::Asking;
use common::Broker;

/// A table of requests with Kafka's answers, a table of where we answer otherwise, and the variable of the environment
/// that has the address of Kafka when the answers are to be written anew; `log.dirs` is in the one with `_DIR` behind.
pub struct Table {
    pub answers: &'static str,
    pub departures: &'static str,
    pub kafka: &'static str,
    /// What the broker is started with.
    pub settings: &'static [(&'static str, &'static str)],
}

const ADMIN: Table = Table {
    answers: concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/admin-answers.tsv"),
    departures: concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/admin-departures.tsv"),
    kafka: "ADMIN_ANSWERS_OF_4_3",
    settings: &[],
};

/// Settings that are given in a file, then changed while the broker runs: what is described, and where it is from.
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
/// How long Kafka's broker takes to hear of what its controller did.
const PROPAGATION: Duration = Duration::from_millis(60);
/// How often Kafka is asked again while it makes the topic that a coordinator needs.
const TRIES: usize = 100;
/// The cluster that Kafka's is told to be by the script that starts it.
pub const CLUSTER: &str = "5L6g3nShT-eMCtK--X86sw";

/// A line of a table: a request, in which versions it is asked, and the answer.
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
fn configured_settings_are_described_as_by_kafka() {
    GIVEN.compare();
}

impl Table {
    /// Asks a new broker, and panics if an answer is neither Kafka's nor a departure.
    pub fn compare(&self) {
        if let Some(mut asking) = self.kafka() {
            let recorded = record(&mut asking, &std::fs::read_to_string(self.answers).unwrap());
            std::fs::write(self.answers, recorded).unwrap();
        }
        let (table, departures) =
            (std::fs::read_to_string(self.answers).unwrap(), std::fs::read_to_string(self.departures).unwrap());
        compare(&table, &departures, self.settings);
    }

    /// The broker of Apache Kafka to ask, if there is one.
    pub fn kafka(&self) -> Option<Asking> {
        let address = std::env::var(self.kafka).ok()?;
        let dir = std::env::var(format!("{}_DIR", self.kafka)).expect("the broker's log.dirs");
        Some(Asking::new(&address, &[(&dir, "DIR")]))
    }
}

/// A new broker, and who asks it.
pub fn ours(settings: &[(&str, &str)]) -> (Broker, Asking) {
    let options = Broker::with().set("ottla.cluster.id", CLUSTER);
    let broker = settings.iter().fold(options, |options, (name, value)| options.set(name, value)).start();
    let data = broker.data_dir().display().to_string();
    let asking = Asking::new(broker.bootstrap_servers(), &[(&data, "DIR")]);
    (broker, asking)
}

fn compare(table: &str, departures: &str, settings: &[(&str, &str)]) {
    let mut departing = BTreeMap::new();
    for line in departures.lines().filter_map(Line::parse) {
        for version in line.versions {
            let before = departing.insert((line.api, version, line.request), line.answer);
            assert_eq!(before, None, "{} {version} {} departs twice", line.api, line.request);
        }
    }
    let (_broker, mut asking) = ours(settings);
    let mut differ = String::new();
    for line in table.lines().filter_map(Line::parse) {
        for version in line.versions {
            let ours = asking.ask(line.api, version, line.request);
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
                let _ = writeln!(differ, "{}\t{version}\t{}\n  is no departure", line.api, line.request);
            }
        }
    }
    for (api, version, request) in departing.keys() {
        let _ = writeln!(differ, "{api}\t{version}\t{request}\n  is not asked");
    }
    assert!(differ.is_empty(), "\n{differ}");
}

/// The table with the answers of a broker. Versions that are answered alike share a line.
fn record(asking: &mut Asking, table: &str) -> String {
    let mut recorded = String::new();
    for text in table.lines() {
        let Some(line) = Line::parse(text) else {
            let _ = writeln!(recorded, "{text}");
            continue;
        };
        let mut answers: Vec<(String, Vec<String>)> = Vec::new();
        for version in line.versions {
            let mut ask = || {
                std::thread::sleep(PROPAGATION);
                asking.ask(line.api, version, line.request)
            };
            let is_final = |answer: &String| !answer.contains("COORDINATOR_NOT_AVAILABLE");
            let mut answers_in_turn = std::iter::repeat_with(&mut ask).take(TRIES);
            let answer = answers_in_turn.find(is_final).unwrap_or_else(ask);
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
