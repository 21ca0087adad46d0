//! Settings of topics, brokers, groups and client metrics.

use super::{Result, accepted, incomplete};
use ottla_client::{Client, ClientError};
use ottla_wire::codec::Str;
use ottla_wire::protocol::ApiKey;
use ottla_wire::protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult, DescribeConfigsSynonym,
};
use ottla_wire::protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use ottla_wire::protocol::messages::list_config_resources::ListConfigResourcesRequest;

/// The type of a resource with settings, with Kafka's number (`ConfigResource.Type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum ResourceType {
    Topic = 2,
    Broker = 4,
    BrokerLogger = 8,
    ClientMetrics = 16,
    Group = 32,
}

/// The source of a setting's value, with Kafka's number (`ConfigEntry.ConfigSource`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum ConfigSource {
    DynamicTopic = 1,
    DynamicBroker = 2,
    DynamicDefaultBroker = 3,
    StaticBroker = 4,
    Default = 5,
    DynamicBrokerLogger = 6,
    DynamicClientMetrics = 7,
    DynamicGroup = 8,
    Unknown = -1,
}

impl ConfigSource {
    fn of_number(number: i8) -> ConfigSource {
        match number {
            1 => ConfigSource::DynamicTopic,
            2 => ConfigSource::DynamicBroker,
            3 => ConfigSource::DynamicDefaultBroker,
            4 => ConfigSource::StaticBroker,
            5 => ConfigSource::Default,
            6 => ConfigSource::DynamicBrokerLogger,
            7 => ConfigSource::DynamicClientMetrics,
            8 => ConfigSource::DynamicGroup,
            _ => ConfigSource::Unknown,
        }
    }

    /// The name that tools print.
    pub fn name(self) -> &'static str {
        match self {
            ConfigSource::DynamicTopic => "DYNAMIC_TOPIC_CONFIG",
            ConfigSource::DynamicBroker => "DYNAMIC_BROKER_CONFIG",
            ConfigSource::DynamicDefaultBroker => "DYNAMIC_DEFAULT_BROKER_CONFIG",
            ConfigSource::StaticBroker => "STATIC_BROKER_CONFIG",
            ConfigSource::Default => "DEFAULT_CONFIG",
            ConfigSource::DynamicBrokerLogger => "DYNAMIC_BROKER_LOGGER_CONFIG",
            ConfigSource::DynamicClientMetrics => "DYNAMIC_CLIENT_METRICS_CONFIG",
            ConfigSource::DynamicGroup => "DYNAMIC_GROUP_CONFIG",
            ConfigSource::Unknown => "UNKNOWN",
        }
    }
}

/// A setting with its value (`None` if secret or unset) and source.
#[derive(Clone, Debug)]
pub struct ConfigEntry {
    pub name: String,
    pub value: Option<String>,
    pub source: ConfigSource,
    pub is_sensitive: bool,
    pub is_read_only: bool,
    /// The value and those it overrides, in descending precedence.
    pub synonyms: Vec<ConfigSynonym>,
}

#[derive(Clone, Debug)]
pub struct ConfigSynonym {
    pub name: String,
    pub value: Option<String>,
    pub source: ConfigSource,
}

/// Describes all settings of each resource, in the broker's order.
pub async fn describe(
    client: &Client,
    resources: &[(ResourceType, &str)],
    include_synonyms: bool,
) -> Result<Vec<Vec<ConfigEntry>>> {
    if resources.is_empty() {
        return Ok(Vec::new());
    }
    let asked = resources.iter().map(|(kind, name)| DescribeConfigsResource {
        resource_type: *kind as i8,
        resource_name: Str::from(*name),
        configuration_keys: None,
    });
    let request = DescribeConfigsRequest { resources: asked.collect(), include_synonyms, include_documentation: false };
    let answer = client.call(request).await?;
    let of_resource = |(kind, name): &(ResourceType, &str)| {
        let mut results = answer.results.iter();
        let result = results.find(|result| result.resource_type == *kind as i8 && *result.resource_name == **name);
        let result = result.ok_or_else(|| incomplete(ApiKey::DescribeConfigs))?;
        accepted(result.error_code, result.error_message.as_deref())?;
        Ok(result.configs.iter().map(entry).collect())
    };
    resources.iter().map(of_resource).collect()
}

/// The names of all resources of a type that have their own settings.
pub async fn list(client: &Client, kind: ResourceType) -> Result<Vec<String>> {
    // Version 0 lists only client metrics.
    let newest = client.version_up_to(ApiKey::ListConfigResources, i16::MAX)?;
    if newest == 0 && kind != ResourceType::ClientMetrics {
        let served = client.served(ApiKey::ListConfigResources);
        return Err(ClientError::Unsupported { key: ApiKey::ListConfigResources, served }.into());
    }
    let answer = client.call(ListConfigResourcesRequest { resource_types: vec![kind as i8] }).await?;
    accepted(answer.error_code, None)?;
    Ok(answer.config_resources.into_iter().map(|resource| resource.resource_name.to_string()).collect())
}

/// A change of one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Set(String, String),
    /// Resets it to its default.
    Delete(String),
}

impl Change {
    /// The setting that is changed.
    pub fn name(&self) -> &str {
        match self {
            Change::Set(name, _) | Change::Delete(name) => name,
        }
    }
}

/// Changes settings of one resource.
pub async fn alter(client: &Client, resource: (ResourceType, &str), changes: &[Change]) -> Result<()> {
    let change = |change: &Change| match change {
        Change::Set(name, value) => AlterableConfig {
            name: Str::from(name.as_str()),
            config_operation: 0,
            value: Some(Str::from(value.as_str())),
        },
        Change::Delete(name) => {
            AlterableConfig { name: Str::from(name.as_str()), config_operation: 1, value: Some(Str::new()) }
        }
    };
    let (kind, name) = resource;
    let asked = AlterConfigsResource {
        resource_type: kind as i8,
        resource_name: Str::from(name),
        configs: changes.iter().map(change).collect(),
    };
    let request = IncrementalAlterConfigsRequest { resources: vec![asked], validate_only: false };
    let answer = client.call(request).await?;
    let altered = answer.responses.first().ok_or_else(|| incomplete(ApiKey::IncrementalAlterConfigs))?;
    accepted(altered.error_code, altered.error_message.as_deref())
}

fn entry(described: &DescribeConfigsResourceResult) -> ConfigEntry {
    // Version 0 reports only whether the value is the default.
    let source = match described.config_source {
        -1 if described.is_default => ConfigSource::Default,
        number => ConfigSource::of_number(number),
    };
    let synonym = |synonym: &DescribeConfigsSynonym| ConfigSynonym {
        name: synonym.name.to_string(),
        value: synonym.value.as_ref().map(Str::to_string),
        source: ConfigSource::of_number(synonym.source),
    };
    ConfigEntry {
        name: described.name.to_string(),
        value: described.value.as_ref().map(Str::to_string),
        source,
        is_sensitive: described.is_sensitive,
        is_read_only: described.read_only,
        synonyms: described.synonyms.iter().map(synonym).collect(),
    }
}
