//! DescribeClientQuotas (key 48, versions 0 to 1) and AlterClientQuotas (49, 0 to 1): KIP-546.

use std::collections::{BTreeMap, HashSet};
use std::net::{IpAddr, ToSocketAddrs as _};

use super::authorizer::{Operation, Resource};
use super::context::{Answer, Context};
use super::errors::ToErrorCode;
use crate::blocking;
use crate::log_rate_limiter::log_limited;
use ottla_core::metadata::{AlterClientQuotas, Image, QuotaAlteration, QuotaEntity, quota_entity_hash};
use ottla_core::security::quota::{CLIENT_ID, IP, USER};
use ottla_wire::codec::Str;
use ottla_wire::java::{sort_as_hash_map, string_hash};
use ottla_wire::protocol::messages::alter_client_quotas::{
    self as altering, AlterClientQuotasRequest, AlterClientQuotasResponse, RequestEntryData, ResponseEntryData,
};
use ottla_wire::protocol::messages::describe_client_quotas::{
    ComponentData, DescribeClientQuotasRequest, DescribeClientQuotasResponse, EntityData, EntryData, ValueData,
};
use ottla_wire::types::ErrorCode;

/// The most host names that one request may have as IP entities: each is looked up.
const MAX_HOST_NAMES: usize = 100;

pub(super) fn describe(context: &Context, request: DescribeClientQuotasRequest) -> Answer {
    let filter = match context.authorize(Operation::DescribeConfigs, Resource::Cluster) {
        Ok(()) => QuotaFilter::new(&request),
        // As in Kafka, without a message.
        Err(denied) => {
            return DescribeClientQuotasResponse { error_code: denied.error_code().code(), ..Default::default() }
                .into();
        }
    };
    match filter {
        Ok(filter) => DescribeClientQuotasResponse {
            error_message: Some(Str::new()),
            entries: Some(matching_quotas(&context.broker.cluster().image, &filter)),
            ..Default::default()
        },
        Err((error, message)) => DescribeClientQuotasResponse {
            error_code: error.code(),
            error_message: Some(message.into()),
            ..Default::default()
        },
    }
    .into()
}

/// The filter of a request for entities: for each entity type, the condition on its name.
struct QuotaFilter {
    names: BTreeMap<String, NameFilter>,
    /// Excludes entities with other entity types.
    strict: bool,
}

enum NameFilter {
    Any,
    /// `None` is the default entity of the type.
    Exact(Option<String>),
}

impl QuotaFilter {
    /// Parses the filter of a request. Errors in the order of Kafka's checks.
    fn new(request: &DescribeClientQuotasRequest) -> Result<QuotaFilter, (ErrorCode, String)> {
        let invalid = |message: &str| (ErrorCode::InvalidRequest, message.to_owned());
        let mut names = BTreeMap::new();
        for component in &request.components {
            let kind = &*component.entity_type;
            if kind.is_empty() {
                return Err(invalid("Invalid empty entity type."));
            }
            if names.contains_key(kind) {
                return Err(invalid(&format!("Entity type {kind} cannot appear more than once in the filter.")));
            }
            if ![USER, CLIENT_ID, IP].contains(&kind) {
                return Err((ErrorCode::UnsupportedVersion, format!("Unsupported entity type {kind}")));
            }
            names.insert(kind.to_owned(), name_filter(component).map_err(|message| invalid(&message))?);
        }
        if names.contains_key(IP) && names.len() > 1 {
            return Err(invalid(
                "Invalid entity filter component combination. IP filter component should not be used with user or \
                 clientId filter component.",
            ));
        }
        Ok(QuotaFilter { names, strict: request.strict })
    }

    fn matches(&self, entity: &QuotaEntity) -> bool {
        let name_of = |kind: &str| entity.iter().find(|(part, _)| part == kind).map(|(_, name)| name);
        let all = self.names.iter().all(|(kind, filter)| match (name_of(kind), filter) {
            (None, _) => false,
            (Some(_), NameFilter::Any) => true,
            (Some(name), NameFilter::Exact(expected)) => name == expected,
        });
        all && (!self.strict || entity.len() == self.names.len())
    }
}

fn name_filter(component: &ComponentData) -> Result<NameFilter, String> {
    let unnamed = |which: &str, filter| match component.r#match {
        None => Ok(filter),
        Some(_) => Err(format!("Request specified MATCH_TYPE_{which}, but also specified a match string.")),
    };
    match (component.match_type, &component.r#match) {
        (0, Some(name)) => Ok(NameFilter::Exact(Some(name.to_string()))),
        (0, None) => Err("Request specified MATCH_TYPE_EXACT, but set match string to null.".to_owned()),
        (1, _) => unnamed("DEFAULT", NameFilter::Exact(None)),
        (2, _) => unnamed("SPECIFIED", NameFilter::Any),
        (other, _) => Err(format!("Unknown match type {other}")),
    }
}

fn matching_quotas(image: &Image, filter: &QuotaFilter) -> Vec<EntryData> {
    let mut all: BTreeMap<&QuotaEntity, Vec<ValueData>> = BTreeMap::new();
    for (entity, key, value) in image.client_quotas() {
        all.entry(entity).or_default().push(ValueData { key: key.into(), value });
    }
    let mut all: Vec<_> = all.into_iter().collect();
    let count = all.len();
    sort_as_hash_map(&mut all, count, |(entity, _)| quota_entity_hash(entity));
    let part = |(kind, name): &(String, Option<String>)| EntityData {
        entity_type: kind.as_str().into(),
        entity_name: name.as_deref().map(Str::from),
    };
    let entry = |(entity, values): (&QuotaEntity, _)| EntryData { entity: entity.iter().map(part).collect(), values };
    all.into_iter().filter(|(entity, _)| filter.matches(entity)).map(entry).collect()
}

pub(super) fn alter(context: &Context, request: AlterClientQuotasRequest) -> Answer {
    if let Err(denied) = context.authorize(Operation::AlterConfigs, Resource::Cluster) {
        let (code, message) = (denied.error_code(), denied.message());
        let refused = |entry: RequestEntryData| ResponseEntryData {
            error_code: code.code(),
            error_message: Some(Str::from_static(message)),
            entity: entry.entity,
        };
        let entries = request.entries.into_iter().map(refused).collect();
        return AlterClientQuotasResponse { entries, ..Default::default() }.into();
    }
    let alterations: Vec<QuotaAlteration> = request.entries.iter().map(alteration).collect();
    let validate_only = request.validate_only;
    let host_names = host_names(&alterations);
    if host_names.is_empty() {
        return submit(context, AlterClientQuotas { alterations, unresolvable: HashSet::new(), validate_only });
    }
    let context = context.clone();
    Answer::parked(async move {
        let unresolvable = blocking::run(move || unresolvable(host_names)).await.unwrap_or_default();
        match submit(&context, AlterClientQuotas { alterations, unresolvable, validate_only }) {
            Answer::Parked(answer) => answer.await,
            _ => AlterClientQuotasResponse::default().into(),
        }
    })
}

fn submit(context: &Context, command: AlterClientQuotas) -> Answer {
    let entities: Vec<QuotaEntity> = command.alterations.iter().map(|it| it.entity.clone()).collect();
    let changes_nothing = command.validate_only;
    let submitted = context.broker.metadata().submit(command);
    let context = context.clone();
    Answer::parked(async move {
        let entries = match submitted.await {
            Ok(results) => results
                .into_iter()
                .map(|(entity, result)| match result {
                    Ok(()) => {
                        if !changes_nothing {
                            log_change(&context, &entity);
                        }
                        entry(&entity, ErrorCode::None, None)
                    }
                    Err(error) => entry(&entity, error.error_code(), Some(error.to_string())),
                })
                .collect(),
            Err(error) => {
                entities.iter().map(|entity| entry(entity, error.error_code(), Some(error.to_string()))).collect()
            }
        };
        AlterClientQuotasResponse { entries, ..Default::default() }
    })
}

/// The alteration of an entry. As in Kafka, the last of several names of a type counts.
fn alteration(entry: &RequestEntryData) -> QuotaAlteration {
    let mut entity = QuotaEntity::new();
    for part in &entry.entity {
        let (kind, name) = (part.entity_type.to_string(), part.entity_name.as_ref().map(Str::to_string));
        match entity.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, known)) => *known = name,
            None => entity.push((kind, name)),
        }
    }
    sort_as_hash_map(&mut entity, entry.entity.len(), |(kind, _)| string_hash(kind));
    let ops = entry.ops.iter().map(|op| (op.key.to_string(), (!op.remove).then_some(op.value))).collect();
    QuotaAlteration { entity, ops }
}

/// The names of IP entities that are not addresses, without the default.
fn host_names(alterations: &[QuotaAlteration]) -> Vec<String> {
    let parts = alterations.iter().flat_map(|alteration| &alteration.entity);
    let names = parts.filter(|(kind, _)| kind == IP).filter_map(|(_, name)| name.as_ref());
    names.filter(|name| !name.is_empty() && name.parse::<IpAddr>().is_err()).cloned().collect()
}

/// The names that cannot be resolved. Blocks.
fn unresolvable(host_names: Vec<String>) -> HashSet<String> {
    let looked_up = |(index, name): &(usize, String)| {
        *index < MAX_HOST_NAMES && (name.as_str(), 0).to_socket_addrs().is_ok_and(|mut found| found.next().is_some())
    };
    host_names.into_iter().enumerate().filter(|name| !looked_up(name)).map(|(_, name)| name).collect()
}

fn entry(entity: &QuotaEntity, error: ErrorCode, message: Option<String>) -> ResponseEntryData {
    let part = |(kind, name): &(String, Option<String>)| altering::EntityData {
        entity_type: kind.as_str().into(),
        entity_name: name.as_deref().map(Str::from),
    };
    ResponseEntryData {
        error_code: error.code(),
        error_message: message.map(Str::from),
        entity: entity.iter().map(part).collect(),
    }
}

fn log_change(context: &Context, entity: &QuotaEntity) {
    let part = |(kind, name): &(String, Option<String>)| format!("{kind} {}", name.as_deref().unwrap_or("(default)"));
    let entity: Vec<String> = entity.iter().map(part).collect();
    log_limited!(
        INFO, context.broker.log_rate_limiter(), None, "changes of client quotas",
        entity = entity.join(", "), client = %context.connection, "changed client quotas"
    );
}
