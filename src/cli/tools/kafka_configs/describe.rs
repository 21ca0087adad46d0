//! `kafka-configs --describe` of config resources; quotas are described by [`super::quotas`].

use super::entities::{Entities, Kind};
use super::{Failure, Options};
use crate::cli::admin::configs::{self, ConfigEntry, ConfigSource, ResourceType};
use crate::cli::admin::{self, topics};
use crate::cli::tools::exceptions::Exception;
use crate::cli::tools::output::Output;
use ottla_client::Client;
use ottla_core::metadata::names;
use ottla_wire::java::sort_as_hash_map;
use ottla_wire::java::string_hash;
use ottla_wire::types::sort_by;

impl Options {
    pub(super) async fn describe(&self, client: &Client, entities: &Entities) -> Result<(), Failure> {
        let Some(kind) = entities.kinds.first().copied() else { return Ok(()) };
        match kind {
            Kind::Users | Kind::Clients | Kind::Ips => self.describe_quotas(client, entities).await,
            _ => self.describe_resources(client, kind, entities.names.first().map(String::as_str)).await,
        }
    }

    async fn describe_resources(&self, client: &Client, kind: Kind, name: Option<&str>) -> Result<(), Failure> {
        let mut output = Output::stdout();
        if let Some(name) = name.filter(|_| !self.all)
            && !exists(client, kind, name).await?
        {
            output
                .line(format_args!("The {} '{name}' doesn't exist and doesn't have dynamic config.", kind.singular()));
            return Ok(());
        }
        let names = match name {
            Some(name) => vec![name.to_owned()],
            None => all_names(client, kind).await?,
        };
        for name in names {
            if name.is_empty() {
                output.line(format_args!("Default configs for {} in the cluster are:", kind.name()));
            } else {
                let which = if self.all { "All" } else { "Dynamic" };
                output.line(format_args!("{which} configs for {} {name} are:", kind.singular()));
            }
            for entry in self.entries(client, kind, &name).await? {
                output.line(line(&entry));
            }
        }
        Ok(())
    }

    /// Returns the settings to print of one resource, sorted by name.
    async fn entries(&self, client: &Client, kind: Kind, name: &str) -> Result<Vec<ConfigEntry>, Failure> {
        if kind == Kind::Topics && !name.is_empty() {
            check_topic(name)?;
        }
        let (resource, dynamic) = resource(kind, name);
        let mut described = configs::describe(client, &[(resource, name)], true).await?;
        let mut entries = described.pop().unwrap_or_default();
        entries.retain(|entry| self.all || dynamic.is_none_or(|dynamic| entry.source == dynamic));
        sort_by(&mut entries, |a, b| a.name.cmp(&b.name));
        Ok(entries)
    }
}

/// Returns the resource type of a kind, and the source of its dynamic settings.
pub(super) fn resource(kind: Kind, name: &str) -> (ResourceType, Option<ConfigSource>) {
    match kind {
        Kind::Brokers if name.is_empty() => (ResourceType::Broker, Some(ConfigSource::DynamicDefaultBroker)),
        Kind::Brokers => (ResourceType::Broker, Some(ConfigSource::DynamicBroker)),
        Kind::BrokerLoggers => (ResourceType::BrokerLogger, None),
        Kind::ClientMetrics => (ResourceType::ClientMetrics, Some(ConfigSource::DynamicClientMetrics)),
        Kind::Groups => (ResourceType::Group, Some(ConfigSource::DynamicGroup)),
        _ => (ResourceType::Topic, Some(ConfigSource::DynamicTopic)),
    }
}

async fn exists(client: &Client, kind: Kind, name: &str) -> Result<bool, Failure> {
    Ok(match kind {
        Kind::Brokers | Kind::BrokerLoggers if name.is_empty() => true,
        Kind::Topics => {
            check_topic(name)?;
            topics::list(client).await?.iter().any(|topic| topic.name == name)
        }
        Kind::Groups => {
            let has_members = admin::group_ids(client).await?.iter().any(|group| group == name);
            has_members
                || groups_with_settings(client).await?.is_none_or(|groups| groups.iter().any(|group| group == name))
        }
        _ => all_names(client, kind).await?.iter().any(|known| known == name),
    })
}

/// Lists all entities of a kind, in Kafka's order.
async fn all_names(client: &Client, kind: Kind) -> Result<Vec<String>, Failure> {
    Ok(match kind {
        Kind::Brokers | Kind::BrokerLoggers => {
            let ids = admin::broker_ids(client).await?;
            ids.iter().map(i32::to_string).chain([String::new()]).collect()
        }
        Kind::ClientMetrics => configs::list(client, ResourceType::ClientMetrics).await?,
        Kind::Groups => {
            let mut names = admin::group_ids(client).await?;
            let others = groups_with_settings(client).await?.unwrap_or_default();
            let others: Vec<_> = others.into_iter().filter(|name| !names.contains(name)).collect();
            names.extend(others);
            names
        }
        _ => {
            let mut names: Vec<_> = topics::list(client).await?.into_iter().map(|topic| topic.name).collect();
            sort_as_hash_map(&mut names, 16, |name| string_hash(name));
            names
        }
    })
}

/// Lists the groups with settings; `None` if the broker doesn't support or doesn't permit it.
async fn groups_with_settings(client: &Client) -> Result<Option<Vec<String>>, Exception> {
    match configs::list(client, ResourceType::Group).await {
        Ok(names) => Ok(Some(names)),
        Err(error)
            if matches!(error.simple_name(), "UnsupportedVersionException" | "ClusterAuthorizationException") =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn check_topic(name: &str) -> Result<(), Failure> {
    names::check(name).map_err(Failure::Usage)
}

/// Formats a setting: `  name=value sensitive=false synonyms={SOURCE:name=value, …}`
fn line(entry: &ConfigEntry) -> String {
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "null".to_owned());
    let synonyms = entry.synonyms.iter();
    let synonyms: Vec<_> = synonyms
        .map(|synonym| format!("{}:{}={}", synonym.source.name(), synonym.name, text(&synonym.value)))
        .collect();
    format!(
        "  {}={} sensitive={} synonyms={{{}}}",
        entry.name,
        text(&entry.value),
        entry.is_sensitive,
        synonyms.join(", ")
    )
}
