//! `ottla configs`: settings of topics, brokers, groups and client metrics shown and changed, for people and, with
//! --json, for scripts.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use super::admin::configs::{self, Change, ConfigEntry, ConfigSource, ResourceType};
use super::admin::topics;
use super::say::{Said, say_json, tell};
use super::table::table;
use super::tools::connect::{Bootstrap, block_on};
use super::tools::output::Output;
use ottla_client::Client;
use ottla_wire::types::sort_by;

const EXAMPLES: &str = "\
Examples:
  ottla configs show topic orders --all
  ottla configs set topic orders retention.ms=60000 cleanup.policy=compact,delete
  ottla configs unset topic orders retention.ms
  ottla configs set broker log.retention.ms=3600000
  ottla configs show broker --json

For a broker there is no name: what is set holds for all brokers, of which there is one.
kafka-configs is here too, with Apache Kafka's own flags: ottla kafka-configs --help";

/// What `ottla configs` is told.
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
    /// Show settings: those that were set, or all
    Show {
        kind: Kind,

        /// Whose: a topic, a group, or a name of client metrics
        #[arg(required_if_eq_any([("kind", "topic"), ("kind", "group"), ("kind", "client-metrics")]))]
        name: Option<String>,

        /// Defaults too
        #[arg(long)]
        all: bool,
    },
    /// Change settings
    Set {
        kind: Kind,

        /// Whose (not for a broker), and settings
        #[arg(required = true, value_name = "NAME | SETTING=VALUE")]
        words: Vec<String>,
    },
    /// Put settings back to what they are by default
    Unset {
        kind: Kind,

        /// Whose (not for a broker), and settings
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
}

/// Does what it is told.
pub fn run(args: ConfigsArgs) -> ExitCode {
    block_on(async move { tell(act(args).await) })
}

async fn act(args: ConfigsArgs) -> Said {
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

/// Whose settings are meant, and the words that follow. A broker has no name.
fn target(kind: Kind, words: &[String]) -> Result<(&str, &[String]), String> {
    match words {
        settings if kind == Kind::Broker => Ok(("", settings)),
        [name, settings @ ..] if !settings.is_empty() => Ok((name, settings)),
        _ => Err("which settings? Give a name, then settings".to_owned()),
    }
}

async fn change_settings(client: &Client, kind: Kind, name: &str, changes: &[Change], json: bool) -> Said {
    configs::alter(client, (kind.resource(), name), changes).await?;
    show(client, kind, Some(name.to_owned()), false, json).await
}

/// A setting, as it is shown.
#[derive(Serialize)]
struct Shown {
    name: String,
    value: Option<String>,
    source: &'static str,
    sensitive: bool,
    read_only: bool,
}

async fn show(client: &Client, kind: Kind, name: Option<String>, all: bool, json: bool) -> Said {
    let name = match (kind, name) {
        // All of a broker's settings are those that it has now.
        (Kind::Broker, _) => {
            client.metadata(Some(&[])).await.map_err(|error| error.to_string())?.controller_id.to_string()
        }
        (_, name) => name.unwrap_or_default(),
    };
    if kind == Kind::Topic && !topics::list(client).await?.iter().any(|topic| topic.name == name) {
        return Err(format!("there is no topic {name}"));
    }
    let mut described = configs::describe(client, &[(kind.resource(), &name)], false).await?;
    let mut entries = described.pop().unwrap_or_default();
    entries.retain(|entry| all || is_set(kind, entry));
    sort_by(&mut entries, |a, b| a.name.cmp(&b.name));
    if json {
        let shown = entries.into_iter().map(|entry| Shown {
            name: entry.name,
            value: entry.value,
            source: entry.source.name(),
            sensitive: entry.is_sensitive,
            read_only: entry.is_read_only,
        });
        return say_json(&shown.collect::<Vec<_>>());
    }
    let mut output = Output::stdout();
    if entries.is_empty() {
        output.line("Nothing is set: all is as the broker has it. --all shows that.");
        return Ok(());
    }
    let row = |entry: &ConfigEntry| {
        let hidden = if entry.is_sensitive { "(hidden)" } else { "" };
        let value = entry.value.clone().unwrap_or_else(|| hidden.to_owned());
        vec![entry.name.clone(), value, origin(entry.source).to_owned()]
    };
    let rows: Vec<_> = entries.iter().map(row).collect();
    table(&["SETTING", "VALUE", "FROM"], &rows).iter().for_each(|line| output.line(line));
    Ok(())
}

/// Whether the setting was set: of what is here a topic's or a group's, only for it.
fn is_set(kind: Kind, entry: &ConfigEntry) -> bool {
    match kind {
        Kind::Broker => entry.source != ConfigSource::Default,
        Kind::Topic => entry.source == ConfigSource::DynamicTopic,
        Kind::Group => entry.source == ConfigSource::DynamicGroup,
        Kind::ClientMetrics => entry.source == ConfigSource::DynamicClientMetrics,
    }
}

/// Where a value comes from, in a word.
fn origin(source: ConfigSource) -> &'static str {
    match source {
        ConfigSource::DynamicTopic => "topic",
        ConfigSource::DynamicBroker | ConfigSource::DynamicDefaultBroker => "broker, while it ran",
        ConfigSource::StaticBroker => "broker, at its start",
        ConfigSource::Default => "default",
        ConfigSource::DynamicClientMetrics => "client metrics",
        ConfigSource::DynamicGroup => "group",
        ConfigSource::DynamicBrokerLogger | ConfigSource::Unknown => "",
    }
}
