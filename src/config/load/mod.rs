//! Loads settings from their sources, in ascending precedence: defaults, file, environment, command line.

mod entries;
mod environment;
mod error;
mod images;
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
use old_names::OldSettings;

use super::admin;
use super::authorizer::{self, AuthorizerConfig};
use super::broker::{BrokerConfig, Resolved};
use super::http_ports;
use super::java_classes;
use super::listener::{self, ListenerSettings};
use super::listener_values;
use super::otlp;
use super::protection;
use super::sasl;
use super::secure;
use super::setting::Effect;
use super::table::{self, Scope};
use super::values::{Source, Values};

/// The sources of settings, in ascending precedence.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// A `.toml` file, or a file in the format of Kafka's server.properties with any other name.
    pub file: Option<PathBuf>,
    /// The environment variables; empty to ignore the environment.
    pub environment: Vec<(String, String)>,
    /// Names and values from the command line; the last one of a name counts.
    pub command_line: Vec<(String, String)>,
    /// Replaces the first client listener's port.
    pub port: Option<u16>,
}

/// Reads all sources and builds the configuration.
pub fn load(sources: &Sources) -> Result<Resolved, LoadError> {
    let mut loader = Loader::default();
    if let Some(path) = &sources.file {
        for (name, value, line) in read_file(path)? {
            loader.add(&name, &value, Source::File { path: Arc::new(path.clone()), line })?;
        }
    }
    for variable in environment::read(&sources.environment)? {
        loader.add_variable(variable)?;
    }
    for (name, value) in &sources.command_line {
        loader.add(name, value, Source::CommandLine)?;
    }
    java_classes::check(&loader.values).map_err(LoadError::Unprotected)?;
    loader.notices.extend(protection::notices(&loader.values));
    loader.apply_old_names()?;
    if let Some(port) = sources.port {
        loader.apply_port(port)?;
    }
    loader.without_effect.extend(images::apply(&sources.environment, &mut loader.values)?);
    admin::apply(&mut loader.values).map_err(LoadError::Conflict)?;
    secure::apply(&mut loader.values).map_err(LoadError::Conflict)?;
    protection::check_connections(&loader.values).map_err(LoadError::Conflict)?;
    http_ports::check(&loader.values).map_err(LoadError::Conflict)?;
    let authorizer = loader.resolve_authorizer()?;
    let mut resolved = BrokerConfig::resolve(loader.values).map_err(LoadError::Conflict)?;
    resolved.config.authorizer = authorizer;
    let plaintext_forbidden = environment::plaintext_forbidden(&sources.environment);
    protection::check_listeners(&resolved.config.values, &resolved.config.listeners, plaintext_forbidden)
        .map_err(LoadError::Unprotected)?;
    resolved.config.check_tls_parts().map_err(LoadError::Unprotected)?;
    resolved.notices.extend(sasl::notices(&resolved.config.values, &resolved.config.listeners));
    resolved.notices.extend(sasl::token_notices(&resolved.config.values));
    resolved.notices.extend(secure::notices(&resolved.config));
    resolved.notices.extend(http_ports::notices(&resolved.config));
    resolved.notices.extend(otlp::notices(&resolved.config.values));
    resolved.notices.extend(loader.notices);
    resolved.without_effect.extend(loader.without_effect);
    Ok(resolved)
}

/// Parses a file in the format of Java's properties into its entries, in order. If a name occurs twice, the last entry
/// counts. The error contains the line.
pub fn properties(file: &[u8]) -> Result<Vec<(String, String)>, String> {
    let entries = properties::parse(&properties::decode(file)?).map_err(|(line, reason)| match line {
        Some(line) => format!("line {line}: {reason}"),
        None => reason,
    })?;
    Ok(entries.into_iter().map(|(name, value, _)| (name, value)).collect())
}

/// The settings read so far.
#[derive(Debug, Default)]
struct Loader {
    values: Values,
    /// The given settings without effect, removed Kafka settings included.
    without_effect: BTreeSet<String>,
    notices: Vec<String>,
    /// Settings from before `listeners`.
    old: OldSettings,
    /// Settings of plug-ins, by name.
    plugin_settings: BTreeMap<String, (String, Source)>,
}

impl Loader {
    fn add(&mut self, name: &str, value: &str, from: Source) -> Result<(), LoadError> {
        let Some(setting) = table::find(Scope::Broker, name) else {
            return self.add_unlisted(name, value, from);
        };
        setting.check(value).map_err(|invalid| LoadError::Invalid { invalid, from: from.clone() })?;
        if setting.effect == Effect::Ignored && setting.default != Some(value.trim()) {
            self.without_effect.insert(name.to_owned());
        }
        self.values.set_static(name, value, from);
        Ok(())
    }

    /// Handles a name that is not in the table: a setting without effect, or an error.
    fn add_unlisted(&mut self, name: &str, value: &str, from: Source) -> Result<(), LoadError> {
        if self.old.add(name, value, &from) {
            return Ok(());
        }
        if !table::is_removed(Scope::Broker, name) && !table::is_plugin_setting(name) {
            return Err(LoadError::Unknown { name: name.to_owned(), from });
        }
        if let Some(setting) = listener_values::find(name) {
            listener_values::check(setting, name, value)
                .map_err(|invalid| LoadError::Invalid { invalid, from: from.clone() })?;
            self.values.set_static(name, value, from);
            return Ok(());
        }
        self.without_effect.insert(name.to_owned());
        self.plugin_settings.insert(name.to_owned(), (value.trim().to_owned(), from));
        Ok(())
    }

    /// Ignores a variable that is not a setting (`KAFKA_BOOTSTRAP_SERVERS`), with a notice if it looks like a typing error.
    fn add_variable(&mut self, variable: Variable) -> Result<(), LoadError> {
        let Variable { variable, name, value } = variable;
        let known = table::find(Scope::Broker, &name).is_some()
            || table::is_removed(Scope::Broker, &name)
            || table::is_plugin_setting(&name);
        if known {
            return self.add(&name, &value, Source::Environment(variable));
        }
        let meant = table::counterpart(Scope::Broker, &name).or_else(|| table::nearest(Scope::Broker, &name));
        if let Some(meant) = meant {
            self.notices
                .push(format!("environment variable {variable} is not a broker setting; did you mean {meant}?"));
        }
        Ok(())
    }

    fn apply_old_names(&mut self) -> Result<(), LoadError> {
        let controllers = self.controllers();
        let ignored = std::mem::take(&mut self.old).apply(&mut self.values, &controllers)?;
        self.without_effect.extend(ignored);
        Ok(())
    }

    fn resolve_authorizer(&mut self) -> Result<Option<AuthorizerConfig>, LoadError> {
        let found = authorizer::resolve(&self.values, &self.plugin_settings).map_err(LoadError::Unprotected)?;
        if found.is_some() {
            self.without_effect.remove(authorizer::ALLOW_EVERYONE);
            self.without_effect.remove(authorizer::SUPER_USERS);
        }
        Ok(found)
    }

    fn apply_port(&mut self, port: u16) -> Result<(), LoadError> {
        let controllers = self.controllers();
        let listeners = listener::with_port(self.listener_settings(&controllers), port).map_err(LoadError::Conflict)?;
        self.values.set_static("listeners", &listeners, Source::CommandLine);
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
        true => Err((None, "this build does not support TOML (feature \"toml\" of ottla-config)".to_owned())),
        false => properties::decode(&bytes).map_err(|reason| (None, reason)).and_then(|text| properties::parse(&text)),
    };
    entries.map_err(|(line, reason)| LoadError::Syntax {
        from: Source::File { path: Arc::new(path.to_owned()), line },
        reason,
    })
}

#[cfg(test)]
mod tests;
