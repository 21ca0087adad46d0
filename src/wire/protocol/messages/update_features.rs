//! UpdateFeatures (key 57), versions 0 to 2: sets the cluster's feature levels (KIP-584).
//!
//! - 1: can validate only; how a level may change (KIP-778).
//! - 2: one answer for all features.

use crate::codec::{Str, structs};

structs! {
    struct UpdateFeaturesRequest {
        timeout_ms: i32 = 0.., default 60000;
        feature_updates: Vec<FeatureUpdateKey> = 0..;
        validate_only: bool = 1..;
    }

    struct FeatureUpdateKey {
        feature: Str = 0..;
        max_version_level: i16 = 0..;
        allow_downgrade: bool = 0..=0;
        upgrade_type: i8 = 1.., default 1;
    }

    struct UpdateFeaturesResponse {
        throttle_time_ms: i32 = 0..;
        error_code: i16 = 0..;
        error_message: Option<Str> = 0..;
        results: Vec<UpdatableFeatureResult> = 0..=1;
    }

    struct UpdatableFeatureResult {
        feature: Str = 0..;
        error_code: i16 = 0..;
        error_message: Option<Str> = 0..;
    }
}
