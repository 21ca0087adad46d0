//! CreateAcls (key 30), versions 0 to 3: creates ACLs.
//!
//! - 1: resource patterns (KIP-290).
//! - 2: flexible.
//! - 3: users can be the resource of an ACL.

use crate::codec::{Str, structs};

structs! {
    struct CreateAclsRequest {
        creations: Vec<AclCreation> = 0..;
    }

    struct AclCreation {
        resource_type: i8 = 0..;
        resource_name: Str = 0..;
        resource_pattern_type: i8 = 1.., default 3;
        principal: Str = 0..;
        host: Str = 0..;
        operation: i8 = 0..;
        permission_type: i8 = 0..;
    }

    struct CreateAclsResponse {
        throttle_time_ms: i32 = 0..;
        results: Vec<AclCreationResult> = 0..;
    }

    struct AclCreationResult {
        error_code: i16 = 0..;
        error_message: Option<Str> = 0..;
    }
}
