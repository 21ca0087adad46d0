//! Quotas of users, clients and addresses.

use super::{Result, accepted, incomplete};
use ottla_client::Client;
use ottla_wire::codec::Str;
use ottla_wire::protocol::ApiKey;
use ottla_wire::protocol::messages::alter_client_quotas::{
    AlterClientQuotasRequest, EntityData, OpData, RequestEntryData,
};
use ottla_wire::protocol::messages::describe_client_quotas::{ComponentData, DescribeClientQuotasRequest};

/// One part of a quota's entity: `user`, `client-id` or `ip`, and its name; `None` is the default.
pub type EntityPart = (String, Option<String>);

/// A filter for the name of an entity's part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameFilter {
    Named(String),
    Default,
    Any,
}

/// The quotas of one entity, by name.
#[derive(Clone, Debug)]
pub struct Quotas {
    pub entity: Vec<EntityPart>,
    pub values: Vec<(String, f64)>,
}

/// The quotas of entities with exactly these parts.
pub async fn describe(client: &Client, parts: &[(&str, NameFilter)]) -> Result<Vec<Quotas>> {
    let component = |(kind, name): &(&str, NameFilter)| ComponentData {
        entity_type: Str::from(*kind),
        match_type: match name {
            NameFilter::Named(_) => 0,
            NameFilter::Default => 1,
            NameFilter::Any => 2,
        },
        r#match: match name {
            NameFilter::Named(name) => Some(Str::from(name.as_str())),
            NameFilter::Default | NameFilter::Any => None,
        },
    };
    let request = DescribeClientQuotasRequest { components: parts.iter().map(component).collect(), strict: true };
    let answer = client.call(request).await?;
    accepted(answer.error_code, answer.error_message.as_deref())?;
    let entries = answer.entries.unwrap_or_default().into_iter();
    let quotas = entries.map(|entry| Quotas {
        entity: entry
            .entity
            .into_iter()
            .map(|part| (part.entity_type.to_string(), part.entity_name.map(|name| name.to_string())))
            .collect(),
        values: entry.values.into_iter().map(|value| (value.key.to_string(), value.value)).collect(),
    });
    Ok(quotas.collect())
}

/// Sets quotas of one entity; removes those without a value.
pub async fn alter(client: &Client, entity: &[EntityPart], changes: &[(String, Option<f64>)]) -> Result<()> {
    let part = |(kind, name): &EntityPart| EntityData {
        entity_type: Str::from(kind.as_str()),
        entity_name: name.as_deref().map(Str::from),
    };
    let change = |(key, value): &(String, Option<f64>)| OpData {
        key: Str::from(key.as_str()),
        value: value.unwrap_or_default(),
        remove: value.is_none(),
    };
    let entry =
        RequestEntryData { entity: entity.iter().map(part).collect(), ops: changes.iter().map(change).collect() };
    let answer = client.call(AlterClientQuotasRequest { entries: vec![entry], validate_only: false }).await?;
    let altered = answer.entries.first().ok_or_else(|| incomplete(ApiKey::AlterClientQuotas))?;
    accepted(altered.error_code, altered.error_message.as_deref())
}
