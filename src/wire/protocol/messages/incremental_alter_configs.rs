//! IncrementalAlterConfigs (key 44), versions 0 to 1: sets, removes, appends to and takes from settings
//! (KIP-339).
//!
//! - 1: flexible.

use crate::codec::{Str, structs};

structs! {
    struct IncrementalAlterConfigsRequest {
        resources: Vec<AlterConfigsResource> = 0..;
        validate_only: bool = 0..;
    }

    struct AlterConfigsResource {
        resource_type: i8 = 0..;
        resource_name: Str = 0..;
        configs: Vec<AlterableConfig> = 0..;
    }

    struct AlterableConfig {
        name: Str = 0..;
        config_operation: i8 = 0..;
        value: Option<Str> = 0..;
    }

    struct IncrementalAlterConfigsResponse {
        throttle_time_ms: i32 = 0..;
        responses: Vec<AlterConfigsResourceResponse> = 0..;
    }

    struct AlterConfigsResourceResponse {
        error_code: i16 = 0..;
        error_message: Option<Str> = 0..;
        resource_type: i8 = 0..;
        resource_name: Str = 0..;
    }
}
