//! The groups in partitions of `__consumer_offsets`, to find out how many partitions the topic had.

use std::collections::HashSet;
use std::path::Path;

use crate::cli::tools::kafka_dump_log::batches::BatchFile;
use ottla_core::coordinator::GroupId;
use ottla_core::coordinator::group::partition_for;
use ottla_core::coordinator::records::GroupRecord;
use ottla_wire::record::Batch;
use ottla_wire::types::PartitionIndex;

/// Groups, each with the partition that contains its records.
#[derive(Debug, Default)]
pub struct FoundGroups(HashSet<(GroupId, PartitionIndex)>);

impl FoundGroups {
    /// Adds the groups of a partition's directory, as far as its segments can be read.
    pub fn read(&mut self, directory: &Path, partition: PartitionIndex) {
        for name in super::metadata::names(directory).iter().filter(|name| name.ends_with(".log")) {
            // Corruption is reported by the check of the log itself.
            let _ = self.read_segment(&directory.join(name), partition);
        }
    }

    fn read_segment(&mut self, path: &Path, partition: PartitionIndex) -> Option<()> {
        let file = BatchFile::open(path, u64::MAX).ok()?;
        let mut position = 0;
        while let Some(found) = file.batch_at(position, u64::MAX).ok()? {
            position += found.size;
            let batch = Batch::parse(&file.bytes_of(&found).ok()?).ok()?;
            if batch.header().is_control() {
                continue;
            }
            for key in batch.records().map_while(Result::ok).filter_map(|record| record.key) {
                if let Ok(GroupRecord::OffsetCommit { group, .. } | GroupRecord::GroupMetadata { group, .. }) =
                    GroupRecord::decode(&key, None)
                {
                    self.0.insert((group, partition));
                }
            }
        }
        Some(())
    }

    /// Whether every group is in the partition that it belongs to if the topic has `partitions` partitions.
    pub fn fit(&self, partitions: i32) -> bool {
        self.0.iter().all(|(group, partition)| partition_for(group, partitions) == *partition)
    }
}
