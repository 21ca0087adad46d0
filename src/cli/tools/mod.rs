//! Apache Kafka's command-line tools, under Kafka's names, on Ottla's own client.
//!
//! `ottla kafka-topics …`, or a link to the program called `kafka-topics` or `kafka-topics.sh`, behaves like that tool:
//! same flags, same output layout and output stream, same exit codes, same texts where scripts parse them.
//! Intended differences: no Java stack traces, and a start within milliseconds.
//!
//! Each tool is a module with a [`Tool`] in `TOOLS`: its options as a clap struct, and a function that does the work.
//! Shared modules: [`options`] parses a command line as Kafka's two parsers do; [`connect`] connects to the broker;
//! [`exceptions`] maps errors to the Java exception names that Kafka's tools print; [`output`] prints.
//!
//! A tool opens one connection, to a bootstrap server. It does not connect to the addresses that the broker advertises.

pub mod connect;
pub mod consuming;
pub mod coordinator_json;
mod date_format;
pub mod exceptions;
pub mod json_input;
mod kafka_acls;
mod kafka_broker_api_versions;
mod kafka_client_metrics;
mod kafka_cluster;
pub mod kafka_configs;
mod kafka_console_consumer;
pub mod kafka_console_producer;
pub mod kafka_consumer_groups;
mod kafka_consumer_perf_test;
mod kafka_delegation_tokens;
mod kafka_delete_records;
pub mod kafka_dump_log;
mod kafka_e2e_latency;
mod kafka_features;
mod kafka_get_offsets;
mod kafka_groups;
mod kafka_leader_election;
mod kafka_log_dirs;
mod kafka_metadata_quorum;
mod kafka_producer_perf_test;
mod kafka_reassign_partitions;
mod kafka_run_class;
mod kafka_storage;
pub mod kafka_topics;
mod kafka_transactions;
mod kafka_verifiable_consumer;
mod kafka_verifiable_producer;
pub mod log_line;
pub mod options;
pub mod output;
pub mod producing;
pub mod releases;
pub mod schema_json;
#[cfg(feature = "registry")]
mod schema_properties;
pub mod security;
pub mod servers;
mod throttle;
pub mod topic_filter;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use options::ParserStyle;

/// All tools, sorted by name.
const TOOLS: &[Tool] = &[
    kafka_acls::TOOL,
    kafka_broker_api_versions::TOOL,
    kafka_client_metrics::TOOL,
    kafka_cluster::TOOL,
    kafka_configs::TOOL,
    kafka_console_consumer::TOOL,
    kafka_console_producer::TOOL,
    kafka_consumer_groups::TOOL,
    kafka_consumer_perf_test::TOOL,
    kafka_delegation_tokens::TOOL,
    kafka_delete_records::TOOL,
    kafka_dump_log::TOOL,
    kafka_e2e_latency::TOOL,
    kafka_features::TOOL,
    kafka_get_offsets::TOOL,
    kafka_groups::TOOL,
    kafka_leader_election::TOOL,
    kafka_log_dirs::TOOL,
    kafka_metadata_quorum::TOOL,
    kafka_producer_perf_test::TOOL,
    kafka_reassign_partitions::TOOL,
    kafka_run_class::TOOL,
    kafka_storage::TOOL,
    kafka_topics::TOOL,
    kafka_transactions::TOOL,
    kafka_verifiable_consumer::TOOL,
    kafka_verifiable_producer::TOOL,
];

/// Confluent's console tools: those of Kafka with other defaults.
#[cfg(feature = "registry")]
const CONFLUENT_TOOLS: &[Tool] = &[
    kafka_console_consumer::tool("kafka-avro-console-consumer"),
    kafka_console_consumer::tool("kafka-json-schema-console-consumer"),
    kafka_console_consumer::tool("kafka-protobuf-console-consumer"),
    kafka_console_producer::tool("kafka-avro-console-producer"),
    kafka_console_producer::tool("kafka-json-schema-console-producer"),
    kafka_console_producer::tool("kafka-protobuf-console-producer"),
];
#[cfg(not(feature = "registry"))]
const CONFLUENT_TOOLS: &[Tool] = &[];

/// One of Kafka's tools.
pub struct Tool {
    /// Kafka's name for the tool, without `.sh`.
    pub name: &'static str,
    /// Builds its flags, for parsing, help and completions.
    command: fn() -> clap::Command,
    run: fn(&Tool, Vec<OsString>) -> ExitCode,
    style: ParserStyle,
}

impl Tool {
    /// Creates a tool with the options `O`, parsed like the parser that Kafka's tool uses.
    const fn new<O: clap::Parser + RunTool>(name: &'static str, style: ParserStyle) -> Tool {
        Tool { name, style, command: O::command, run: run_with::<O> }
    }

    /// Finds the tool for a program or command name: `kafka-topics` or `kafka-topics.sh`, with or without a directory.
    pub fn find(name: &OsStr) -> Option<&'static Tool> {
        let name = Path::new(name).file_name()?.to_str()?;
        let name = name.strip_suffix(".sh").unwrap_or(name);
        TOOLS.iter().chain(CONFLUENT_TOOLS).find(|tool| tool.name == name)
    }

    /// Runs the tool with these arguments, without the tool's name.
    pub fn run(&self, arguments: Vec<OsString>) -> ExitCode {
        (self.run)(self, arguments)
    }

    /// Reports a usage error found after parsing: prints the message and the help, as Kafka's tools do.
    pub fn usage_error(&self, message: &str) -> ExitCode {
        options::usage_error(&self.command(), self.style, message).show()
    }

    /// Returns its flags as a clap command.
    pub fn command(&self) -> clap::Command {
        (self.command)().name(self.name)
    }
}

/// The work of a tool, after its options are parsed.
trait RunTool {
    /// Receives the arguments before [`RunTool::run`], for tools that print them in error messages.
    fn set_arguments(&mut self, _words: &[OsString]) {}

    /// Runs the tool; `tool` is for [`Tool::usage_error`].
    fn run(self, tool: &Tool) -> ExitCode;
}

/// Returns the flags of all tools, for completions.
pub fn commands() -> impl Iterator<Item = clap::Command> {
    TOOLS.iter().chain(CONFLUENT_TOOLS).map(Tool::command)
}

/// Returns what a script for bash needs to complete the tools under their own names, after the function `_ottla` for
/// `ottla TOOL`.
pub fn bash_completions() -> String {
    const FUNCTION: &str = r#"
_ottla_tool() {
    local name=${1##*/}
    COMP_WORDS=(ottla "${name%.sh}" "${COMP_WORDS[@]:1}")
    COMP_CWORD=$((COMP_CWORD + 1))
    _ottla ottla "$2" "${COMP_WORDS[COMP_CWORD - 1]}"
}
"#;
    let names: Vec<String> = TOOLS.iter().chain(CONFLUENT_TOOLS).map(|tool| format!("{0} {0}.sh", tool.name)).collect();
    format!("{FUNCTION}complete -F _ottla_tool -o bashdefault -o default {}\n", names.join(" "))
}

fn run_with<O: clap::Parser + RunTool>(tool: &Tool, arguments: Vec<OsString>) -> ExitCode {
    match options::parse::<O>(tool.command(), tool.style, arguments.clone()) {
        Ok(mut options) => {
            options.set_arguments(&arguments);
            options.run(tool)
        }
        Err(usage) => usage.show(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_are_sorted_and_unique_and_their_flags_are_consistent() {
        assert!(TOOLS.is_sorted_by(|a, b| a.name < b.name));
        commands().for_each(clap::Command::debug_assert);
    }

    #[test]
    fn list_of_tools_for_images_and_packages_is_complete() {
        let list = include_str!("../../../docker/rootfs/usr/share/ottla/tools");
        let listed = list.lines().filter(|line| !line.starts_with('#'));
        assert!(listed.eq(TOOLS.iter().map(|tool| tool.name)));
    }
}
