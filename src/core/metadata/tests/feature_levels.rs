//! Upgrades and downgrades of feature levels.

use super::*;

fn supported() -> Vec<SupportedFeature> {
    let feature = |(name, min, max): (&str, i16, i16)| SupportedFeature { name: name.to_owned(), min, max };
    [("metadata.version", 7, 33), ("group.version", 0, 1), ("eligible.leader.replicas.version", 0, 1)]
        .into_iter()
        .map(feature)
        .collect()
}

const UP: Option<UpgradeType> = Some(UpgradeType::Upgrade);
const SAFE: Option<UpgradeType> = Some(UpgradeType::SafeDowngrade);
const UNSAFE: Option<UpgradeType> = Some(UpgradeType::UnsafeDowngrade);

fn update(cluster: &mut TestCluster, updates: &[(&str, i16, Option<UpgradeType>)], validate_only: bool) -> String {
    let update = |&(name, level, upgrade): &(&str, i16, _)| FeatureUpdate { name: name.to_owned(), level, upgrade };
    let updates = updates.iter().map(update).collect();
    match cluster.run(MetadataCommand::UpdateFeatures(UpdateFeatures {
        updates,
        supported: supported(),
        validate_only,
    })) {
        MetadataReply::UpdateFeatures(Ok(())) => "ok".to_owned(),
        MetadataReply::UpdateFeatures(Err(error)) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn feature_update_returns_kafkas_result() {
    let mut cluster = TestCluster::started();
    let mut check = |name, level, upgrade, expect: &str| {
        let result = update(&mut cluster, &[(name, level, upgrade)], true);
        let prefix = format!("Invalid update version {level} for feature {name}. ");
        assert_eq!(result.strip_prefix(&prefix).unwrap_or(&result), expect, "{name}={level} {upgrade:?}");
    };
    check("metadata.version", 30, UP, "ok");
    check("metadata.version", 30, SAFE, "ok");
    check("metadata.version", 33, UP, "ok");
    check("metadata.version", 34, UP, "Local controller 1 only supports versions 7-33");
    check("metadata.version", 6, SAFE, "Local controller 1 only supports versions 7-33");
    check("metadata.version", 33, SAFE, "Can't downgrade to a newer version.");
    check("metadata.version", -1, SAFE, "A feature version cannot be less than 0.");
    check("metadata.version", 30, None, "The controller does not support the given upgrade type.");
    let needs_downgrade_type = "Can't downgrade the version of this feature without setting the upgrade type to either safe or \
                 unsafe downgrade.";
    check("metadata.version", 29, UP, needs_downgrade_type);
    let unsupported = "Unsupported metadata.version downgrade from 30 to 29. ";
    let safe = "Refusing to perform the requested downgrade because it might delete metadata information.";
    check("metadata.version", 29, SAFE, &format!("{unsupported}{safe}"));
    check(
        "metadata.version",
        29,
        UNSAFE,
        &format!("{unsupported}Unsafe metadata downgrade is not supported in this version."),
    );
    check("group.version", 0, UP, needs_downgrade_type);
    check("group.version", 0, UNSAFE, "ok");
    check("foo", 1, UP, "Local controller 1 does not support this feature.");
    check("foo", 0, SAFE, "Feature foo not found.");
}

#[test]
fn downgrade_across_levels_without_record_changes_is_applied() {
    let mut cluster = TestCluster::started();
    assert_eq!(update(&mut cluster, &[("metadata.version", 31, UP)], false), "ok");
    assert_eq!(cluster.image().metadata_version(), Some(31));
    assert_eq!(update(&mut cluster, &[("metadata.version", 30, SAFE)], false), "ok");
    assert_eq!(cluster.restarted().image().metadata_version(), Some(30));
}

#[test]
fn several_updates_are_applied_together_or_not_at_all() {
    let mut cluster = TestCluster::started();
    let before = cluster.log.len();
    let one_bad = [("group.version", 0, SAFE), ("metadata.version", 6, SAFE)];
    assert_ne!(update(&mut cluster, &one_bad, false), "ok");
    assert_eq!(update(&mut cluster, &[("group.version", 0, SAFE)], true), "ok");
    assert_eq!((cluster.log.len(), cluster.image().features()["group.version"]), (before, 1));
    let twice = [("group.version", 5, UP), ("group.version", 0, SAFE)];
    assert_eq!(update(&mut cluster, &twice, false), "ok");
    assert!(!cluster.image().features().contains_key("group.version"));
}
