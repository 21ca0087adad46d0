//! What Kafka checks when it reads a request about ACLs, before it asks the authorizer.
//!
//! Version 0 has no pattern types: all patterns are literal. The field has its default there, so nothing can be wrong.

use super::filter;
use crate::handlers::context::{Answer, Context};
use crate::server::CloseReason;
use ottla_core::security::acl::AclFilter;
use ottla_wire::protocol::messages::create_acls::CreateAclsRequest;
use ottla_wire::protocol::messages::delete_acls::{DeleteAclsFilter, DeleteAclsRequest};
use ottla_wire::protocol::messages::describe_acls::DescribeAclsRequest;

/// Kafka's code for UNKNOWN, in all its enumerations.
const UNKNOWN: i8 = 0;

/// The request contains the code for UNKNOWN, which no client sends: Kafka closes the connection.
pub(super) struct Unreadable;

/// Closes the connection of a request that Kafka does not read.
pub(super) fn close(context: &Context) -> Answer {
    let request = context.request_name();
    Answer::Close(CloseReason::new(
        "connections closed because a request cannot be read",
        format!("sent {request} with an unknown resource type, pattern type, operation or permission type"),
    ))
}

pub(super) fn creations(request: &CreateAclsRequest) -> Result<(), Unreadable> {
    let codes = request
        .creations
        .iter()
        .flat_map(|it| [it.resource_type, it.resource_pattern_type, it.operation, it.permission_type]);
    check(codes)
}

pub(super) fn delete_filters(request: &DeleteAclsRequest) -> Result<Vec<AclFilter>, Unreadable> {
    request.filters.iter().map(checked_filter).collect()
}

pub(super) fn describe_filter(request: DescribeAclsRequest) -> Result<AclFilter, Unreadable> {
    checked_filter(&DeleteAclsFilter {
        resource_type_filter: request.resource_type_filter,
        resource_name_filter: request.resource_name_filter,
        pattern_type_filter: request.pattern_type_filter,
        principal_filter: request.principal_filter,
        host_filter: request.host_filter,
        operation: request.operation,
        permission_type: request.permission_type,
    })
}

fn checked_filter(from: &DeleteAclsFilter) -> Result<AclFilter, Unreadable> {
    check([from.resource_type_filter, from.pattern_type_filter, from.operation, from.permission_type])?;
    Ok(filter(from))
}

fn check(codes: impl IntoIterator<Item = i8>) -> Result<(), Unreadable> {
    match codes.into_iter().any(|code| code == UNKNOWN) {
        true => Err(Unreadable),
        false => Ok(()),
    }
}
