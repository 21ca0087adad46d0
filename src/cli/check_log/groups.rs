//! The groups in partitions of `__consumer_offsets`, to find out how many partitions the topic had.

use std::collections::HashSet;
use std::path::Path;

use super::records::for_each_record;
use ottla_core::coordinator::GroupId;
use ottla_core::coordinator::group::partition_for;
use ottla_core::coordinator::records::GroupRecord;
use ottla_wire::types::PartitionIndex;

/// Groups, each with the partition that contains its records.
#[derive(Debug, Default)]
pub struct FoundGroups(HashSet<(GroupId, PartitionIndex)>);

impl FoundGroups {
    /// Adds the groups of a partition's directory, as far as its segments can be read.
    pub fn read(&mut self, directory: &Path, partition: PartitionIndex) {
        for name in super::metadata::names(directory).iter().filter(|name| name.ends_with(".log")) {
            for_each_record(&directory.join(name), |record| {
                if let Some(key) = record.key
                    && let Ok(GroupRecord::OffsetCommit { group, .. } | GroupRecord::GroupMetadata { group, .. }) =
                        GroupRecord::decode(&key, None)
                {
                    self.0.insert((group, partition));
                }
            });
        }
    }

    /// Whether every group is in the partition that it belongs to if the topic has `partitions` partitions.
    pub fn fit(&self, partitions: i32) -> bool {
        self.0.iter().all(|(group, partition)| partition_for(group, partitions) == *partition)
    }
}
