//! Apache Kafka's command-line tools, under their names, over our own client.
//!
//! `ottla kafka-topics …`, or a link to the program called `kafka-topics` or `kafka-topics.sh`, is that tool: same
//! flags, same layout of what is printed and to which stream, same exit codes, same texts where scripts look for
//! them. What differs on purpose: no Java stack traces, and a start in milliseconds.
//!
//! Each tool is a module of its own with a [`Tool`] in `TOOLS`: options as a clap struct, and a function that does
//! the work. What they share: [`options`] parses a command line as Kafka's two parsers do; [`connect`] finds the
//! broker; [`exceptions`] calls errors by the names that Kafka's tools print; [`output`] prints.
//!
//! Tools talk to the broker they are pointed at, and to no other: one connection, whatever address it advertises.

pub mod connect;
pub mod consuming;
pub mod coordinator_json;
mod date_format;
pub mod exceptions;
pub mod java_order;
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
pub mod servers;
mod throttle;
pub mod topic_filter;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use options::Manner;

/// Every tool, in the order of its name.
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

/// One of Kafka's tools.
pub struct Tool {
    /// Kafka's name for it, without `.sh`.
    pub name: &'static str,
    /// Its flags, for parsing, help and completions.
    command: fn() -> clap::Command,
    run: fn(&Tool, Vec<OsString>) -> ExitCode,
    manner: Manner,
}

impl Tool {
    /// A tool with these options, in the manner of the parser that Kafka's own uses.
    const fn new<O: clap::Parser + RunTool>(name: &'static str, manner: Manner) -> Tool {
        Tool { name, manner, command: O::command, run: run_with::<O> }
    }

    /// The tool that a program or command of this name is: `kafka-topics` and `kafka-topics.sh`, with any folder before.
    pub fn find(name: &OsStr) -> Option<&'static Tool> {
        let name = Path::new(name).file_name()?.to_str()?;
        let name = name.strip_suffix(".sh").unwrap_or(name);
        TOOLS.iter().find(|tool| tool.name == name)
    }

    /// Does what this command line (the name left out) asks for.
    pub fn run(&self, arguments: Vec<OsString>) -> ExitCode {
        (self.run)(self, arguments)
    }

    /// A mistake in what was asked for, found after the options were read: said before the help, as Kafka's tools do.
    pub fn wrong(&self, message: &str) -> ExitCode {
        options::wrong(&self.command(), self.manner, message).show()
    }

    /// Its flags as clap knows them.
    pub fn command(&self) -> clap::Command {
        (self.command)().name(self.name)
    }
}

/// What a tool does once its options are read.
trait RunTool {
    /// Is told the words of the command line first, for tools that say them again.
    fn told(&mut self, _words: &[OsString]) {}

    /// Does it; `tool` is for [`Tool::wrong`].
    fn run(self, tool: &Tool) -> ExitCode;
}

/// Every tool's flags, for completions.
pub fn commands() -> impl Iterator<Item = clap::Command> {
    TOOLS.iter().map(Tool::command)
}

fn run_with<O: clap::Parser + RunTool>(tool: &Tool, arguments: Vec<OsString>) -> ExitCode {
    match options::parse::<O>(tool.command(), tool.manner, arguments.clone()) {
        Ok(mut options) => {
            options.told(&arguments);
            options.run(tool)
        }
        Err(usage) => usage.show(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_stands_once_and_its_flags_are_consistent() {
        assert!(TOOLS.is_sorted_by(|a, b| a.name < b.name));
        commands().for_each(clap::Command::debug_assert);
    }
}
