//! Decisions on feature levels (Kafka's `FeatureControlManager`, KIP-584 and KIP-778).

use std::collections::BTreeMap;

use super::brokers::feature_record;
use super::commands::{FeatureUpdate, MetadataReply, SupportedFeature, UpdateFeatures, UpgradeType};
use super::errors::MetadataError;
use super::features::{
    ELIGIBLE_LEADER_REPLICAS, ELIGIBLE_LEADER_REPLICAS_MIN_METADATA_VERSION, METADATA_VERSION, METADATA_VERSIONS,
};
use super::records::MetadataRecord;
use super::{Decision, MetadataMachine};

use ottla_wire::types::InOrder as _;

impl MetadataMachine {
    /// Sets all requested feature levels, or none.
    pub(super) fn update_features(&self, request: UpdateFeatures) -> Decision {
        let mut records = Vec::new();
        // The last one of several updates of a feature wins.
        let updates: BTreeMap<&str, &FeatureUpdate> =
            request.updates.iter().map(|update| (&*update.name, update)).in_order();
        let requested = updates.get(METADATA_VERSION).map(|update| update.level);
        let metadata_version = requested.or(self.image.metadata_version()).unwrap_or_default();
        let result = updates.into_values().try_for_each(|update| {
            records.extend(self.update_feature(update, &request.supported, metadata_version)?);
            Ok(())
        });
        if result.is_err() {
            records.clear();
        }
        Decision::new(records, MetadataReply::UpdateFeatures(result)).drop_records_if(request.validate_only)
    }

    fn update_feature(
        &self,
        update: &FeatureUpdate,
        supported: &[SupportedFeature],
        metadata_version: i16,
    ) -> Result<Vec<MetadataRecord>, MetadataError> {
        let FeatureUpdate { name, level, upgrade } = update;
        let (name, level) = (&**name, *level);
        let refuse = |why: &str| {
            Err(MetadataError::InvalidUpdateVersion(format!(
                "Invalid update version {level} for feature {name}. {why}"
            )))
        };
        let Some(upgrade) = *upgrade else {
            return refuse("The controller does not support the given upgrade type.");
        };
        if level < 0 {
            return refuse("A feature version cannot be less than 0.");
        }
        match supported.iter().find(|feature| feature.name == name) {
            Some(feature) if (feature.min..=feature.max).contains(&level) => {}
            Some(SupportedFeature { min, max, .. }) => {
                return refuse(&format!("Local controller {} only supports versions {min}-{max}", self.config.node_id));
            }
            None if level == 0 => return refuse(&format!("Feature {name} not found.")),
            None => {
                return refuse(&format!("Local controller {} does not support this feature.", self.config.node_id));
            }
        }
        let current = self.image.features().get(name).copied().unwrap_or(0);
        match upgrade {
            UpgradeType::Upgrade if level < current => refuse(
                "Can't downgrade the version of this feature without setting the upgrade type to either safe or \
                 unsafe downgrade.",
            ),
            UpgradeType::SafeDowngrade | UpgradeType::UnsafeDowngrade if level > current => {
                refuse("Can't downgrade to a newer version.")
            }
            _ if name == ELIGIBLE_LEADER_REPLICAS
                && level > 0
                && metadata_version < ELIGIBLE_LEADER_REPLICAS_MIN_METADATA_VERSION =>
            {
                refuse(&format!(
                    "{name} could not be set to {level} because it depends on {METADATA_VERSION} level \
                     {ELIGIBLE_LEADER_REPLICAS_MIN_METADATA_VERSION}"
                ))
            }
            _ if level == current => Ok(Vec::new()),
            _ if name == METADATA_VERSION && level < current => {
                check_downgrade(current, level, upgrade)?;
                Ok(vec![feature_record(name, level)])
            }
            _ if name == ELIGIBLE_LEADER_REPLICAS && level > 0 => {
                Ok(self.records_before_eligible_leaders().into_iter().chain([feature_record(name, level)]).collect())
            }
            _ => Ok(vec![feature_record(name, level)]),
        }
    }
}

/// Rejects a downgrade across a level that changed record schemas.
fn check_downgrade(from: i16, to: i16, upgrade: UpgradeType) -> Result<(), MetadataError> {
    let undone = |level: i16| (to + 1..=from).contains(&level);
    if !METADATA_VERSIONS.iter().any(|version| undone(version.level) && version.changes_records) {
        return Ok(());
    }
    let why = match upgrade {
        UpgradeType::UnsafeDowngrade => "Unsafe metadata downgrade is not supported in this version.",
        _ => "Refusing to perform the requested downgrade because it might delete metadata information.",
    };
    Err(MetadataError::InvalidUpdateVersion(format!(
        "Unsupported metadata.version downgrade from {from} to {to}. {why}"
    )))
}
