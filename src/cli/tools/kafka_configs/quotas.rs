//! Quotas of users, clients and IP addresses.

use super::changes::Additions;
use super::entities::{Entities, Kind};
use super::{Failure, Options};
use crate::cli::admin::quotas::{self, EntityPart, NameFilter, Quotas};
use crate::cli::admin::scram;
use crate::cli::tools::output::Output;
use ottla_client::Client;
use ottla_core::metadata::quota_entity_hash;
use ottla_core::security::sasl::ScramMechanism;
use ottla_wire::java::{self, sort_as_hash_map, string_hash};

/// Quotas of users and clients (`org.apache.kafka.server.config.QuotaConfig`).
const USER_AND_CLIENT_QUOTAS: [&str; 4] =
    ["producer_byte_rate", "consumer_byte_rate", "request_percentage", "controller_mutation_rate"];
const IP_QUOTA: &str = "connection_creation_rate";

impl Options {
    pub(super) async fn describe_quotas(&self, client: &Client, entities: &Entities) -> Result<(), Failure> {
        let mut output = Output::stdout();
        for quotas in quotas_of(client, entities).await? {
            output.line(quota_line(&quotas));
        }
        let with_credentials = entities.kinds == [Kind::Users] && !entities.has_default();
        if !with_credentials {
            return Ok(());
        }
        for (user, credentials) in scram::describe(client, &entities.names).await? {
            match credentials {
                Ok(credentials) => {
                    let listed: Vec<_> = credentials
                        .iter()
                        .map(|(mechanism, iterations)| format!("{mechanism}=iterations={iterations}"))
                        .collect();
                    let listed = listed.join(", ");
                    output.line(format_args!("SCRAM credential configs for user-principal '{user}' are {listed}"));
                }
                Err(error) => output.line(format_args!(
                    "Error retrieving SCRAM credential configs for user-principal '{user}': ExecutionException: {error}"
                )),
            }
        }
        Ok(())
    }

    pub(super) async fn alter_users(
        &self,
        client: &Client,
        entities: &Entities,
        additions: &Additions,
        deletions: &[String],
    ) -> Result<(), Failure> {
        let added: Vec<&str> = additions.keys().map(String::as_str).collect();
        let deleted: Vec<&str> = deletions.iter().map(String::as_str).collect();
        let takes_credentials = entities.kinds == [Kind::Users];
        let (kind, allowed) = match takes_credentials {
            true => ("users", "quota and SCRAM credential configs"),
            false => ("clients", "quota configs"),
        };
        let is_allowed = |name: &&str| is_quota(name) || (takes_credentials && is_scram(name));
        // Kafka's tool prints the unknown names as Scala collections of these types.
        for (what, names, collection) in [("added", &added, "Set"), ("deleted", &deleted, "ArrayBuffer")] {
            let unknown: Vec<&str> = names.iter().copied().filter(|name| !is_allowed(name)).collect();
            if !unknown.is_empty() {
                let unknown = unknown.join(", ");
                return Failure::usage(format!(
                    "Only {allowed} can be {what} for '{kind}' using --bootstrap-server. Unexpected config names: \
                     {collection}({unknown})"
                ));
            }
        }
        let all: Vec<&str> = added.into_iter().chain(deleted).collect();
        if all.iter().any(|name| is_scram(name)) {
            return self.alter_credentials(client, entities, additions, deletions).await;
        }
        alter_quotas(client, entities, additions, deletions).await
    }

    pub(super) async fn alter_ips(
        &self,
        client: &Client,
        entities: &Entities,
        additions: &Additions,
        deletions: &[String],
    ) -> Result<(), Failure> {
        let names = additions.keys().chain(deletions).map(String::as_str);
        let unknown: Vec<&str> = names.filter(|name| *name != IP_QUOTA).collect();
        if !unknown.is_empty() {
            return Failure::usage(format!(
                "Only connection quota configs can be added for 'ips' using --bootstrap-server. Unexpected config \
                 names: {}",
                unknown.join(",")
            ));
        }
        alter_quotas(client, entities, additions, deletions).await
    }
}

pub(super) fn is_quota(name: &str) -> bool {
    USER_AND_CLIENT_QUOTAS.contains(&name)
}

pub(super) fn is_scram(name: &str) -> bool {
    ScramMechanism::named(name).is_some()
}

async fn alter_quotas(
    client: &Client,
    entities: &Entities,
    additions: &Additions,
    deletions: &[String],
) -> Result<(), Failure> {
    let old = quotas_of(client, entities).await?.into_iter().next().map(|quotas| quotas.values).unwrap_or_default();
    let is_set = |name: &&String| old.iter().any(|(known, _)| known == *name);
    let unknown: Vec<_> = deletions.iter().filter(|name| !is_set(name)).map(String::as_str).collect();
    if !unknown.is_empty() {
        return Failure::usage(format!("Invalid config(s): {}", unknown.join(",")));
    }
    let addition = |(name, value): (&String, &String)| match value.parse::<f64>() {
        Ok(number) => Ok((name.clone(), Some(number))),
        Err(_) => Failure::usage(format!("Cannot parse quota configuration value for {name}: {value}")),
    };
    let mut changes = additions.iter().map(addition).collect::<Result<Vec<_>, Failure>>()?;
    changes.extend(deletions.iter().map(|name| (name.clone(), None)));
    let named = |(kind, name): (&Kind, &String)| {
        (part_name(*kind).to_owned(), Some(name.clone()).filter(|name| !name.is_empty()))
    };
    let entity: Vec<EntityPart> = entities.kinds.iter().zip(&entities.names).map(named).collect();
    Ok(quotas::alter(client, &entity, &changes).await?)
}

/// Describes the quotas of these entities. A kind without a name selects all its entities.
async fn quotas_of(client: &Client, entities: &Entities) -> Result<Vec<Quotas>, Failure> {
    if entities.names.len() > entities.kinds.len() {
        return Failure::usage("More entity names specified than entity types");
    }
    let part = |(index, kind): (usize, &Kind)| {
        let filter = match entities.names.get(index).map(String::as_str) {
            None => NameFilter::Any,
            Some("") => NameFilter::Default,
            Some(name) => NameFilter::Named(name.to_owned()),
        };
        (part_name(*kind), filter)
    };
    let parts: Vec<_> = entities.kinds.iter().enumerate().map(part).collect();
    let mut quotas = quotas::describe(client, &parts).await?;
    let count = quotas.len();
    sort_as_hash_map(&mut quotas, count, |quotas| quota_entity_hash(&quotas.entity));
    Ok(quotas)
}

/// Returns the name of a kind in a quota's entity.
fn part_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Clients => "client-id",
        Kind::Ips => "ip",
        _ => "user",
    }
}

/// Formats quotas: `Quota configs for user-principal 'u', client-id 'c' are request_percentage=200.0`
fn quota_line(quotas: &Quotas) -> String {
    let part = |(kind, label): (&str, &str)| {
        let (_, name) = quotas.entity.iter().find(|(found, _)| found == kind)?;
        Some(name.as_ref().map_or_else(|| format!("the default {label}"), |name| format!("{label} '{name}'")))
    };
    let parts: Vec<_> =
        [("user", "user-principal"), ("client-id", "client-id"), ("ip", "ip")].into_iter().filter_map(part).collect();
    let mut values = quotas.values.clone();
    // The maps of Kafka's client have the number of their entries as capacity.
    let count = values.len();
    sort_as_hash_map(&mut values, count, |(name, _)| string_hash(name));
    let values: Vec<_> = values.iter().map(|(name, value)| format!("{name}={}", java::double(*value))).collect();
    format!("Quota configs for {} are {}", parts.join(", "), values.join(", "))
}
