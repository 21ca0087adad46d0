//! kafka-reassign-partitions: moves partitions between brokers and between log directories.
//!
//! With one broker, a reassignment completes at once. --generate ignores racks: it assigns partitions to the brokers
//! round-robin.
//!
//! Source of behaviour: `org.apache.kafka.tools.reassign.ReassignPartitionsCommand`.

mod checks;
mod execute;
mod generate;
mod plan;
mod throttles;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use super::connect::{Properties, block_on, connect};
use super::exceptions::Exception;
use super::json_input::read_file;
use super::options::{ParserStyle, one_value};
use super::output::Output;
use super::{RunTool, Tool};
use crate::cli::admin::reassignments;
use ottla_client::Client;

pub const TOOL: Tool = Tool::new::<Options>("kafka-reassign-partitions", ParserStyle::JoptSimple);

#[derive(Debug, Parser)]
#[command(about = "This tool helps to move topic partitions between replicas.")]
pub struct Options {
    /// Check whether the reassignment in --reassignment-json-file is complete. If it is, remove throttles.
    #[arg(long)]
    verify: bool,
    /// Propose an assignment of partitions to brokers, without changing anything.
    #[arg(long)]
    generate: bool,
    /// Start the reassignment in --reassignment-json-file.
    #[arg(long)]
    execute: bool,
    /// Cancel the active reassignments in --reassignment-json-file.
    #[arg(long)]
    cancel: bool,
    /// List active reassignments.
    #[arg(long)]
    list: bool,
    /// The servers to connect to.
    #[arg(long, value_name = "String: Server(s) to use for bootstrapping")]
    bootstrap_server: Vec<String>,
    /// The controller to connect to, for --cancel and --list. (Ottla is both broker and controller.)
    #[arg(long, value_name = "String: bootstrap controller to connect to")]
    bootstrap_controller: Vec<String>,
    /// Properties for the client.
    #[arg(long, value_name = "String: Admin client property file")]
    command_config: Vec<String>,
    /// A JSON file with the assignment: {"partitions": [{"topic": "foo", "partition": 1,
    /// "replicas": [1,2,3], "log_dirs": ["dir1","dir2","dir3"]}], "version": 1}. "log_dirs" is optional; it has as many
    /// items as "replicas": absolute paths, or "any".
    #[arg(long, value_name = "String: manual assignment json file path")]
    reassignment_json_file: Vec<String>,
    /// For --generate, a JSON file with the topics: {"topics": [{"topic": "foo"}, {"topic": "foo1"}],
    /// "version": 1}
    #[arg(long, value_name = "String: topics to reassign json file path")]
    topics_to_move_json_file: Vec<String>,
    /// For --generate, the brokers to assign partitions to, as "0,1,2".
    #[arg(long, value_name = "String: brokerlist")]
    broker_list: Vec<String>,
    /// Ignore racks.
    #[arg(long)]
    disable_rack_aware: bool,
    /// For --execute, the limit on data moved between brokers, in bytes per second.
    #[arg(long, value_name = "Long: throttle")]
    throttle: Vec<String>,
    /// For --execute, the limit on data moved between log directories, in bytes per second.
    #[arg(long, value_name = "Long: replicaAlterLogDirsThrottle")]
    replica_alter_log_dirs_throttle: Vec<String>,
    /// For --execute, milliseconds to wait until moves between log directories have started; 10000 if not given.
    #[arg(long, value_name = "Long: timeout")]
    timeout: Vec<String>,
    /// For --execute: start it in addition to active reassignments.
    #[arg(long)]
    additional: bool,
    /// Don't remove throttles.
    #[arg(long)]
    preserve_throttles: bool,
    /// For --execute: refuse to change the number of replicas of a partition.
    #[arg(long)]
    disallow_replication_factor_change: bool,
}

/// Why the command fails.
enum Failure {
    /// Printed without a prefix.
    Terse(String),
    /// Printed with the prefix "Error: ".
    Error(String),
}

impl Failure {
    /// Converts an error that doesn't come from the broker; it is printed without its class.
    fn local(error: Exception) -> Failure {
        Failure::Error(error.message)
    }

    fn error<T>(message: impl Into<String>) -> Result<T, Failure> {
        Err(Failure::Error(message.into()))
    }
}

impl From<Exception> for Failure {
    /// Converts an error from the broker; it is printed with its class.
    fn from(error: Exception) -> Failure {
        Failure::Error(error.to_string())
    }
}

impl RunTool for Options {
    fn run(self, tool: &Tool) -> ExitCode {
        if let Some(message) = self.find_usage_error() {
            return tool.usage_error(&message);
        }
        block_on(async move {
            let message = match self.act().await {
                Ok(()) => return ExitCode::SUCCESS,
                Err(Failure::Terse(message)) => message,
                Err(Failure::Error(message)) => format!("Error: {message}"),
            };
            Output::stdout().line(message);
            ExitCode::FAILURE
        })
    }
}

impl Options {
    async fn act(&self) -> Result<(), Failure> {
        let client = self.connect().await?;
        if self.verify {
            self.verify(&client).await
        } else if self.generate {
            self.generate(&client).await
        } else if self.execute {
            self.execute(&client).await
        } else if self.cancel {
            self.cancel(&client).await
        } else {
            list(&client).await
        }
    }

    async fn connect(&self) -> Result<Client, Failure> {
        let one = |option, values| one_value(option, values).map_err(Failure::local);
        let servers = one("bootstrap-server", &self.bootstrap_server)?;
        let servers = servers.or(one("bootstrap-controller", &self.bootstrap_controller)?).unwrap_or_default();
        let file = one("command-config", &self.command_config)?.map(PathBuf::from);
        let properties = Properties::read_optional(file.as_deref()).map_err(Failure::Error)?;
        connect(servers, &properties).await.map_err(|error| Failure::Error(error.to_string()))
    }

    /// Reads the file that an option names.
    fn file(&self, option: &str, values: &[String]) -> Result<String, Failure> {
        let path = one_value(option, values).map_err(Failure::local)?.unwrap_or_default();
        read_file(path).map_err(Failure::local)
    }

    fn reassignment_file(&self) -> Result<String, Failure> {
        self.file("reassignment-json-file", &self.reassignment_json_file)
    }
}

/// Runs `--list`.
async fn list(client: &Client) -> Result<(), Failure> {
    let found = reassignments::list(client, None).await?;
    let mut output = Output::stdout();
    if found.is_empty() {
        output.line("No partition reassignments found.");
        return Ok(());
    }
    output.line("Current partition reassignments:");
    for (partition, reassignment) in found {
        let nodes = |what: &str, ids: &[i32]| match ids.is_empty() {
            true => String::new(),
            false => format!(" {what}: {}.", plan::commas(ids)),
        };
        output.line(format_args!(
            "{partition}: replicas: {}.{}{}",
            plan::commas(&reassignment.replicas),
            nodes("adding", &reassignment.adding),
            nodes("removing", &reassignment.removing)
        ));
    }
    Ok(())
}
