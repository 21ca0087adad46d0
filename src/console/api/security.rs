//! `/acls`, `/users` and `/quotas`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Created, Json, JsonBody};
use crate::Kafka;
use crate::error::{ApiError, Result};
use ottla_wire::codec::Str;
use ottla_wire::protocol::messages::alter_client_quotas::{
    AlterClientQuotasRequest, EntityData, OpData, RequestEntryData,
};
use ottla_wire::protocol::messages::create_acls::{AclCreation, CreateAclsRequest};
use ottla_wire::protocol::messages::delete_acls::{DeleteAclsFilter, DeleteAclsRequest};
use ottla_wire::protocol::messages::describe_acls::DescribeAclsRequest;
use ottla_wire::protocol::messages::describe_client_quotas::DescribeClientQuotasRequest;
use ottla_wire::protocol::messages::describe_user_scram_credentials::DescribeUserScramCredentialsRequest;
use ottla_wire::types::ErrorCode;

/// Kafka's names by code (`ResourceType`, `PatternType`, `AclOperation`, `AclPermissionType`).
const RESOURCES: [&str; 8] =
    ["UNKNOWN", "ANY", "TOPIC", "GROUP", "CLUSTER", "TRANSACTIONAL_ID", "DELEGATION_TOKEN", "USER"];
const PATTERNS: [&str; 5] = ["UNKNOWN", "ANY", "MATCH", "LITERAL", "PREFIXED"];
const OPERATIONS: [&str; 16] = [
    "UNKNOWN",
    "ANY",
    "ALL",
    "READ",
    "WRITE",
    "CREATE",
    "DELETE",
    "ALTER",
    "DESCRIBE",
    "CLUSTER_ACTION",
    "DESCRIBE_CONFIGS",
    "ALTER_CONFIGS",
    "IDEMPOTENT_WRITE",
    "CREATE_TOKENS",
    "DESCRIBE_TOKENS",
    "TWO_PHASE_COMMIT",
];
const PERMISSIONS: [&str; 4] = ["UNKNOWN", "ANY", "DENY", "ALLOW"];
const MECHANISMS: [&str; 3] = ["UNKNOWN", "SCRAM-SHA-256", "SCRAM-SHA-512"];
/// The code that matches anything.
const ANY: i8 = 1;

/// An ACL, for a new one and for one that is deleted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acl {
    resource_type: String,
    resource_name: String,
    #[serde(default = "literal")]
    pattern_type: String,
    principal: String,
    #[serde(default = "any_host")]
    host: String,
    operation: String,
    #[serde(default = "allow")]
    permission: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuotaChange {
    /// Names by type (user, client-id, ip); null stands for the default.
    entity: BTreeMap<String, Option<String>>,
    /// Values by name; null removes one.
    values: BTreeMap<String, Option<f64>>,
}

fn literal() -> String {
    "LITERAL".to_owned()
}

fn any_host() -> String {
    "*".to_owned()
}

fn allow() -> String {
    "ALLOW".to_owned()
}

fn name<const N: usize>(names: [&'static str; N], code: i8) -> &'static str {
    let found = usize::try_from(code).ok().and_then(|code| names.get(code).copied());
    found.unwrap_or("UNKNOWN")
}

fn code<const N: usize>(names: [&str; N], name: &str) -> Result<i8> {
    let found = names.iter().position(|known| known.eq_ignore_ascii_case(name));
    let found = found.and_then(|code| i8::try_from(code).ok()).filter(|code| *code > ANY);
    found.ok_or_else(|| {
        ApiError::invalid(format!("{name} is not one of {}", names.get(2..).unwrap_or_default().join(", ")))
    })
}

pub async fn acls(Kafka(client): Kafka) -> Result<Json> {
    let request = DescribeAclsRequest {
        resource_type_filter: ANY,
        pattern_type_filter: ANY,
        operation: ANY,
        permission_type: ANY,
        ..Default::default()
    };
    let response = client.call(request).await?;
    match ApiError::check(response.error_code, response.error_message.as_deref(), "the ACLs") {
        Err(error) if error.is(ErrorCode::SecurityDisabled) => return Ok(Json(json!({"enabled": false, "acls": []}))),
        checked => checked?,
    }
    let rows = response.resources.iter().flat_map(|resource| {
        resource.acls.iter().map(|acl| {
            json!({
                "resource_type": name(RESOURCES, resource.resource_type),
                "resource_name": &*resource.resource_name,
                "pattern_type": name(PATTERNS, resource.pattern_type),
                "principal": &*acl.principal,
                "host": &*acl.host,
                "operation": name(OPERATIONS, acl.operation),
                "permission": name(PERMISSIONS, acl.permission_type),
            })
        })
    });
    Ok(Json(json!({"enabled": true, "acls": rows.collect::<Vec<_>>()})))
}

pub async fn create_acl(Kafka(client): Kafka, JsonBody(acl): JsonBody<Acl>) -> Result<Created> {
    let creation = AclCreation {
        resource_type: code(RESOURCES, &acl.resource_type)?,
        resource_name: Str::from(acl.resource_name.as_str()),
        resource_pattern_type: code(PATTERNS, &acl.pattern_type)?,
        principal: Str::from(acl.principal.as_str()),
        host: Str::from(acl.host.as_str()),
        operation: code(OPERATIONS, &acl.operation)?,
        permission_type: code(PERMISSIONS, &acl.permission)?,
    };
    let response = client.call(CreateAclsRequest { creations: vec![creation] }).await?;
    let result = response.results.first();
    let result = result.ok_or_else(|| ApiError::internal("the response about the ACL is incomplete"))?;
    ApiError::check(result.error_code, result.error_message.as_deref(), "the ACL")?;
    Ok(Created(Json(json!({"created": true}))))
}

pub async fn delete_acl(Kafka(client): Kafka, JsonBody(acl): JsonBody<Acl>) -> Result<Json> {
    let filter = DeleteAclsFilter {
        resource_type_filter: code(RESOURCES, &acl.resource_type)?,
        resource_name_filter: Some(Str::from(acl.resource_name.as_str())),
        pattern_type_filter: code(PATTERNS, &acl.pattern_type)?,
        principal_filter: Some(Str::from(acl.principal.as_str())),
        host_filter: Some(Str::from(acl.host.as_str())),
        operation: code(OPERATIONS, &acl.operation)?,
        permission_type: code(PERMISSIONS, &acl.permission)?,
    };
    let response = client.call(DeleteAclsRequest { filters: vec![filter] }).await?;
    let result = response.filter_results.first();
    let result = result.ok_or_else(|| ApiError::internal("the response about the ACL is incomplete"))?;
    ApiError::check(result.error_code, result.error_message.as_deref(), "the ACL")?;
    Ok(Json(json!({"deleted": result.matching_acls.len()})))
}

/// The users with SCRAM credentials.
pub async fn users(Kafka(client): Kafka) -> Result<Json> {
    let response = client.call(DescribeUserScramCredentialsRequest { users: None }).await?;
    ApiError::check(response.error_code, response.error_message.as_deref(), "the users")?;
    let user =
        |user: &ottla_wire::protocol::messages::describe_user_scram_credentials::DescribeUserScramCredentialsResult| {
            let credentials = user.credential_infos.iter().map(|credential| {
            json!({"mechanism": name(MECHANISMS, credential.mechanism), "iterations": credential.iterations})
        });
            json!({"name": &*user.user, "credentials": credentials.collect::<Vec<_>>()})
        };
    Ok(Json(json!({"users": response.results.iter().map(user).collect::<Vec<_>>()})))
}

pub async fn quotas(Kafka(client): Kafka) -> Result<Json> {
    let response = client.call(DescribeClientQuotasRequest::default()).await?;
    ApiError::check(response.error_code, response.error_message.as_deref(), "the quotas")?;
    let entries = response.entries.unwrap_or_default();
    let rows = entries.iter().map(|entry| {
        let entity = entry.entity.iter().map(|it| (it.entity_type.to_string(), Value::from(it.entity_name.as_deref())));
        let values = entry.values.iter().map(|it| (it.key.to_string(), Value::from(it.value)));
        json!({
            "entity": entity.collect::<serde_json::Map<_, _>>(),
            "values": values.collect::<serde_json::Map<_, _>>(),
        })
    });
    Ok(Json(json!({"quotas": rows.collect::<Vec<_>>()})))
}

pub async fn change_quota(Kafka(client): Kafka, JsonBody(change): JsonBody<QuotaChange>) -> Result<Json> {
    let entity = change.entity.iter().map(|(kind, name)| EntityData {
        entity_type: Str::from(kind.as_str()),
        entity_name: name.as_deref().map(Str::from),
    });
    let ops = change.values.iter().map(|(name, value)| OpData {
        key: Str::from(name.as_str()),
        value: value.unwrap_or_default(),
        remove: value.is_none(),
    });
    let entry = RequestEntryData { entity: entity.collect(), ops: ops.collect() };
    let response = client.call(AlterClientQuotasRequest { entries: vec![entry], validate_only: false }).await?;
    let result = response.entries.first();
    let result = result.ok_or_else(|| ApiError::internal("the response about the quota is incomplete"))?;
    ApiError::check(result.error_code, result.error_message.as_deref(), "the quota")?;
    Ok(Json(json!({"changed": true})))
}
