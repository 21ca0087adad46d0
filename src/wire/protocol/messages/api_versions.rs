//! ApiVersions (key 18), versions 0 to 5: returns which APIs and versions the broker serves. Whatever its
//! version, the response's header has no tagged fields, and a version above the broker's is answered in
//! version 0 with error 35 and the range (KIP-511).
//!
//! - 1: the response has a throttle time.
//! - 2: the broker answers before it throttles a client (KIP-219).
//! - 3: the client's name and version; the response has features; flexible.
//! - 4: features whose range begins at 0 are included as well.
//! - 5: the cluster and node the client means to speak to; may return REBOOTSTRAP_REQUIRED (KIP-1242).

use crate::codec::{Str, structs};

structs! {
    struct ApiVersionsRequest {
        client_software_name: Str = 3..;
        client_software_version: Str = 3..;
        cluster_id: Option<Str> = 5..;
        node_id: i32 = 5.., default -1;
    }

    struct ApiVersionsResponse {
        error_code: i16 = 0..;
        api_keys: Vec<ApiVersion> = 0..;
        throttle_time_ms: i32 = 1..;
        supported_features: Vec<SupportedFeatureKey> = 3.., tag 0;
        finalized_features_epoch: i64 = 3.., default -1, tag 1;
        finalized_features: Vec<FinalizedFeatureKey> = 3.., tag 2;
        zk_migration_ready: bool = 3.., tag 3;
    }

    struct ApiVersion {
        api_key: i16 = 0..;
        min_version: i16 = 0..;
        max_version: i16 = 0..;
    }

    struct SupportedFeatureKey {
        name: Str = 3..;
        min_version: i16 = 3..;
        max_version: i16 = 3..;
    }

    struct FinalizedFeatureKey {
        name: Str = 3..;
        max_version_level: i16 = 3..;
        min_version_level: i16 = 3..;
    }
}
