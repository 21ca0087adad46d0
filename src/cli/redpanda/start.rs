//! What Redpanda's arguments and files say, as settings of the broker.

use super::address::Address;
use super::arguments::Arguments;
use super::properties::Properties;
use super::yaml::Node;
use super::{http, kafka};

/// Everything that is given.
pub struct Given<'a> {
    pub arguments: &'a Arguments,
    /// redpanda.yaml with the values of `--set`; null without both.
    pub node: &'a Node,
    /// Whether there is a redpanda.yaml. Without one, Redpanda runs all its services.
    pub has_file: bool,
    /// The cluster properties, those of .bootstrap.yaml included.
    pub properties: Properties<'a>,
    /// Returns an environment variable.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// Reads a file. The error is one line without the file's name.
    pub read: &'a dyn Fn(&str) -> Result<String, String>,
}

/// The settings of the broker.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Kafka's names and the values.
    pub pairs: Vec<(String, String)>,
    /// The flags and properties without effect.
    pub ignored: Vec<String>,
}

impl Settings {
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.pairs.push((name.to_owned(), value.into()));
    }

    pub fn ignore(&mut self, what: impl Into<String>) {
        self.ignored.push(what.into());
    }
}

impl<'a> Given<'a> {
    /// `superusers`.
    pub fn superusers(&self) -> Vec<&'a str> {
        self.properties.get("superusers").items().iter().filter_map(Node::text).collect()
    }

    /// The settings. The error is one line.
    pub fn settings(&self) -> Result<Settings, String> {
        let mut settings = Settings { pairs: self.properties.settings(), ignored: self.arguments.ignored.clone() };
        settings.ignored.extend(self.properties.ignored());
        if let Some(id) = &self.arguments.node_id {
            settings.set("node.id", id);
        }
        if let Some(directory) = self.node.get("redpanda").get("data_directory").text() {
            settings.set("log.dirs", directory);
        }
        kafka::add(self, &mut settings)?;
        http::add(self, &self.hosts()?, &mut settings)?;
        Ok(settings)
    }

    /// The names by which Kafka's clients reach the broker, and so those of its other ports.
    fn hosts(&self) -> Result<String, String> {
        let (listeners, advertised) = kafka::addresses(self)?;
        let is_name = |host: &&str| !host.is_empty() && host.parse::<std::net::IpAddr>().is_err();
        let mut hosts: Vec<&str> =
            listeners.iter().chain(&advertised).map(|Address { host, .. }| host.as_str()).filter(is_name).collect();
        hosts.sort_unstable();
        hosts.dedup();
        Ok(hosts.join(","))
    }
}

#[cfg(test)]
mod tests;
