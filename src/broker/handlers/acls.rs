//! DescribeAcls (key 29), CreateAcls (30) and DeleteAcls (31), versions 0 to 3 each: there is no
//! authorizer, and every answer says so.
//!
//! Departures: Apache Kafka closes the connection over an unknown
//! kind of resource, pattern, operation or permission; here its sender is told what all are told. It has
//! dropped version 0.

use super::context::Answer;
use ottla_wire::codec::Str;
use ottla_wire::protocol::messages::create_acls::{AclCreationResult, CreateAclsRequest, CreateAclsResponse};
use ottla_wire::protocol::messages::delete_acls::{DeleteAclsFilterResult, DeleteAclsRequest, DeleteAclsResponse};
use ottla_wire::protocol::messages::describe_acls::{DescribeAclsRequest, DescribeAclsResponse};
use ottla_wire::types::ErrorCode;

pub(super) fn describe(_request: DescribeAclsRequest) -> Answer {
    DescribeAclsResponse {
        error_code: ErrorCode::SecurityDisabled.code(),
        error_message: Some(Str::from_static("No Authorizer is configured on the broker")),
        ..Default::default()
    }
    .into()
}

/// As Kafka's controller says it, which answers where ACLs would change.
const NO_AUTHORIZER: &str = "No Authorizer is configured.";

pub(super) fn create(request: CreateAclsRequest) -> Answer {
    let refused = |_| AclCreationResult {
        error_code: ErrorCode::SecurityDisabled.code(),
        error_message: Some(Str::from_static(NO_AUTHORIZER)),
    };
    CreateAclsResponse { results: request.creations.into_iter().map(refused).collect(), ..Default::default() }.into()
}

pub(super) fn delete(request: DeleteAclsRequest) -> Answer {
    let refused = |_| DeleteAclsFilterResult {
        error_code: ErrorCode::SecurityDisabled.code(),
        error_message: Some(Str::from_static(NO_AUTHORIZER)),
        ..Default::default()
    };
    DeleteAclsResponse { filter_results: request.filters.into_iter().map(refused).collect(), ..Default::default() }
        .into()
}
