//! The values given for settings, their sources, and their conversion to Rust types.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::listener_values::{self, ListenerValues};
use super::password::Password;
use super::setting::Setting;
use super::start_topics::StartTopic;
use super::table::synonyms::Synonym;
use super::table::{self, Scope};
use super::text;

use ottla_wire::types::InOrder as _;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file, with the line if known.
    File { path: Arc<PathBuf>, line: Option<usize> },
    /// An environment variable of this name.
    Environment(String),
    /// `--set`, or another flag of this name.
    CommandLine,
    /// Implied by another setting.
    Setting(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::File { path, line: Some(line) } => write!(f, "{}:{line}", path.display()),
            Source::File { path, line: None } => write!(f, "{}", path.display()),
            Source::Environment(variable) => write!(f, "environment variable {variable}"),
            Source::CommandLine => f.write_str("command line"),
            Source::Setting(name) => write!(f, "follows from {name}"),
        }
    }
}

/// The layer of a value, as in DescribeConfigs (Kafka's `ConfigSource`); the first has the highest precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Set for this topic, group or subscription.
    Resource,
    /// Set for this broker at runtime.
    DynamicBroker,
    /// Set for all brokers at runtime.
    DynamicDefault,
    /// Given at start, in file, environment or command line.
    Static,
    Default,
}

/// The broker's settings in three layers. Every static value has passed its setting's check.
#[derive(Clone, Default, PartialEq)]
pub struct Values {
    given: BTreeMap<String, (String, Source)>,
    dynamic_default: BTreeMap<String, String>,
    dynamic_broker: BTreeMap<String, String>,
    /// The names of the listeners that `ottla.secure` added.
    added_listeners: Vec<String>,
}

impl fmt::Debug for Values {
    /// Writes the layers, without the values of passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |name: &str, value: &str| {
            let is_secret = listener_values::find_with_listener(name).is_none_or(Setting::is_sensitive);
            format!("{name}={}", if is_secret { "[hidden]" } else { value })
        };
        let layer = |settings: &BTreeMap<String, String>| {
            settings.iter().map(|(name, value)| shown(name, value)).collect::<Vec<_>>()
        };
        let given: Vec<_> = self.given.iter().map(|(name, (value, from))| (shown(name, value), from)).collect();
        f.debug_struct("Values")
            .field("given", &given)
            .field("dynamic_default", &layer(&self.dynamic_default))
            .field("dynamic_broker", &layer(&self.dynamic_broker))
            .finish()
    }
}

impl Values {
    /// Sets a static value, which replaces one from an earlier source. The caller has checked it. Names of listeners are
    /// stored in lower case.
    pub(super) fn set_static(&mut self, name: &str, value: &str, source: Source) {
        let name = match listener_values::is_of_listener(name) {
            true => name.to_ascii_lowercase(),
            false => name.to_owned(),
        };
        self.given.insert(name, (value.trim().to_owned(), source));
    }

    /// Returns a copy with these dynamic layers: the default for all brokers, and those of this broker.
    pub(super) fn with_dynamic(&self, default: &BTreeMap<String, String>, broker: &BTreeMap<String, String>) -> Values {
        Values { dynamic_default: valid(default), dynamic_broker: valid(broker), ..self.clone() }
    }

    /// Notes which listeners `ottla.secure` added to `listeners`.
    pub(super) fn set_added_listeners(&mut self, names: Vec<String>) {
        self.added_listeners = names;
    }

    /// The names of the listeners that `ottla.secure` added.
    pub(super) fn added_listeners(&self) -> &[String] {
        &self.added_listeners
    }

    /// The given value with the highest precedence; defaults don't count.
    pub fn given(&self, name: &str) -> Option<&str> {
        self.layers(name).next().map(|(value, _)| value)
    }

    /// The names of all given settings of listeners.
    pub(super) fn names_of_listeners(&self) -> BTreeSet<&str> {
        let given = self.given.keys().chain(self.dynamic_default.keys()).chain(self.dynamic_broker.keys());
        given.map(String::as_str).filter(|name| listener_values::is_of_listener(name)).collect()
    }

    /// The names of all settings that were set at runtime.
    pub(super) fn names_set_at_runtime(&self) -> impl Iterator<Item = &str> {
        let defaults = self.dynamic_default.keys().filter(|name| !self.dynamic_broker.contains_key(*name));
        defaults.chain(self.dynamic_broker.keys()).map(String::as_str)
    }

    /// The values given at start, by name, with their sources.
    pub fn given_at_start(&self) -> impl Iterator<Item = (&str, &str, &Source)> {
        self.given.iter().map(|(name, (value, source))| (name.as_str(), value.as_str(), source))
    }

    /// The source of the value given at start.
    pub fn source(&self, name: &str) -> Option<&Source> {
        self.given.get(name).map(|(_, source)| source)
    }

    /// All values given for this name, the highest precedence first.
    pub fn layers(&self, name: &str) -> impl Iterator<Item = (&str, Origin)> {
        let broker = self.dynamic_broker.get(name).map(|value| (value.as_str(), Origin::DynamicBroker));
        let default = self.dynamic_default.get(name).map(|value| (value.as_str(), Origin::DynamicDefault));
        let given = self.given.get(name).map(|(value, _)| (value.as_str(), Origin::Static));
        broker.into_iter().chain(default).chain(given)
    }

    /// The effective value: the given one, or that of a synonym, or the default. `None` is null.
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        if let Some(value) = self.given(name) {
            return Some(Cow::Borrowed(value));
        }
        let default = || table::find(Scope::Broker, name).and_then(|setting| setting.default).map(Cow::Borrowed);
        self.first_synonym(table::synonyms::of_broker(name)).or_else(default)
    }

    /// The settings as they apply to the listener of this name.
    pub fn of_listener<'a>(&'a self, listener: &'a str) -> ListenerValues<'a> {
        ListenerValues::new(self, listener)
    }

    /// The effective value as a Rust type. Null and invalid stored values become the type's default.
    pub(super) fn read<T: SettingValue>(&self, name: &str) -> T {
        T::read(self.text(name).as_deref()).unwrap_or_default()
    }

    /// The value of the first synonym that is given, converted to the unit of the requesting setting.
    pub(super) fn first_synonym(&self, synonyms: &[Synonym]) -> Option<Cow<'_, str>> {
        synonyms.iter().find_map(|synonym| self.given(synonym.name).map(|value| scaled(value, synonym.factor)))
    }
}

/// Multiplies a number by `factor`. A negative number means no limit and is not converted.
pub(super) fn scaled(value: &str, factor: i64) -> Cow<'_, str> {
    match value.parse::<i64>() {
        Ok(number) if factor != 1 && number >= 0 => Cow::Owned(number.saturating_mul(factor).to_string()),
        _ => Cow::Borrowed(value),
    }
}

/// Keeps the stored values that this release knows and allows.
fn valid(stored: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let allowed = |(name, value): &(&String, &String)| {
        listener_values::find_with_listener(name).is_some_and(|setting| setting.check(value).is_ok())
    };
    stored.iter().filter(allowed).map(|(name, value)| (name.clone(), value.trim().to_owned())).in_order()
}

/// A Rust type for the value of a setting.
pub(super) trait SettingValue: Sized + Default {
    /// Parses the text; `None` if it is not of this type.
    fn read(text: Option<&str>) -> Option<Self>;
}

impl SettingValue for bool {
    fn read(text: Option<&str>) -> Option<Self> {
        text::parse_bool(text?)
    }
}

impl SettingValue for String {
    fn read(text: Option<&str>) -> Option<Self> {
        text.map(str::to_owned)
    }
}

impl SettingValue for Password {
    fn read(text: Option<&str>) -> Option<Self> {
        text.map(Password::new)
    }
}

impl SettingValue for Vec<String> {
    fn read(text: Option<&str>) -> Option<Self> {
        Some(text::list(text?).map(str::to_owned).collect())
    }
}

impl SettingValue for Vec<StartTopic> {
    fn read(text: Option<&str>) -> Option<Self> {
        text::list(text?).map(StartTopic::parse).collect()
    }
}

impl<T: SettingValue> SettingValue for Option<T> {
    fn read(text: Option<&str>) -> Option<Self> {
        match text {
            None => Some(None),
            some => T::read(some).map(Some),
        }
    }
}

macro_rules! numbers {
    ($($type:ty),*) => {
        $(impl SettingValue for $type {
            fn read(text: Option<&str>) -> Option<Self> {
                text?.parse().ok()
            }
        })*
    };
}
numbers!(u8, i16, i32, i64, u16, u32, u64, usize, f64);

/// Defines a struct with one setting per field: `field: type = "name";`.
macro_rules! typed_settings {
    (
        $(#[$meta:meta])*
        pub struct $struct:ident {
            $( $(#[$field_meta:meta])* $field:ident: $type:ty = $name:literal; )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $struct {
            $( #[doc = concat!("`", $name, "`.")] $(#[$field_meta])* pub $field: $type, )*
        }

        impl $struct {
            /// Reads each field from the text that `text` returns for its setting's name.
            fn read<'a>(text: impl Fn(&'static str) -> Option<std::borrow::Cow<'a, str>>) -> $struct {
                use $crate::values::SettingValue;
                $struct { $( $field: <$type>::read(text($name).as_deref()).unwrap_or_default(), )* }
            }

            /// The names of the settings with a field.
            #[cfg(test)]
            pub(super) const NAMES: &'static [&'static str] = &[$($name),*];

            /// The names of settings whose text is not of the field's type.
            #[cfg(test)]
            pub(super) fn invalid_fields<'a>(
                text: impl Fn(&'static str) -> Option<std::borrow::Cow<'a, str>>,
            ) -> Vec<&'static str> {
                use $crate::values::SettingValue;
                let fits = [$(($name, <$type>::read(text($name).as_deref()).is_some())),*];
                fits.into_iter().filter(|(_, fits)| !fits).map(|(name, _)| name).collect()
            }
        }
    };
}
pub(super) use typed_settings;
