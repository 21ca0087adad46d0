//! `ottla configs`: shows and changes settings of topics, brokers, groups and client metrics.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use super::admin::configs::{self, Change, ConfigEntry, ConfigSource, ResourceType};
use super::admin::topics;
use super::names::{check_setting, has_effect, no_topic};
use super::outcome::{Outcome, exit_code, print_json};
use super::table::table;
use super::tools::connect::{Bootstrap, block_on};
use super::tools::output::Output;
use ottla_client::Client;
use ottla_config::Scope;
use ottla_wire::types::sort_by;

const EXAMPLES: &str = "\
Examples:
  ottla configs show topic orders --all
  ottla configs set topic orders retention.ms=60000 cleanup.policy=compact,delete
  ottla configs unset topic orders retention.ms
  ottla configs set broker log.retention.ms=3600000
  ottla configs show broker --json

A broker needs no name: settings are set as defaults for all brokers, and there is only one.
Apache Kafka's own tool is included: ottla kafka-configs --help";

/// The arguments of `ottla configs`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ConfigsArgs {
    #[command(flatten)]
    bootstrap: Bootstrap,

    /// Print JSON
    #[arg(long, global = true)]
    json: bool,

    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show the settings that were changed, or all settings
    #[command(aliases = ["get", "describe", "list"])]
    Show {
        /// The kind of resource
        kind: Kind,

        /// The name of the topic, group or client metrics
        #[arg(required_if_eq_any([("kind", "topic"), ("kind", "group"), ("kind", "client-metrics")]))]
        name: Option<String>,

        /// Include settings with their default values
        #[arg(long)]
        all: bool,
    },
    /// Change settings
    Set {
        /// The kind of resource
        kind: Kind,

        /// The resource's name (not for a broker), then settings
        #[arg(required = true, value_name = "NAME | SETTING=VALUE")]
        words: Vec<String>,
    },
    /// Reset settings to their defaults
    #[command(alias = "delete")]
    Unset {
        /// The kind of resource
        kind: Kind,

        /// The resource's name (not for a broker), then settings
        #[arg(required = true, value_name = "NAME | SETTING")]
        words: Vec<String>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Topic,
    Broker,
    Group,
    ClientMetrics,
}

impl Kind {
    fn resource(self) -> ResourceType {
        match self {
            Kind::Topic => ResourceType::Topic,
            Kind::Broker => ResourceType::Broker,
            Kind::Group => ResourceType::Group,
            Kind::ClientMetrics => ResourceType::ClientMetrics,
        }
    }

    fn scope(self) -> Scope {
        match self {
            Kind::Topic => Scope::Topic,
            Kind::Broker => Scope::Broker,
            Kind::Group => Scope::Group,
            Kind::ClientMetrics => Scope::ClientMetrics,
        }
    }
}

/// Runs the command.
pub fn run(args: ConfigsArgs) -> ExitCode {
    block_on(async move { exit_code(act(args).await) })
}

async fn act(args: ConfigsArgs) -> Outcome {
    let client = args.bootstrap.connect().await?;
    match args.action {
        Action::Show { kind, name, all } => show(&client, kind, name, all, args.json).await,
        Action::Set { kind, words } => {
            let (name, settings) = target(kind, &words)?;
            let change = |word: &String| match word.split_once('=') {
                Some((name, value)) => Ok(Change::Set(name.trim().to_owned(), value.trim().to_owned())),
                None => Err(format!("{word} has no value: give it as SETTING=VALUE")),
            };
            let changes = settings.iter().map(change).collect::<Result<Vec<_>, _>>()?;
            change_settings(&client, kind, name, &changes, args.json).await
        }
        Action::Unset { kind, words } => {
            let (name, settings) = target(kind, &words)?;
            let changes: Vec<_> = settings.iter().map(|name| Change::Delete(name.clone())).collect();
            change_settings(&client, kind, name, &changes, args.json).await
        }
    }
}

/// Splits the arguments into the resource's name and the settings. A broker has no name.
fn target(kind: Kind, words: &[String]) -> Result<(&str, &[String]), String> {
    match words {
        settings if kind == Kind::Broker => Ok(("", settings)),
        [name, settings @ ..] if !settings.is_empty() => Ok((name, settings)),
        _ => Err("no settings are given: name the resource, then its settings".to_owned()),
    }
}

async fn change_settings(client: &Client, kind: Kind, name: &str, changes: &[Change], json: bool) -> Outcome {
    for change in changes {
        check_setting(kind.scope(), change.name())?;
    }
    if kind == Kind::Topic {
        check_topic(client, name).await?;
    }
    configs::alter(client, (kind.resource(), name), changes).await?;
    if json {
        return show(client, kind, Some(name.to_owned()), false, json).await;
    }
    show_changed(client, kind, name, changes).await
}

/// Prints the changed settings with their current values. For a removed Kafka setting, which isn't described, it prints the
/// given value.
async fn show_changed(client: &Client, kind: Kind, name: &str, changes: &[Change]) -> Outcome {
    let entries = entries(client, kind, name).await?;
    let row = |change: &Change| {
        let name = change.name();
        let entry = entries.iter().find(|entry| entry.name == name);
        let [value, from] = match (entry, change) {
            (Some(entry), _) => [shown_value(entry), origin(entry.source).to_owned()],
            (None, Change::Set(_, value)) => [value.clone(), String::new()],
            (None, Change::Delete(_)) => Default::default(),
        };
        let effect = if has_effect(kind.scope(), name) { "yes" } else { "none" };
        vec![name.to_owned(), value, from, effect.to_owned()]
    };
    let rows: Vec<_> = changes.iter().map(row).collect();
    let mut output = Output::stdout();
    table(&["SETTING", "VALUE", "FROM", "EFFECT"], &rows).iter().for_each(|line| output.line(line));
    Ok(())
}

async fn check_topic(client: &Client, name: &str) -> Outcome {
    let known = topics::list(client).await?;
    match known.iter().any(|topic| topic.name == name) {
        true => Ok(()),
        false => Err(no_topic(name, known.iter().map(|topic| topic.name.as_str()))),
    }
}

/// All settings of a resource, from DescribeConfigs. A broker needs no name.
async fn entries(client: &Client, kind: Kind, name: &str) -> Result<Vec<ConfigEntry>, String> {
    let name = match kind {
        // With its id, the broker describes all its settings with their current values.
        Kind::Broker => client.metadata(Some(&[])).await.map_err(|error| error.to_string())?.controller_id.to_string(),
        _ => name.to_owned(),
    };
    let mut described = configs::describe(client, &[(kind.resource(), &name)], false).await?;
    Ok(described.pop().unwrap_or_default())
}

fn shown_value(entry: &ConfigEntry) -> String {
    let without = if entry.is_sensitive { "(hidden)" } else { "(none)" };
    entry.value.clone().unwrap_or_else(|| without.to_owned())
}

/// A setting, in the form that is printed.
#[derive(Serialize)]
struct Shown {
    name: String,
    value: Option<String>,
    source: &'static str,
    sensitive: bool,
    read_only: bool,
    in_effect: bool,
}

async fn show(client: &Client, kind: Kind, name: Option<String>, all: bool, json: bool) -> Outcome {
    let name = name.unwrap_or_default();
    if kind == Kind::Topic {
        check_topic(client, &name).await?;
    }
    let mut entries = entries(client, kind, &name).await?;
    entries.retain(|entry| all || is_set(kind, entry));
    sort_by(&mut entries, |a, b| a.name.cmp(&b.name));
    if json {
        let shown = entries.into_iter().map(|entry| Shown {
            in_effect: has_effect(kind.scope(), &entry.name),
            name: entry.name,
            value: entry.value,
            source: entry.source.name(),
            sensitive: entry.is_sensitive,
            read_only: entry.is_read_only,
        });
        return print_json(&shown.collect::<Vec<_>>());
    }
    let mut output = Output::stdout();
    if entries.is_empty() {
        output.line("No settings are changed. --all shows all settings.");
        return Ok(());
    }
    let row = |entry: &ConfigEntry| vec![entry.name.clone(), shown_value(entry), origin(entry.source).to_owned()];
    let rows: Vec<_> = entries.iter().map(row).collect();
    table(&["SETTING", "VALUE", "FROM"], &rows).iter().for_each(|line| output.line(line));
    Ok(())
}

/// Whether the setting was changed for this resource.
fn is_set(kind: Kind, entry: &ConfigEntry) -> bool {
    match kind {
        Kind::Broker => entry.source != ConfigSource::Default,
        Kind::Topic => entry.source == ConfigSource::DynamicTopic,
        Kind::Group => entry.source == ConfigSource::DynamicGroup,
        Kind::ClientMetrics => entry.source == ConfigSource::DynamicClientMetrics,
    }
}

/// The source of a value, in one or two words.
fn origin(source: ConfigSource) -> &'static str {
    match source {
        ConfigSource::DynamicTopic => "topic",
        ConfigSource::DynamicBroker | ConfigSource::DynamicDefaultBroker => "broker, dynamic",
        ConfigSource::StaticBroker => "broker, static",
        ConfigSource::Default => "default",
        ConfigSource::DynamicClientMetrics => "client metrics",
        ConfigSource::DynamicGroup => "group",
        ConfigSource::DynamicBrokerLogger | ConfigSource::Unknown => "",
    }
}
