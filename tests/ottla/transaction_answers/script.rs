//! The lines of a table, and how they are run.
//!
//! The columns are the API, versions, the request and the answer, in the text form of [`crate::wire`]. Versions are
//! numbers and ranges with commas. `$v` in a request stands for `V` with the version, so that each version has ids and
//! topics of its own; `3*0-5` means version 3 with `$v` from `V0` to `V5`. A word may follow:
//!
//! - `once`: the first answer counts. Otherwise a request is sent again, as by a client, while the answer is
//!   CONCURRENT_TRANSACTIONS, a coordinator that is not available yet, or an unknown topic of a Produce request.
//! - `until TEXT`: the request is sent again until the answer contains the text, within [`ATTEMPTS`].
//! - `times N`: the request is sent N times, and the last answer counts.
//!
//! Three APIs are no requests: the answer to `TransactionLog` is the records of a transactional id in
//! `__transaction_state`, with `last N` only the last ones, that to `OffsetsLog` all batches of `__consumer_offsets`.
//! `ProduceWithoutAcks` is a Produce request with acks=0; its answer is `kept` or `closed`, as the connection is.

use std::time::Duration;

use ottla_wire::protocol::ApiKey;

use super::{offsets_log, transaction_log};
use crate::wire::WireClient;

/// Limit for repeating a request, and the delay between two.
const ATTEMPTS: usize = 500;
const DELAY: Duration = Duration::from_millis(20);
/// Kafka's brokers learn of the controller's changes a little later.
const PROPAGATION: Duration = Duration::from_millis(200);

const TRANSACTION_LOG: &str = "TransactionLog";
const OFFSETS_LOG: &str = "OffsetsLog";
const PRODUCE_WITHOUT_ACKS: &str = "ProduceWithoutAcks";

/// When a request is sent again.
#[derive(Clone, Copy, Debug)]
enum Repeat<'a> {
    AsClients,
    Never,
    Until(&'a str),
    Times(usize),
}

/// A line of a table.
#[derive(Clone, Debug)]
pub struct Line<'a> {
    pub api: &'a str,
    /// The version, if it is the same for all tags.
    version: Option<i16>,
    /// The numbers for `$v`.
    pub tags: Vec<i16>,
    repeat: Repeat<'a>,
    /// The words after the versions.
    flags: &'a str,
    pub request: &'a str,
    pub answer: &'a str,
}

impl<'a> Line<'a> {
    pub fn parse(line: &'a str) -> Option<Line<'a>> {
        if line.is_empty() || line.starts_with('#') || line.starts_with("api\t") {
            return None;
        }
        let mut columns = line.split('\t');
        let api = columns.next()?;
        let versions = columns.next()?;
        let (versions, flags) = versions.split_once(' ').unwrap_or((versions, ""));
        let (version, tags) = match versions.split_once('*') {
            Some((version, tags)) => (Some(version.parse().expect("a version")), numbers(tags)),
            None => (None, numbers(versions)),
        };
        let repeat = match flags.split_once(' ') {
            Some(("until", text)) => Repeat::Until(text),
            Some(("times", count)) => Repeat::Times(count.parse().expect("a number")),
            None if flags == "once" => Repeat::Never,
            None if flags.is_empty() => Repeat::AsClients,
            _ => panic!("unknown flags: {flags}"),
        };
        let request = columns.next()?;
        Some(Line { api, version, tags, repeat, flags, request, answer: columns.next().unwrap_or_default() })
    }

    /// What identifies a line with one of its tags.
    pub fn key(&self, tag: i16) -> String {
        format!("{}\t{}\t{}", self.api, self.versions(&[tag]), self.request)
    }

    /// The column of versions for some of the tags.
    pub fn versions(&self, tags: &[i16]) -> String {
        let tags: Vec<_> = tags.iter().map(i16::to_string).collect();
        let fixed = self.version.map_or(String::new(), |version| format!("{version}*"));
        let flags = if self.flags.is_empty() { String::new() } else { format!(" {}", self.flags) };
        format!("{fixed}{}{flags}", tags.join(","))
    }
}

fn numbers(text: &str) -> Vec<i16> {
    let number = |text: &str| text.parse::<i16>().expect("a number");
    let ranges = text.split(',').map(|range| match range.split_once('-') {
        Some((first, last)) => number(first)..=number(last),
        None => number(range)..=number(range),
    });
    ranges.flatten().collect()
}

/// Runs lines one after the other.
pub struct Runner {
    client: WireClient,
    /// Whether a client has looked for a coordinator, which creates `__transaction_state`.
    may_wait_for_coordinator: bool,
}

impl Runner {
    pub fn new(client: WireClient) -> Runner {
        Runner { client, may_wait_for_coordinator: false }
    }

    /// Runs a line with one of its tags. An expected answer ends the repetition.
    pub fn run(&mut self, line: &Line, tag: i16, expected: Option<&str>) -> String {
        let placed = format!("V{tag}");
        let request = line.request.replace("$v", &placed);
        self.may_wait_for_coordinator |= line.api == ApiKey::FindCoordinator.name();
        if let Repeat::Times(times) = line.repeat {
            (1..times).for_each(|_| drop(self.call(line, tag, &request)));
        }
        let mut attempts = 0;
        loop {
            let answer = without_tag(&self.call(line, tag, &request), line.request, &placed);
            attempts += 1;
            if attempts == ATTEMPTS || expected == Some(&*answer) || !self.repeats(line, &answer) {
                if matches!(line.api, "CreateTopics" | "UpdateFeatures" | "CreatePartitions" | "DeleteTopics")
                    && expected.is_none()
                {
                    std::thread::sleep(PROPAGATION);
                }
                return answer;
            }
            std::thread::sleep(DELAY);
        }
    }

    fn repeats(&self, line: &Line, answer: &str) -> bool {
        let is_unavailable = ["COORDINATOR_NOT_AVAILABLE", "COORDINATOR_LOAD_IN_PROGRESS", "NOT_COORDINATOR"];
        match line.repeat {
            Repeat::Never | Repeat::Times(_) => false,
            Repeat::Until(text) => !answer.contains(text),
            Repeat::AsClients => {
                answer.contains("CONCURRENT_TRANSACTIONS")
                    || self.may_wait_for_coordinator && is_unavailable.iter().any(|error| answer.contains(error))
            }
        }
    }

    fn call(&mut self, line: &Line, tag: i16, request: &str) -> String {
        if line.api == TRANSACTION_LOG {
            return transaction_log::show(&mut self.client, request);
        }
        if line.api == OFFSETS_LOG {
            return offsets_log::show(&mut self.client);
        }
        if line.api == PRODUCE_WITHOUT_ACKS {
            let version = line.version.unwrap_or(tag);
            let is_kept = self.client.call_without_answer(ApiKey::Produce, version, request);
            return if is_kept { "kept" } else { "closed" }.to_owned();
        }
        let api = ApiKey::ALL.iter().find(|known| known.name() == line.api);
        let api = *api.unwrap_or_else(|| panic!("no API is called {}", line.api));
        self.client.call(api, line.version.unwrap_or(tag), request)
    }
}

/// An answer with `$v` where the request has it.
fn without_tag(answer: &str, request: &str, tag: &str) -> String {
    if !request.contains("$v") {
        return answer.to_owned();
    }
    let mut pieces = answer.split(tag);
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let is_longer = piece.starts_with(|letter: char| letter.is_ascii_digit());
        text.push_str(if is_longer { tag } else { "$v" });
        text.push_str(piece);
    }
    text
}

#[test]
fn line_with_a_fixed_version_and_tags_is_parsed() {
    let line = Line::parse("EndTxn\t3*0-2,5 until NONE\ttransactional_id=a-$v\tthe answer").unwrap();
    assert_eq!((line.version, &line.tags[..], line.answer), (Some(3), &[0, 1, 2, 5][..], "the answer"));
    assert_eq!(line.versions(&[0, 5]), "3*0,5 until NONE");
    assert_eq!(without_tag("a-V1 b-V12", line.request, "V1"), "a-$v b-V12");
}
