//! kafka-cluster: prints the cluster id, lists endpoints, and unregisters brokers.
//!
//! Source of behaviour: `org.apache.kafka.tools.ClusterTool`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use super::connect::run_to_exit;
use super::exceptions::Exception;
use super::options::ParserStyle;
use super::output::Output;
use super::servers::{BROKERS, CONTROLLERS, Servers, describe_cluster};
use super::{RunTool, Tool};
use ottla_client::{Client, ClientError};
use ottla_wire::protocol::messages::describe_cluster::DescribeClusterBroker;
use ottla_wire::protocol::messages::unregister_broker::UnregisterBrokerRequest;

pub const TOOL: Tool = Tool::new::<Options>("kafka-cluster", ParserStyle::Argparse);

/// The Kafka cluster tool.
#[derive(Debug, Parser)]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Get information about the ID of a cluster.
    ClusterId(Connection),
    /// Unregister a broker.
    Unregister {
        #[command(flatten)]
        connection: Connection,
        /// The ID of the broker to unregister.
        #[arg(long, short)]
        id: i32,
    },
    /// List endpoints
    ListEndpoints {
        #[command(flatten)]
        connection: Connection,
        /// Whether to include fenced brokers when listing broker endpoints
        #[arg(long)]
        include_fenced_brokers: bool,
    },
}

#[derive(Debug, Args)]
struct Connection {
    #[command(flatten)]
    servers: Addresses,
    /// (DEPRECATED) Use --command-config instead.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Config properties file for the Admin client.
    #[arg(long, short = 'c')]
    command_config: Option<PathBuf>,
}

/// Like [`Servers`], with short flags too.
#[derive(Debug, Args)]
#[group(id = "addresses", required = true, multiple = false)]
struct Addresses {
    /// A list of host/port pairs to use for establishing the connection to the Kafka cluster.
    #[arg(long, short = 'b')]
    bootstrap_server: Option<String>,
    /// A list of host/port pairs to use for establishing the connection to the KRaft controllers.
    #[arg(long, short = 'C')]
    bootstrap_controller: Option<String>,
}

impl RunTool for Options {
    fn run(self, tool: &Tool) -> ExitCode {
        let (Command::ClusterId(connection)
        | Command::Unregister { connection, .. }
        | Command::ListEndpoints { connection, .. }) = &self.command;
        if connection.config.is_some() {
            if connection.command_config.is_some() {
                return tool.usage_error("--config and --command-config cannot be specified together.");
            }
            Output::stdout().line(
                "Option --config has been deprecated and will be removed in a future version. Use --command-config \
                 instead.",
            );
        }
        run_to_exit(self.command.act())
    }
}

impl Command {
    async fn act(&self) -> Result<ExitCode, String> {
        let execution_exception = |error: Exception| format!("java.util.concurrent.ExecutionException: {error}");
        match self {
            Command::ClusterId(connection) => {
                let client = connection.connect().await?;
                let cluster = describe_cluster(&client, connection.endpoint_type(), false).await;
                let cluster = cluster.map_err(execution_exception)?;
                Output::stdout().line(format_args!("Cluster ID: {}", cluster.cluster_id));
                Ok(ExitCode::SUCCESS)
            }
            Command::Unregister { connection, id } => {
                unregister(&connection.connect().await?, *id).await.map_err(execution_exception)
            }
            Command::ListEndpoints { connection, include_fenced_brokers } => {
                if *include_fenced_brokers && connection.servers.bootstrap_controller.is_some() {
                    let why = "The option --include-fenced-brokers is only supported with --bootstrap-server option";
                    return Err(why.to_owned());
                }
                let client = connection.connect().await?;
                let endpoint_type = connection.endpoint_type();
                let cluster = describe_cluster(&client, endpoint_type, *include_fenced_brokers).await;
                let cluster = cluster.map_err(execution_exception)?;
                print_endpoints(&cluster.brokers, endpoint_type == CONTROLLERS);
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

impl Connection {
    async fn connect(&self) -> Result<Client, String> {
        let servers = Servers {
            bootstrap_server: self.servers.bootstrap_server.clone(),
            bootstrap_controller: self.servers.bootstrap_controller.clone(),
        };
        servers.connect(self.command_config.as_deref().or(self.config.as_deref())).await
    }

    fn endpoint_type(&self) -> i8 {
        if self.servers.bootstrap_controller.is_some() { CONTROLLERS } else { BROKERS }
    }
}

async fn unregister(client: &Client, broker_id: i32) -> Result<ExitCode, Exception> {
    let answer = match client.call(UnregisterBrokerRequest { broker_id }).await {
        Err(ClientError::Unsupported { .. }) => {
            Output::stdout().line("The target cluster does not support the broker unregistration API.");
            return Ok(ExitCode::SUCCESS);
        }
        answer => answer?,
    };
    match answer.error_code {
        0 => {
            Output::stdout().line(format_args!("Broker {broker_id} is no longer registered."));
            Ok(ExitCode::SUCCESS)
        }
        code => Err(Exception::refused(code, answer.error_message.as_deref())),
    }
}

fn print_endpoints(nodes: &[DescribeClusterBroker], controllers: bool) {
    let host_width = nodes.iter().map(|node| node.host.chars().count()).max().unwrap_or(100);
    let racks = nodes.iter().filter_map(|node| node.rack.as_ref());
    let rack_width = racks.map(|rack| rack.chars().count()).max().unwrap_or(10);
    let mut output = Output::stdout();
    let mut row = |[id, host, port, rack, state, kind]: [&str; 6]| {
        let row = format!("{id:<10} {host:<host_width$} {port:<10} {rack:<rack_width$}");
        match controllers {
            true => output.line(format_args!("{row} {kind:<15}")),
            false => output.line(format_args!("{row} {state:<10} {kind:<15}")),
        }
    };
    row(["ID", "HOST", "PORT", "RACK", "STATE", "ENDPOINT_TYPE"]);
    for node in nodes {
        let (id, port) = (node.broker_id.to_string(), node.port.to_string());
        let rack = node.rack.as_deref().unwrap_or("null");
        let state = if node.is_fenced { "fenced" } else { "unfenced" };
        row([&id, &node.host, &port, rack, state, if controllers { "controller" } else { "broker" }]);
    }
}
