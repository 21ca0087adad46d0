//! What can still be said of a cluster when a part of its metadata log is lost: by the records that are left, and by the
//! folders of partitions.

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

/// The default of `offsets.topic.num.partitions`, which few change for more.
const USUAL_OFFSETS_PARTITIONS: i32 = 50;

/// The most partitions without a folder that are added below one that has a folder. A stray folder named `t-2000000000`
/// is no sign of two thousand million others.
const MAX_GAP: i32 = 10_000;

/// An image in the making, which passes over records that can't follow those before them.
#[derive(Debug, Default)]
pub struct Salvage {
    image: Image,
    /// What was read since BeginTransaction.
    transaction: Option<Vec<MetadataRecord>>,
    first_fault: Option<String>,
}

/// A partition's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundFolder {
    pub topic: TopicName,
    pub topic_id: TopicId,
    pub partition: PartitionIndex,
    /// The newest that has written there; -1 if none has.
    pub leader_epoch: LeaderEpoch,
    /// Whether the log cleaner has been at it.
    pub compacted: bool,
    /// `directory.id` of the log directory that it lies in; zero if that has none.
    pub directory_id: Uuid,
}

/// The node whose folders were found, and what a partition without a folder means there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    pub node_id: BrokerId,
    /// `directory.id` of the log directory that has had every partition, and a folder for each that was ever used.
    /// `None` where partitions may lie elsewhere: Kafka makes the folders of all partitions with the topic, spread over
    /// its log directories and nodes.
    pub only_directory: Option<Uuid>,
    /// Partitions that have no folder, and are noted to have had records.
    pub noted: HashSet<TopicPartition>,
}

/// What a salvage makes of folders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Added {
    /// Topics that are known by their folders alone, or have partitions that are.
    pub topics: Vec<TopicName>,
    /// Partitions without a folder that are new and empty: they were never used.
    pub empty: Vec<TopicPartition>,
    /// Partitions without a folder that may have records elsewhere: no broker serves them here.
    pub absent: Vec<TopicPartition>,
    /// How many partitions `__consumer_offsets` has now, if some of them may be elsewhere.
    pub offsets_partitions: Option<i32>,
    /// Partitions with a folder that are not added: more than [`MAX_GAP`] below them have none.
    pub left_out: Vec<TopicPartition>,
}

impl Salvage {
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// Why the first record that was passed over could not be applied.
    pub fn first_fault(&self) -> Option<&str> {
        self.first_fault.as_deref()
    }

    /// Applies the next record that is left of the log, if it can be.
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

    /// Notes that a record could not even be read.
    pub fn unreadable(&mut self, why: String) {
        self.first_fault.get_or_insert(why);
    }

    fn apply(&mut self, record: &MetadataRecord) {
        if let Err(fault) = self.image.apply(record) {
            self.first_fault.get_or_insert(fault.to_string());
        }
    }

    /// Whether a folder belongs to a topic that the image doesn't have. One of another topic of the same name doesn't.
    pub fn is_unknown(&self, folder: &FoundFolder) -> bool {
        match self.image.topic(&folder.topic) {
            None => self.image.topic_by_id(folder.topic_id).is_none(),
            Some(topic) => topic.id == folder.topic_id && topic.partition(folder.partition).is_none(),
        }
    }

    /// Adds the partitions that only their folders tell of, and those numbered below them. Their topics keep all records
    /// until their settings are made again: what these were is lost.
    ///
    /// A group is looked for in the partition of `__consumer_offsets` that its name and their number tell; `groups_fit`
    /// says whether those found there are where so many partitions have them.
    pub fn add_folders(
        &mut self,
        folders: &[FoundFolder],
        host: &Host,
        groups_fit: impl Fn(PartitionIndex) -> bool,
    ) -> Added {
        let mut topics: BTreeMap<(&TopicName, TopicId), Vec<&FoundFolder>> = BTreeMap::new();
        for folder in folders {
            topics.entry((&folder.topic, folder.topic_id)).or_default().push(folder);
        }
        let mut added = Added::default();
        // Last: the others tell whether there are more directories.
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
                    let are_elsewhere = has_gap || !added.absent.is_empty();
                    count = offsets_partitions(count, are_elsewhere, &groups_fit);
                    added.offsets_partitions = are_elsewhere.then_some(count);
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
        added: &mut Added,
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
        added: &mut Added,
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
                // A folder counts as here wherever its partition is assigned to; this says where it isn't.
                (None, Some(found)) if found.directory_id.is_zero() => replica(host.node_id, LOST_DIRECTORY),
                (None, Some(found)) => replica(host.node_id, found.directory_id),
                (None, None) => {
                    let partition = TopicPartition::new(name.clone(), index);
                    match host.only_directory.filter(|_| !host.noted.contains(&partition)) {
                        Some(only) => {
                            added.empty.push(partition);
                            replica(host.node_id, only)
                        }
                        None => {
                            added.absent.push(partition);
                            self.elsewhere(host.node_id)
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

    /// A partition of which this node may have the log in a directory that is not known.
    fn elsewhere(&self, node: BrokerId) -> PartitionRecord {
        match self.versions().partition {
            // Before replicas had directories, a node had a single one: the log is on another node, or gone.
            0 => PartitionRecord { leader: NO_LEADER, ..Default::default() },
            _ => replica(node, LOST_DIRECTORY),
        }
    }

    fn versions(&self) -> WriteVersions {
        WriteVersions::at(self.image.metadata_version().unwrap_or(super::features::NEW_METADATA_VERSION))
    }

    /// The records that a new metadata log is to have. Producer ids below `next_producer_id` are in use.
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

/// How many partitions `__consumer_offsets` is to have, of which at least so many are known. Where there may be more of them
/// elsewhere, as many as fit: a group that is not here is then looked for in one that is not here either, mostly, and not
/// served as one that has never committed.
fn offsets_partitions(least: i32, are_elsewhere: bool, fit: impl Fn(i32) -> bool) -> i32 {
    let mut fitting = (least..=USUAL_OFFSETS_PARTITIONS).filter(|count| fit(*count));
    let chosen = if are_elsewhere { fitting.next_back() } else { fitting.next() };
    chosen.unwrap_or(least)
}

/// A partition that one node has, in this log directory.
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
    use crate::metadata::tests::{NODE, World, names};

    const DIRECTORY: Uuid = Uuid([3; 16]);

    /// One whose log directory only Ottla has used.
    fn host() -> Host {
        Host { node_id: NODE, only_directory: Some(DIRECTORY), noted: HashSet::new() }
    }

    fn folder(topic: &str, id: u8, partition: i32, leader_epoch: i32) -> FoundFolder {
        let (topic_id, compacted) = (Uuid([id; 16]), topic == "compacted");
        FoundFolder { topic: topic.into(), topic_id, partition, leader_epoch, compacted, directory_id: DIRECTORY }
    }

    /// An image of the records that a salvage leads to; each must follow those before it.
    fn image(records: &[MetadataRecord]) -> Image {
        let mut image = Image::default();
        records.iter().for_each(|record| image.apply(record).unwrap());
        image
    }

    #[test]
    fn topics_come_back_from_folders_alone() {
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
    fn records_that_are_left_are_kept_and_the_others_are_told() {
        let mut world = World::started();
        world.create_named("first", 1);
        world.create_named("second", 2);
        let all = snapshot_records(world.image());
        let is_first = |record: &MetadataRecord| matches!(&record.body, RecordBody::Topic(it) if &*it.name == "first");
        let mut salvage = Salvage::default();
        all.iter().filter(|record| !is_first(record)).for_each(|record| salvage.replay(record));
        assert!(salvage.first_fault().is_some_and(|fault| fault.contains("no topic with id")));
        let second = world.image().topic_id("second").unwrap();
        let newer = FoundFolder { topic_id: second, leader_epoch: 9, ..folder("second", 0, 1, 9) };
        assert!(!salvage.is_unknown(&newer) && salvage.is_unknown(&folder("first", 1, 0, 0)));
        assert_eq!(salvage.add_folders(&[newer], &host(), |_| true), Added::default());
        let image = image(&salvage.records(0));
        assert_eq!(image.partition("second", 1).unwrap().leader_epoch, 9, "its log has records of this epoch");
        assert_eq!(image.topic_configs("second"), world.image().topic_configs("second"));
        assert_eq!(image.next_producer_id(), world.image().next_producer_id());
    }

    /// Where each partition of `t` is, as seen by the node with `DIRECTORY`, and what was said of those without a folder.
    fn placed(folders: &[FoundFolder], host: &Host, metadata_version: Option<i16>) -> (Vec<Hosting>, Added) {
        let mut salvage = Salvage::default();
        if let Some(level) = metadata_version {
            salvage.replay(&feature_record(crate::metadata::features::METADATA_VERSION, level));
        }
        let added = salvage.add_folders(folders, host, |_| true);
        let records = salvage.records(0);
        // As written, and read again by a start.
        let read = |record: &MetadataRecord| MetadataRecord::decode(&record.encode().unwrap()).unwrap();
        let image = image(&records.iter().map(read).collect::<Vec<_>>());
        let partitions = image.topic("t").unwrap().partitions().map(|(_, it)| it.hosting(NODE, DIRECTORY));
        (partitions.collect(), added)
    }

    fn partitions_of_t(indexes: &[i32]) -> Vec<TopicPartition> {
        indexes.iter().map(|index| TopicPartition::new("t", *index)).collect()
    }

    #[test]
    fn partitions_without_a_folder_are_new_where_only_ottla_has_been() {
        let (found, added) = placed(&[folder("t", 5, 0, 0), folder("t", 5, 2, 0)], &host(), None);
        assert_eq!(found, [Hosting::Here; 3]);
        assert_eq!((added.empty, added.absent), (partitions_of_t(&[1]), vec![]));
    }

    #[test]
    fn partitions_without_a_folder_are_in_a_lost_directory_where_kafka_may_have_been() {
        let host = Host { only_directory: None, ..host() };
        let (found, added) = placed(&[folder("t", 5, 0, 0), folder("t", 5, 3, 0)], &host, None);
        let lost = Hosting::AbsentDirectory(LOST_DIRECTORY);
        assert_eq!(found, [Hosting::Here, lost, lost, Hosting::Here]);
        assert_eq!((added.empty, added.absent), (vec![], partitions_of_t(&[1, 2])));
    }

    #[test]
    fn a_partition_that_had_records_and_has_no_folder_is_never_new() {
        let host = Host { noted: partitions_of_t(&[1]).into_iter().collect(), ..host() };
        let (found, added) = placed(&[folder("t", 5, 2, 0)], &host, None);
        assert_eq!(found, [Hosting::Here, Hosting::AbsentDirectory(LOST_DIRECTORY), Hosting::Here]);
        assert_eq!((added.empty, added.absent), (partitions_of_t(&[0]), partitions_of_t(&[1])));
    }

    #[test]
    fn partitions_without_a_folder_are_on_other_nodes_where_replicas_have_no_directories() {
        let host = Host { only_directory: None, ..host() };
        let (found, added) = placed(&[folder("t", 5, 1, 0)], &host, Some(16));
        assert_eq!((found, added.absent), (vec![Hosting::OtherNode, Hosting::Here], partitions_of_t(&[0])));
    }

    #[test]
    fn partitions_are_assigned_to_the_directory_that_has_their_folder() {
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
    fn the_topic_of_groups_has_as_many_partitions_as_fit_the_groups_that_are_found() {
        let check = |least, are_elsewhere, fits: &[i32], expected| {
            let chosen = offsets_partitions(least, are_elsewhere, |count| fits.contains(&count));
            assert_eq!(chosen, expected, "{least} {are_elsewhere} {fits:?}");
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
