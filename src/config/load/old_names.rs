//! Settings that `listeners` and `advertised.listeners` replaced: `host.name`, `port`, `advertised.host.name` and
//! `advertised.port` of Kafka up to 2.8, and `hostname` of Kafka 0.7. They apply if their replacement is not given, because
//! `host.name=127.0.0.1` asks for a broker that other machines can't reach.

use std::collections::BTreeMap;

use super::error::LoadError;
use crate::listener::{self, ListenerSettings, OldListenerSettings};
use crate::values::{Source, Values};

const HOST: &str = "host.name";
const HOST_OF_0_7: &str = "hostname";
const PORT: &str = "port";
const ADVERTISED_HOST: &str = "advertised.host.name";
const ADVERTISED_PORT: &str = "advertised.port";
const ALL: [&str; 5] = [HOST, HOST_OF_0_7, PORT, ADVERTISED_HOST, ADVERTISED_PORT];

/// The given old settings.
#[derive(Debug, Default)]
pub(super) struct OldSettings(BTreeMap<&'static str, (String, Source)>);

impl OldSettings {
    /// Stores a value if `name` is an old setting; the last value of a name counts.
    pub fn add(&mut self, name: &str, value: &str, from: &Source) -> bool {
        let known = ALL.into_iter().find(|old| *old == name);
        if let Some(old) = known {
            self.0.insert(old, (value.trim().to_owned(), from.clone()));
        }
        known.is_some()
    }

    /// Sets `listeners` and `advertised.listeners` from the old settings. Returns the names of those without effect.
    pub fn apply(self, values: &mut Values, controllers: &str) -> Result<Vec<String>, LoadError> {
        let text = |name: &str| self.0.get(name).map(|(value, _)| value.as_str()).filter(|value| !value.is_empty());
        let (has_listeners, has_advertised) =
            (values.given("listeners").is_some(), values.given("advertised.listeners").is_some());
        let old = OldListenerSettings {
            host: text(HOST).or_else(|| text(HOST_OF_0_7)),
            port: text(PORT),
            advertised_host: text(ADVERTISED_HOST),
            advertised_port: text(ADVERTISED_PORT),
        };
        let settings = ListenerSettings {
            listeners: values.given("listeners"),
            advertised: values.given("advertised.listeners"),
            protocol_map: "",
            controllers,
        };
        let (listeners, advertised) = listener::from_old_names(settings, old).map_err(LoadError::Conflict)?;
        let source = |names: &[&str]| names.iter().find_map(|name| self.0.get(name)).map(|(_, source)| source.clone());
        let of_advertised = source(&[ADVERTISED_HOST, ADVERTISED_PORT]);
        if let (Some(listeners), Some(from)) = (listeners, source(&[HOST, HOST_OF_0_7, PORT]).or(of_advertised.clone()))
        {
            values.set_static("listeners", &listeners, from);
        }
        if let (Some(advertised), Some(from)) = (advertised, of_advertised) {
            values.set_static("advertised.listeners", &advertised, from);
        }
        let has_no_effect = |name: &&&str| match **name {
            ADVERTISED_HOST | ADVERTISED_PORT => has_advertised,
            HOST_OF_0_7 => has_listeners || self.0.contains_key(HOST),
            _ => has_listeners,
        };
        Ok(self.0.keys().filter(has_no_effect).map(|name| (*name).to_owned()).collect())
    }
}
