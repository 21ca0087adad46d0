//! `host.name`, `port`, `advertised.host.name` and `advertised.port`: what Kafka up to 2.8 had before listeners, and
//! Kafka 0.7's `hostname`. They decide where `listeners` or `advertised.listeners` is not given: somebody who wrote
//! `host.name=127.0.0.1` wants a broker that nobody else reaches.

use std::collections::BTreeMap;

use super::error::LoadError;
use crate::listener::{self, ListenerSettings, OldNames};
use crate::values::{Source, Values};

const HOST: &str = "host.name";
const HOST_OF_0_7: &str = "hostname";
const PORT: &str = "port";
const ADVERTISED_HOST: &str = "advertised.host.name";
const ADVERTISED_PORT: &str = "advertised.port";
const ALL: [&str; 5] = [HOST, HOST_OF_0_7, PORT, ADVERTISED_HOST, ADVERTISED_PORT];

/// The old names that were given.
#[derive(Debug, Default)]
pub(super) struct Old(BTreeMap<&'static str, (String, Source)>);

impl Old {
    /// Remembers a value, if `name` is one of the old names; the last one counts.
    pub fn give(&mut self, name: &str, value: &str, from: &Source) -> bool {
        let known = ALL.into_iter().find(|old| *old == name);
        if let Some(old) = known {
            self.0.insert(old, (value.trim().to_owned(), from.clone()));
        }
        known.is_some()
    }

    /// Gives the settings that the old names stand for; the names of those that say nothing any more are returned.
    pub fn give_what_follows(self, values: &mut Values, controllers: &str) -> Result<Vec<String>, LoadError> {
        let text = |name: &str| self.0.get(name).map(|(value, _)| value.as_str()).filter(|value| !value.is_empty());
        let (has_listeners, has_advertised) =
            (values.given("listeners").is_some(), values.given("advertised.listeners").is_some());
        let old = OldNames {
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
        let (listeners, advertised) = listener::of_old_names(settings, old).map_err(LoadError::Conflict)?;
        let source = |names: &[&str]| names.iter().find_map(|name| self.0.get(name)).map(|(_, source)| source.clone());
        let of_advertised = source(&[ADVERTISED_HOST, ADVERTISED_PORT]);
        if let (Some(listeners), Some(from)) = (listeners, source(&[HOST, HOST_OF_0_7, PORT]).or(of_advertised.clone()))
        {
            values.give("listeners", &listeners, from);
        }
        if let (Some(advertised), Some(from)) = (advertised, of_advertised) {
            values.give("advertised.listeners", &advertised, from);
        }
        let says_nothing = |name: &&&str| match **name {
            ADVERTISED_HOST | ADVERTISED_PORT => has_advertised,
            HOST_OF_0_7 => has_listeners || self.0.contains_key(HOST),
            _ => has_listeners,
        };
        Ok(self.0.keys().filter(says_nothing).map(|name| (*name).to_owned()).collect())
    }
}
