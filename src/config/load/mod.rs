//! Putting settings together from where people give them: defaults < file < environment < command line.

mod environment;
mod properties;
mod toml_file;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use environment::Variable;

use super::broker::{BrokerConfig, Resolved};
use super::listener::{self, ListenerSettings};
use super::setting::{InvalidValue, Standing};
use super::table::{self, Scope};
use super::values::{Source, Values};

/// Where to look for settings, the weakest first.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// A `.toml` file, or one in the form of Kafka's server.properties under any other name.
    pub file: Option<PathBuf>,
    /// All environment variables, or none to leave the environment out.
    pub environment: Vec<(String, String)>,
    /// Names and values from the command line; a later one wins.
    pub command_line: Vec<(String, String)>,
    /// In place of the first listener's port.
    pub port: Option<u16>,
}

/// Why there is no configuration. Displays as one plain line that says what to mend, and where.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("cannot read {path}: {error}")]
    File { path: PathBuf, error: std::io::Error },
    /// A variable says that its value is in a file.
    #[error("cannot read {path} (environment variable {variable}): {error}")]
    ValueFile { variable: String, path: String, error: std::io::Error },
    #[error("{from}: {reason}")]
    Syntax { from: Source, reason: String },
    #[error("unknown setting {name} ({from}){}", hint(*nearest))]
    Unknown { name: String, from: Source, nearest: Option<&'static str> },
    #[error("{invalid} ({from}){}", allowed(invalid))]
    Invalid { invalid: InvalidValue, from: Source },
    /// Values that do not go together.
    #[error("{0}")]
    Conflict(String),
}

/// Reads all sources and makes a configuration of them.
pub fn load(sources: &Sources) -> Result<Resolved, LoadError> {
    let mut gathered = Gathered::default();
    if let Some(path) = &sources.file {
        for (name, value, line) in read_file(path)? {
            gathered.give(&name, &value, Source::File { path: Arc::new(path.clone()), line })?;
        }
    }
    for variable in environment::read(&sources.environment)? {
        gathered.give_variable(variable)?;
    }
    for (name, value) in &sources.command_line {
        gathered.give(name, value, Source::CommandLine)?;
    }
    gathered.give_old_advertised_names()?;
    if let Some(port) = sources.port {
        gathered.give_port(port)?;
    }
    let mut resolved = BrokerConfig::resolve(gathered.values).map_err(LoadError::Conflict)?;
    resolved.notices.extend(gathered.notices);
    resolved.without_effect.extend(gathered.without_effect);
    Ok(resolved)
}

/// The entries of a text in the form of Java's properties files, in their order; the last of several with one name
/// counts. The error says where and what.
pub fn properties(text: &str) -> Result<Vec<(String, String)>, String> {
    let entries = properties::parse(text).map_err(|(line, reason)| match line {
        Some(line) => format!("line {line}: {reason}"),
        None => reason,
    })?;
    Ok(entries.into_iter().map(|(name, value, _)| (name, value)).collect())
}

/// What the sources gave so far.
#[derive(Debug, Default)]
struct Gathered {
    values: Values,
    /// Names of settings, and of settings that Kafka no longer has.
    without_effect: BTreeSet<String>,
    notices: Vec<String>,
    /// `advertised.host.name` and `advertised.port`, which Kafka had before listeners.
    old_advertised: BTreeMap<&'static str, (String, Source)>,
}

const OLD_HOST: &str = "advertised.host.name";
const OLD_PORT: &str = "advertised.port";

impl Gathered {
    fn give(&mut self, name: &str, value: &str, from: Source) -> Result<(), LoadError> {
        let Some(setting) = table::find(Scope::Broker, name) else {
            return self.give_unlisted(name, value, from);
        };
        setting.check(value).map_err(|invalid| LoadError::Invalid { invalid, from: from.clone() })?;
        if setting.standing == Standing::Accepted && setting.default != Some(value.trim()) {
            self.without_effect.insert(name.to_owned());
        }
        self.values.give(name, value, from);
        Ok(())
    }

    /// A name that is not in the table is either known to do nothing, or a mistake.
    fn give_unlisted(&mut self, name: &str, value: &str, from: Source) -> Result<(), LoadError> {
        if let Some(old) = [OLD_HOST, OLD_PORT].into_iter().find(|old| *old == name) {
            self.old_advertised.insert(old, (value.trim().to_owned(), from));
            Ok(())
        } else if table::is_removed(Scope::Broker, name) || table::is_for_a_plugin(name) {
            self.without_effect.insert(name.to_owned());
            Ok(())
        } else {
            Err(LoadError::Unknown { nearest: table::nearest(Scope::Broker, name), name: name.to_owned(), from })
        }
    }

    /// A variable that names no setting is someone else's (`KAFKA_BOOTSTRAP_SERVERS`) and left alone,
    /// but one that looks like a slip is mentioned.
    fn give_variable(&mut self, variable: Variable) -> Result<(), LoadError> {
        let Variable { variable, name, value } = variable;
        let known = table::find(Scope::Broker, &name).is_some()
            || table::is_removed(Scope::Broker, &name)
            || table::is_for_a_plugin(&name);
        if known {
            return self.give(&name, &value, Source::Environment(variable));
        }
        if let Some(nearest) = table::nearest(Scope::Broker, &name) {
            self.notices.push(format!("environment variable {variable} names no setting{}", hint(Some(nearest))));
        }
        Ok(())
    }

    /// Where `advertised.listeners` is not given, its forerunners say it for the first listener.
    fn give_old_advertised_names(&mut self) -> Result<(), LoadError> {
        let host = self.old_advertised.remove(OLD_HOST).filter(|_| self.values.given("advertised.listeners").is_none());
        let port = self.old_advertised.remove(OLD_PORT);
        let Some((host, from)) = host else {
            // What they say is said better, or not wholly.
            self.without_effect.extend(port.map(|_| OLD_PORT.to_owned()));
            return Ok(());
        };
        let parsed = |(text, from): (String, Source)| {
            let reason = format!("{OLD_PORT}: \"{text}\" is not a port");
            text.parse::<u16>().map_err(|_| LoadError::Syntax { from, reason })
        };
        let port = port.map(parsed).transpose()?;
        let controllers = self.controllers();
        let names =
            listener::of_old_names(self.listener_settings(&controllers), &host, port).map_err(LoadError::Conflict)?;
        self.values.give("listeners", &names.listeners, from.clone());
        self.values.give("advertised.listeners", &names.advertised, from);
        Ok(())
    }

    fn give_port(&mut self, port: u16) -> Result<(), LoadError> {
        let controllers = self.controllers();
        let listeners = listener::with_port(self.listener_settings(&controllers), port).map_err(LoadError::Conflict)?;
        self.values.give("listeners", &listeners, Source::CommandLine);
        Ok(())
    }

    fn listener_settings<'a>(&'a self, controllers: &'a str) -> ListenerSettings<'a> {
        ListenerSettings {
            listeners: self.values.given("listeners"),
            advertised: self.values.given("advertised.listeners"),
            protocol_map: "",
            controllers,
        }
    }

    /// `controller.listener.names`.
    fn controllers(&self) -> String {
        self.values.text("controller.listener.names").unwrap_or_default().into_owned()
    }
}

/// Names, values and lines of a file.
type Entries = Vec<(String, String, Option<usize>)>;

fn read_file(path: &Path) -> Result<Entries, LoadError> {
    let text = std::fs::read_to_string(path).map_err(|error| LoadError::File { path: path.to_owned(), error })?;
    let is_toml = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml"));
    let entries = if is_toml { toml_file::parse(&text) } else { properties::parse(&text) };
    entries.map_err(|(line, reason)| LoadError::Syntax {
        from: Source::File { path: Arc::new(path.to_owned()), line },
        reason,
    })
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean {name}?"))
}

fn allowed(invalid: &InvalidValue) -> String {
    match table::find(Scope::Broker, invalid.name()).map(|setting| setting.rule.to_string()) {
        // What these say is in the reason already.
        Some(rule) if !rule.is_empty() && invalid.is_no_number() => format!("; allowed: {rule}"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests;
