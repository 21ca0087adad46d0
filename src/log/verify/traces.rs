//! Traces in a log directory of the broker that used it: Ottla or Apache Kafka.
//!
//! Kafka creates the folders of all partitions with the topic, and spreads them over its log directories and nodes. Ottla
//! creates a partition's folder on first use, in one directory. So the meaning of a missing folder depends on the broker
//! that created the topic. These files differ:
//! - `meta.properties` contains a date if Kafka has written it.
//! - `quorum-state` is in the folder of the metadata log if a Kafka node has run there. Ottla never writes it.
//! - `bootstrap.checkpoint` exists if the directory was formatted, which Kafka requires.
//! - `cleaner-offset-checkpoint` exists, possibly empty, once Kafka has run. Ottla writes it only after a compaction.

use std::path::Path;

use crate::LogError;
use crate::error::IoContext;
use crate::file::Disk;
use crate::log_dir::{BOOTSTRAP, FIRST_DIRTY, METADATA_FOLDER};
use crate::meta_properties::{META_PROPERTIES, MetaProperties};
use crate::partition_metadata;
use ottla_wire::types::Uuid;

const QUORUM_STATE: &str = "quorum-state";

/// The traces in one directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traces {
    /// Whether `meta.properties` is as Ottla writes it, byte for byte.
    ottla_meta: bool,
    /// Whether a Kafka node has used the metadata log; `None` if unknown.
    quorum: Option<bool>,
    /// Whether the directory was formatted, or a log cleaner has run.
    formatted_or_cleaned: bool,
}

impl Traces {
    /// Reads the traces in a directory.
    ///
    /// # Errors
    /// If the directory can't be read.
    pub(super) fn of(disk: &Disk, path: &Path) -> Result<Traces, LogError> {
        let read = |name: &str| disk.read(&path.join(name)).doing("reading", path);
        let ottla_meta = read(META_PROPERTIES)?.is_some_and(|text| {
            MetaProperties::parse(&text)
                .is_ok_and(|meta| meta.or_directory_id(Uuid::ZERO).format().as_bytes() == text.as_slice())
        });
        let mut quorum = None;
        // The folder has a suffix if a repair has renamed it.
        for folder in disk.list_folders(path).doing("listing", path)? {
            if folder.starts_with(METADATA_FOLDER) {
                let names = disk.list(&path.join(&folder)).doing("listing", path)?.unwrap_or_default();
                let has = |name: &str| names.iter().any(|found| found == name);
                if has(QUORUM_STATE) {
                    quorum = Some(true);
                } else if folder == METADATA_FOLDER && has(partition_metadata::FILE_NAME) {
                    quorum = quorum.or(Some(false));
                }
            }
        }
        let formatted_or_cleaned = read(BOOTSTRAP)?.is_some() || read(FIRST_DIRTY)?.is_some();
        Ok(Traces { ottla_meta, quorum, formatted_or_cleaned })
    }

    /// Whether it is certain that only Ottla has used these directories of one broker.
    pub fn only_ottla(all: &[Traces]) -> bool {
        let quorums: Vec<bool> = all.iter().filter_map(|traces| traces.quorum).collect();
        let without_kafka = match quorums.is_empty() {
            true => all.iter().all(|traces| !traces.formatted_or_cleaned),
            false => quorums.iter().all(|ran| !ran),
        };
        all.iter().all(|traces| traces.ottla_meta) && without_kafka
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const METADATA_OF_TOPIC: &str = "__cluster_metadata-0/partition.metadata";
    const OF_KAFKA: &str =
        "#\n#Sat Nov 21 12:00:00 UTC 2026\ncluster.id=c\ndirectory.id=CQkJCQkJCQkJCQkJCQkJCQ\nnode.id=1\nversion=1\n";

    /// The traces in a directory with this `meta.properties` and these empty files.
    fn traces(meta: &str, files: &[&str]) -> Traces {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(META_PROPERTIES), meta).unwrap();
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        Traces::of(&Disk::plain(), dir.path()).unwrap()
    }

    fn ottla_meta() -> String {
        MetaProperties { cluster_id: "c".to_owned(), node_id: 1, directory_id: Uuid([9; 16]) }.format()
    }

    #[test]
    fn only_ottla_is_false_for_a_directory_with_a_file_that_kafka_may_have_written() {
        let ours = ottla_meta();
        let check = |meta: &str, files: &[&str], expected: bool| {
            assert_eq!(Traces::only_ottla(&[traces(meta, files)]), expected, "{meta:?} {files:?}");
        };
        let cleaned = ["cleaner-offset-checkpoint"];
        check(&ours, &[], true);
        check(&ours, &[METADATA_OF_TOPIC], true);
        // Ottla compacts too, and the metadata log shows that no Kafka node has used it.
        check(&ours, &[METADATA_OF_TOPIC, "cleaner-offset-checkpoint"], true);
        check(&ours, &[METADATA_OF_TOPIC, "bootstrap.checkpoint"], true);
        check(&ours, &cleaned, false);
        check(&ours, &["bootstrap.checkpoint"], false);
        check(&ours, &[METADATA_OF_TOPIC, "__cluster_metadata-0/quorum-state"], false);
        check(&ours, &[METADATA_OF_TOPIC, "__cluster_metadata-0.0123-stray/quorum-state"], false);
        check(OF_KAFKA, &[], false);
        check(OF_KAFKA, &[METADATA_OF_TOPIC], false);
        check("", &[], false);
    }

    #[test]
    fn only_ottla_combines_the_traces_of_all_directories() {
        let ours = ottla_meta();
        let metadata = traces(&ours, &[METADATA_OF_TOPIC]);
        let cleaned = traces(&ours, &["cleaner-offset-checkpoint"]);
        assert!(Traces::only_ottla(&[metadata, cleaned]));
        assert!(!Traces::only_ottla(&[metadata, traces(OF_KAFKA, &[])]));
    }
}
