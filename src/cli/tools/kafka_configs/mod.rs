//! kafka-configs: settings of topics, brokers, groups and client metrics, and quotas.
//!
//! SCRAM credentials are told, and not set: there is nothing here yet that derives a salted password.
//!
//! Source of behaviour: `kafka.admin.ConfigCommand`.

mod alter;
mod changes;
mod checks;
mod describe;
mod entities;
mod quotas;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use super::connect::{Properties, block_on, connect};
use super::exceptions::Exception;
use super::options::{Manner, one_value};
use super::{RunTool, Tool};
use ottla_client::Client;

pub const TOOL: Tool = Tool::new::<Options>("kafka-configs", Manner::JoptSimple);

#[derive(Debug, Parser)]
#[command(about = "This tool helps to manipulate and describe entity config for a topic, client, user, broker, ip, \
                   client-metrics or group")]
pub struct Options {
    /// The servers to connect to.
    #[arg(long, value_name = "String: server to connect to")]
    bootstrap_server: Vec<String>,
    /// The controllers to connect to. One broker is both.
    #[arg(long, value_name = "String: controller to connect to")]
    bootstrap_controller: Vec<String>,
    /// Properties for the client.
    #[arg(long, value_name = "String: command config property file")]
    command_config: Vec<String>,
    /// Change settings.
    #[arg(long)]
    alter: bool,
    /// Tell settings: those that were set while the broker ran.
    #[arg(long)]
    describe: bool,
    /// With --describe: all settings, whatever their values come from.
    #[arg(long)]
    all: bool,
    /// What has settings: topics/clients/users/brokers/broker-loggers/ips/client-metrics/groups
    #[arg(long, value_name = "String")]
    entity_type: Vec<String>,
    /// Its name: topic name/client id/user principal name/broker id/ip/client metrics/group id
    #[arg(long, value_name = "String")]
    entity_name: Vec<String>,
    /// What holds for all clients/users/brokers/ips that have no setting of their own.
    #[arg(long)]
    entity_default: bool,
    /// Settings and their values, separated by commas. Values with commas stand in square brackets:
    /// 'k1=v1,k2=[v1,v2,v2],k3=v3'.
    #[arg(long, value_name = "String")]
    add_config: Vec<String>,
    /// A properties file with settings and their values.
    #[arg(long, value_name = "String")]
    add_config_file: Vec<String>,
    /// Settings to take away: 'k1,k2'.
    #[arg(long, value_name = "String")]
    delete_config: Vec<String>,
    /// The topic's name.
    #[arg(long, value_name = "String")]
    topic: Vec<String>,
    /// The client's id.
    #[arg(long, value_name = "String")]
    client: Vec<String>,
    /// What holds for all clients.
    #[arg(long)]
    client_defaults: bool,
    /// The user's principal name.
    #[arg(long, value_name = "String")]
    user: Vec<String>,
    /// What holds for all users.
    #[arg(long)]
    user_defaults: bool,
    /// The broker's id.
    #[arg(long, value_name = "String")]
    broker: Vec<String>,
    /// What holds for all brokers.
    #[arg(long)]
    broker_defaults: bool,
    /// The id of the broker whose loggers are meant.
    #[arg(long, value_name = "String")]
    broker_logger: Vec<String>,
    /// The address.
    #[arg(long, value_name = "String")]
    ip: Vec<String>,
    /// What holds for all addresses.
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
    /// What was asked for can't be: said as it is.
    Mistaken(String),
    /// What the broker said.
    Executing(Exception),
}

impl From<Exception> for Failure {
    fn from(error: Exception) -> Failure {
        Failure::Executing(error)
    }
}

impl Failure {
    fn mistaken<T>(message: impl Into<String>) -> Result<T, Failure> {
        Err(Failure::Mistaken(message.into()))
    }

    fn of_option(error: Exception) -> Failure {
        Failure::Mistaken(error.message)
    }
}

impl RunTool for Options {
    fn told(&mut self, words: &[OsString]) {
        self.words = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    }

    fn run(self, tool: &Tool) -> ExitCode {
        if let Some(message) = self.usage_mistake() {
            return tool.wrong(&message);
        }
        block_on(async move {
            match self.act().await {
                Ok(()) => ExitCode::SUCCESS,
                Err(Failure::Mistaken(message)) => {
                    err_line!("{message}");
                    ExitCode::FAILURE
                }
                Err(Failure::Executing(error)) => {
                    err_line!("Error while executing config command with args '{}'", self.words.join(" "));
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
            return Failure::mistaken("An entity name must be specified for every entity type");
        }
        match self.alter {
            true => self.alter(&client, &entities).await,
            false => self.describe(&client, &entities).await,
        }
    }

    async fn connect(&self) -> Result<Client, Failure> {
        let one = |option, values| one_value(option, values).map_err(Failure::of_option);
        let servers = one("bootstrap-server", &self.bootstrap_server)?;
        let servers = servers.or(one("bootstrap-controller", &self.bootstrap_controller)?).unwrap_or_default();
        let file = one("command-config", &self.command_config)?.map(PathBuf::from);
        let properties = Properties::read_optional(file.as_deref()).map_err(Failure::Mistaken)?;
        Ok(connect(servers, &properties).await.map_err(Exception::from)?)
    }
}
