//! Feature levels (KIP-584): the levels stored in the log, and the levels that this broker serves.

use std::collections::BTreeMap;

use super::commands::SupportedFeature;
use ottla_wire::types::InOrder as _;

/// Feature levels by name, as in `FeatureLevelRecord`s. A missing feature is at level 0.
pub type Features = BTreeMap<String, i16>;

/// The feature that determines which records a log may contain.
pub const METADATA_VERSION: &str = "metadata.version";

/// `4.3-IV0`: the level of a new log, the newest that Apache Kafka 4.3 reads.
pub const NEW_METADATA_VERSION: i16 = 30;

/// The levels of `metadata.version` that this broker can read: from `3.3-IV3`, the oldest one of Apache Kafka 4, to
/// `4.4-IV2`, the level of the record schemas here.
pub const READABLE_METADATA_VERSIONS: std::ops::RangeInclusive<i16> = 7..=33;

/// A level of `metadata.version`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetadataVersion {
    pub level: i16,
    /// Kafka's name for it, such as `4.3-IV0`.
    pub name: &'static str,
    /// Whether this level changes record schemas, so that a downgrade from it would lose metadata.
    pub changes_records: bool,
}

/// Every readable level of `metadata.version`, oldest first (Kafka's `MetadataVersion`).
pub const METADATA_VERSIONS: [MetadataVersion; 27] = {
    const fn version(level: i16, name: &'static str, changes_records: bool) -> MetadataVersion {
        MetadataVersion { level, name, changes_records }
    }
    [
        version(7, "3.3-IV3", true),
        version(8, "3.4-IV0", true),
        version(9, "3.5-IV0", false),
        version(10, "3.5-IV1", false),
        version(11, "3.5-IV2", true),
        version(12, "3.6-IV0", false),
        version(13, "3.6-IV1", true),
        version(14, "3.6-IV2", true),
        version(15, "3.7-IV0", true),
        version(16, "3.7-IV1", false),
        version(17, "3.7-IV2", true),
        version(18, "3.7-IV3", false),
        version(19, "3.7-IV4", false),
        version(20, "3.8-IV0", false),
        version(21, "3.9-IV0", false),
        version(22, "4.0-IV0", false),
        version(23, "4.0-IV1", true),
        version(24, "4.0-IV2", false),
        version(25, "4.0-IV3", false),
        version(26, "4.1-IV0", false),
        version(27, "4.1-IV1", false),
        version(28, "4.2-IV0", false),
        version(29, "4.2-IV1", false),
        version(30, "4.3-IV0", true),
        version(31, "4.4-IV0", false),
        // Not final in Apache Kafka.
        version(32, "4.4-IV1", true),
        version(33, "4.4-IV2", true),
    ]
};

/// The feature that enables eligible leader replicas (KIP-966). Above level 0, `min.insync.replicas` is a dynamic
/// default of the cluster: see `min_insync`.
pub const ELIGIBLE_LEADER_REPLICAS: &str = "eligible.leader.replicas.version";

/// The oldest `metadata.version` with [`ELIGIBLE_LEADER_REPLICAS`]: `4.0-IV1`.
pub(super) const ELIGIBLE_LEADER_REPLICAS_MIN_METADATA_VERSION: i16 = 23;

/// The feature that determines the transaction protocol (KIP-890): from level 1 on, records of transactions have version
/// 1; from level 2 on, clients use protocol 2.
pub const TRANSACTION_VERSION: &str = "transaction.version";

/// The feature levels that Apache Kafka 4.3 finalizes in a new cluster, `metadata.version` first.
pub const NEW_CLUSTER: [(&str, i16); 6] = [
    (METADATA_VERSION, NEW_METADATA_VERSION),
    (ELIGIBLE_LEADER_REPLICAS, 1),
    ("group.version", 1),
    ("share.version", 1),
    ("streams.version", 1),
    (TRANSACTION_VERSION, 2),
];

/// The highest level of each feature that this broker can read. A log with a higher level is rejected as a whole.
pub const READABLE: [(&str, i16); 6] = [
    (METADATA_VERSION, 33),
    (ELIGIBLE_LEADER_REPLICAS, 1),
    ("group.version", 1),
    ("share.version", 2),
    ("streams.version", 1),
    (TRANSACTION_VERSION, 2),
];

/// The finalized features in ApiVersions: for each feature the lower of the stored and the implemented level, without
/// features at level 0.
///
/// A log that Apache Kafka wrote, or is to use later, may have higher levels than this broker implements. Clients would
/// use protocols that are missing here if they saw those levels.
pub fn served(stored: &Features, implemented: &[(&str, i16)]) -> Features {
    let level = |name: &str| stored.get(name).copied().unwrap_or(0);
    implemented
        .iter()
        .map(|&(name, most)| (name.to_owned(), level(name).min(most)))
        .filter(|(_, level)| *level > 0)
        .in_order()
}

/// The ranges of levels up to `highest`: from the oldest readable level for `metadata.version`, from 0 for others.
pub fn supported(highest: &[(&str, i16)]) -> Vec<SupportedFeature> {
    let range = |&(name, max): &(&str, i16)| SupportedFeature {
        name: name.to_owned(),
        min: if name == METADATA_VERSION { *READABLE_METADATA_VERSIONS.start() } else { 0 },
        max,
    };
    highest.iter().map(range).collect()
}

/// Whether this broker can read a log with this feature level.
pub(super) fn is_readable(name: &str, level: i16) -> bool {
    if name == METADATA_VERSION {
        return READABLE_METADATA_VERSIONS.contains(&level);
    }
    level == 0 || READABLE.iter().any(|&(known, most)| known == name && (1..=most).contains(&level))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn served_features_are_the_lower_of_stored_and_implemented_levels() {
        let stored = Features::from([
            (METADATA_VERSION.to_owned(), 30),
            ("group.version".to_owned(), 1),
            ("transaction.version".to_owned(), 2),
        ]);
        let implemented = [(METADATA_VERSION, 33), ("transaction.version", 1), ("share.version", 1)];
        let expected = Features::from([(METADATA_VERSION.to_owned(), 30), ("transaction.version".to_owned(), 1)]);
        assert_eq!(served(&stored, &implemented), expected);
    }

    #[test]
    fn every_readable_metadata_version_has_a_name() {
        assert!(METADATA_VERSIONS.iter().map(|version| version.level).eq(READABLE_METADATA_VERSIONS));
    }

    #[test]
    fn levels_of_a_new_cluster_are_readable_and_unknown_ones_are_not() {
        assert!(NEW_CLUSTER.iter().all(|&(name, level)| is_readable(name, level)));
        assert!(!is_readable(METADATA_VERSION, 34));
        assert!(!is_readable(METADATA_VERSION, 6));
        assert!(!is_readable("from.the.future", 1));
        assert!(is_readable("from.the.future", 0));
    }
}
