//! DescribeAcls (key 29), CreateAcls (30) and DeleteAcls (31), versions 0 to 3 each.
//!
//! Without an authorizer the response is SECURITY_DISABLED, as in Kafka. Version 0, which Apache Kafka no longer supports,
//! is answered as Kafka 3 answers it. The parts of a request that Kafka checks when it reads the request are in `checks`.

mod checks;

use std::sync::Arc;

use super::authorizer::{Operation, Resource};
use super::context::{Answer, Context};
use super::errors::ToErrorCode;
use ottla_core::metadata::{CreateAcls, DeleteAcls, MetadataError};
use ottla_core::security::acl::{
    Acl, AclBinding, AclFilter, CLUSTER_NAME, Matching, NameMatching, Permission, ResourceType,
};
use ottla_wire::codec::Str;
use ottla_wire::protocol::messages::create_acls::{
    AclCreation, AclCreationResult, CreateAclsRequest, CreateAclsResponse,
};
use ottla_wire::protocol::messages::delete_acls::{
    DeleteAclsFilter, DeleteAclsFilterResult, DeleteAclsMatchingAcl, DeleteAclsRequest, DeleteAclsResponse,
};
use ottla_wire::protocol::messages::describe_acls::{
    AclDescription, DescribeAclsRequest, DescribeAclsResource, DescribeAclsResponse,
};
use ottla_wire::types::ErrorCode;

/// An error code and its message, if it has one.
type Failure = (ErrorCode, Option<Str>);

fn failure(error: &(impl ToErrorCode + std::fmt::Display)) -> Failure {
    (error.error_code(), Some(error.to_string().into()))
}

/// Checks that the caller may do the operation to the cluster and that there is an authorizer.
fn check(context: &Context, operation: Operation, disabled: &'static str) -> Result<(), Failure> {
    if let Err(denied) = context.authorize(operation, Resource::Cluster) {
        return Err((denied.error_code(), Some(Str::from_static(denied.message()))));
    }
    match context.authorizer.uses_acls() {
        true => Ok(()),
        false => Err((ErrorCode::SecurityDisabled, Some(Str::from_static(disabled)))),
    }
}

pub(super) fn describe(context: &Context, request: DescribeAclsRequest) -> Answer {
    let Ok(filter) = checks::describe_filter(request) else { return checks::close(context) };
    match check(context, Operation::Describe, "No Authorizer is configured on the broker") {
        Ok(()) => describe_matching(context, &filter).into(),
        Err(failure) => describe_failure(failure).into(),
    }
}

fn describe_failure((error, message): Failure) -> DescribeAclsResponse {
    DescribeAclsResponse { error_code: error.code(), error_message: message, ..Default::default() }
}

fn describe_matching(context: &Context, filter: &AclFilter) -> DescribeAclsResponse {
    let mut resources: Vec<DescribeAclsResource> = Vec::new();
    for (_, acl) in context.broker.cluster().image.acls().matching(filter) {
        let (resource_type, pattern_type) = (acl.resource_type.code(), acl.pattern_type.code());
        let is_same = |it: &DescribeAclsResource| {
            it.resource_type == resource_type
                && it.pattern_type == pattern_type
                && *it.resource_name == *acl.resource_name
        };
        if !resources.last().is_some_and(is_same) {
            let resource_name = (&*acl.resource_name).into();
            resources.push(DescribeAclsResource { resource_type, resource_name, pattern_type, ..Default::default() });
        }
        if let Some(resource) = resources.last_mut() {
            resource.acls.push(AclDescription {
                principal: (&*acl.principal).into(),
                host: (&*acl.host).into(),
                operation: acl.operation.code(),
                permission_type: acl.permission.code(),
            });
        }
    }
    // As in Kafka, the message of a success is empty, not null.
    DescribeAclsResponse { error_message: Some(Str::default()), resources, ..Default::default() }
}

pub(super) fn create(context: &Context, request: CreateAclsRequest) -> Answer {
    let count = request.creations.len();
    let refused = |failure: Failure| create_response(vec![Err(failure); count]).into();
    if checks::creations(&request).is_err() {
        return checks::close(context);
    }
    if let Err(failure) = check(context, Operation::Alter, "No Authorizer is configured.") {
        return refused(failure);
    }
    let bindings: Vec<AclBinding> = request.creations.iter().map(binding).collect();
    if bindings.iter().any(AclBinding::has_filter_codes) {
        // As in Kafka, where such an ACL cannot be built.
        return refused((ErrorCode::UnknownServerError, None));
    }
    let mut results: Vec<Option<Result<(), Failure>>> = bindings.iter().map(check_name).collect();
    let valid = bindings.into_iter().zip(&results).filter(|(_, result)| result.is_none());
    let with_ids = valid.map(|(binding, _)| (context.broker.new_uuid(), binding)).collect();
    let submitted = context.broker.metadata().submit(CreateAcls(with_ids));
    Answer::parked(async move {
        let pending = results.iter_mut().filter(|result| result.is_none());
        match submitted.await {
            Ok(Ok(decided)) => {
                for (result, decided) in pending.zip(decided) {
                    *result = Some(decided.map_err(|error| failure(&error)));
                }
            }
            Ok(Err(error)) => pending.for_each(|result| *result = Some(Err(failure(&error)))),
            Err(error) => pending.for_each(|result| *result = Some(Err(failure(&error)))),
        }
        create_response(results.into_iter().map(|result| result.unwrap_or(Ok(()))))
    })
}

/// The error that Kafka finds before it asks the controller.
fn check_name(binding: &AclBinding) -> Option<Result<(), Failure>> {
    let message = match () {
        () if binding.resource_type == ResourceType::Cluster.code() && *binding.resource_name != *CLUSTER_NAME => {
            format!("The only valid name for the CLUSTER resource is {CLUSTER_NAME}")
        }
        () if binding.resource_name.is_empty() => "Invalid empty resource name".to_owned(),
        () => return None,
    };
    Some(Err(failure(&MetadataError::InvalidRequest(message))))
}

fn binding(creation: &AclCreation) -> AclBinding {
    AclBinding {
        resource_type: creation.resource_type,
        resource_name: (&*creation.resource_name).into(),
        pattern_type: creation.resource_pattern_type,
        principal: (&*creation.principal).into(),
        host: (&*creation.host).into(),
        operation: creation.operation,
        permission: creation.permission_type,
    }
}

fn create_response(results: impl IntoIterator<Item = Result<(), Failure>>) -> CreateAclsResponse {
    let result = |result: Result<(), Failure>| match result {
        Ok(()) => AclCreationResult { error_message: Some(Str::default()), ..Default::default() },
        Err((error, error_message)) => AclCreationResult { error_code: error.code(), error_message },
    };
    CreateAclsResponse { results: results.into_iter().map(result).collect(), ..Default::default() }
}

pub(super) fn delete(context: &Context, request: DeleteAclsRequest) -> Answer {
    let count = request.filters.len();
    let refused = |failure: Failure| delete_response(vec![Err(failure); count]).into();
    let Ok(filters) = checks::delete_filters(&request) else { return checks::close(context) };
    if let Err(failure) = check(context, Operation::Alter, "No Authorizer is configured.") {
        return refused(failure);
    }
    let submitted = context.broker.metadata().submit(DeleteAcls(filters));
    Answer::parked(async move {
        match submitted.await {
            Ok(results) => delete_response(results.into_iter().map(|it| it.map_err(|error| failure(&error)))),
            Err(error) => delete_response(vec![Err(failure(&error)); count]),
        }
    })
}

fn delete_response(results: impl IntoIterator<Item = Result<Vec<Arc<Acl>>, Failure>>) -> DeleteAclsResponse {
    let result = |result: Result<Vec<Arc<Acl>>, Failure>| match result {
        Ok(acls) => DeleteAclsFilterResult {
            matching_acls: acls.iter().map(|acl| matching_acl(acl)).collect(),
            ..Default::default()
        },
        Err((error, error_message)) => {
            DeleteAclsFilterResult { error_code: error.code(), error_message, ..Default::default() }
        }
    };
    DeleteAclsResponse { filter_results: results.into_iter().map(result).collect(), ..Default::default() }
}

fn matching_acl(acl: &Acl) -> DeleteAclsMatchingAcl {
    DeleteAclsMatchingAcl {
        resource_type: acl.resource_type.code(),
        resource_name: (&*acl.resource_name).into(),
        pattern_type: acl.pattern_type.code(),
        principal: (&*acl.principal).into(),
        host: (&*acl.host).into(),
        operation: acl.operation.code(),
        permission_type: acl.permission.code(),
        ..Default::default()
    }
}

fn filter(from: &DeleteAclsFilter) -> AclFilter {
    let text = |value: &Option<Str>| value.as_deref().map(Arc::from);
    AclFilter {
        resource_type: Matching::from_code(from.resource_type_filter, ResourceType::from_code),
        resource_name: text(&from.resource_name_filter),
        pattern_type: NameMatching::from_code(from.pattern_type_filter),
        principal: text(&from.principal_filter),
        host: text(&from.host_filter),
        operation: Matching::from_code(from.operation, Operation::from_code),
        permission: Matching::from_code(from.permission_type, Permission::from_code),
    }
}
