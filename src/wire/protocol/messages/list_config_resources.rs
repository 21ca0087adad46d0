//! ListConfigResources (key 74), versions 0 to 1: lists resources that have settings. Version 0 knew
//! client metrics only (KIP-714).
//!
//! - 1: by type (KIP-1142).

use crate::codec::{Str, structs};

structs! {
    struct ListConfigResourcesRequest {
        resource_types: Vec<i8> = 1..;
    }

    struct ListConfigResourcesResponse {
        throttle_time_ms: i32 = 0..;
        error_code: i16 = 0..;
        config_resources: Vec<ConfigResource> = 0..;
    }

    struct ConfigResource {
        resource_name: Str = 0..;
        resource_type: i8 = 1.., default 16;
    }
}
