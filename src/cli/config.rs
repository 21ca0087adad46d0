//! `ottla config`: shows the settings of a broker with these flags, and the source of each value.
//!
//! Reads the same sources as `ottla serve`, but not the data directory: settings that were changed while a broker ran are
//! shown by `ottla configs`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::tools::output::Output;
use super::{ServeArgs, serve};
use crate::logging::Logging;
use ottla_config::listener_values;
use ottla_config::setting::{Effect, Setting, Update};
use ottla_config::{self as config, BrokerConfig, Described, Resolved, Scope, load, table};

/// The arguments of `ottla config`.
#[derive(Debug, Clone, Args)]
pub struct ConfigArgs {
    /// Show one setting with its default, type, allowed values and description
    #[arg(value_name = "NAME")]
    name: Option<String>,

    /// Show all settings [default: only those that differ from their defaults]
    #[arg(long)]
    all: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,

    /// The flags of the broker.
    #[command(flatten)]
    serve: ServeArgs,
}

/// One setting as it is printed.
#[derive(Debug, Serialize)]
struct SettingView {
    name: Cow<'static, str>,
    /// `null` if it is unset or a secret.
    value: Option<String>,
    /// `default`, a file and line, an environment variable, the command line, or another setting.
    from: String,
    default: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kafka_default: Option<&'static str>,
    r#type: String,
    allowed: String,
    changes: &'static str,
    in_effect: bool,
    doc: &'static str,
    #[serde(skip)]
    effect: Effect,
}

impl SettingView {
    /// The value as text, never empty.
    fn value_text(&self) -> String {
        match &self.value {
            None if self.from != DEFAULT => "(hidden)".to_owned(),
            value => text(value.as_deref()),
        }
    }
}

fn text(value: Option<&str>) -> String {
    match value {
        None => "(none)".to_owned(),
        Some("") => "(empty)".to_owned(),
        Some(value) => value.to_owned(),
    }
}

const DEFAULT: &str = "default";

/// Shows the settings. The error is one line: a fault in the settings, or an unknown name.
pub fn run(args: &ConfigArgs) -> Result<ExitCode, String> {
    let mut sources = serve::sources(&args.serve, None);
    if args.serve.ephemeral {
        sources.command_line.push(("ottla.ephemeral".to_owned(), "true".to_owned()));
    }
    let resolved = load(&sources).map_err(|error| error.to_string())?;
    let unknown_loggers = serve::log_level_notices(&resolved.config, Logging::check_levels)?;
    resolved.notices.iter().chain(&unknown_loggers).for_each(|notice| err_line!("ottla: {notice}"));
    match &args.name {
        Some(name) => show_one(&find(&resolved.config, name)?, args.json),
        None => show_many(&resolved, args),
    }
    Ok(ExitCode::SUCCESS)
}

/// Finds a setting of the broker, or the broker's value for a setting of topics, groups or client metrics.
fn find(config: &BrokerConfig, name: &str) -> Result<SettingView, String> {
    let none = BTreeMap::new();
    let scopes = [
        (config::describe_broker(config), Scope::Broker),
        (config::describe_topic(config, &none), Scope::Topic),
        (config::describe_group(config, &none), Scope::Group),
        (config::describe_simple(Scope::ClientMetrics, &none), Scope::ClientMetrics),
    ];
    for (described, scope) in scopes {
        if let Some(found) = described.into_iter().find(|one| one.name == name) {
            return Ok(shown(config, scope, found));
        }
    }
    if listener_values::find(name).is_some() {
        return Err(format!("{name} is not set; the value without the listener's name applies"));
    }
    if table::is_removed(Scope::Broker, name) || table::is_plugin_setting(name) {
        return Err(format!("{name} is accepted, but has no effect"));
    }
    if Scope::ALL.into_iter().any(|scope| table::find(scope, name).is_some()) {
        return Err(format!("{name} is internal to Kafka: accepted, but not shown here"));
    }
    let nearest = Scope::ALL.into_iter().find_map(|scope| table::nearest(scope, name));
    let hint = nearest.map_or_else(String::new, |nearest| format!("; did you mean {nearest}?"));
    Err(format!("unknown setting {name}{hint}"))
}

fn shown(config: &BrokerConfig, scope: Scope, described: Described) -> SettingView {
    let setting = described.setting;
    let decided_by = described.synonyms.first().map_or(&described.name, |synonym| &synonym.name);
    let from = match config.values.source(decided_by) {
        Some(source) if *decided_by == described.name => source.to_string(),
        Some(source) => format!("{decided_by} ({source})"),
        None => DEFAULT.to_owned(),
    };
    SettingView {
        name: described.name,
        value: described.value,
        from,
        default: setting.default,
        kafka_default: setting.departure.map(|departure| departure.kafka_default),
        r#type: setting.kind.to_string().to_lowercase(),
        allowed: setting.rule.to_string(),
        changes: changes(scope, setting),
        in_effect: setting.effect != Effect::Ignored,
        doc: setting.doc,
        effect: setting.effect,
    }
}

fn changes(scope: Scope, setting: &Setting) -> &'static str {
    match (scope, setting.update) {
        (Scope::Topic, _) => "at any time, for each topic",
        (Scope::Group, _) => "at any time, for each group",
        (Scope::ClientMetrics, _) => "at any time, for each subscription",
        (Scope::Broker, Update::ReadOnly) => "at start only",
        (Scope::Broker, Update::PerBroker | Update::ClusterWide) => "at start and while it runs",
    }
}

fn show_many(resolved: &Resolved, args: &ConfigArgs) {
    let config = &resolved.config;
    let differs = |one: &Described| {
        config.values.source(&one.name).is_some() && config.values.given(&one.name) != one.setting.default
    };
    let described = config::describe_broker(config).into_iter().filter(|one| args.all || differs(one));
    let rows: Vec<SettingView> = described.map(|one| shown(config, Scope::Broker, one)).collect();
    let mut out = Output::stdout();
    if args.json {
        return out.line(json(&rows));
    }
    if rows.is_empty() {
        out.line("Every setting has its default; ottla config --all shows them.");
    }
    let cell = SettingView::value_text;
    let name_width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
    let value_width = rows.iter().map(|row| cell(row).len()).max().unwrap_or(0).min(MAX_VALUE_WIDTH);
    for row in &rows {
        let mark = if row.in_effect { "" } else { "  [without effect]" };
        out.line(format_args!("{:name_width$}  {:value_width$}  {}{mark}", row.name, cell(row), row.from));
    }
    let is_not_in_table = |name: &&String| listener_values::find_with_listener(name).is_none();
    let others: Vec<&str> = resolved.without_effect.iter().filter(is_not_in_table).map(String::as_str).collect();
    if !others.is_empty() {
        out.line(format_args!("settings without effect: {}", others.join(", ")));
    }
}

/// Width limit of the column of values; a longer value shifts only the rest of its own line.
const MAX_VALUE_WIDTH: usize = 48;

fn show_one(one: &SettingView, as_json: bool) {
    let mut out = Output::stdout();
    if as_json {
        return out.line(json(one));
    }
    out.line(format_args!("{} = {}", one.name, one.value_text()));
    out.line(format_args!("  from     {}", one.from));
    let of_kafka = one.kafka_default.map_or_else(String::new, |value| format!(" (Kafka's: {value})"));
    out.line(format_args!("  default  {}{of_kafka}", text(one.default)));
    out.line(format_args!("  type     {}", one.r#type));
    if !one.allowed.is_empty() {
        out.line(format_args!("  allowed  {}", one.allowed));
    }
    out.line(format_args!("  changes  {}", one.changes));
    let effect = match one.effect {
        Effect::Implemented => "yes",
        Effect::Ignored => "none",
    };
    out.line(format_args!("  effect   {effect}"));
    out.line(one.doc);
}

/// Text, numbers and booleans can always be serialized.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
