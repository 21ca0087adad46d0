//! The topics in the metadata log: their ids, their numbers of partitions, and which are compacted.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

use bytes::Bytes;

use super::records::for_each_record;
use ottla_core::metadata::records::{MetadataRecord, RecordBody};
use ottla_core::metadata::{CONSUMER_OFFSETS, SnapshotId, TRANSACTION_STATE, read_snapshot};
use ottla_wire::types::{PartitionIndex, TopicId, TopicPartition};

pub use ottla_wire::types::METADATA_TOPIC as METADATA;

const SHARE_STATE: &str = "__share_group_state";
/// `ConfigResource.Type.TOPIC`.
const TOPIC: i8 = 2;

/// Topics by name.
#[derive(Debug, Default)]
pub struct Topics {
    ids: HashMap<String, TopicId>,
    partition_counts: HashMap<TopicId, PartitionIndex>,
    compacted: HashSet<String>,
}

impl Topics {
    /// Reads the metadata log of a data directory, as far as it can be read.
    pub fn read(data: &Path) -> Topics {
        let mut topics = Topics::default();
        let directory = data.join(format!("{METADATA}-0"));
        let mut names: Vec<String> = fs::read_dir(&directory)
            .map(|entries| entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect())
            .unwrap_or_default();
        names.sort();
        let newest = names.iter().rev().find(|name| SnapshotId::from_file_name(name).is_some());
        let records = newest.and_then(|name| fs::read(directory.join(name)).ok());
        for record in records.and_then(|bytes| read_snapshot(&Bytes::from(bytes)).ok()).unwrap_or_default() {
            topics.apply(&record.body);
        }
        for name in names.iter().filter(|name| name.ends_with(".log")) {
            for_each_record(&directory.join(name), |record| {
                if let Some(value) = record.value
                    && let Ok(record) = MetadataRecord::decode(&value)
                {
                    topics.apply(&record.body);
                }
            });
        }
        topics
    }

    /// The topic's id, if it is known.
    pub fn id(&self, partition: &TopicPartition) -> Option<TopicId> {
        if &*partition.topic == METADATA {
            return Some(TopicId::METADATA);
        }
        self.ids.get(&*partition.topic).copied()
    }

    /// The number of partitions of the partition's topic, if it is known.
    pub fn partition_count(&self, partition: &TopicPartition) -> Option<PartitionIndex> {
        self.partition_counts.get(&self.id(partition)?).copied()
    }

    /// Whether a partition's offsets may have gaps.
    pub fn is_compacted(&self, partition: &TopicPartition) -> bool {
        let topic = &*partition.topic;
        [CONSUMER_OFFSETS, TRANSACTION_STATE, SHARE_STATE].contains(&topic) || self.compacted.contains(topic)
    }

    fn apply(&mut self, record: &RecordBody) {
        match record {
            RecordBody::Topic(topic) => {
                self.ids.insert(topic.name.to_string(), topic.topic_id);
            }
            RecordBody::Partition(partition) => {
                let count = self.partition_counts.entry(partition.topic_id).or_default();
                *count = partition.partition_id.saturating_add(1).max(*count);
            }
            RecordBody::RemoveTopic(removed) => {
                self.partition_counts.remove(&removed.topic_id);
                let deleted: Vec<_> =
                    self.ids.iter().filter(|(_, id)| **id == removed.topic_id).map(|(name, _)| name.clone()).collect();
                for name in deleted {
                    self.ids.remove(&name);
                    self.compacted.remove(&name);
                }
            }
            RecordBody::Config(config) if config.resource_type == TOPIC && config.name == "cleanup.policy" => {
                let compacts = config.value.as_ref().is_some_and(|policy| policy.contains("compact"));
                if compacts {
                    self.compacted.insert(config.resource_name.to_string());
                } else {
                    self.compacted.remove(&*config.resource_name);
                }
            }
            _ => {}
        }
    }
}
