//! kafka-delete-records: deletes the records of partitions before the offsets in a JSON file.
//!
//! Differences from Kafka's tool: results are sorted by topic and partition, while Kafka's order varies; an unknown
//! partition is reported at once, while Kafka's tool retries for a minute.
//!
//! Source of behaviour: `org.apache.kafka.tools.DeleteRecordsCommand`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use serde_json::Value;

use super::connect::{Properties, connect, run_to_exit};
use super::exceptions::Exception;
use super::json_input::{array, field, integer, long, object, operation, read_file, string, version_1};
use super::options::{ParserStyle, one_value, required};
use super::output::Output;
use super::{RunTool, Tool};
use crate::cli::admin::records;
use ottla_wire::types::{Offset, TopicPartition};

pub const TOOL: Tool = Tool::new::<Options>("kafka-delete-records", ParserStyle::JoptSimple);

#[derive(Debug, Parser)]
#[command(about = "This tool helps to delete records of the given partitions down to the specified offset.")]
pub struct Options {
    /// REQUIRED: The servers to connect to.
    #[arg(long, value_name = "String: server(s) to use for bootstrapping")]
    bootstrap_server: Vec<String>,
    /// REQUIRED: A JSON file with an offset for each partition:
    /// {"partitions": [{"topic": "foo", "partition": 1, "offset": 1}], "version": 1}
    #[arg(long, value_name = "String: Offset json file path")]
    offset_json_file: Vec<String>,
    /// Properties for the client.
    #[arg(long, value_name = "String: command config property file path")]
    command_config: Vec<String>,
}

impl RunTool for Options {
    fn run(self, tool: &Tool) -> ExitCode {
        let options = [("bootstrap-server", &self.bootstrap_server), ("offset-json-file", &self.offset_json_file)];
        if let Some(message) = required(&options) {
            return tool.usage_error(&message);
        }
        run_to_exit(async move { self.delete().await.map_err(|error| error.message) })
    }
}

impl Options {
    async fn delete(&self) -> Result<(), Exception> {
        let file = one_value("command-config", &self.command_config)?.map(PathBuf::from);
        let properties = Properties::read_optional(file.as_deref()).map_err(Exception::illegal_argument)?;
        let servers = one_value("bootstrap-server", &self.bootstrap_server)?.unwrap_or_default();
        let file = one_value("offset-json-file", &self.offset_json_file)?.unwrap_or_default();
        let offsets = offsets(&read_file(file)?)?;
        let client = connect(servers, &properties).await?;
        let mut output = Output::stdout();
        output.line("Executing records delete operation");
        let results = records::delete(&client, &offsets).await?;
        output.line("Records delete operation completed:");
        for (partition, result) in results {
            match result {
                Ok(offset) => output.line(format_args!("partition: {partition}\tlow_watermark: {offset}")),
                Err(error) => output.line(format_args!("partition: {partition}\terror: {error}")),
            }
        }
        Ok(())
    }
}

/// Parses the offsets of partitions in a JSON text.
pub fn offsets(text: &str) -> Result<BTreeMap<TopicPartition, Offset>, Exception> {
    let json: Value = serde_json::from_str(text).map_err(|_| operation("The input string is not a valid JSON"))?;
    let fields = version_1(&json)?;
    let partitions = fields.get("partitions").ok_or_else(|| operation("Missing partitions field"))?;
    let mut offsets = BTreeMap::new();
    let mut duplicates = BTreeSet::new();
    for partition in array(partitions)? {
        let fields = object(partition)?;
        let topic = string(field(fields, "topic")?)?;
        let index = integer(field(fields, "partition")?)?;
        let offset = long(field(fields, "offset")?)?;
        let partition = TopicPartition::new(topic, index);
        if offsets.insert(partition.clone(), offset).is_some() {
            duplicates.insert(partition.to_string());
        }
    }
    if duplicates.is_empty() {
        return Ok(offsets);
    }
    let listed = duplicates.into_iter().collect::<Vec<_>>().join(",");
    let message = format!("Offset json file contains duplicate topic partitions: {listed}");
    Err(Exception::new("org.apache.kafka.tools.AdminCommandFailedException", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_parsed_and_invalid_files_refused() {
        let check = |text, expect: Result<&[(&str, Offset)], &str>| {
            let found = offsets(text).map(|offsets| {
                offsets.into_iter().map(|(partition, offset)| (partition.to_string(), offset)).collect::<Vec<_>>()
            });
            let expect = expect.map(|all| {
                all.iter().map(|(partition, offset)| ((*partition).to_owned(), *offset)).collect::<Vec<_>>()
            });
            assert_eq!(found.map_err(|error| error.message), expect.map_err(str::to_owned), "{text}");
        };
        check(r#"{"partitions":[{"topic":"a","partition":1,"offset":-1}]}"#, Ok(&[("a-1", -1)]));
        check(r#"{"partitions":[],"version":1}"#, Ok(&[]));
        check(r#"{"partitions":[],"version":2}"#, Err("Not supported version field value 2"));
        check(r#"{"version":1}"#, Err("Missing partitions field"));
        check("{", Err("The input string is not a valid JSON"));
        check("[]", Err("Expected JSON object, received []"));
        check(r#"{"partitions":[{"topic":"a","partition":1}]}"#, Err("No such field exists: `offset`"));
        check(
            r#"{"partitions":[{"topic":"a","partition":"1","offset":1}]}"#,
            Err("Expected `Integer` value, received \"1\""),
        );
        check(
            r#"{"partitions":[{"topic":"a","partition":1,"offset":1},{"topic":"a","partition":1,"offset":2}]}"#,
            Err("Offset json file contains duplicate topic partitions: a-1"),
        );
    }
}
