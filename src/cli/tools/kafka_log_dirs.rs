//! kafka-log-dirs: describes the brokers' log directories as JSON.
//!
//! Source of behaviour: `org.apache.kafka.tools.LogDirsCommand`.

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use serde::Serialize;

use super::connect::{Properties, connect, run_to_exit};
use super::exceptions::Exception;
use super::options::{ParserStyle, one_value, required};
use super::output::Output;
use super::{RunTool, Tool};
use crate::cli::admin::{
    self,
    log_dirs::{self, LogDir, LogDirReplica},
};
use ottla_wire::java::string_hash;
use ottla_wire::java::{sort_as_hash_map, topic_partition_hash};
use ottla_wire::types::InOrder as _;

pub const TOOL: Tool = Tool::new::<Options>("kafka-log-dirs", ParserStyle::JoptSimple);

#[derive(Debug, Parser)]
#[command(about = "This tool helps to query log directory usage on the specified brokers.")]
pub struct Options {
    /// REQUIRED: The servers to connect to.
    #[arg(long, value_name = "String: The server(s) to use for bootstrapping")]
    bootstrap_server: Vec<String>,
    /// Properties for the client.
    #[arg(long, value_name = "String: Admin client property file")]
    command_config: Vec<String>,
    /// REQUIRED: Describe the log directories.
    #[arg(long)]
    describe: bool,
    /// Topics, as "topic1,topic2,topic3"; all topics, if not given.
    #[arg(long, value_name = "String: Topic list")]
    topic_list: Vec<String>,
    /// Brokers, as "0,1,2"; all brokers, if not given.
    #[arg(long, value_name = "String: Broker list")]
    broker_list: Vec<String>,
}

impl RunTool for Options {
    fn run(self, tool: &Tool) -> ExitCode {
        let missing = required(&[("bootstrap-server", &self.bootstrap_server)]);
        let missing =
            missing.or_else(|| (!self.describe).then(|| "Missing required argument \"[describe]\"".to_owned()));
        if let Some(message) = missing {
            return tool.usage_error(&message);
        }
        run_to_exit(async move { self.describe().await.map_err(|error| error.message) })
    }
}

impl Options {
    async fn describe(&self) -> Result<(), Exception> {
        let file = one_value("command-config", &self.command_config)?.map(PathBuf::from);
        let properties = Properties::read_optional(file.as_deref()).map_err(Exception::illegal_argument)?;
        let servers = one_value("bootstrap-server", &self.bootstrap_server)?.unwrap_or_default();
        let client = connect(servers, &properties).await?;
        let topics: HashSet<&str> = split_list(one_value("topic-list", &self.topic_list)?).collect();
        let number = |text: &str| {
            let invalid = || Exception::new("java.lang.NumberFormatException", format!("For input string: \"{text}\""));
            text.parse::<i32>().map_err(|_| invalid())
        };
        let known: BTreeSet<i32> = admin::broker_ids(&client).await?.into_iter().in_order();
        let requested: BTreeSet<i32> =
            split_list(one_value("broker-list", &self.broker_list)?).map(number).collect::<Result<_, _>>()?;
        let unknown: BTreeSet<i32> = requested.difference(&known).copied().in_order();
        if !unknown.is_empty() {
            let message = format!(
                "ERROR: The given brokers do not exist from --broker-list: {}. Current existent brokers: {}",
                commas(&unknown),
                commas(&known)
            );
            return Err(Exception::new("org.apache.kafka.tools.TerseException", message));
        }
        let brokers = if requested.is_empty() { known } else { requested };
        let mut output = Output::stdout();
        output.line("Querying brokers for log directories information");
        output.flush();
        let dirs = log_dirs::describe(&client).await?;
        output.line(format_args!("Received log directory information from brokers {}", commas(&brokers)));
        output.line(json(&brokers, dirs, &topics)?);
        Ok(())
    }
}

fn split_list(text: Option<&str>) -> impl Iterator<Item = &str> {
    text.unwrap_or_default().split(',').filter(|item| !item.is_empty())
}

fn commas(ids: &BTreeSet<i32>) -> String {
    ids.iter().map(i32::to_string).collect::<Vec<_>>().join(",")
}

/// The JSON output, with fields in Kafka's order.
#[derive(Serialize)]
struct Report {
    brokers: Vec<BrokerReport>,
    version: i32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BrokerReport {
    broker: i32,
    log_dirs: Vec<DirReport>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DirReport {
    partitions: Vec<PartitionReport>,
    error: Option<String>,
    log_dir: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PartitionReport {
    partition: String,
    size: i64,
    offset_lag: i64,
    is_future: bool,
}

/// Formats the report. The directories are those of the one broker that was queried.
fn json(brokers: &BTreeSet<i32>, mut dirs: Vec<LogDir>, topics: &HashSet<&str>) -> Result<String, Exception> {
    sort_as_hash_map(&mut dirs, 16, |dir| string_hash(&dir.path));
    let hash = |replica: &LogDirReplica| topic_partition_hash(&replica.partition.topic, replica.partition.partition);
    let report = |dir: LogDir| {
        let mut replicas = dir.replicas;
        sort_as_hash_map(&mut replicas, 16, hash);
        replicas.retain(|replica| topics.is_empty() || topics.contains(&*replica.partition.topic));
        sort_as_hash_map(&mut replicas, 16, hash);
        let partition = |replica: LogDirReplica| PartitionReport {
            partition: replica.partition.to_string(),
            size: replica.size,
            offset_lag: replica.offset_lag,
            is_future: replica.is_future,
        };
        DirReport {
            partitions: replicas.into_iter().map(partition).collect(),
            error: dir.error.map(|error| error.class),
            log_dir: dir.path,
        }
    };
    let mut dirs = Some(dirs.into_iter().map(report).collect());
    let broker = |id: &i32| BrokerReport { broker: *id, log_dirs: dirs.take().unwrap_or_default() };
    let report = Report { brokers: brokers.iter().map(broker).collect(), version: 1 };
    serde_json::to_string(&report).map_err(|error| Exception::illegal_argument(error.to_string()))
}
