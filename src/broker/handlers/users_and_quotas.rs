//! DescribeClientQuotas (key 48, versions 0 to 1) and DescribeUserScramCredentials (50, version 0).
//!
//! Both describe the records of a metadata log from Apache Kafka. This broker enforces neither quotas nor
//! credentials, so AlterClientQuotas and AlterUserScramCredentials are not supported.

use std::collections::{BTreeMap, BTreeSet};

use super::authorizer::{Operation, Resource};
use super::context::{Answer, Context};
use super::errors::ToErrorCode;
use ottla_core::metadata::{Image, QuotaEntity};
use ottla_wire::codec::Str;
use ottla_wire::protocol::messages::describe_client_quotas::{
    ComponentData, DescribeClientQuotasRequest, DescribeClientQuotasResponse, EntityData, EntryData, ValueData,
};
use ottla_wire::protocol::messages::describe_user_scram_credentials::{
    CredentialInfo, DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse,
    DescribeUserScramCredentialsResult, UserName,
};
use ottla_wire::types::ErrorCode;

/// The entity types of quotas (Kafka's `ClientQuotaEntity`).
const USER: &str = "user";
const CLIENT_ID: &str = "client-id";
const IP: &str = "ip";

pub(super) fn describe_quotas(context: &Context, request: DescribeClientQuotasRequest) -> Answer {
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
    let mut found: BTreeMap<&QuotaEntity, Vec<ValueData>> = BTreeMap::new();
    for (entity, key, value) in image.client_quotas().filter(|(entity, ..)| filter.matches(entity)) {
        found.entry(entity).or_default().push(ValueData { key: key.into(), value });
    }
    let part = |(kind, name): &(String, Option<String>)| EntityData {
        entity_type: kind.as_str().into(),
        entity_name: name.as_deref().map(Str::from),
    };
    let entry = |(entity, values): (&QuotaEntity, _)| EntryData { entity: entity.iter().map(part).collect(), values };
    found.into_iter().map(entry).collect()
}

pub(super) fn describe_scram(context: &Context, request: DescribeUserScramCredentialsRequest) -> Answer {
    if let Err(denied) = context.authorize(Operation::Describe, Resource::Cluster) {
        // As in Kafka, without names and messages.
        let error_code = denied.error_code().code();
        let result = |_: &_| DescribeUserScramCredentialsResult { error_code, ..Default::default() };
        let results = request.users.iter().flatten().map(result).collect();
        return DescribeUserScramCredentialsResponse { error_code, results, ..Default::default() }.into();
    }
    let cluster = context.broker.cluster();
    let mut known: BTreeMap<Str, Vec<CredentialInfo>> = BTreeMap::new();
    for (user, mechanism, iterations) in cluster.image.scram_credentials() {
        known.entry(user.into()).or_default().push(CredentialInfo { mechanism, iterations });
    }
    let results = match request.users {
        Some(users) if !users.is_empty() => described_users(users, &known),
        _ => known
            .into_iter()
            .map(|(user, credential_infos)| DescribeUserScramCredentialsResult {
                user,
                credential_infos,
                ..Default::default()
            })
            .collect(),
    };
    DescribeUserScramCredentialsResponse { error_message: Some(Str::new()), results, ..Default::default() }.into()
}

fn described_users(
    users: Vec<UserName>,
    known: &BTreeMap<Str, Vec<CredentialInfo>>,
) -> Vec<DescribeUserScramCredentialsResult> {
    let (mut names, mut duplicates) = (BTreeSet::new(), BTreeSet::new());
    for user in users {
        if !names.insert(user.name.clone()) {
            duplicates.insert(user.name);
        }
    }
    let described = |user: Str| {
        let refused = |error: ErrorCode, why: String| DescribeUserScramCredentialsResult {
            user: user.clone(),
            error_code: error.code(),
            error_message: Some(why.into()),
            ..Default::default()
        };
        if duplicates.contains(&user) {
            let why = format!("Cannot describe SCRAM credentials for the same user twice in a single request: {user}");
            return refused(ErrorCode::DuplicateResource, why);
        }
        match known.get(&user) {
            Some(credentials) => DescribeUserScramCredentialsResult {
                user: user.clone(),
                credential_infos: credentials.clone(),
                ..Default::default()
            },
            None => {
                let why = format!("Attempt to describe a user credential that does not exist: {user}");
                refused(ErrorCode::ResourceNotFound, why)
            }
        }
    };
    names.iter().cloned().map(described).collect()
}
