//! The feature levels of each Kafka release, for kafka-features and kafka-storage.
//!
//! Source: `org.apache.kafka.server.common.{MetadataVersion,Feature}` of Apache Kafka 4.3.1.

use ottla_core::metadata::features::{METADATA_VERSION, METADATA_VERSIONS, MetadataVersion, NEW_METADATA_VERSION};

/// The newest `metadata.version` that Apache Kafka 4.3 has a name for; 4.3 marks it as unstable.
const NEWEST_NAMED: i16 = 31;

/// A feature other than `metadata.version`.
pub struct Feature {
    pub name: &'static str,
    /// The levels above 0, in ascending order.
    pub levels: &'static [Level],
}

/// A level of a feature.
pub struct Level {
    pub level: i16,
    /// The first `metadata.version` at which new clusters get this level by default.
    since: i16,
    /// Levels that other features must have at least.
    pub needs: &'static [(&'static str, i16)],
}

const fn level(level: i16, since: i16) -> Level {
    Level { level, since, needs: &[] }
}

/// All features of a cluster except `metadata.version`, in Kafka's order.
pub const FEATURES: [Feature; 6] = [
    Feature { name: "kraft.version", levels: &[level(1, 21)] },
    Feature { name: "transaction.version", levels: &[level(1, 24), level(2, 24)] },
    Feature { name: "group.version", levels: &[level(1, 22)] },
    Feature {
        name: "eligible.leader.replicas.version",
        levels: &[Level { level: 1, since: 26, needs: &[(METADATA_VERSION, 23)] }],
    },
    Feature { name: "share.version", levels: &[level(1, 28)] },
    Feature { name: "streams.version", levels: &[level(1, 29)] },
];

impl Feature {
    /// Finds a feature by name.
    pub fn find(name: &str) -> Option<&'static Feature> {
        FEATURES.iter().find(|feature| feature.name == name)
    }

    /// Returns its default level in a new cluster with that `metadata.version`.
    pub fn level_at(&self, metadata_version: i16) -> i16 {
        self.levels.iter().rfind(|level| level.since <= metadata_version).map_or(0, |level| level.level)
    }
}

/// Returns the `metadata.version` of new clusters of Apache Kafka 4.3.
pub fn newest_release() -> MetadataVersion {
    named().rfind(|version| version.level == NEW_METADATA_VERSION).unwrap_or(METADATA_VERSIONS[0])
}

/// Returns the `metadata.version` of a release: `4.3-IV0` names one directly, `4.3` or `4.3.1` means the newest of 4.3.
/// The error is a message for the user.
pub fn metadata_version(release: &str) -> Result<MetadataVersion, String> {
    let short: Vec<&str> = release.split('.').take(2).collect();
    let finished = |version: &MetadataVersion| version.level <= NEW_METADATA_VERSION;
    let of_release = |version: &MetadataVersion| version.name.split('-').next() == Some(&short.join("."));
    let by_name = named().find(|version| version.name == release);
    by_name.or_else(|| named().rfind(|version| finished(version) && of_release(version))).ok_or_else(|| {
        let names: Vec<_> = named().map(|version| version.name).collect();
        format!("Unknown metadata.version '{release}'. Supported metadata.version are: {}", names.join(", "))
    })
}

/// Returns the name of a `metadata.version`.
pub fn version_name(level: i16) -> Option<&'static str> {
    METADATA_VERSIONS.iter().find(|version| version.level == level).map(|version| version.name)
}

fn named() -> impl DoubleEndedIterator<Item = MetadataVersion> {
    METADATA_VERSIONS.into_iter().filter(|version| version.level <= NEWEST_NAMED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn release_names_are_resolved_to_metadata_versions() {
        let check = |release, expect: Option<i16>| {
            assert_eq!(metadata_version(release).ok().map(|version| version.level), expect, "{release}");
        };
        check("3.3-IV3", Some(7));
        check("3.7", Some(19));
        check("3.7.2", Some(19));
        check("3.7-IV2", Some(17));
        check("4.3", Some(30));
        check("4.4-IV0", Some(31));
        check("4.4", None);
        check("3.0", None);
        check("x", None);
        assert_eq!(newest_release().name, "4.3-IV0");
    }

    #[test]
    fn default_levels_depend_on_the_metadata_version() {
        let check = |metadata_version, expect: [i16; 6]| {
            assert_eq!(FEATURES.each_ref().map(|feature| feature.level_at(metadata_version)), expect);
        };
        check(7, [0, 0, 0, 0, 0, 0]);
        check(21, [1, 0, 0, 0, 0, 0]);
        check(25, [1, 2, 1, 0, 0, 0]);
        check(27, [1, 2, 1, 1, 0, 0]);
        check(30, [1, 2, 1, 1, 1, 1]);
    }
}
