//! DeleteAcls (key 31), versions 0 to 3: deletes the ACLs that match.
//!
//! - 1: resource patterns (KIP-290).
//! - 2: flexible.
//! - 3: users can be the resource of an ACL.

use crate::codec::{Str, structs};

structs! {
    struct DeleteAclsRequest {
        filters: Vec<DeleteAclsFilter> = 0..;
    }

    struct DeleteAclsFilter {
        resource_type_filter: i8 = 0..;
        resource_name_filter: Option<Str> = 0..;
        pattern_type_filter: i8 = 1.., default 3;
        principal_filter: Option<Str> = 0..;
        host_filter: Option<Str> = 0..;
        operation: i8 = 0..;
        permission_type: i8 = 0..;
    }

    struct DeleteAclsResponse {
        throttle_time_ms: i32 = 0..;
        filter_results: Vec<DeleteAclsFilterResult> = 0..;
    }

    struct DeleteAclsFilterResult {
        error_code: i16 = 0..;
        error_message: Option<Str> = 0..;
        matching_acls: Vec<DeleteAclsMatchingAcl> = 0..;
    }

    struct DeleteAclsMatchingAcl {
        error_code: i16 = 0..;
        error_message: Option<Str> = 0..;
        resource_type: i8 = 0..;
        resource_name: Str = 0..;
        pattern_type: i8 = 1.., default 3;
        principal: Str = 0..;
        host: Str = 0..;
        operation: i8 = 0..;
        permission_type: i8 = 0..;
    }
}
