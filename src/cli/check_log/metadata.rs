//! Reads the metadata log as a starting broker does, and replaces a metadata log that prevents the start.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::groups::FoundGroups;
use super::report::DirectoryRepair;
use super::topics::{METADATA, Topics};
use crate::cli::tools::kafka_dump_log::batches::BatchFile;
use ottla_broker::state::random::Random;
use ottla_core::metadata::records::MetadataRecord;
use ottla_core::metadata::{self, CONSUMER_OFFSETS, FoundFolder, Host, Hosting, Salvage, SnapshotId, read_snapshot};
use ottla_log::verify::{Directory, Repaired, Verdict};
use ottla_log::{
    AppendParams, Disk, FoundPartition, Log, LogConfig, MetaProperties, OpenParams, Origin, PartitionState,
    TxnVerification,
};
use ottla_wire::record::{Batch, BatchBuilder, Codec};
use ottla_wire::types::{LeaderEpoch, Offset, ProducerId, TimestampMs, TopicId, TopicName, TopicPartition, Uuid};

/// The maximum number of topics or partitions that a message lists.
const NAMES_PER_MESSAGE: usize = 10;

/// The readable part of a metadata log.
#[derive(Debug, Default)]
pub struct MetadataLog {
    /// The data directory that contains it.
    pub data: PathBuf,
    pub salvage: Salvage,
    /// Its first offset, if that is above 0 and no snapshot has the records before it.
    begins_late: Option<Offset>,
    is_missing: bool,
    latest_epoch: LeaderEpoch,
}

impl MetadataLog {
    /// The metadata log of a data directory, or of the data directory that contains a partition's directory; `None` if
    /// there is none.
    pub fn of(given: &Path) -> Option<MetadataLog> {
        let given = given.canonicalize().ok()?;
        let data = if is_partition(&given) { given.parent()?.to_path_buf() } else { given };
        let log = MetadataLog { data, ..MetadataLog::default() };
        (!names(&log.directory()).is_empty()).then_some(log)
    }

    /// The missing metadata log of a data directory that should have one.
    pub fn missing(data: &Path) -> MetadataLog {
        MetadataLog { data: data.to_path_buf(), is_missing: true, ..MetadataLog::default() }
    }

    fn directory(&self) -> PathBuf {
        self.data.join(format!("{METADATA}-0"))
    }

    /// The topics in it.
    pub fn topics(&self) -> Topics {
        Topics::read(&self.data)
    }

    /// Reads as much of the metadata log as possible, as a start does: from the newest snapshot, if the log doesn't start at
    /// offset 0.
    pub fn read(data: &Path) -> MetadataLog {
        let mut log = MetadataLog { data: data.to_path_buf(), ..MetadataLog::default() };
        let directory = log.directory();
        let names = names(&directory);
        let segments: Vec<&String> = names.iter().filter(|name| name.ends_with(".log")).collect();
        let is_empty = |name: &&String| fs::metadata(directory.join(name)).map_or(0, |found| found.len()) == 0;
        log.is_missing = segments.iter().all(is_empty);
        let begin: Offset = segments.first().and_then(|name| name.split('.').next()?.parse().ok()).unwrap_or(0);
        let mut from = begin;
        if begin > 0 {
            match newest_snapshot(&directory, &names, begin) {
                Some((end_offset, records)) => {
                    records.iter().for_each(|record| log.salvage.replay(record));
                    from = end_offset;
                }
                None => log.begins_late = Some(begin),
            }
        }
        for name in segments {
            // Corruption is reported by the check of the log itself.
            let _ = log.replay(&directory.join(name), from);
        }
        log
    }

    fn replay(&mut self, path: &Path, from: Offset) -> Option<()> {
        let file = BatchFile::open(path, u64::MAX).ok()?;
        let mut position = 0;
        while let Some(found) = file.batch_at(position, u64::MAX).ok()? {
            position += found.size;
            let batch = Batch::parse(&file.bytes_of(&found).ok()?).ok()?;
            batch.check_crc().ok()?;
            self.latest_epoch = self.latest_epoch.max(batch.header().partition_leader_epoch);
            if batch.header().is_control() || batch.header().base_offset < from {
                continue;
            }
            for record in batch.records().map_while(Result::ok) {
                match record.value.as_ref().map(MetadataRecord::decode) {
                    Some(Ok(decoded)) => self.salvage.replay(&decoded),
                    Some(Err(error)) => self.salvage.record_unreadable(error.to_string()),
                    None => {}
                }
            }
        }
        Some(())
    }

    /// Whether the partition is assigned to another node or log directory, so that it has no directory here.
    pub fn is_hosted_elsewhere(&self, partition: &TopicPartition, meta: &MetaProperties) -> bool {
        let known = self.salvage.image().partition(&partition.topic, partition.partition);
        known.is_some_and(|known| known.hosting(meta.node_id, meta.directory_id) != Hosting::Here)
    }

    /// The reason why a broker cannot start with it, other than corrupt files.
    pub fn why_refused(&self) -> Option<String> {
        let begins_late = self.begins_late;
        match self.is_missing {
            true => Some(
                "it is missing or empty, and there are partitions; if it is in another directory (metadata.log.dir, or \
                 another one of log.dirs), name that directory as well"
                    .to_owned(),
            ),
            false => begins_late
                .map(|at| format!("it starts at offset {at}, and no snapshot has the records before it"))
                .or_else(|| Some(format!("a record conflicts with the records before it: {}", self.salvage.first_error()?))),
        }
    }

    /// Replaces it with a new metadata log, made from its readable records and from the partitions' directories.
    pub fn rebuild(
        mut self,
        directories: &[PathBuf],
        found: &[FoundFolder],
        host: Host,
        highest_producer_id: ProducerId,
        now: TimestampMs,
    ) -> Result<DirectoryRepair, String> {
        let Some(meta) = MetaProperties::read(&self.data).map_err(|error| error.to_string())? else {
            return Err(format!(
                "{} has no meta.properties: write one with `ottla kafka-storage format`, then repair",
                self.data.display()
            ));
        };
        let mut groups = FoundGroups::default();
        for offsets in found.iter().filter(|it| *it.topic == *CONSUMER_OFFSETS) {
            let partitions = directories.iter().map(|directory| directory.join(directory_name(offsets)));
            partitions.for_each(|directory| groups.read(&directory, offsets.partition));
        }
        let host = Host { node_id: meta.node_id, ..host };
        let added = self.salvage.add_folders(found, &host, |partitions| groups.fit(partitions));
        let (directory, epoch) = (self.directory(), self.latest_epoch.saturating_add(1));
        let hex: String = Random::system().uuid().0.iter().map(|byte| format!("{byte:02x}")).collect();
        let beside = |suffix: &str| directory.with_file_name(format!("{METADATA}-0.{hex}-{suffix}"));
        // The next start removes a `-delete` directory that a crash leaves.
        let (new, aside) = (beside("delete"), beside("stray"));
        let records = self.salvage.records(highest_producer_id.saturating_add(1));
        let end = write(&new, records, epoch, now)?;
        let rename = |from: &Path, to: &Path| {
            fs::rename(from, to).map_err(|error| format!("cannot rename {}: {error}", from.display()))
        };
        let existed = directory.exists();
        if existed {
            rename(&directory, &aside)?;
        }
        rename(&new, &directory)?;
        fs::File::open(&self.data).and_then(|dir| dir.sync_all()).map_err(|error| error.to_string())?;
        let repaired = [(TopicPartition::new(METADATA, 0), Repaired { start: 0, end, ..Repaired::default() })];
        for directory in directories.iter().filter(|directory| !is_partition(directory)) {
            let mut directory = Directory::lock(directory).map_err(|error| error.to_string())?;
            directory.write_checkpoints(&repaired).map_err(|error| error.to_string())?;
        }
        let mut messages = vec![created_message(&added.topics)];
        messages.extend(empty_message(&added.empty));
        // The message names a directory that already has partitions: `metadata.log.dir` may have none.
        let holds = |directory: &&PathBuf| found.iter().any(|it| directory.join(directory_name(it)).exists());
        messages.extend(unavailable_message(&added.absent, directories.iter().find(holds).unwrap_or(&self.data)));
        messages.extend(added.offsets_partitions.map(offsets_partitions_message));
        messages.push(unknown_message(&directory, existed.then_some(&*aside)));
        Ok(DirectoryRepair {
            moved_aside: existed.then_some(aside).into_iter().collect(),
            rebuilt: Some(messages.join("\n")),
            empty: added.empty.iter().map(TopicPartition::to_string).collect(),
            unavailable: added.absent.iter().map(TopicPartition::to_string).collect(),
            not_repaired: left_out_message(&added.left_out).into_iter().collect(),
        })
    }
}

/// Formats `2 topics (a, b)`; `None` if nothing was found.
fn counted<T: Display>(found: &[T], what: &str) -> Option<String> {
    let named: Vec<String> = found.iter().take(NAMES_PER_MESSAGE).map(T::to_string).collect();
    let more = if found.len() > NAMES_PER_MESSAGE { ", …" } else { "" };
    let plural = if found.len() == 1 { "" } else { "s" };
    (!found.is_empty()).then(|| format!("{} {what}{plural} ({}{more})", found.len(), named.join(", ")))
}

fn directory_name(found: &FoundFolder) -> String {
    TopicPartition::new(found.topic.clone(), found.partition).to_string()
}

fn created_message(topics: &[TopicName]) -> String {
    let from_directories = counted(topics, "topic").map(|topics| {
        format!(
            "; known only from their directories: {topics}. Their settings are lost, and they keep all records \
             (retention.ms and retention.bytes are -1) until you set these again"
        )
    });
    format!("a new metadata log was created{}", from_directories.unwrap_or_default())
}

fn empty_message(partitions: &[TopicPartition]) -> Option<String> {
    let partitions = counted(partitions, "partition")?;
    Some(format!(
        "without a directory, empty now: {partitions}. Only Ottla has used this data directory, and Ottla creates a \
         partition's directory at its first use"
    ))
}

fn unavailable_message(partitions: &[TopicPartition], data: &Path) -> Option<String> {
    let (first, data) = (partitions.first()?, data.display());
    let partitions = counted(partitions, "partition")?;
    Some(format!(
        "without a directory, not served now (KAFKA_STORAGE_ERROR): {partitions}. Their records may be in another log \
         directory, or on another node. While no broker runs, for each partition: move its directory into {data}; or, if \
         it should start empty, create an empty directory: mkdir {data}/{first}"
    ))
}

fn left_out_message(partitions: &[TopicPartition]) -> Option<String> {
    let partitions = counted(partitions, "partition")?;
    Some(format!(
        "not in the new metadata log, not changed: {partitions}. Their numbers are far above the others, so they do not seem \
         to belong to their topics. Move them away; or, if the numbers are right, create the topics again with that many \
         partitions before the next start"
    ))
}

fn offsets_partitions_message(count: i32) -> String {
    format!(
        "{CONSUMER_OFFSETS} has {count} partitions now: its number of partitions is not known, and {count} fits the groups \
         that were found. Groups of its missing partitions have no coordinator (COORDINATOR_NOT_AVAILABLE)"
    )
}

/// What the partitions' directories do not show, and how to undo the repair.
fn unknown_message(directory: &Path, aside: Option<&Path>) -> String {
    let directory = directory.display();
    let undo = match aside {
        Some(aside) => format!("replace {directory} with {}", aside.display()),
        None => format!("remove {directory}"),
    };
    format!(
        "not known: topics without a directory here, and partitions with numbers above those found. If other log \
         directories of this node have some: before the next start, {undo}, and name all log directories in one \
         ottla check-log --repair"
    )
}

/// Whether `path` is a partition's directory and not a data directory.
pub fn is_partition(path: &Path) -> bool {
    let resolved = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    super::partition_of(&resolved).is_some() && !path.join(super::META_PROPERTIES).exists()
}

/// What a partition's directory shows, for the new metadata log. `None` for directories that belong to no live
/// partition, and for the metadata log itself.
pub fn found_partition(
    found: &FoundPartition,
    verdict: &Verdict,
    compacted: bool,
    directory_id: Uuid,
) -> Option<FoundFolder> {
    if found.state != PartitionState::Live || *found.partition.topic == *METADATA {
        return None;
    }
    let text = fs::read_to_string(found.path.join("partition.metadata")).ok()?;
    let topic_id = text.lines().find_map(|line| TopicId::parse(line.strip_prefix("topic_id: ")?.trim()))?;
    Some(FoundFolder {
        topic: found.partition.topic.clone(),
        topic_id,
        partition: found.partition.partition,
        leader_epoch: verdict.latest_epoch,
        compacted,
        directory_id,
    })
}

/// The names of the files in a directory, sorted.
pub fn names(directory: &Path) -> Vec<String> {
    let entries =
        fs::read_dir(directory).map(|entries| entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()));
    let mut names: Vec<String> = entries.map(Iterator::collect).unwrap_or_default();
    ottla_wire::types::sort_by(&mut names, String::cmp);
    names
}

fn newest_snapshot(directory: &Path, names: &[String], begin: Offset) -> Option<(Offset, Vec<MetadataRecord>)> {
    let ids = names.iter().rev().filter_map(|name| Some((name, SnapshotId::from_file_name(name)?)));
    ids.filter(|(_, id)| id.end_offset >= begin).find_map(|(name, id)| {
        let file = fs::read(directory.join(name)).ok()?;
        Some((id.end_offset, read_snapshot(&Bytes::from(file)).ok()?))
    })
}

/// Writes a metadata log with these records, and returns its end offset.
fn write(
    directory: &Path,
    records: Vec<MetadataRecord>,
    epoch: LeaderEpoch,
    now: TimestampMs,
) -> Result<Offset, String> {
    let at = OpenParams { topic_id: Some(TopicId::METADATA), ..OpenParams::fresh(now) };
    let log = Log::open(&Disk::plain(), directory, Arc::new(LogConfig::default()), at);
    let mut log = log.map_err(|error| error.to_string())?;
    for records in metadata::batches(records, metadata::MAX_BATCH_BYTES).map_err(|error| error.to_string())? {
        let mut batch = BatchBuilder::new(Codec::None);
        for record in records {
            batch.append(now, None, Some(&record.encode().map_err(|error| error.to_string())?), &[]);
        }
        let how = AppendParams {
            leader_epoch: epoch,
            origin: Origin::Coordinator,
            verification: TxnVerification::NotVerified,
            now,
        };
        log.append(&batch.build().map_err(|error| error.to_string())?, how).map_err(|error| error.to_string())?;
    }
    let end = log.end_offset();
    log.close().and_then(|ticket| ticket.sync()).map_err(|error| error.to_string())?;
    Ok(end)
}
