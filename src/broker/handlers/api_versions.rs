//! ApiVersions (key 18), versions 0 to 5: the supported APIs and the feature levels.
//!
//! A newer version is answered with UNSUPPORTED_VERSION in a body of version 0 that contains the supported versions of
//! ApiVersions, so that the client retries with one of them (KIP-511). Features with a minimum level of 0 are listed
//! from version 4 on, because older clients reject that minimum. From version 5 on, a client may name the node and
//! cluster that it expects (KIP-1242).
//!
//! The APIs for metrics that clients push (KIP-714) are listed while a subscription asks for such metrics. Apache Kafka
//! lists them if it has a receiver for them, which a stock Kafka has not, and ours is always there. Clients
//! that find the APIs ask for an id, and librdkafka writes a line about it to the terminal.

use super::context::{Answer, Context};
use super::served::SERVED;
use ottla_core::metadata::{SupportedFeature, features};
use ottla_wire::protocol::ApiKey;
use ottla_wire::protocol::messages::api_versions::{
    ApiVersion, ApiVersionsRequest, ApiVersionsResponse, FinalizedFeatureKey, SupportedFeatureKey,
};
use ottla_wire::types::ErrorCode;

/// The features that this broker implements, with their highest levels. Features that need APIs which are not
/// supported yet stay at level 0. With a single node no replica is ever out of sync, so level 1 of
/// `eligible.leader.replicas.version` needs no code.
pub const IMPLEMENTED: &[(&str, i16)] = &[
    (features::METADATA_VERSION, *features::READABLE_METADATA_VERSIONS.end()),
    (features::TRANSACTION_VERSION, 2),
    (features::ELIGIBLE_LEADER_REPLICAS, 1),
];

/// The APIs for metrics that clients push.
const TELEMETRY: [ApiKey; 2] = [ApiKey::GetTelemetrySubscriptions, ApiKey::PushTelemetry];

/// The range of levels that each feature can be set to.
pub(super) fn supported_features() -> Vec<SupportedFeature> {
    features::supported(IMPLEMENTED)
}

pub(super) fn handle(context: &Context, request: ApiVersionsRequest) -> Answer {
    if context.version() >= 3 {
        let (name, version) = (&request.client_software_name, &request.client_software_version);
        if !is_software_name(name) || !is_software_name(version) {
            return refused(ErrorCode::InvalidRequest);
        }
        if is_misrouted(context, &request) {
            return refused(ErrorCode::RebootstrapRequired);
        }
        context.connection.set_client_software(name, version);
    }
    let cluster = context.broker.cluster();
    let wants_client_metrics = !cluster.image.configs().client_metrics().is_empty();
    let is_listed = |key| wants_client_metrics || !TELEMETRY.contains(&key);
    let finalized = features::served(cluster.image.features(), IMPLEMENTED);
    ApiVersionsResponse {
        error_code: ErrorCode::None.code(),
        api_keys: SERVED.iter().map(|(key, _)| *key).filter(|key| is_listed(*key)).map(api_version).collect(),
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

/// Whether the client expects another node or cluster. The node id only counts together with a cluster id.
fn is_misrouted(context: &Context, request: &ApiVersionsRequest) -> bool {
    let broker = &context.broker;
    request
        .cluster_id
        .as_deref()
        .is_some_and(|cluster_id| cluster_id != broker.cluster_id() || request.node_id != broker.node_id())
}

/// The response to an unsupported version of ApiVersions, to be encoded with version 0.
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

/// Whether a text is valid as the name or version of client software (KIP-511).
fn is_software_name(text: &str) -> bool {
    let is_edge = |c: char| c.is_ascii_alphanumeric();
    let is_inner = |c: char| is_edge(c) || c == '-' || c == '.';
    text.starts_with(is_edge) && text.ends_with(is_edge) && text.chars().all(is_inner)
}

#[cfg(test)]
mod tests {
    use super::is_software_name;

    #[test]
    fn software_name_with_separator_at_edge_or_invalid_character_is_rejected() {
        for valid in ["librdkafka", "apache-kafka-java", "3.9.0", "v"] {
            assert!(is_software_name(valid), "{valid}");
        }
        for invalid in ["", "-a", "a-", "a b", "a/b"] {
            assert!(!is_software_name(invalid), "{invalid}");
        }
    }
}
