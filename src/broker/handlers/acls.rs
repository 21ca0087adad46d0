//! DescribeAcls (key 29), CreateAcls (30) and DeleteAcls (31), versions 0 to 3 each.
//!
//! There is no authorizer with ACLs yet: the response is SECURITY_DISABLED, as in Kafka without an authorizer.
//!
//! Departures: Apache Kafka closes the connection on an unknown resource type, pattern type, operation or permission
//! type; this broker answers SECURITY_DISABLED. Version 0, which Apache Kafka no longer supports, is answered too.

use super::authorizer::{Operation, Resource};
use super::context::{Answer, Context};
use super::errors::ToErrorCode;
use ottla_wire::codec::Str;
use ottla_wire::protocol::messages::create_acls::{AclCreationResult, CreateAclsRequest, CreateAclsResponse};
use ottla_wire::protocol::messages::delete_acls::{DeleteAclsFilterResult, DeleteAclsRequest, DeleteAclsResponse};
use ottla_wire::protocol::messages::describe_acls::{DescribeAclsRequest, DescribeAclsResponse};
use ottla_wire::types::ErrorCode;

pub(super) fn describe(context: &Context, _request: DescribeAclsRequest) -> Answer {
    let (error, message) = match context.authorize(Operation::Describe, Resource::Cluster) {
        Ok(()) => (ErrorCode::SecurityDisabled, "No Authorizer is configured on the broker"),
        Err(denied) => (denied.error_code(), denied.message()),
    };
    DescribeAclsResponse {
        error_code: error.code(),
        error_message: Some(Str::from_static(message)),
        ..Default::default()
    }
    .into()
}

/// The error for a request to change ACLs. The message is the one of Kafka's controller.
fn refusal(context: &Context) -> (ErrorCode, &'static str) {
    match context.authorize(Operation::Alter, Resource::Cluster) {
        Ok(()) => (ErrorCode::SecurityDisabled, "No Authorizer is configured."),
        Err(denied) => (denied.error_code(), denied.message()),
    }
}

pub(super) fn create(context: &Context, request: CreateAclsRequest) -> Answer {
    let (error, message) = refusal(context);
    let refused = |_| AclCreationResult { error_code: error.code(), error_message: Some(Str::from_static(message)) };
    CreateAclsResponse { results: request.creations.into_iter().map(refused).collect(), ..Default::default() }.into()
}

pub(super) fn delete(context: &Context, request: DeleteAclsRequest) -> Answer {
    let (error, message) = refusal(context);
    let refused = |_| DeleteAclsFilterResult {
        error_code: error.code(),
        error_message: Some(Str::from_static(message)),
        ..Default::default()
    };
    DeleteAclsResponse { filter_results: request.filters.into_iter().map(refused).collect(), ..Default::default() }
        .into()
}
