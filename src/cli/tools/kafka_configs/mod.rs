//! kafka-configs: describes and alters settings of topics, brokers, groups and client metrics, quotas, and SCRAM
//! credentials.
//!
//! Differences from Kafka's tool: no message quotes a password.
//!
//! Source of behaviour: `kafka.admin.ConfigCommand`.

mod alter;
mod changes;
mod checks;
mod describe;
mod entities;
mod quotas;
mod scram;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use super::connect::{Properties, block_on, connect};
use super::exceptions::Exception;
use super::options::{ParserStyle, one_value};
use super::{RunTool, Tool};
use ottla_client::Client;

pub const TOOL: Tool = Tool::new::<Options>("kafka-configs", ParserStyle::JoptSimple);

#[derive(Debug, Parser)]
#[command(about = "This tool helps to manipulate and describe entity config for a topic, client, user, broker, ip, \
                   client-metrics or group")]
pub struct Options {
    /// The servers to connect to.
    #[arg(long, value_name = "String: server to connect to")]
    bootstrap_server: Vec<String>,
    /// The controllers to connect to. (Ottla is both broker and controller.)
    #[arg(long, value_name = "String: controller to connect to")]
    bootstrap_controller: Vec<String>,
    /// Properties for the client.
    #[arg(long, value_name = "String: command config property file")]
    command_config: Vec<String>,
    /// Change settings.
    #[arg(long)]
    alter: bool,
    /// Describe settings: without --all, only dynamic ones.
    #[arg(long)]
    describe: bool,
    /// With --describe: all settings, whatever the source of their values.
    #[arg(long)]
    all: bool,
    /// Type of entity: topics/clients/users/brokers/broker-loggers/ips/client-metrics/groups
    #[arg(long, value_name = "String")]
    entity_type: Vec<String>,
    /// Name of entity: topic name/client id/user principal name/broker id/ip/client metrics/group id
    #[arg(long, value_name = "String")]
    entity_name: Vec<String>,
    /// The default entity of clients/users/brokers/ips, for those without a setting of their own.
    #[arg(long)]
    entity_default: bool,
    /// Settings and their values, separated by commas. Put values with commas in square brackets:
    /// 'k1=v1,k2=[v1,v2,v2],k3=v3'.
    #[arg(long, value_name = "String")]
    add_config: Vec<String>,
    /// A properties file with settings and their values.
    #[arg(long, value_name = "String")]
    add_config_file: Vec<String>,
    /// Settings to delete: 'k1,k2'.
    #[arg(long, value_name = "String")]
    delete_config: Vec<String>,
    /// The topic's name.
    #[arg(long, value_name = "String")]
    topic: Vec<String>,
    /// The client's id.
    #[arg(long, value_name = "String")]
    client: Vec<String>,
    /// The default of all clients.
    #[arg(long)]
    client_defaults: bool,
    /// The user's principal name.
    #[arg(long, value_name = "String")]
    user: Vec<String>,
    /// The default of all users.
    #[arg(long)]
    user_defaults: bool,
    /// The broker's id.
    #[arg(long, value_name = "String")]
    broker: Vec<String>,
    /// The default of all brokers.
    #[arg(long)]
    broker_defaults: bool,
    /// The id of the broker whose loggers to describe or alter.
    #[arg(long, value_name = "String")]
    broker_logger: Vec<String>,
    /// The IP address.
    #[arg(long, value_name = "String")]
    ip: Vec<String>,
    /// The default of all IP addresses.
    #[arg(long)]
    ip_defaults: bool,
    /// The group's id.
    #[arg(long, value_name = "String")]
    group: Vec<String>,
    /// The name of the client metrics resource.
    #[arg(long, value_name = "String")]
    client_metrics: Vec<String>,
    /// The command line as it was given.
    #[arg(skip)]
    words: Vec<String>,
}

/// Why the command fails.
enum Failure {
    /// The request is invalid; the message is printed as it is.
    Usage(String),
    /// A request to the broker failed.
    Executing(Exception),
}

impl From<Exception> for Failure {
    fn from(error: Exception) -> Failure {
        Failure::Executing(error)
    }
}

impl Failure {
    fn usage<T>(message: impl Into<String>) -> Result<T, Failure> {
        Err(Failure::Usage(message.into()))
    }

    fn from_option(error: Exception) -> Failure {
        Failure::Usage(error.message)
    }
}

impl RunTool for Options {
    fn set_arguments(&mut self, words: &[OsString]) {
        self.words = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    }

    fn run(self, tool: &Tool) -> ExitCode {
        if let Some(message) = self.find_usage_error() {
            return tool.usage_error(&message);
        }
        block_on(async move {
            match self.act().await {
                Ok(()) => ExitCode::SUCCESS,
                Err(Failure::Usage(message)) => {
                    err_line!("{message}");
                    ExitCode::FAILURE
                }
                Err(Failure::Executing(error)) => {
                    err_line!("Error while executing config command with args '{}'", self.shown_words());
                    err_line!("java.util.concurrent.ExecutionException: {error}");
                    ExitCode::FAILURE
                }
            }
        })
    }
}

impl Options {
    async fn act(&self) -> Result<(), Failure> {
        let entities = self.entities()?;
        self.check(&entities)?;
        let client = self.connect().await?;
        if self.alter && entities.kinds.len() != entities.names.len() {
            return Failure::usage("An entity name must be specified for every entity type");
        }
        match self.alter {
            true => self.alter(&client, &entities).await,
            false => self.describe(&client, &entities).await,
        }
    }

    async fn connect(&self) -> Result<Client, Failure> {
        let one = |option, values| one_value(option, values).map_err(Failure::from_option);
        let servers = one("bootstrap-server", &self.bootstrap_server)?;
        let servers = servers.or(one("bootstrap-controller", &self.bootstrap_controller)?).unwrap_or_default();
        let file = one("command-config", &self.command_config)?.map(PathBuf::from);
        let properties = Properties::read_optional(file.as_deref()).map_err(Failure::Usage)?;
        Ok(connect(servers, &properties).await.map_err(Exception::from)?)
    }
}
