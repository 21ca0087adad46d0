//! DescribeAcls (key 29), versions 0 to 3: lists ACLs.
//!
//! - 1: resource patterns (KIP-290).
//! - 2: flexible.
//! - 3: users can be the resource of an ACL.

use crate::codec::{Str, structs};

structs! {
    struct DescribeAclsRequest {
        resource_type_filter: i8 = 0..;
        resource_name_filter: Option<Str> = 0..;
        pattern_type_filter: i8 = 1.., default 3;
        principal_filter: Option<Str> = 0..;
        host_filter: Option<Str> = 0..;
        operation: i8 = 0..;
        permission_type: i8 = 0..;
    }

    struct DescribeAclsResponse {
        throttle_time_ms: i32 = 0..;
        error_code: i16 = 0..;
        error_message: Option<Str> = 0..;
        resources: Vec<DescribeAclsResource> = 0..;
    }

    struct DescribeAclsResource {
        resource_type: i8 = 0..;
        resource_name: Str = 0..;
        pattern_type: i8 = 1.., default 3;
        acls: Vec<AclDescription> = 0..;
    }

    struct AclDescription {
        principal: Str = 0..;
        host: Str = 0..;
        operation: i8 = 0..;
        permission_type: i8 = 0..;
    }
}
