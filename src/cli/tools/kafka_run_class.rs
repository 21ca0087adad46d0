//! kafka-run-class: runs a tool by the name of its Java class.
//!
//! Scripts run classes such as `kafka.tools.GetOffsetShell`, by their names in any release, although most tools have
//! a script of their own today. Source: `bin/kafka-run-class.sh` and Kafka's other scripts, from 0.8 to 4.3.
//!
//! Difference from Kafka's script: other classes can't be run, because there is no Java. The error begins like Java's.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Arg, Command};

use super::Tool;
use super::options::ParserStyle;

/// The tool has no options to parse: all arguments after the class are those of the other tool.
pub const TOOL: Tool = Tool { name: "kafka-run-class", style: ParserStyle::JoptSimple, command, run };

/// The class names of each tool in any release, except those in [`PACKAGE`].
const CLASSES: &[(&str, &[&str])] = &[
    ("kafka-acls", &["kafka.admin.AclCommand"]),
    ("kafka-broker-api-versions", &["kafka.admin.BrokerApiVersionsCommand"]),
    ("kafka-client-metrics", &["kafka.tools.ClientMetricsCommand"]),
    ("kafka-cluster", &["kafka.tools.ClusterTool"]),
    ("kafka-configs", &["kafka.admin.ConfigCommand"]),
    ("kafka-console-consumer", &["kafka.tools.ConsoleConsumer", "org.apache.kafka.tools.consumer.ConsoleConsumer"]),
    ("kafka-console-producer", &["kafka.tools.ConsoleProducer"]),
    (
        "kafka-consumer-groups",
        &["kafka.admin.ConsumerGroupCommand", "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"],
    ),
    ("kafka-consumer-perf-test", &["kafka.tools.ConsumerPerformance"]),
    ("kafka-delegation-tokens", &["kafka.admin.DelegationTokenCommand"]),
    ("kafka-delete-records", &["kafka.admin.DeleteRecordsCommand"]),
    ("kafka-dump-log", &["kafka.tools.DumpLogSegments"]),
    ("kafka-e2e-latency", &["kafka.tools.EndToEndLatency"]),
    ("kafka-features", &["kafka.admin.FeatureCommand"]),
    ("kafka-get-offsets", &["kafka.tools.GetOffsetShell"]),
    ("kafka-groups", &["kafka.tools.GroupsCommand"]),
    ("kafka-leader-election", &["kafka.admin.LeaderElectionCommand"]),
    ("kafka-log-dirs", &["kafka.admin.LogDirsCommand"]),
    ("kafka-metadata-quorum", &["kafka.admin.MetadataQuorumCommand"]),
    (
        "kafka-producer-perf-test",
        &["kafka.tools.ProducerPerformance", "org.apache.kafka.clients.tools.ProducerPerformance"],
    ),
    (
        "kafka-reassign-partitions",
        &["kafka.admin.ReassignPartitionsCommand", "org.apache.kafka.tools.reassign.ReassignPartitionsCommand"],
    ),
    ("kafka-storage", &["kafka.tools.StorageTool"]),
    ("kafka-topics", &["kafka.admin.TopicCommand"]),
    ("kafka-transactions", &["kafka.tools.TransactionsCommand"]),
    ("kafka-verifiable-consumer", &["kafka.tools.VerifiableConsumer"]),
    ("kafka-verifiable-producer", &["kafka.tools.VerifiableProducer"]),
];

/// The package of most tools in current releases.
const PACKAGE: &str = "org.apache.kafka.tools.";

/// Options of the script, which come before the class, and whether they have a value.
const SCRIPT_OPTIONS: [(&str, bool); 3] = [("-daemon", false), ("-name", true), ("-loggc", false)];

/// The usage, of which the error shows all and the help what is after `USAGE: `.
const USAGE: &str = "USAGE: kafka-run-class [-daemon] [-name servicename] [-loggc] classname [opts]";

const CLASS_NAMES: &str = "\
The classes are those of Kafka's tools in all releases, such as kafka.tools.GetOffsetShell and \
org.apache.kafka.tools.TopicCommand. The options -daemon, -name and -loggc of Kafka's script have no effect.";

fn command() -> Command {
    Command::new(TOOL.name)
        .about("Run one of Kafka's tools by the name of its Java class.")
        .override_usage(USAGE.trim_start_matches("USAGE: "))
        .after_help(CLASS_NAMES)
        .arg(Arg::new("class").value_name("classname").required(true).help("The Java class of a tool"))
        .arg(
            Arg::new("opts")
                .num_args(0..)
                .allow_hyphen_values(true)
                .trailing_var_arg(true)
                .help("The options of this tool"),
        )
}

fn run(_tool: &Tool, arguments: Vec<OsString>) -> ExitCode {
    let mut words = arguments.into_iter().peekable();
    while let Some((_, has_value)) = words.peek().and_then(|word| SCRIPT_OPTIONS.iter().find(|(name, _)| word == *name))
    {
        words.next();
        if *has_value {
            words.next();
        }
    }
    let Some(class) = words.next() else {
        err_line!("{USAGE}");
        return ExitCode::FAILURE;
    };
    let class = class.to_string_lossy().into_owned();
    let Some(tool) = tool_of(&class) else {
        err_line!(
            "Error: Could not find or load main class {}: only the classes of Kafka's command-line tools are \
             supported, without Java; see ottla --help",
            class.escape_debug()
        );
        return ExitCode::FAILURE;
    };
    let rest: Vec<OsString> = words.collect();
    let rest = if class.starts_with("kafka.") { update_options(tool.name, rest) } else { rest };
    tool.run(rest)
}

/// Finds the tool with this class name.
fn tool_of(class: &str) -> Option<&'static Tool> {
    let matches = |names: &[&str]| {
        names.contains(&class)
            || class
                .strip_prefix(PACKAGE)
                .is_some_and(|simple| names.iter().any(|name| name.rsplit('.').next() == Some(simple)))
    };
    let (name, _) = CLASSES.iter().find(|(_, names)| matches(names))?;
    Tool::find(name.as_ref())
}

/// Converts options of old releases, which are used with old class names, to current ones.
fn update_options(tool: &str, words: Vec<OsString>) -> Vec<OsString> {
    // Options of GetOffsetShell that had no effect before they were removed.
    const REMOVED: [&str; 2] = ["--max-wait-ms", "--offsets"];
    let mut updated = Vec::with_capacity(words.len());
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        let (name, value) = text.split_once('=').map_or((&*text, None), |(name, value)| (name, Some(value)));
        match (tool, name, value) {
            ("kafka-get-offsets", name, value) if REMOVED.contains(&name) => {
                if value.is_none() {
                    words.next();
                }
            }
            ("kafka-get-offsets" | "kafka-console-producer", "--broker-list", None) => {
                updated.push("--bootstrap-server".into());
            }
            ("kafka-get-offsets" | "kafka-console-producer", "--broker-list", Some(value)) => {
                updated.push(format!("--bootstrap-server={value}").into());
            }
            _ => updated.push(word),
        }
    }
    updated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_names_of_every_release_are_resolved_to_tools() {
        for (class, tool) in [
            ("kafka.tools.GetOffsetShell", Some("kafka-get-offsets")),
            ("org.apache.kafka.tools.GetOffsetShell", Some("kafka-get-offsets")),
            ("kafka.admin.TopicCommand", Some("kafka-topics")),
            ("org.apache.kafka.tools.TopicCommand", Some("kafka-topics")),
            ("kafka.admin.ConsumerGroupCommand", Some("kafka-consumer-groups")),
            ("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand", Some("kafka-consumer-groups")),
            ("kafka.tools.ConsoleConsumer", Some("kafka-console-consumer")),
            ("kafka.tools.DumpLogSegments", Some("kafka-dump-log")),
            ("org.apache.kafka.tools.reassign.ReassignPartitionsCommand", Some("kafka-reassign-partitions")),
            ("org.apache.kafka.tools.VerifiableProducer", Some("kafka-verifiable-producer")),
            ("GetOffsetShell", None),
            ("kafka.Kafka", None),
            ("org.apache.kafka.tools.", None),
        ] {
            assert_eq!(tool_of(class).map(|tool| tool.name), tool, "{class}");
        }
    }

    #[test]
    fn every_tool_has_a_class() {
        let with_class: Vec<&str> = CLASSES.iter().map(|(tool, _)| *tool).chain([TOOL.name]).collect();
        let mut with_class = with_class;
        with_class.sort_unstable();
        assert_eq!(with_class, super::super::TOOLS.iter().map(|tool| tool.name).collect::<Vec<_>>());
    }

    #[test]
    fn old_options_become_current_ones() {
        let check = |tool: &str, words: &str, expect: &str| {
            let updated = update_options(tool, words.split(' ').map(OsString::from).collect());
            assert_eq!(updated, expect.split(' ').map(OsString::from).collect::<Vec<_>>());
        };
        let old = "--broker-list a:1 --topic t --time -1 --offsets 1 --max-wait-ms=1000";
        check("kafka-get-offsets", old, "--bootstrap-server a:1 --topic t --time -1");
        check("kafka-console-producer", "--broker-list=a:1 --topic t", "--bootstrap-server=a:1 --topic t");
        check("kafka-topics", "--broker-list a:1", "--broker-list a:1");
    }
}
