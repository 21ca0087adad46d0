//! ApiVersions (key 18), versions 0 to 5: what this broker serves, and its feature levels.
//!
//! A version above ours is answered with UNSUPPORTED_VERSION in a version 0 body that names the
//! range of ApiVersions, so that the client asks again with one we have (KIP-511). Features with a
//! level of 0 are told from version 4 on alone: older clients refuse a minimum of 0. From version 5 a
//! client may say which node of which cluster it means to talk to (KIP-1242).

use super::context::{Answer, Context};
use super::served::SERVED;
use ottla_core::metadata::{SupportedFeature, features};
use ottla_wire::protocol::ApiKey;
use ottla_wire::protocol::messages::api_versions::{
    ApiVersion, ApiVersionsRequest, ApiVersionsResponse, FinalizedFeatureKey, SupportedFeatureKey,
};
use ottla_wire::types::ErrorCode;

/// The feature levels this broker implements: those without a protocol of their own. The others stay at 0 until their
/// protocols are served. One node's replicas are never out of sync, so there is nothing to keep eligible leaders for.
pub const IMPLEMENTED: &[(&str, i16)] = &[
    (features::METADATA_VERSION, *features::READABLE_METADATA_VERSIONS.end()),
    (features::ELIGIBLE_LEADER_REPLICAS, 1),
];

/// The levels that features can be set to here.
pub(super) fn supported_features() -> Vec<SupportedFeature> {
    features::supported(IMPLEMENTED)
}

pub(super) fn handle(context: &Context, request: ApiVersionsRequest) -> Answer {
    if context.version() >= 3 {
        let (name, version) = (&request.client_software_name, &request.client_software_version);
        if !is_software_word(name) || !is_software_word(version) {
            return refused(ErrorCode::InvalidRequest);
        }
        if is_misrouted(context, &request) {
            return refused(ErrorCode::RebootstrapRequired);
        }
        context.connection.set_client_software(name, version);
    }
    let cluster = context.broker.cluster();
    let finalized = features::served(cluster.image.features(), IMPLEMENTED);
    ApiVersionsResponse {
        error_code: ErrorCode::None.code(),
        api_keys: SERVED.iter().map(|(key, _)| api_version(*key)).collect(),
        throttle_time_ms: 0,
        supported_features: supported_features()
            .into_iter()
            .filter(|feature| context.version() >= 4 || feature.min > 0)
            .map(|feature| SupportedFeatureKey {
                name: feature.name.into(),
                min_version: feature.min,
                max_version: feature.max,
            })
            .collect(),
        finalized_features_epoch: context.broker.metadata_end_offset() - 1,
        finalized_features: finalized
            .into_iter()
            .map(|(name, level)| FinalizedFeatureKey {
                name: name.into(),
                max_version_level: level,
                min_version_level: level,
            })
            .collect(),
        zk_migration_ready: false,
    }
    .into()
}

fn refused(error: ErrorCode) -> Answer {
    ApiVersionsResponse { error_code: error.code(), ..Default::default() }.into()
}

/// Whether the client meant another node or cluster. One that names no cluster isn't asked for its node.
fn is_misrouted(context: &Context, request: &ApiVersionsRequest) -> bool {
    let broker = &context.broker;
    request
        .cluster_id
        .as_deref()
        .is_some_and(|cluster_id| cluster_id != broker.cluster_id() || request.node_id != broker.node_id())
}

/// The answer to a version of ApiVersions that we don't have, to be written at version 0.
pub(super) fn unsupported_version() -> ApiVersionsResponse {
    ApiVersionsResponse {
        error_code: ErrorCode::UnsupportedVersion.code(),
        api_keys: vec![api_version(ApiKey::ApiVersions)],
        ..Default::default()
    }
}

fn api_version(key: ApiKey) -> ApiVersion {
    let range = super::served::versions(key).unwrap_or(0..=0);
    ApiVersion { api_key: key as i16, min_version: *range.start(), max_version: *range.end() }
}

/// KIP-511's rule for the name and version of client software.
fn is_software_word(word: &str) -> bool {
    let is_edge = |c: char| c.is_ascii_alphanumeric();
    let is_inner = |c: char| is_edge(c) || c == '-' || c == '.';
    word.starts_with(is_edge) && word.ends_with(is_edge) && word.chars().all(is_inner)
}

#[cfg(test)]
mod tests {
    use super::is_software_word;

    #[test]
    fn software_names_are_words() {
        for good in ["librdkafka", "apache-kafka-java", "3.9.0", "v"] {
            assert!(is_software_word(good), "{good}");
        }
        for bad in ["", "-a", "a-", "a b", "a/b"] {
            assert!(!is_software_word(bad), "{bad}");
        }
    }
}
