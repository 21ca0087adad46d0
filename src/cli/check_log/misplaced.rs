//! Groups and transactional ids with records in a partition that does not coordinate them.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use bytes::Bytes;

use super::records::for_each_record;
use super::report::ShownMisplaced;
use ottla_core::coordinator::group::partition_for;
use ottla_core::coordinator::records::{GroupRecord, TransactionRecord};
use ottla_core::metadata::{CONSUMER_OFFSETS, TRANSACTION_STATE};
use ottla_wire::types::{Offset, PartitionIndex, TopicPartition};

/// The ids in a partition's directory that belong to another partition of its topic, as far as the segments can be read.
/// Ids whose records were all deleted by later ones are left out.
pub fn misplaced(directory: &Path, partition: &TopicPartition, partition_count: PartitionIndex) -> Vec<ShownMisplaced> {
    let id_of = match &*partition.topic {
        CONSUMER_OFFSETS => group_of,
        TRANSACTION_STATE => transactional_id_of,
        _ => return Vec::new(),
    };
    // Only keys with a misplaced id are kept, each with its id and the offset of its first record.
    let mut live: HashMap<Bytes, (String, Offset)> = HashMap::new();
    for name in super::metadata::names(directory).iter().filter(|name| name.ends_with(".log")) {
        for_each_record(&directory.join(name), |record| {
            let Some(key) = record.key else { return };
            let Some(id) = id_of(&key) else { return };
            if partition_for(&id, partition_count) == partition.partition {
                return;
            }
            match record.value {
                Some(_) => {
                    live.entry(key).or_insert((id, record.offset));
                }
                None => {
                    live.remove(&key);
                }
            }
        });
    }
    let mut first_offsets: BTreeMap<String, Offset> = BTreeMap::new();
    for (id, offset) in live.into_values() {
        first_offsets.entry(id).and_modify(|first| *first = offset.min(*first)).or_insert(offset);
    }
    let shown = |(id, first_offset): (String, Offset)| {
        let belongs_to = TopicPartition::new(partition.topic.clone(), partition_for(&id, partition_count)).to_string();
        ShownMisplaced { id, first_offset, belongs_to }
    };
    first_offsets.into_iter().map(shown).collect()
}

fn group_of(key: &Bytes) -> Option<String> {
    match GroupRecord::decode(key, None).ok()? {
        GroupRecord::OffsetCommit { group, .. } | GroupRecord::GroupMetadata { group, .. } => Some(group.to_string()),
    }
}

fn transactional_id_of(key: &Bytes) -> Option<String> {
    Some(TransactionRecord::decode(key, None).ok()?.transactional_id.to_string())
}
