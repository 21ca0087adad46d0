//! Who has used a data directory, as far as its files tell.
//!
//! Apache Kafka makes the folders of all of a topic's partitions with the topic, and spreads them over its log directories
//! and nodes; Ottla makes a partition's folder when it first needs it, in one directory. So what a partition without a
//! folder means depends on who made its topic. Of the files in a data directory these differ:
//! - `meta.properties` has the date when Kafka has written it.
//! - `quorum-state` is in the folder of the metadata log once a node of Kafka's has run there, and never of Ottla's making.
//! - `bootstrap.checkpoint` is there if the directory was formatted, which Kafka demands.
//! - `cleaner-offset-checkpoint` is there, empty or not, once Kafka has run; of Ottla's making only after a compaction.

use std::path::Path;

use crate::LogError;
use crate::error::IoContext;
use crate::file::Disk;
use crate::log_dir::{BOOTSTRAP, FIRST_DIRTY, METADATA_FOLDER};
use crate::meta_properties::{META_PROPERTIES, MetaProperties};
use crate::partition_metadata;
use ottla_wire::types::Uuid;

const QUORUM_STATE: &str = "quorum-state";

/// What is found of them in one directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traces {
    /// `meta.properties` is as Ottla writes it, byte for byte.
    ottla_meta: bool,
    /// Whether a node of Kafka's has run on the metadata log; `None` where its folder doesn't tell.
    quorum: Option<bool>,
    /// It was formatted, or its log cleaner has run.
    formatted_or_cleaned: bool,
}

impl Traces {
    /// # Errors
    /// If the directory can't be read.
    pub(super) fn of(disk: &Disk, path: &Path) -> Result<Traces, LogError> {
        let read = |name: &str| disk.read(&path.join(name)).doing("reading", path);
        let ottla_meta = read(META_PROPERTIES)?.is_some_and(|text| {
            MetaProperties::parse(&text)
                .is_ok_and(|meta| meta.or_directory_id(Uuid::ZERO).format().as_bytes() == text.as_slice())
        });
        let mut quorum = None;
        // The folder's name is followed by a suffix where a repair has set it aside.
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

    /// Whether it is certain that nothing but Ottla has used these directories, which belong together.
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

    /// A directory with these files, which are empty but for `meta.properties`.
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
    fn a_directory_is_ottlas_alone_where_no_file_can_be_of_kafkas_making() {
        let ours = ottla_meta();
        let check = |meta: &str, files: &[&str], expected: bool| {
            assert_eq!(Traces::only_ottla(&[traces(meta, files)]), expected, "{meta:?} {files:?}");
        };
        let cleaned = ["cleaner-offset-checkpoint"];
        check(&ours, &[], true);
        check(&ours, &[METADATA_OF_TOPIC], true);
        // Ottla compacts as well, and the metadata log says that nobody else has been there.
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
    fn directories_that_belong_together_are_judged_together() {
        let ours = ottla_meta();
        let metadata = traces(&ours, &[METADATA_OF_TOPIC]);
        let cleaned = traces(&ours, &["cleaner-offset-checkpoint"]);
        assert!(Traces::only_ottla(&[metadata, cleaned]));
        assert!(!Traces::only_ottla(&[metadata, traces(OF_KAFKA, &[])]));
    }
}
