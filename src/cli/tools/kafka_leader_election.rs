//! kafka-leader-election: elects leaders of partitions.
//!
//! Source of behaviour: `org.apache.kafka.tools.LeaderElectionCommand`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use serde::Deserialize;

use super::connect::{Properties, connect, run_to_exit};
use super::exceptions::Exception;
use super::options::ParserStyle;
use super::output::Output;
use super::{RunTool, Tool};
use ottla_client::Client;
use ottla_wire::java::{sort_as_hash_map, topic_partition_hash};
use ottla_wire::protocol::messages::elect_leaders::{ElectLeadersRequest, TopicPartitions};
use ottla_wire::types::{ErrorCode, InOrder as _, sort_by};

pub const TOOL: Tool = Tool::new::<Options>("kafka-leader-election", ParserStyle::JoptSimple);

#[derive(Debug, Parser)]
#[command(
    about = "This tool attempts to elect a new leader for a set of topic partitions. The type of elections supported \
             are preferred replicas and unclean replicas."
)]
pub struct Options {
    /// REQUIRED. The brokers to connect to, as host:port, separated by commas.
    #[arg(long, value_name = "String: host:port")]
    bootstrap_server: Option<String>,
    /// Properties for the client.
    #[arg(long, value_name = "String: Config file")]
    command_config: Option<PathBuf>,
    /// (DEPRECATED) Use --command-config instead.
    #[arg(long = "admin.config", value_name = "String: config file")]
    admin_config: Option<PathBuf>,
    /// REQUIRED. "preferred": elect the preferred replica if it is not the leader. "unclean": elect any replica if the
    /// partition has no leader.
    #[arg(long, ignore_case = true, value_name = "[PREFERRED,UNCLEAN]: election type")]
    election_type: Option<ElectionType>,
    /// The topic of the partition. Can't be used with --all-topic-partitions or --path-to-json-file.
    #[arg(long, value_name = "String: topic name")]
    topic: Option<String>,
    /// The partition. Required with --topic.
    #[arg(long, value_name = "Integer: partition id")]
    partition: Option<i32>,
    /// A JSON file with the partitions: {"partitions": [{"topic": "foo", "partition": 1}]}. Can't be used with
    /// --all-topic-partitions or --topic.
    #[arg(long, value_name = "String: Path to JSON file")]
    path_to_json_file: Option<PathBuf>,
    /// All eligible partitions. Can't be used with --topic or --path-to-json-file.
    #[arg(long)]
    all_topic_partitions: bool,
}

/// The election type, with the code of ElectLeaders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ElectionType {
    Preferred = 0,
    Unclean = 1,
}

impl std::fmt::Display for ElectionType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            ElectionType::Preferred => "PREFERRED",
            ElectionType::Unclean => "UNCLEAN",
        })
    }
}

type Partition = (String, i32);

impl RunTool for Options {
    fn run(self, _tool: &Tool) -> ExitCode {
        run_to_exit(self.elect())
    }
}

impl Options {
    async fn elect(&self) -> Result<(), String> {
        let missing = |option: &str| format!("Missing required option(s): {option}");
        let bootstrap_server = self.bootstrap_server.as_deref().ok_or_else(|| missing("bootstrap-server"))?;
        let election = self.election_type.ok_or_else(|| missing("election-type"))?;
        let chosen = [self.topic.is_some(), self.all_topic_partitions, self.path_to_json_file.is_some()];
        if chosen.into_iter().filter(|chosen| *chosen).count() != 1 {
            let all = "topic, all-topic-partitions, path-to-json-file";
            return Err(format!("One and only one of the following options is required: {all}"));
        }
        let partitions = match (&self.topic, self.partition, &self.path_to_json_file) {
            (Some(_), None, _) => return Err(missing("partition")),
            (Some(topic), Some(partition), _) => Some(vec![(topic.clone(), partition)]),
            (None, _, Some(path)) => Some(read_partitions(path)?),
            (None, _, None) => None,
        };
        if self.admin_config.is_some() {
            if self.command_config.is_some() {
                return Err("Options \"admin.config\" and \"command-config\" can't be used together".to_owned());
            }
            Output::stdout().line(
                "Option --admin.config has been deprecated and will be removed in a future version. Use \
                 --command-config instead.",
            );
        }
        let config = self.command_config.as_deref().or(self.admin_config.as_deref());
        let client = connect(bootstrap_server, &Properties::read_optional(config)?).await?;
        let results = elect_leaders(&client, election, partitions).await.map_err(|error| error.to_string())?;
        print_results(election, results)
    }
}

/// A partition, and its error code and message if the election failed.
type ElectionResult = (Partition, Option<(i16, Option<String>)>);

async fn elect_leaders(
    client: &Client,
    election: ElectionType,
    partitions: Option<Vec<Partition>>,
) -> Result<Vec<ElectionResult>, Exception> {
    let topic_partitions = partitions.map(|partitions| {
        let topics: BTreeSet<&str> = partitions.iter().map(|(topic, _)| topic.as_str()).in_order();
        let of = |topic: &str| partitions.iter().filter(|(name, _)| name == topic).map(|(_, index)| *index).collect();
        topics.iter().map(|topic| TopicPartitions { topic: (*topic).into(), partitions: of(topic) }).collect()
    });
    let request = ElectLeadersRequest { election_type: election as i8, topic_partitions, ..Default::default() };
    let answer = client.call(request).await?;
    if answer.error_code != 0 {
        return Err(Exception::refused(answer.error_code, None));
    }
    let results = answer.replica_election_results.into_iter().flat_map(|topic| {
        let name = topic.topic.to_string();
        topic.partition_result.into_iter().map(move |it| {
            let error = (it.error_code != 0).then(|| (it.error_code, it.error_message.map(|text| text.to_string())));
            ((name.clone(), it.partition_id), error)
        })
    });
    Ok(results.collect())
}

fn print_results(election: ElectionType, mut results: Vec<ElectionResult>) -> Result<(), String> {
    sort_as_hash_map(&mut results, 16, |((topic, partition), _)| topic_partition_hash(topic, *partition));
    let (mut elected, mut not_needed, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    for ((topic, partition), error) in results {
        let name = format!("{topic}-{partition}");
        match error {
            None => elected.push(name),
            Some((code, _)) if code == ErrorCode::ElectionNotNeeded.code() => not_needed.push(name),
            Some((code, message)) => failed.push((name, Exception::refused(code, message.as_deref()))),
        }
    }
    let mut output = Output::stdout();
    if !elected.is_empty() {
        let elected = elected.join(", ");
        output.line(format_args!("Successfully completed leader election ({election}) for partitions {elected}"));
    }
    if !not_needed.is_empty() {
        output.line(format_args!("Valid replica already elected for partitions {}", not_needed.join(", ")));
    }
    for (partition, error) in &failed {
        output.line(format_args!("Error completing leader election ({election}) for partition: {partition}: {error}"));
    }
    match failed.len() {
        0 => Ok(()),
        count => Err(format!("{count} replica(s) could not be elected")),
    }
}

#[derive(Deserialize)]
struct Listed {
    topic: String,
    partition: i32,
}

fn read_partitions(path: &Path) -> Result<Vec<Partition>, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|_| format!("java.io.IOException: Unable to read file {}", path.display()))?;
    parse_partitions(&text)
}

fn parse_partitions(json: &str) -> Result<Vec<Partition>, String> {
    let read: serde_json::Value =
        serde_json::from_str(json).map_err(|_| "Replica election data is empty".to_owned())?;
    let missing = "Replica election data is missing \"partitions\" field";
    let listed = read.get("partitions").ok_or_else(|| missing.to_owned())?;
    let listed: Vec<Listed> = serde_json::from_value(listed.clone()).map_err(|error| error.to_string())?;
    let mut partitions: Vec<Partition> = listed.into_iter().map(|it| (it.topic, it.partition)).collect();
    sort_by(&mut partitions, Ord::cmp);
    let duplicates: BTreeSet<_> = partitions.windows(2).filter(|pair| pair.first() == pair.last()).flatten().in_order();
    match duplicates.is_empty() {
        true => Ok(partitions),
        false => {
            let names: Vec<_> = duplicates.iter().map(|(topic, partition)| format!("{topic}-{partition}")).collect();
            Err(format!("Replica election data contains duplicate partitions: [{}]", names.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_file_is_parsed_and_duplicates_refused() {
        let check = |json, expect: Result<&[(&str, i32)], &str>| {
            let read = parse_partitions(json);
            let read = read.as_ref().map(|list| list.iter().map(|(topic, index)| (topic.as_str(), *index)).collect());
            assert_eq!(read.map_err(String::as_str), expect.map(<[_]>::to_vec), "{json}");
        };
        check(
            r#"{"partitions": [{"topic": "b", "partition": 1}, {"topic": "a", "partition": 0}]}"#,
            Ok(&[("a", 0), ("b", 1)]),
        );
        check(r#"{"partitions": []}"#, Ok(&[]));
        check(r#"{"x": []}"#, Err("Replica election data is missing \"partitions\" field"));
        check("{bad", Err("Replica election data is empty"));
        let duplicate = r#"{"partitions": [{"topic": "a", "partition": 0}, {"topic": "a", "partition": 0}]}"#;
        check(duplicate, Err("Replica election data contains duplicate partitions: [a-0]"));
    }
}
