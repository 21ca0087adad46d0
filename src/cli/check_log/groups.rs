//! The groups in partitions of `__consumer_offsets`: where they are tells how many partitions it had.

use std::collections::HashSet;
use std::path::Path;

use super::records::for_each_record;
use ottla_core::coordinator::GroupId;
use ottla_core::coordinator::group::partition_for;
use ottla_core::coordinator::records::GroupRecord;
use ottla_wire::types::PartitionIndex;

/// Groups, each with the partition that has records of it.
#[derive(Debug, Default)]
pub struct FoundGroups(HashSet<(GroupId, PartitionIndex)>);

impl FoundGroups {
    /// Adds those of a partition's folder, as far as it can be read.
    pub fn read(&mut self, folder: &Path, partition: PartitionIndex) {
        for name in super::metadata::names(folder).iter().filter(|name| name.ends_with(".log")) {
            for_each_record(&folder.join(name), |record| {
                if let Some(key) = record.key
                    && let Ok(GroupRecord::OffsetCommit { group, .. } | GroupRecord::GroupMetadata { group, .. }) =
                        GroupRecord::decode(&key, None)
                {
                    self.0.insert((group, partition));
                }
            });
        }
    }

    /// Whether all of them are where a topic of so many partitions has them.
    pub fn fit(&self, partitions: i32) -> bool {
        self.0.iter().all(|(group, partition)| partition_for(group, partitions) == *partition)
    }
}
