//! Variables of Kafka's images about security that are not named after a setting, as the images' scripts read them.
//!
//! They are read last, because what they mean depends on the listeners. What they imply are settings like those that a
//! user would write, and a given setting is never replaced. A variable that nothing uses is named in the log, and one
//! that cannot be honoured refuses the start.

mod bitnami;
mod java_options;
mod secrets;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::error::LoadError;
use crate::listener::{self, ListenerSettings, SecurityProtocol};
use crate::listener_values;
use crate::table::{self, Scope};
use crate::values::{Source, Values};

/// The suffix of a variable that contains the name of a file with the value.
pub(super) const FILE_SUFFIX: &str = "_FILE";

/// Applies the variables. Returns the names of those without effect.
pub(super) fn apply(environment: &[(String, String)], values: &mut Values) -> Result<BTreeSet<String>, LoadError> {
    let variables = Variables(environment);
    let mut found = Found { listeners: listeners(values), values, without_effect: BTreeSet::new() };
    java_options::apply(variables, &mut found)?;
    secrets::apply(variables, &mut found)?;
    bitnami::apply(variables, &mut found)?;
    Ok(found.without_effect)
}

/// Whether the variable, without `KAFKA_`, is one of those in this module.
pub(super) fn is_read_here(rest: &str) -> bool {
    secrets::is_read(rest) || bitnami::is_read(rest)
}

/// Reads the file that a variable names. The last line end is not part of the value.
pub(super) fn read_value_file(variable: &str, path: &str) -> Result<String, LoadError> {
    let text = fs::read_to_string(path.trim());
    let text =
        text.map_err(|error| LoadError::ValueFile { variable: variable.to_owned(), path: path.into(), error })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// The names and protocols of the client listeners. A fault in them is reported later.
fn listeners(values: &Values) -> Vec<(String, SecurityProtocol)> {
    let settings = ListenerSettings {
        listeners: values.given("listeners"),
        advertised: values.given("advertised.listeners"),
        protocol_map: &values.text("listener.security.protocol.map").unwrap_or_default(),
        controllers: &values.text("controller.listener.names").unwrap_or_default(),
    };
    listener::protocols(settings).unwrap_or_default()
}

/// The environment.
#[derive(Clone, Copy)]
struct Variables<'a>(&'a [(String, String)]);

impl<'a> Variables<'a> {
    /// The value; an empty variable counts as not set.
    fn given(self, name: &str) -> Option<&'a str> {
        let found = self.0.iter().find(|(variable, _)| variable == name).map(|(_, value)| value.trim());
        found.filter(|value| !value.is_empty())
    }

    /// The name of the variable with the value, and the value: that of the file that `<name>_FILE` names, or else that of
    /// `name`.
    fn read(self, name: &str) -> Result<Option<(String, String)>, LoadError> {
        let in_file = format!("{name}{FILE_SUFFIX}");
        match (self.given(&in_file), self.given(name)) {
            (Some(path), _) => Ok(Some((in_file.clone(), read_value_file(&in_file, path)?))),
            (None, Some(value)) => Ok(Some((name.to_owned(), value.to_owned()))),
            (None, None) => Ok(None),
        }
    }

    fn names(self) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(|(_, value)| !value.trim().is_empty()).map(|(name, _)| name.as_str())
    }
}

/// What the variables are applied to.
struct Found<'a> {
    values: &'a mut Values,
    /// The names and protocols of the client listeners.
    listeners: Vec<(String, SecurityProtocol)>,
    without_effect: BTreeSet<String>,
}

impl Found<'_> {
    fn has_tls(&self) -> bool {
        self.listeners.iter().any(|(_, protocol)| protocol.is_tls())
    }

    fn has_sasl(&self) -> bool {
        self.listeners.iter().any(|(_, protocol)| protocol.is_sasl())
    }

    fn is_given(&self, name: &str) -> bool {
        self.values.given(name).is_some()
    }

    /// Whether the environment or the command line gives the setting.
    fn is_given_after_file(&self, name: &str) -> bool {
        matches!(self.values.source(name), Some(Source::Environment(_) | Source::CommandLine))
    }

    /// Sets a setting after its check.
    fn set(&mut self, name: &str, value: &str, from: Source) -> Result<(), LoadError> {
        let checked = match table::find(Scope::Broker, name) {
            Some(setting) => setting.check(value),
            None => listener_values::find(name).map_or(Ok(()), |it| listener_values::check(it, name, value)),
        };
        checked.map_err(|invalid| LoadError::Invalid { invalid, from: from.clone() })?;
        self.values.set_static(name, value, from);
        Ok(())
    }

    fn set_if_not_given(&mut self, name: &str, value: &str, from: Source) -> Result<(), LoadError> {
        if self.is_given(name) { Ok(()) } else { self.set(name, value, from) }
    }

    fn has_no_effect(&mut self, variable: impl Into<String>) {
        self.without_effect.insert(variable.into());
    }
}

fn from_variable(name: &str) -> Source {
    Source::Environment(name.to_owned())
}

fn join(dir: &Path, file: &str) -> String {
    dir.join(file).display().to_string()
}
