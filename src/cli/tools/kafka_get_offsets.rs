//! kafka-get-offsets: prints the offsets of partitions as lines of `topic:partition:offset`.
//!
//! Source of behaviour: `org.apache.kafka.tools.GetOffsetShell`.

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use regex::Regex;

use super::connect::{Properties, block_on, connect};
use super::exceptions::java_error;
use super::options::ParserStyle;
use super::output::Output;
use super::topic_filter::{TopicFilter, is_internal};
use super::{RunTool, Tool};
use ottla_client::{Client, ClientError};
use ottla_wire::types::{PartitionIndex, TimestampMs, sort_by_key};

pub const TOOL: Tool = Tool::new::<Options>("kafka-get-offsets", ParserStyle::JoptSimple);

/// Prints the offsets of topic partitions.
#[derive(Debug, Parser)]
pub struct Options {
    /// REQUIRED. The servers to connect to.
    #[arg(long, required = true, value_name = "String: HOST1:PORT1,...,HOST3:PORT3")]
    bootstrap_server: String,
    /// Properties for the client.
    #[arg(long, value_name = "String: config file")]
    command_config: Option<PathBuf>,
    /// A regular expression for the topics; all topics, if not given. Can't be used with --topic-partitions.
    #[arg(long, value_name = "String: topic")]
    topic: Option<String>,
    /// Partitions, separated by commas; all partitions, if not given. Can't be used with --topic-partitions.
    #[arg(long, value_name = "String: partition ids")]
    partitions: Option<String>,
    /// Patterns of topics and partitions, separated by commas. Each has a regular expression for the topic (any topic,
    /// if empty) and optionally ':' and a partition or a range without its end: '0-3', '5-', '-3'.
    #[arg(long, value_name = "String: topic1:1,topic2:0-3,topic3,topic4:5-,topic5:-3")]
    topic_partitions: Option<String>,
    /// The offset to print: that of the first record at or after a timestamp, or a named one. Nothing is printed for a
    /// partition without such a record.
    #[arg(
        long,
        default_value = "latest",
        value_name = "String: <timestamp> / -1 or latest / -2 or earliest / -3 or max-timestamp / -4 or earliest-local \
                      / -5 or latest-tiered / -6 or earliest-pending-upload"
    )]
    time: String,
    /// Exclude internal topics.
    #[arg(long)]
    exclude_internal_topics: bool,
}

impl RunTool for Options {
    fn run(self, _tool: &Tool) -> ExitCode {
        block_on(async move {
            match self.print_offsets().await {
                Ok(()) => ExitCode::SUCCESS,
                Err(why) => {
                    err_line!("Error occurred: {why}");
                    ExitCode::FAILURE
                }
            }
        })
    }
}

impl Options {
    async fn print_offsets(&self) -> Result<(), String> {
        if self.topic_partitions.is_some() && (self.topic.is_some() || self.partitions.is_some()) {
            return Err("--topic-partitions cannot be used with --topic or --partitions".to_owned());
        }
        let timestamp = timestamp(&self.time)?;
        let filter = match &self.topic_partitions {
            Some(patterns) => Filter::patterns(patterns)?,
            None => Filter::topic_and_partitions(self.topic.as_deref(), self.partitions.as_deref())?,
        };
        let properties = Properties::read_optional(self.command_config.as_deref())?;
        let client = connect(&self.bootstrap_server, &properties).await?;
        let mut found = self.partitions(&client, &filter).await.map_err(|error| java_error(&error))?;
        if found.is_empty() {
            return Err("Could not match any topic-partitions with the specified filters".to_owned());
        }
        sort_by_key(&mut found, |(topic, partition)| format!("{topic}-{partition}"));
        let queries: Vec<_> = found.iter().map(|(topic, partition)| (topic.as_str(), *partition, timestamp)).collect();
        let offsets = client.list_offsets(&queries).await.map_err(|error| java_error(&error))?;
        let mut output = Output::stdout();
        for ((topic, partition), offset) in found.iter().zip(offsets) {
            match offset {
                Ok(listed) if listed.offset >= 0 => output.line(format_args!("{topic}:{partition}:{}", listed.offset)),
                Ok(_) => {}
                Err(error) => err_line!(
                    "Skip getting offsets for topic-partition {topic}-{partition} due to error: {}",
                    java_error(&error)
                ),
            }
        }
        Ok(())
    }

    async fn partitions(&self, client: &Client, filter: &Filter) -> Result<Vec<(String, PartitionIndex)>, ClientError> {
        let cluster = client.metadata(None).await?;
        let mut found = Vec::new();
        for topic in cluster.topics {
            let Some(name) = topic.name else { continue };
            if self.exclude_internal_topics && is_internal(&name) {
                continue;
            }
            let partitions = topic.partitions.into_iter().filter(|partition| filter.allows(&name, *partition));
            found.extend(partitions.map(|partition| (name.clone(), partition)));
        }
        Ok(found)
    }
}

/// Parses a timestamp; names become the special timestamps of ListOffsets.
fn timestamp(time: &str) -> Result<TimestampMs, String> {
    match time {
        "latest" => Ok(-1),
        "earliest" => Ok(-2),
        "max-timestamp" => Ok(-3),
        "earliest-local" => Ok(-4),
        "latest-tiered" => Ok(-5),
        "earliest-pending-upload" => Ok(-6),
        number => number.parse().map_err(|_| {
            format!(
                "Malformed time argument {number}. Please use -1 or latest / -2 or earliest / -3 or max-timestamp / -4 \
                 or earliest-local / -5 or latest-tiered / -6 or earliest-pending-upload, or a specified long format \
                 timestamp"
            )
        }),
    }
}

/// Selects the partitions that match any of its rules.
#[derive(Debug)]
struct Filter(Vec<(TopicFilter, Partitions)>);

#[derive(Debug)]
enum Partitions {
    /// These partitions; all, if empty.
    Listed(HashSet<PartitionIndex>),
    /// A range without its end.
    Range(PartitionIndex, PartitionIndex),
}

impl Filter {
    fn topic_and_partitions(topic: Option<&str>, partitions: Option<&str>) -> Result<Filter, String> {
        let listed = partitions.filter(|text| !text.is_empty()).map(|text| {
            text.split(',').map(str::parse).collect::<Result<_, _>>().map_err(|_| {
                format!("--partitions expects a comma separated list of numeric partition ids, but received: {text}")
            })
        });
        let listed = listed.transpose()?.unwrap_or_default();
        Ok(Filter(vec![(TopicFilter::new(topic.unwrap_or(".*"))?, Partitions::Listed(listed))]))
    }

    fn patterns(patterns: &str) -> Result<Filter, String> {
        let rule =
            Regex::new("^([^:,]*)(?::(?:([0-9]*)|(?:([0-9]*)-([0-9]*))))?$").map_err(|error| error.to_string())?;
        let rules = patterns.split(',').map(|text| {
            let invalid = || format!("Invalid rule specification: {text}");
            let parts = rule.captures(text).ok_or_else(invalid)?;
            let part = |index| parts.get(index).map(|part| part.as_str()).filter(|part| !part.is_empty());
            let number = |text: &str| text.parse::<PartitionIndex>().map_err(|_| invalid());
            let partitions = match part(2).map(number).transpose()? {
                Some(only) => Partitions::Listed(HashSet::from([only])),
                None => {
                    let from = part(3).map(number).transpose()?.unwrap_or(0);
                    let to = part(4).map(number).transpose()?.unwrap_or(PartitionIndex::MAX);
                    Partitions::Range(from, to)
                }
            };
            Ok((TopicFilter::new(part(1).unwrap_or(".*"))?, partitions))
        });
        rules.collect::<Result<_, String>>().map(Filter)
    }

    fn allows(&self, topic: &str, partition: PartitionIndex) -> bool {
        self.0.iter().any(|(topics, partitions)| {
            let is_selected = match partitions {
                Partitions::Listed(listed) => listed.is_empty() || listed.contains(&partition),
                Partitions::Range(from, to) => (*from..*to).contains(&partition),
            };
            is_selected && topics.allows(topic)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topic_partition_patterns_select_partitions() {
        let check = |patterns, expect: &[(&str, i32)]| {
            let filter = Filter::patterns(patterns).unwrap();
            let all = ["a", "b"].into_iter().flat_map(|topic| (0..4).map(move |partition| (topic, partition)));
            let allowed: Vec<_> = all.filter(|(topic, partition)| filter.allows(topic, *partition)).collect();
            assert_eq!(allowed, expect, "{patterns}");
        };
        check("a:1", &[("a", 1)]);
        check("a:1-3", &[("a", 1), ("a", 2)]);
        check("a:3-,b:-1", &[("a", 3), ("b", 0)]);
        check(":0", &[("a", 0), ("b", 0)]);
        check("a", &[("a", 0), ("a", 1), ("a", 2), ("a", 3)]);
        assert_eq!(Filter::patterns("a:x").unwrap_err(), "Invalid rule specification: a:x");
    }

    #[test]
    fn named_times_become_special_timestamps() {
        let check = |text, expect| assert_eq!(timestamp(text).ok(), expect, "{text}");
        check("latest", Some(-1));
        check("-2", Some(-2));
        check("1700000000000", Some(1_700_000_000_000));
        check("soon", None);
    }
}
