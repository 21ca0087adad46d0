//! DescribeConfigs (key 32), versions 0 to 4: returns settings of topics, brokers, groups.
//!
//! - 1: where each value comes from, with those it hides, instead of whether it is a default (KIP-226).
//! - 2: the broker answers before it throttles a client (KIP-219).
//! - 3: each setting's type and documentation (KIP-569).
//! - 4: flexible.

use crate::codec::{Str, structs};

structs! {
    struct DescribeConfigsRequest {
        resources: Vec<DescribeConfigsResource> = 0..;
        include_synonyms: bool = 1..;
        include_documentation: bool = 3..;
    }

    struct DescribeConfigsResource {
        resource_type: i8 = 0..;
        resource_name: Str = 0..;
        configuration_keys: Option<Vec<Str>> = 0..;
    }

    struct DescribeConfigsResponse {
        throttle_time_ms: i32 = 0..;
        results: Vec<DescribeConfigsResult> = 0..;
    }

    struct DescribeConfigsResult {
        error_code: i16 = 0..;
        error_message: Option<Str> = 0..;
        resource_type: i8 = 0..;
        resource_name: Str = 0..;
        configs: Vec<DescribeConfigsResourceResult> = 0..;
    }

    struct DescribeConfigsResourceResult {
        name: Str = 0..;
        value: Option<Str> = 0..;
        read_only: bool = 0..;
        is_default: bool = 0..=0;
        config_source: i8 = 1.., default -1;
        is_sensitive: bool = 0..;
        synonyms: Vec<DescribeConfigsSynonym> = 1..;
        config_type: i8 = 3..;
        documentation: Option<Str> = 3..;
    }

    struct DescribeConfigsSynonym {
        name: Str = 1..;
        value: Option<Str> = 1..;
        source: i8 = 1..;
    }
}
