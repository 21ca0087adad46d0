//! Putting settings together from where people give them: defaults < file < environment < command line.

mod entries;
mod environment;
mod error;
mod old_names;
mod properties;
#[cfg(feature = "toml")]
mod toml_file;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use entries::Entries;
use environment::Variable;
pub use error::LoadError;
use error::hint;
use old_names::Old;

use super::broker::{BrokerConfig, Resolved};
use super::listener::{self, ListenerSettings};
use super::protection;
use super::setting::Effect;
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
    gathered.check_protection(environment::plaintext_forbidden(&sources.environment))?;
    gathered.give_old_names()?;
    if let Some(port) = sources.port {
        gathered.give_port(port)?;
    }
    let mut resolved = BrokerConfig::resolve(gathered.values).map_err(LoadError::Conflict)?;
    resolved.notices.extend(gathered.notices);
    resolved.without_effect.extend(gathered.without_effect);
    Ok(resolved)
}

/// The entries of a file in the form of Java's properties, in their order; the last of several with one name counts.
/// The error says where and what.
pub fn properties(file: &[u8]) -> Result<Vec<(String, String)>, String> {
    let entries = properties::parse(&properties::decode(file)?).map_err(|(line, reason)| match line {
        Some(line) => format!("line {line}: {reason}"),
        None => reason,
    })?;
    Ok(entries.into_iter().map(|(name, value, _)| (name, value)).collect())
}

/// What the sources gave so far.
#[derive(Debug, Default)]
struct Gathered {
    values: Values,
    /// Names of settings, and of settings that Kafka no longer has, that do nothing.
    without_effect: BTreeSet<String>,
    notices: Vec<String>,
    /// What Kafka had before listeners.
    old: Old,
    /// Settings of plug-ins: names and values.
    of_plugins: BTreeMap<String, (String, Source)>,
}

impl Gathered {
    fn give(&mut self, name: &str, value: &str, from: Source) -> Result<(), LoadError> {
        let Some(setting) = table::find(Scope::Broker, name) else {
            return self.give_unlisted(name, value, from);
        };
        setting.check(value).map_err(|invalid| LoadError::Invalid { invalid, from: from.clone() })?;
        if setting.effect != Effect::Implemented && setting.default != Some(value.trim()) {
            self.without_effect.insert(name.to_owned());
        }
        self.values.give(name, value, from);
        Ok(())
    }

    /// A name that is not in the table is either known to do nothing, or a mistake.
    fn give_unlisted(&mut self, name: &str, value: &str, from: Source) -> Result<(), LoadError> {
        if self.old.give(name, value, &from) {
            return Ok(());
        }
        if !table::is_removed(Scope::Broker, name) && !table::is_for_a_plugin(name) {
            let nearest = table::nearest(Scope::Broker, name);
            return Err(LoadError::Unknown { nearest, name: name.to_owned(), from });
        }
        self.without_effect.insert(name.to_owned());
        self.of_plugins.insert(name.to_owned(), (value.trim().to_owned(), from));
        Ok(())
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

    fn give_old_names(&mut self) -> Result<(), LoadError> {
        let controllers = self.controllers();
        let silent = std::mem::take(&mut self.old).give_what_follows(&mut self.values, &controllers)?;
        self.without_effect.extend(silent);
        Ok(())
    }

    /// Refuses what demands protection; see [`protection`].
    fn check_protection(&mut self, plaintext_forbidden: Option<(&str, &str)>) -> Result<(), LoadError> {
        let given = protection::Given { values: &self.values, of_plugins: &self.of_plugins, plaintext_forbidden };
        self.notices.extend(protection::check(&given).map_err(LoadError::Unprotected)?);
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

fn read_file(path: &Path) -> Result<Entries, LoadError> {
    let bytes = std::fs::read(path).map_err(|error| LoadError::File { path: path.to_owned(), error })?;
    let is_toml = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml"));
    let entries = match is_toml {
        #[cfg(feature = "toml")]
        true => toml_file::decode(&bytes).and_then(toml_file::parse),
        #[cfg(not(feature = "toml"))]
        true => Err((None, "this build reads no TOML (feature \"toml\" of ottla-config)".to_owned())),
        false => properties::decode(&bytes).map_err(|reason| (None, reason)).and_then(|text| properties::parse(&text)),
    };
    entries.map_err(|(line, reason)| LoadError::Syntax {
        from: Source::File { path: Arc::new(path.to_owned()), line },
        reason,
    })
}

#[cfg(test)]
mod tests;
