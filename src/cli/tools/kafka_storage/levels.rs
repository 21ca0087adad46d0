//! The first records of a new metadata log: feature levels and users.

use std::collections::BTreeMap;
use std::fmt;

use super::scram::User;
use crate::cli::tools::kafka_features::name_and_level;
use crate::cli::tools::releases::{self, FEATURES, Feature};
use ottla_core::metadata::features::METADATA_VERSION;
use ottla_core::metadata::records::MetadataRecord;
use ottla_core::metadata::{SCRAM_LEVEL, feature_record};
use ottla_wire::types::InOrder as _;

/// The feature of the quorum's protocol, which is not a record of the metadata log.
const KRAFT_VERSION: &str = "kraft.version";

/// Levels by feature. Displays like Kafka's `BootstrapMetadata`.
#[derive(Debug)]
pub struct Levels {
    metadata_version: i16,
    /// Other levels above 0, without `kraft.version`.
    others: BTreeMap<&'static str, i16>,
    /// The level of `kraft.version`, if it is given.
    pub kraft: Option<i16>,
    users: Vec<User>,
}

impl Levels {
    /// Takes the levels of a release (by default the newest), and replaces those of the given features. The error is a
    /// message for stderr.
    pub fn choose(release: Option<&str>, features: &[String]) -> Result<Levels, String> {
        let mut named = BTreeMap::new();
        for text in features {
            let (name, level) = name_and_level(text)?;
            if named.insert(name, level).is_some() {
                return Err(format!("Feature {name} was specified more than once."));
            }
        }
        let metadata_version = match (release, named.remove(METADATA_VERSION)) {
            (Some(_), Some(_)) => {
                return Err(
                    "Use --release-version instead of --feature metadata.version=X to avoid ambiguity.".to_owned()
                );
            }
            (Some(release), None) => releases::metadata_version(release)?.level,
            (None, Some(level)) => match releases::version_name(level) {
                Some(_) => level,
                None => return Err(format!("No MetadataVersion with feature level {level}")),
            },
            (None, None) => releases::newest_release().level,
        };
        let levels = FEATURES.iter().map(|feature| (feature.name, feature.level_at(metadata_version)));
        let mut others: BTreeMap<&'static str, i16> = levels.in_order();
        others.remove(KRAFT_VERSION);
        let mut kraft = None;
        for (name, level) in named {
            let feature = Feature::find(name).ok_or_else(|| unsupported(name))?;
            if level != 0 && !feature.levels.iter().any(|known| known.level == level) {
                return Err(format!("No feature:{name} with feature level {level}"));
            }
            match name {
                KRAFT_VERSION => kraft = Some(level),
                _ => drop(others.insert(feature.name, level)),
            }
        }
        others.retain(|_, level| *level > 0);
        Ok(Levels { metadata_version, others, kraft, users: Vec::new() })
    }

    /// Adds users. The error is a message for stderr.
    pub fn add_users(&mut self, users: Vec<User>) -> Result<(), String> {
        if !users.is_empty() && self.metadata_version < SCRAM_LEVEL {
            return Err("SCRAM is only supported in metadata.version 3.5-IV2 or later.".to_owned());
        }
        self.users = users;
        Ok(())
    }

    /// Returns the name of the `metadata.version`.
    pub fn release_name(&self) -> &'static str {
        releases::version_name(self.metadata_version).unwrap_or_default()
    }

    /// Returns the first records of a new metadata log.
    pub fn records(&self) -> Vec<MetadataRecord> {
        let levels = self.all().map(|(name, level)| feature_record(name, level));
        levels.chain(self.users.iter().map(User::record)).collect()
    }

    fn all(&self) -> impl Iterator<Item = (&str, i16)> {
        let others = self.others.iter().map(|(name, level)| (*name, *level));
        std::iter::once((METADATA_VERSION, self.metadata_version)).chain(others)
    }
}

fn unsupported(name: &str) -> String {
    let mut known: Vec<_> = FEATURES.iter().map(|feature| feature.name).collect();
    known.sort_unstable();
    format!("Unsupported feature: {name}. Supported features are: {}", known.join(", "))
}

impl fmt::Display for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let record = |(name, level): (&str, i16)| {
            format!("ApiMessageAndVersion(FeatureLevelRecord(name='{name}', featureLevel={level}) at version 0)")
        };
        let user = |user: &User| format!("ApiMessageAndVersion({user} at version 0)");
        let records: Vec<_> = self.all().map(record).chain(self.users.iter().map(user)).collect();
        let (records, version) = (records.join(", "), self.metadata_version);
        write!(f, "BootstrapMetadata(records=[{records}], metadataVersionLevel={version}, source=format command)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_those_of_the_release_with_given_features_replaced() {
        let check = |release, features: &[&str], expect: Result<&str, &str>| {
            let features: Vec<_> = features.iter().map(|text| (*text).to_owned()).collect();
            let chosen = Levels::choose(release, &features);
            let chosen = chosen.map(|levels| {
                let all: Vec<_> = levels.all().map(|(name, level)| format!("{name}={level}")).collect();
                all.join(" ")
            });
            assert_eq!(chosen.as_deref().map_err(String::as_str), expect, "{release:?} {features:?}");
        };
        let of_4_0 = "metadata.version=25 group.version=1 transaction.version=2";
        check(Some("4.0"), &[], Ok(of_4_0));
        check(None, &["metadata.version=25"], Ok(of_4_0));
        check(Some("3.9"), &["group.version=1"], Ok("metadata.version=21 group.version=1"));
        check(Some("4.0"), &["group.version=0", "kraft.version=1"], Ok("metadata.version=25 transaction.version=2"));
        let both = "Use --release-version instead of --feature metadata.version=X to avoid ambiguity.";
        check(Some("4.0"), &["metadata.version=25"], Err(both));
        check(None, &["metadata.version=99"], Err("No MetadataVersion with feature level 99"));
        check(None, &["group.version=9"], Err("No feature:group.version with feature level 9"));
        check(None, &["a=1", "a=1"], Err("Feature a was specified more than once."));
        let known = "eligible.leader.replicas.version, group.version, kraft.version, share.version, streams.version, \
                     transaction.version";
        check(None, &["foo=1"], Err(&format!("Unsupported feature: foo. Supported features are: {known}")));
    }
}
