//! kafka-client-metrics: manages the subscriptions to client metrics.
//!
//! Source of behaviour: `org.apache.kafka.tools.ClientMetricsCommand`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use super::connect::{Properties, block_on, connect};
use super::exceptions::Exception;
use super::options::ParserStyle;
use super::output::Output;
use super::{RunTool, Tool};
use crate::cli::admin::configs::{self, Change, ConfigEntry, ResourceType};
use ottla_broker::state::random::Random;
use ottla_client::Client;
use ottla_wire::java::sort_by_name;

pub const TOOL: Tool = Tool::new::<Options>("kafka-client-metrics", ParserStyle::JoptSimple);

/// This tool helps to manipulate and describe client metrics configurations.
#[derive(Debug, Parser)]
pub struct Options {
    /// REQUIRED: The servers to connect to.
    #[arg(long, value_name = "String: server to connect to")]
    bootstrap_server: Option<String>,
    /// Properties for the client.
    #[arg(long, value_name = "String: command config property file")]
    command_config: Option<PathBuf>,
    /// Change the settings of a client metrics resource.
    #[arg(long)]
    alter: bool,
    /// Delete the settings of a client metrics resource.
    #[arg(long)]
    delete: bool,
    /// Print the settings of a client metrics resource, or of all.
    #[arg(long)]
    describe: bool,
    /// List the client metrics resources.
    #[arg(long)]
    list: bool,
    /// The name of a client metrics resource.
    #[arg(long, value_name = "String: name")]
    name: Option<String>,
    /// Generate a name.
    #[arg(long)]
    generate_name: bool,
    /// The interval in milliseconds at which clients push metrics. An empty value resets it to the default.
    #[arg(long, value_name = "String: push interval")]
    interval: Option<String>,
    /// The clients to match: 'k1=v1,k2=v2', with the keys client_id, client_instance_id, client_software_name,
    /// client_software_version, client_source_address, client_source_port. An empty value resets it to the default.
    #[arg(long = "match", value_name = "String: k1=v1,k2=v2")]
    selectors: Option<String>,
    /// Prefixes of the names of metrics: 'm1,m2'. An empty value resets it to the default.
    #[arg(long, value_name = "String: m1,m2")]
    metrics: Option<String>,
}

/// An error in the combination of flags.
#[derive(Debug, PartialEq, Eq)]
enum UsageError {
    /// Printed before the help.
    WithHelp(String),
    /// Printed alone.
    WithoutHelp(&'static str),
}

impl RunTool for Options {
    fn run(self, tool: &Tool) -> ExitCode {
        let server = match self.check() {
            Ok(server) => server.to_owned(),
            Err(UsageError::WithHelp(message)) => return tool.usage_error(&message),
            Err(UsageError::WithoutHelp(message)) => {
                err_line!("{message}");
                return ExitCode::FAILURE;
            }
        };
        block_on(async move {
            match self.act(&server).await {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    out_line!("Error while executing client metrics command : {}", error.message);
                    ExitCode::FAILURE
                }
            }
        })
    }
}

impl Options {
    /// Checks the flags, and returns the servers to connect to.
    fn check(&self) -> Result<&str, UsageError> {
        if [self.alter, self.delete, self.describe, self.list].iter().filter(|chosen| **chosen).count() != 1 {
            let message = "Command must include exactly one action: --alter, --delete, --describe or --list.";
            return Err(UsageError::WithHelp(message.to_owned()));
        }
        let server = self.bootstrap_server.as_deref();
        let server = server.ok_or(UsageError::WithoutHelp("--bootstrap-server must be specified."))?;
        let action = if self.delete {
            "delete"
        } else if self.describe {
            "describe"
        } else {
            "list"
        };
        let excluded = [
            ("name", self.name.is_some() && self.list),
            ("generate-name", self.generate_name),
            ("interval", self.interval.is_some()),
            ("match", self.selectors.is_some()),
            ("metrics", self.metrics.is_some()),
        ];
        if let Some((name, _)) = excluded.iter().find(|(_, is_used)| *is_used && !self.alter) {
            return Err(UsageError::WithHelp(format!("Option \"[{action}]\" can't be used with option \"[{name}]\"")));
        }
        if self.alter && self.name.is_some() == self.generate_name {
            return Err(UsageError::WithoutHelp("One of --name or --generate-name must be specified with --alter."));
        }
        if self.interval.as_ref().is_some_and(|text| !text.is_empty() && text.parse::<i32>().is_err()) {
            return Err(UsageError::WithoutHelp("Invalid interval value. Enter an integer, or leave empty to reset."));
        }
        if self.delete && self.name.is_none() {
            return Err(UsageError::WithoutHelp("A client metrics resource name must be specified with --delete."));
        }
        Ok(server)
    }

    async fn act(&self, server: &str) -> Result<(), Exception> {
        let properties = Properties::read_optional(self.command_config.as_deref());
        let properties = properties.map_err(Exception::illegal_argument)?;
        let client = connect(server, &properties).await?;
        let mut output = Output::stdout();
        match &self.name {
            _ if self.alter => self.alter(&client, &mut output).await,
            Some(name) if self.delete => delete(&client, name, &mut output).await,
            name if self.describe => describe(&client, name.as_deref(), &mut output).await,
            _ => {
                output.line(resources(&client).await?.join("\n"));
                Ok(())
            }
        }
    }

    async fn alter(&self, client: &Client, output: &mut Output) -> Result<(), Exception> {
        let name = self.name.clone().unwrap_or_else(|| Random::system().uuid().to_string());
        let settings = [("interval.ms", &self.interval), ("metrics", &self.metrics), ("match", &self.selectors)];
        let change = |(setting, value): (&str, &Option<String>)| match value.as_deref()? {
            "" => Some(Change::Delete(setting.to_owned())),
            value => Some(Change::Set(setting.to_owned(), value.to_owned())),
        };
        let changes: Vec<_> = settings.into_iter().filter_map(change).collect();
        configs::alter(client, (ResourceType::ClientMetrics, &name), &changes).await?;
        output.line(format_args!("Altered client metrics config for {name}."));
        Ok(())
    }
}

async fn delete(client: &Client, name: &str, output: &mut Output) -> Result<(), Exception> {
    let settings = settings(client, name).await?;
    let changes: Vec<_> = settings.into_iter().map(|setting| Change::Delete(setting.name)).collect();
    configs::alter(client, (ResourceType::ClientMetrics, name), &changes).await?;
    output.line(format_args!("Deleted client metrics config for {name}."));
    Ok(())
}

async fn describe(client: &Client, name: Option<&str>, output: &mut Output) -> Result<(), Exception> {
    let mut names = resources(client).await?;
    if let Some(name) = name {
        names.retain(|known| known == name);
        if names.is_empty() {
            let text = format!("The client metric resource {name} doesn't exist and doesn't have dynamic config.");
            output.line(text);
        }
    }
    for name in names {
        output.line(format_args!("Client metrics configs for {name} are:"));
        for setting in settings(client, &name).await? {
            output.line(format_args!("  {}={}", setting.name, setting.value.as_deref().unwrap_or("null")));
        }
    }
    Ok(())
}

/// Lists the names of all client metrics resources, sorted.
async fn resources(client: &Client) -> Result<Vec<String>, Exception> {
    let mut names = configs::list(client, ResourceType::ClientMetrics).await?;
    names.sort();
    Ok(names)
}

/// Returns the settings of a client metrics resource, in the order of Kafka's tool.
async fn settings(client: &Client, name: &str) -> Result<Vec<ConfigEntry>, Exception> {
    let described = configs::describe(client, &[(ResourceType::ClientMetrics, name)], false).await?;
    let mut settings: Vec<_> = described.into_iter().flatten().collect();
    sort_by_name(&mut settings, |setting| &setting.name);
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conflicting_or_missing_flags_are_refused() {
        let check = |line: &str, expect: Result<(), &str>| {
            let options = Options::try_parse_from(["tool"].into_iter().chain(line.split(' '))).unwrap();
            let found = options.check().map(|_| ()).map_err(|error| match error {
                UsageError::WithHelp(message) => message,
                UsageError::WithoutHelp(message) => message.to_owned(),
            });
            assert_eq!(found, expect.map_err(str::to_owned), "{line}");
        };
        check("--bootstrap-server a:1 --list", Ok(()));
        check("--bootstrap-server a:1 --alter --name n --interval 5", Ok(()));
        check("--bootstrap-server a:1 --alter --name n --interval=", Ok(()));
        check("--list", Err("--bootstrap-server must be specified."));
        check(
            "--bootstrap-server a:1",
            Err("Command must include exactly one action: --alter, --delete, --describe or --list."),
        );
        check("--bootstrap-server a:1 --list --name n", Err("Option \"[list]\" can't be used with option \"[name]\""));
        check(
            "--bootstrap-server a:1 --alter --name n --generate-name",
            Err("One of --name or --generate-name must be specified with --alter."),
        );
        check(
            "--bootstrap-server a:1 --alter --name n --interval x",
            Err("Invalid interval value. Enter an integer, or leave empty to reset."),
        );
        check(
            "--bootstrap-server a:1 --delete",
            Err("A client metrics resource name must be specified with --delete."),
        );
    }
}
