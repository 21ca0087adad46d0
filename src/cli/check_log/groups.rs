//! The groups in partitions of `__consumer_offsets`: where they are tells how many partitions it had.

use std::collections::HashSet;
use std::path::Path;

use crate::cli::tools::kafka_dump_log::batches::BatchFile;
use ottla_core::coordinator::GroupId;
use ottla_core::coordinator::group::partition_for;
use ottla_core::coordinator::records::GroupRecord;
use ottla_wire::record::Batch;
use ottla_wire::types::PartitionIndex;

/// Groups, each with the partition that has records of it.
#[derive(Debug, Default)]
pub struct FoundGroups(HashSet<(GroupId, PartitionIndex)>);

impl FoundGroups {
    /// Adds those of a partition's folder, as far as it can be read.
    pub fn read(&mut self, folder: &Path, partition: PartitionIndex) {
        for name in super::metadata::names(folder).iter().filter(|name| name.ends_with(".log")) {
            // What is damaged is told when the log itself is checked.
            let _ = self.read_segment(&folder.join(name), partition);
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

    /// Whether all of them are where a topic of so many partitions has them.
    pub fn fit(&self, partitions: i32) -> bool {
        self.0.iter().all(|(group, partition)| partition_for(group, partitions) == *partition)
    }
}
