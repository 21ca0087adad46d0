//! Answers to the requests of transactional clients, legal and not, compared with Apache Kafka's.
//!
//! Requests and Kafka's answers are in `tests/data/transaction-*-answers.tsv`, one table for each [`Table`], in the order
//! in which they are sent to a new broker; [`script`] describes the columns. Intended differences, with reasons, are in
//! `transaction-departures.tsv`.
//!
//! To record Kafka's answers again, set the table's environment variable to the address of a new broker of Apache Kafka
//! 4.3 with the settings of the table (and one replica for internal topics). A new line of a table needs no answer
//! before that.

mod offsets_log;
mod script;
mod transaction_log;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ottla_wire::protocol::ApiKey;

use crate::wire::WireClient;
use common::Broker;
use script::{Line, Runner};

const DEPARTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/transaction-departures.tsv");

/// A table of requests with Kafka's answers.
struct Table {
    /// Its name in the table of departures.
    name: &'static str,
    answers: &'static str,
    /// The environment variable with the address of the broker to record.
    kafka: &'static str,
    /// Settings of the broker, besides [`COMMON`].
    settings: &'static [(&'static str, &'static str)],
}

/// With one partition, the records of all ids are in one log.
const COMMON: [(&str, &str); 4] = [
    ("transaction.state.log.num.partitions", "1"),
    ("offsets.topic.num.partitions", "1"),
    ("group.initial.rebalance.delay.ms", "0"),
    ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "100"),
];

macro_rules! tables {
    ($($test:ident: $name:literal, $kafka:literal, $settings:expr;)*) => {$(
        #[test]
        fn $test() {
            Table {
                name: $name,
                answers: concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/transaction-", $name, "-answers.tsv"),
                kafka: $kafka,
                settings: &$settings,
            }
            .compare();
        }
    )*};
}

tables! {
    answers_to_transactional_requests_match_kafka: "request", "TRANSACTION_REQUESTS_OF_4_3", [];
    answers_after_an_id_expired_match_kafka: "expiry", "TRANSACTION_EXPIRY_OF_4_3", [
        ("transactional.id.expiration.ms", "1500"),
        ("transaction.remove.expired.transaction.cleanup.interval.ms", "100"),
    ];
    offsets_of_transactions_are_written_as_by_kafka: "offsets", "TRANSACTION_OFFSETS_OF_4_3", [];
    answers_with_each_transaction_version_match_kafka: "feature", "TRANSACTION_FEATURE_OF_4_3", [];
    answers_to_transactional_batches_with_other_acks_match_kafka: "acks", "TRANSACTION_ACKS_OF_4_3", [];
    answers_when_the_epochs_of_a_producer_run_out_match_kafka: "last-epoch", "TRANSACTION_LAST_EPOCH_OF_4_3", [];
}

impl Table {
    /// Sends the requests to a new broker; panics if an answer is neither Kafka's nor an intended difference.
    fn compare(&self) {
        if let Ok(address) = std::env::var(self.kafka) {
            let recorded = record(&address, &std::fs::read_to_string(self.answers).unwrap());
            std::fs::write(self.answers, recorded).unwrap();
        }
        let settings = COMMON.iter().chain(self.settings);
        let broker = settings.fold(Broker::with(), |options, (name, value)| options.set(name, value)).start();
        let table = std::fs::read_to_string(self.answers).unwrap();
        let mut departures = self.departures();
        let mut runner = Runner::new(WireClient::new(broker.bootstrap_servers(), &[]));
        let mut differ = String::new();
        for line in table.lines().filter_map(Line::parse) {
            for tag in line.tags.clone() {
                let departure = departures.remove(&line.key(tag));
                let expected = departure.as_deref().unwrap_or(line.answer);
                let ours = runner.run(&line, tag, Some(expected));
                if ours != expected && without_message(&ours, line.api, expected) != expected {
                    let _ = writeln!(differ, "{}\n  expected {expected}\n  here     {ours}", line.key(tag));
                }
                if departure.as_deref() == Some(line.answer) {
                    let _ = writeln!(differ, "{}\n  is not a departure", line.key(tag));
                }
            }
        }
        for key in departures.keys() {
            let _ = writeln!(differ, "{key}\n  is not in the table");
        }
        assert!(differ.is_empty(), "\n{differ}");
    }

    /// The departures of this table, by line and tag. Each line begins with the name of the table.
    fn departures(&self) -> BTreeMap<String, String> {
        let text = std::fs::read_to_string(DEPARTURES).unwrap();
        let mut departures = BTreeMap::new();
        let of_table = text.lines().filter_map(|line| line.split_once('\t')).filter(|(name, _)| *name == self.name);
        for line in of_table.filter_map(|(_, line)| Line::parse(line)) {
            for tag in &line.tags {
                let before = departures.insert(line.key(*tag), line.answer.to_owned());
                assert_eq!(before, None, "{} departs twice", line.key(*tag));
            }
        }
        departures
    }
}

/// An answer to Produce without messages, where none is expected: Kafka sends few.
fn without_message(answer: &str, api: &str, expected: &str) -> String {
    const MESSAGE: &str = " error_message=\"";
    if api != ApiKey::Produce.name() || expected.contains(MESSAGE) {
        return answer.to_owned();
    }
    let mut parts = answer.split(MESSAGE);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('"').map_or("", |(_, rest)| rest))
}

/// Records the answers of a broker in a table. Tags with the same answer share a line.
fn record(address: &str, table: &str) -> String {
    let mut runner = Runner::new(WireClient::new(address, &[]));
    let mut recorded = String::new();
    for text in table.lines() {
        let Some(line) = Line::parse(text) else {
            let _ = writeln!(recorded, "{text}");
            continue;
        };
        let mut answers: Vec<(String, Vec<i16>)> = Vec::new();
        for tag in line.tags.clone() {
            let answer = runner.run(&line, tag, None);
            match answers.iter_mut().find(|(known, _)| *known == answer) {
                Some((_, tags)) => tags.push(tag),
                None => answers.push((answer, vec![tag])),
            }
        }
        for (answer, tags) in answers {
            let _ = writeln!(recorded, "{}\t{}\t{}\t{answer}", line.api, line.versions(&tags), line.request);
        }
    }
    recorded
}
