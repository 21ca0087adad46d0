//! Salvage of a cluster's metadata after a part of the metadata log is lost: from the remaining records and the folders
//! of partitions.

use std::collections::{BTreeMap, HashSet};

use super::NO_LEADER;
use super::brokers::feature_record;
use super::configs::config_record;
use super::features::NEW_CLUSTER;
use super::image::{BrokerId, ConfigResource, Image, LOST_DIRECTORY, is_internal};
use super::internal_topics::CONSUMER_OFFSETS;
use super::records::{MetadataRecord, NoOpRecord, PartitionRecord, RecordBody, TopicRecord, WriteVersions};
use super::snapshot::snapshot_records;
use ottla_wire::types::{LeaderEpoch, PartitionIndex, ProducerId, TopicId, TopicName, TopicPartition, Uuid, sort_by};

/// The default of `offsets.topic.num.partitions`. Higher values are rare.
const DEFAULT_OFFSETS_PARTITIONS: i32 = 50;

/// Partitions without a folder that are added at most below one that has a folder. A stray folder named `t-2000000000`
/// does not mean that there are two thousand million others.
const MAX_GAP: i32 = 10_000;

/// Builds an image, and skips records that cannot be applied.
#[derive(Debug, Default)]
pub struct Salvage {
    image: Image,
    /// The records since BeginTransaction.
    transaction: Option<Vec<MetadataRecord>>,
    first_error: Option<String>,
}

/// A partition's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundFolder {
    pub topic: TopicName,
    pub topic_id: TopicId,
    pub partition: PartitionIndex,
    /// The leader epoch of the last record; -1 if there is none.
    pub leader_epoch: LeaderEpoch,
    /// Whether the log cleaner has compacted the log.
    pub compacted: bool,
    /// `directory.id` of the log directory with the folder; zero if it has no id.
    pub directory_id: Uuid,
}

/// The node whose folders were found, and how to treat its partitions without a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    pub node_id: BrokerId,
    /// `directory.id` of the log directory with all partitions, if it has a folder for each partition that was ever
    /// used. `None` if partitions may be in another directory or on another node: Kafka creates the folders of all
    /// partitions together with the topic, and spreads them over its log directories and nodes.
    pub only_directory: Option<Uuid>,
    /// Partitions without a folder that had records according to the checkpoints.
    pub had_records: HashSet<TopicPartition>,
}

/// The topics and partitions that were added because of folders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddedPartitions {
    /// Topics that were added, or got more partitions.
    pub topics: Vec<TopicName>,
    /// Partitions without a folder that were never used, and are empty.
    pub empty: Vec<TopicPartition>,
    /// Partitions without a folder that may have records in another directory or on another node. This broker does not
    /// serve them.
    pub absent: Vec<TopicPartition>,
    /// The number of partitions of `__consumer_offsets`, if some of them may be absent.
    pub offsets_partitions: Option<i32>,
    /// Partitions with a folder that are not added: more than `MAX_GAP` below them have none.
    pub left_out: Vec<TopicPartition>,
}

impl Salvage {
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// Why the first skipped record could not be read or applied.
    pub fn first_error(&self) -> Option<&str> {
        self.first_error.as_deref()
    }

    /// Applies the next remaining record of the log, or skips it.
    pub fn replay(&mut self, record: &MetadataRecord) {
        match (&record.body, &mut self.transaction) {
            (RecordBody::BeginTransaction(_), transaction) => *transaction = Some(Vec::new()),
            (RecordBody::AbortTransaction(_), transaction) => *transaction = None,
            (RecordBody::EndTransaction(_), transaction) => {
                for record in transaction.take().unwrap_or_default() {
                    self.apply(&record);
                }
            }
            (_, Some(pending)) => pending.push(record.clone()),
            (_, None) => self.apply(record),
        }
    }

    /// Records that a record could not be read.
    pub fn record_unreadable(&mut self, why: String) {
        self.first_error.get_or_insert(why);
    }

    fn apply(&mut self, record: &MetadataRecord) {
        if let Err(fault) = self.image.apply(record) {
            self.first_error.get_or_insert(fault.to_string());
        }
    }

    /// Whether the image lacks the partition of a folder. False if another topic in the image has the same name.
    pub fn is_unknown(&self, folder: &FoundFolder) -> bool {
        match self.image.topic(&folder.topic) {
            None => self.image.topic_by_id(folder.topic_id).is_none(),
            Some(topic) => topic.id == folder.topic_id && topic.partition(folder.partition).is_none(),
        }
    }

    /// Adds the partitions that are known only by their folders, and all partitions with lower indexes. The settings of
    /// their topics are lost; the new settings retain all records.
    ///
    /// The partition of a group in `__consumer_offsets` depends on the number of partitions. `groups_fit` says whether
    /// the groups that were found are in the right partitions for a number.
    pub fn add_folders(
        &mut self,
        folders: &[FoundFolder],
        host: &Host,
        groups_fit: impl Fn(PartitionIndex) -> bool,
    ) -> AddedPartitions {
        let mut topics: BTreeMap<(&TopicName, TopicId), Vec<&FoundFolder>> = BTreeMap::new();
        for folder in folders {
            topics.entry((&folder.topic, folder.topic_id)).or_default().push(folder);
        }
        let mut added = AddedPartitions::default();
        // Last: only the other topics show whether partitions are absent.
        let (offsets, others): (Vec<_>, Vec<_>) =
            topics.into_iter().partition(|((name, _), _)| ***name == *CONSUMER_OFFSETS);
        for ((name, id), folders) in others.into_iter().chain(offsets) {
            let is_new = self.image.topic(name).is_none();
            let folders = self.within_reach(name, id, folders, &mut added);
            if folders.iter().any(|folder| self.is_unknown(folder)) {
                if is_new {
                    self.add_topic(name, id, folders.iter().any(|folder| folder.compacted));
                }
                added.topics.push(name.clone());
            }
            if self.image.topic_id(name) == Some(id) {
                let mut count = folders.iter().map(|folder| folder.partition.saturating_add(1)).max().unwrap_or(0);
                if is_new && **name == *CONSUMER_OFFSETS {
                    let has_gap = folders.len() < count as usize && host.only_directory.is_none();
                    let may_be_elsewhere = has_gap || !added.absent.is_empty();
                    count = offsets_partitions(count, may_be_elsewhere, &groups_fit);
                    added.offsets_partitions = may_be_elsewhere.then_some(count);
                }
                self.add_partitions(name, id, &folders, count, host, &mut added);
            }
        }
        added
    }

    /// The folders that are not too far above the partitions below them.
    fn within_reach<'f>(
        &self,
        name: &TopicName,
        id: TopicId,
        mut folders: Vec<&'f FoundFolder>,
        added: &mut AddedPartitions,
    ) -> Vec<&'f FoundFolder> {
        sort_by(&mut folders, |a, b| a.partition.cmp(&b.partition));
        let known = self.image.topic(name).filter(|topic| topic.id == id);
        let mut end = known.map_or(0, |topic| topic.partition_count());
        let is_near = |folder: &&FoundFolder| {
            let is_near = folder.partition.saturating_sub(end) <= MAX_GAP;
            if is_near {
                end = end.max(folder.partition.saturating_add(1));
            }
            is_near
        };
        let (near, far): (Vec<_>, Vec<_>) = folders.into_iter().partition(is_near);
        added.left_out.extend(far.iter().map(|folder| TopicPartition::new(name.clone(), folder.partition)));
        near
    }

    fn add_topic(&mut self, name: &TopicName, id: TopicId, compacted: bool) {
        self.apply(&MetadataRecord::new(0, TopicRecord { name: (&**name).into(), topic_id: id }));
        let policy = if compacted || is_internal(name) { "compact" } else { "delete" };
        for (setting, value) in [("cleanup.policy", policy), ("retention.bytes", "-1"), ("retention.ms", "-1")] {
            self.apply(&config_record(&ConfigResource::topic(name.clone()), setting, Some(&value.to_owned())));
        }
    }

    fn add_partitions(
        &mut self,
        name: &TopicName,
        id: TopicId,
        folders: &[&FoundFolder],
        count: i32,
        host: &Host,
        added: &mut AddedPartitions,
    ) {
        for index in 0..count {
            let found = folders.iter().find(|folder| folder.partition == index);
            let written = found.map_or(0, |folder| folder.leader_epoch).max(0);
            let known = self.image.partition(name, index);
            if known.is_some_and(|known| known.leader_epoch >= written) {
                continue;
            }
            let record = match (known, found) {
                (Some(known), _) => PartitionRecord {
                    replicas: known.replicas.to_vec(),
                    isr: known.isr.to_vec(),
                    leader: known.leader,
                    directories: known.directories.to_vec(),
                    ..Default::default()
                },
                // The broker serves a partition with a folder whatever its assignment; this one is assigned to no known
                // directory.
                (None, Some(found)) if found.directory_id.is_zero() => replica(host.node_id, LOST_DIRECTORY),
                (None, Some(found)) => replica(host.node_id, found.directory_id),
                (None, None) => {
                    let partition = TopicPartition::new(name.clone(), index);
                    match host.only_directory.filter(|_| !host.had_records.contains(&partition)) {
                        Some(only) => {
                            added.empty.push(partition);
                            replica(host.node_id, only)
                        }
                        None => {
                            added.absent.push(partition);
                            self.absent_partition(host.node_id)
                        }
                    }
                }
            };
            let record = PartitionRecord {
                partition_id: index,
                topic_id: id,
                leader_epoch: written,
                partition_epoch: 0,
                ..record
            };
            self.apply(&MetadataRecord::new(self.versions().partition, record));
        }
    }

    /// A partition whose log may be in an unknown directory of this node.
    fn absent_partition(&self, node: BrokerId) -> PartitionRecord {
        match self.versions().partition {
            // Before replicas had directories, a node had only one: the log is on another node, or lost.
            0 => PartitionRecord { leader: NO_LEADER, ..Default::default() },
            _ => replica(node, LOST_DIRECTORY),
        }
    }

    fn versions(&self) -> WriteVersions {
        WriteVersions::at(self.image.metadata_version().unwrap_or(super::features::NEW_METADATA_VERSION))
    }

    /// The records of a new metadata log. Producer ids below `next_producer_id` are in use.
    pub fn records(mut self, next_producer_id: ProducerId) -> Vec<MetadataRecord> {
        if self.image.metadata_version().is_none() {
            for (name, level) in NEW_CLUSTER {
                self.apply(&feature_record(name, level));
            }
        }
        let highest = self.image.topics().filter_map(|topic| topic.highest_leader_epoch()).max().unwrap_or(0);
        let floor = NoOpRecord { leader_epoch_floor: highest.saturating_add(1) };
        self.apply(&MetadataRecord::new(0, floor));
        if next_producer_id > self.image.next_producer_id() {
            self.apply(&producer_ids(next_producer_id));
        }
        snapshot_records(&self.image)
    }
}

/// Chooses the number of partitions of `__consumer_offsets`; at least `least` of them are known. If others may be
/// absent, chooses the highest number that fits. A group whose offsets are absent then mostly belongs to an absent
/// partition, and is not served as a group without offsets.
fn offsets_partitions(least: i32, may_be_elsewhere: bool, fit: impl Fn(i32) -> bool) -> i32 {
    let mut fitting = (least..=DEFAULT_OFFSETS_PARTITIONS).filter(|count| fit(*count));
    let chosen = if may_be_elsewhere { fitting.next_back() } else { fitting.next() };
    chosen.unwrap_or(least)
}

/// A partition with one replica, in this log directory.
fn replica(node: BrokerId, directory: Uuid) -> PartitionRecord {
    PartitionRecord {
        replicas: vec![node],
        isr: vec![node],
        leader: node,
        directories: vec![directory],
        ..Default::default()
    }
}

fn producer_ids(next_producer_id: ProducerId) -> MetadataRecord {
    let ids = super::records::ProducerIdsRecord { broker_id: -1, broker_epoch: -1, next_producer_id };
    MetadataRecord::new(0, ids)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::Hosting;
    use crate::metadata::tests::{NODE, TestCluster, names};

    const DIRECTORY: Uuid = Uuid([3; 16]);

    /// A host whose log directory only Ottla has used.
    fn host() -> Host {
        Host { node_id: NODE, only_directory: Some(DIRECTORY), had_records: HashSet::new() }
    }

    fn folder(topic: &str, id: u8, partition: i32, leader_epoch: i32) -> FoundFolder {
        let (topic_id, compacted) = (Uuid([id; 16]), topic == "compacted");
        FoundFolder { topic: topic.into(), topic_id, partition, leader_epoch, compacted, directory_id: DIRECTORY }
    }

    /// The image of a salvage's records. Each of them must be applicable.
    fn image(records: &[MetadataRecord]) -> Image {
        let mut image = Image::default();
        records.iter().for_each(|record| image.apply(record).unwrap());
        image
    }

    #[test]
    fn topics_are_restored_from_folders_if_all_records_are_lost() {
        let mut salvage = Salvage::default();
        let folders = [folder("t", 5, 2, 4), folder("t", 5, 0, -1), folder("compacted", 6, 0, 0), folder("t", 7, 1, 0)];
        let added = salvage.add_folders(&folders, &host(), |_| true);
        assert_eq!(added.topics.iter().map(|name| &**name).collect::<Vec<_>>(), ["compacted", "t"]);
        let image = image(&salvage.records(3000));
        assert_eq!(names(&image).iter().map(|name| &**name).collect::<Vec<_>>(), ["compacted", "t"]);
        assert_eq!(image.topic_id("t"), Some(Uuid([5; 16])));
        let partitions: Vec<_> =
            image.topic("t").unwrap().partitions().map(|(_, it)| (it.leader, it.leader_epoch)).collect();
        assert_eq!(partitions, [(NODE, 0), (NODE, 0), (NODE, 4)]);
        assert_eq!(image.topic_configs("t")["retention.ms"], "-1");
        assert_eq!(image.topic_configs("compacted")["cleanup.policy"], "compact");
        assert_eq!((image.next_producer_id(), image.leader_epoch_floor()), (3000, 5));
        assert!(image.metadata_version().is_some());
    }

    /// A stray folder with a huge number doesn't make a huge topic, nor take long.
    #[test]
    fn folder_far_above_the_others_is_left_out() {
        let mut salvage = Salvage::default();
        let stray =
            [folder("t", 5, 2_000_000_000, 0), folder("t", 5, i32::MAX, 0), folder("stray", 6, 1_999_999_999, 0)];
        let near = [folder("t", 5, 1, 0), folder("t", 5, 1 + MAX_GAP, 0)];
        let added = salvage.add_folders(&[&stray[..], &near].concat(), &host(), |_| true);
        let left_out: Vec<_> = added.left_out.iter().map(ToString::to_string).collect();
        assert_eq!(left_out, ["stray-1999999999", "t-2000000000", "t-2147483647"]);
        assert_eq!(added.topics.iter().map(|name| &**name).collect::<Vec<_>>(), ["t"]);
        let image = image(&salvage.records(0));
        assert_eq!(names(&image).iter().map(|name| &**name).collect::<Vec<_>>(), ["t"]);
        assert_eq!(image.topic("t").unwrap().partition_count(), MAX_GAP + 2);
    }

    #[test]
    fn remaining_records_are_applied_and_the_first_error_is_reported() {
        let mut cluster = TestCluster::started();
        cluster.create_named("first", 1);
        cluster.create_named("second", 2);
        let all = snapshot_records(cluster.image());
        let is_first = |record: &MetadataRecord| matches!(&record.body, RecordBody::Topic(it) if &*it.name == "first");
        let mut salvage = Salvage::default();
        all.iter().filter(|record| !is_first(record)).for_each(|record| salvage.replay(record));
        assert!(salvage.first_error().is_some_and(|fault| fault.contains("no topic with id")));
        let second = cluster.image().topic_id("second").unwrap();
        let newer = FoundFolder { topic_id: second, leader_epoch: 9, ..folder("second", 0, 1, 9) };
        assert!(!salvage.is_unknown(&newer) && salvage.is_unknown(&folder("first", 1, 0, 0)));
        assert_eq!(salvage.add_folders(&[newer], &host(), |_| true), AddedPartitions::default());
        let image = image(&salvage.records(0));
        assert_eq!(image.partition("second", 1).unwrap().leader_epoch, 9, "its log has records of this epoch");
        assert_eq!(image.topic_configs("second"), cluster.image().topic_configs("second"));
        assert_eq!(image.next_producer_id(), cluster.image().next_producer_id());
    }

    /// The hosting of each partition of `t` for the node with `DIRECTORY`, and the added partitions.
    fn placed(folders: &[FoundFolder], host: &Host, metadata_version: Option<i16>) -> (Vec<Hosting>, AddedPartitions) {
        let mut salvage = Salvage::default();
        if let Some(level) = metadata_version {
            salvage.replay(&feature_record(crate::metadata::features::METADATA_VERSION, level));
        }
        let added = salvage.add_folders(folders, host, |_| true);
        let records = salvage.records(0);
        // Encoded and decoded, as by a start.
        let read = |record: &MetadataRecord| MetadataRecord::decode(&record.encode().unwrap()).unwrap();
        let image = image(&records.iter().map(read).collect::<Vec<_>>());
        let partitions = image.topic("t").unwrap().partitions().map(|(_, it)| it.hosting(NODE, DIRECTORY));
        (partitions.collect(), added)
    }

    fn partitions_of_t(indexes: &[i32]) -> Vec<TopicPartition> {
        indexes.iter().map(|index| TopicPartition::new("t", *index)).collect()
    }

    #[test]
    fn partition_without_folder_is_empty_if_only_ottla_used_the_directory() {
        let (found, added) = placed(&[folder("t", 5, 0, 0), folder("t", 5, 2, 0)], &host(), None);
        assert_eq!(found, [Hosting::Here; 3]);
        assert_eq!((added.empty, added.absent), (partitions_of_t(&[1]), vec![]));
    }

    #[test]
    fn partition_without_folder_is_absent_if_kafka_may_have_used_the_directory() {
        let host = Host { only_directory: None, ..host() };
        let (found, added) = placed(&[folder("t", 5, 0, 0), folder("t", 5, 3, 0)], &host, None);
        let lost = Hosting::AbsentDirectory(LOST_DIRECTORY);
        assert_eq!(found, [Hosting::Here, lost, lost, Hosting::Here]);
        assert_eq!((added.empty, added.absent), (vec![], partitions_of_t(&[1, 2])));
    }

    #[test]
    fn partition_without_folder_that_had_records_is_absent() {
        let host = Host { had_records: partitions_of_t(&[1]).into_iter().collect(), ..host() };
        let (found, added) = placed(&[folder("t", 5, 2, 0)], &host, None);
        assert_eq!(found, [Hosting::Here, Hosting::AbsentDirectory(LOST_DIRECTORY), Hosting::Here]);
        assert_eq!((added.empty, added.absent), (partitions_of_t(&[0]), partitions_of_t(&[1])));
    }

    #[test]
    fn partition_without_folder_is_on_another_node_if_replicas_have_no_directories() {
        let host = Host { only_directory: None, ..host() };
        let (found, added) = placed(&[folder("t", 5, 1, 0)], &host, Some(16));
        assert_eq!((found, added.absent), (vec![Hosting::OtherNode, Hosting::Here], partitions_of_t(&[0])));
    }

    #[test]
    fn partition_is_assigned_to_the_directory_of_its_folder() {
        let other = Uuid([4; 16]);
        let host = Host { only_directory: None, ..host() };
        let elsewhere = FoundFolder { directory_id: other, ..folder("t", 5, 1, 0) };
        let unnamed = FoundFolder { directory_id: Uuid::ZERO, ..folder("t", 5, 2, 0) };
        let (found, added) = placed(&[folder("t", 5, 0, 0), elsewhere, unnamed], &host, None);
        let absent = [other, LOST_DIRECTORY].map(Hosting::AbsentDirectory);
        assert_eq!(found, [Hosting::Here, absent[0], absent[1]]);
        assert_eq!((added.empty, added.absent), (vec![], vec![]));
    }

    #[test]
    fn consumer_offsets_gets_a_partition_count_that_fits_the_found_groups() {
        let check = |least, may_be_elsewhere, fits: &[i32], expected| {
            let chosen = offsets_partitions(least, may_be_elsewhere, |count| fits.contains(&count));
            assert_eq!(chosen, expected, "{least} {may_be_elsewhere} {fits:?}");
        };
        check(3, false, &[1, 2, 3, 50], 3);
        check(3, false, &[5, 50], 5);
        check(3, true, &[3, 5, 50], 50);
        check(3, true, &[2, 3, 6, 60], 6);
        check(3, true, &[], 3);
        check(70, true, &[70], 70);

        let of_kafka = Host { only_directory: None, ..host() };
        let counted = |folders: &[FoundFolder], host: &Host| {
            let mut salvage = Salvage::default();
            let added = salvage.add_folders(folders, host, |count| count % 2 == 0);
            let partitions = salvage.image().topic(CONSUMER_OFFSETS).map_or(0, |topic| topic.partitions().count());
            (partitions, added.offsets_partitions)
        };
        let offsets = |index| folder(CONSUMER_OFFSETS, 6, index, 0);
        assert_eq!(counted(&[offsets(0), offsets(1)], &of_kafka), (2, None));
        assert_eq!(counted(&[offsets(0), offsets(1), folder("t", 5, 1, 0)], &of_kafka), (50, Some(50)));
        assert_eq!(counted(&[offsets(1)], &of_kafka), (50, Some(50)));
        assert_eq!(counted(&[offsets(1)], &host()), (2, None));
    }
}
