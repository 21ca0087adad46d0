//! UpdateFeatures (key 57, versions 0 to 2): the cluster's feature levels.
//!
//! The levels that ApiVersions lists can be set. Enabling eligible leader replicas (KIP-966) also sets
//! `min.insync.replicas` as a dynamic default of the cluster.
//!
//! Departures: `metadata.version` may be set up to the level of Apache Kafka 4.4, which 4.3 cannot read.

use super::api_versions::supported_features;
use super::authorizer::{Operation, Resource};
use super::context::{Answer, Context};
use super::errors::ToErrorCode;
use ottla_core::metadata::{FeatureUpdate, UpdateFeatures, UpgradeType};
use ottla_wire::codec::Str;
use ottla_wire::protocol::messages::update_features::{
    FeatureUpdateKey, UpdatableFeatureResult, UpdateFeaturesRequest, UpdateFeaturesResponse,
};
use ottla_wire::types::ErrorCode;

pub(super) fn update(context: &Context, request: UpdateFeaturesRequest) -> Answer {
    if let Err(denied) = context.authorize(Operation::Alter, Resource::Cluster) {
        return refused(denied.error_code(), denied.message().to_owned()).into();
    }
    let version = context.version();
    let names: Vec<Str> = request.feature_updates.iter().map(|update| update.feature.clone()).collect();
    let updates = request.feature_updates.into_iter().map(|update| FeatureUpdate {
        upgrade: upgrade_type(version, &update),
        name: update.feature.to_string(),
        level: update.max_version_level,
    });
    let command = UpdateFeatures {
        updates: updates.collect(),
        supported: supported_features(),
        validate_only: request.validate_only,
    };
    let submitted = context.broker.metadata().submit(command);
    Answer::parked(async move {
        match submitted.await {
            Ok(Ok(())) => {
                // From version 2 on there is one result for all features.
                let names = if version <= 1 { names } else { Vec::new() };
                UpdateFeaturesResponse { results: names.into_iter().map(updated).collect(), ..Default::default() }
            }
            Ok(Err(error)) => {
                let message =
                    format!("The update failed for all features since the following feature had an error: {error}");
                refused(error.error_code(), message)
            }
            Err(error) => refused(error.error_code(), error.to_string()),
        }
    })
}

fn upgrade_type(version: i16, update: &FeatureUpdateKey) -> Option<UpgradeType> {
    match (version, update.allow_downgrade) {
        (0, true) => Some(UpgradeType::SafeDowngrade),
        (0, false) => Some(UpgradeType::Upgrade),
        _ => UpgradeType::from_code(update.upgrade_type),
    }
}

fn updated(feature: Str) -> UpdatableFeatureResult {
    let none = ErrorCode::None;
    UpdatableFeatureResult { feature, error_code: none.code(), error_message: Some(Str::from_static(none.name())) }
}

fn refused(error: ErrorCode, message: String) -> UpdateFeaturesResponse {
    UpdateFeaturesResponse { error_code: error.code(), error_message: Some(message.into()), ..Default::default() }
}
