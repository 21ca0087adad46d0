//! The metadata log as a start would read it, and a new one in the place of one that no start can be made on.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::groups::FoundGroups;
use super::report::DirectoryRepair;
use super::topics::{METADATA, Topics};
use crate::cli::tools::kafka_dump_log::batches::BatchFile;
use ottla_broker::state::random;
use ottla_core::metadata::records::MetadataRecord;
use ottla_core::metadata::{self, CONSUMER_OFFSETS, FoundFolder, Host, Hosting, Salvage, SnapshotId, read_snapshot};
use ottla_log::verify::{Directory, Repaired, Verdict};
use ottla_log::{
    AppendParams, Disk, FoundPartition, Log, LogConfig, MetaProperties, OpenParams, Origin, PartitionState,
    TxnVerification,
};
use ottla_wire::record::{Batch, BatchBuilder, Codec};
use ottla_wire::types::{LeaderEpoch, Offset, ProducerId, TimestampMs, TopicId, TopicName, TopicPartition, Uuid};

/// How many topics are named.
const NAMED: usize = 10;

/// What can be read of a metadata log.
#[derive(Debug, Default)]
pub struct MetadataLog {
    /// The directory it lies in.
    pub data: PathBuf,
    pub salvage: Salvage,
    /// Where it begins, if no snapshot says what came before.
    begins_late: Option<Offset>,
    is_missing: bool,
    latest_epoch: LeaderEpoch,
}

impl MetadataLog {
    /// The metadata log of a data directory, or of the directory that a partition's folder is in; `None` if it has none.
    pub fn of(given: &Path) -> Option<MetadataLog> {
        let given = given.canonicalize().ok()?;
        let data = if is_partition(&given) { given.parent()?.to_path_buf() } else { given };
        let log = MetadataLog { data, ..MetadataLog::default() };
        (!names(&log.folder()).is_empty()).then_some(log)
    }

    /// None, where there should be one.
    pub fn missing(data: &Path) -> MetadataLog {
        MetadataLog { data: data.to_path_buf(), is_missing: true, ..MetadataLog::default() }
    }

    fn folder(&self) -> PathBuf {
        self.data.join(format!("{METADATA}-0"))
    }

    pub fn topics(&self) -> Topics {
        Topics::read(&self.data)
    }

    /// Reads all that can be read of it, as a start does: from the newest snapshot on, if it doesn't begin at 0.
    pub fn read(data: &Path) -> MetadataLog {
        let mut log = MetadataLog { data: data.to_path_buf(), ..MetadataLog::default() };
        let folder = log.folder();
        let names = names(&folder);
        let segments: Vec<&String> = names.iter().filter(|name| name.ends_with(".log")).collect();
        let is_empty = |name: &&String| fs::metadata(folder.join(name)).map_or(0, |found| found.len()) == 0;
        log.is_missing = segments.iter().all(is_empty);
        let begin: Offset = segments.first().and_then(|name| name.split('.').next()?.parse().ok()).unwrap_or(0);
        let mut from = begin;
        if begin > 0 {
            match newest_snapshot(&folder, &names, begin) {
                Some((end_offset, records)) => {
                    records.iter().for_each(|record| log.salvage.replay(record));
                    from = end_offset;
                }
                None => log.begins_late = Some(begin),
            }
        }
        for name in segments {
            // What is damaged is told when the log itself is checked.
            let _ = log.replay(&folder.join(name), from);
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

    /// Whether the partition is assigned to another node or log directory than these: no folder is to be expected here.
    pub fn has_elsewhere(&self, partition: &TopicPartition, meta: &MetaProperties) -> bool {
        let known = self.salvage.image().partition(&partition.topic, partition.partition);
        known.is_some_and(|known| known.hosting(meta.node_id, meta.directory_id) != Hosting::Here)
    }

    /// Why no start can be made on it, apart from damage to its files.
    pub fn why_refused(&self) -> Option<String> {
        let begins_late = self.begins_late;
        match self.is_missing {
            true => Some(
                "it is missing or empty, and there are partitions; if it lies in another directory (metadata.log.dir, \
                          or another one of log.dirs), name that one as well"
                    .to_owned(),
            ),
            false => begins_late
                .map(|at| format!("it begins at offset {at}, and no snapshot has what came before"))
                .or_else(|| Some(format!("a record cannot follow those before it: {}", self.salvage.first_error()?))),
        }
    }

    /// Puts a new metadata log in its place: of the records that are left, and of the partitions' folders.
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
                "{} has no meta.properties: write it anew with `ottla kafka-storage format`, and repair it then",
                self.data.display()
            ));
        };
        let mut groups = FoundGroups::default();
        for offsets in found.iter().filter(|it| *it.topic == *CONSUMER_OFFSETS) {
            let folders = directories.iter().map(|directory| directory.join(folder_name(offsets)));
            folders.for_each(|folder| groups.read(&folder, offsets.partition));
        }
        let host = Host { node_id: meta.node_id, ..host };
        let added = self.salvage.add_folders(found, &host, |partitions| groups.fit(partitions));
        let (folder, epoch) = (self.folder(), self.latest_epoch.saturating_add(1));
        let hex: String = random::uuid().0.iter().map(|byte| format!("{byte:02x}")).collect();
        let beside = |suffix: &str| folder.with_file_name(format!("{METADATA}-0.{hex}-{suffix}"));
        // What is left of it after a crash is cleared away.
        let (anew, aside) = (beside("delete"), beside("stray"));
        let records = self.salvage.records(highest_producer_id.saturating_add(1));
        let end = write(&anew, records, epoch, now)?;
        let rename = |from: &Path, to: &Path| {
            fs::rename(from, to).map_err(|error| format!("cannot rename {}: {error}", from.display()))
        };
        let was_there = folder.exists();
        if was_there {
            rename(&folder, &aside)?;
        }
        rename(&anew, &folder)?;
        fs::File::open(&self.data).and_then(|dir| dir.sync_all()).map_err(|error| error.to_string())?;
        let repaired = [(TopicPartition::new(METADATA, 0), Repaired { start: 0, end, ..Repaired::default() })];
        for directory in directories.iter().filter(|directory| !is_partition(directory)) {
            let mut directory = Directory::lock(directory).map_err(|error| error.to_string())?;
            directory.write_checkpoints(&repaired).map_err(|error| error.to_string())?;
        }
        let mut said = vec![made_of(&added.topics)];
        said.extend(empty(&added.empty));
        // Where the log belongs, a partition's folder does as well, unless `metadata.log.dir` names another directory.
        let holds = |directory: &&PathBuf| found.iter().any(|it| directory.join(folder_name(it)).exists());
        said.extend(absent(&added.absent, directories.iter().find(holds).unwrap_or(&self.data)));
        said.extend(added.offsets_partitions.map(offsets_partitions));
        said.push(unknown(&folder, was_there.then_some(&*aside)));
        Ok(DirectoryRepair {
            set_aside: was_there.then_some(aside).into_iter().collect(),
            rebuilt: Some(said.join("\n")),
            empty: added.empty.iter().map(TopicPartition::to_string).collect(),
            absent: added.absent.iter().map(TopicPartition::to_string).collect(),
            left: left_out(&added.left_out).into_iter().collect(),
        })
    }
}

/// "2 topics (a, b)".
fn counted<T: Display>(found: &[T], what: &str) -> Option<String> {
    let named: Vec<String> = found.iter().take(NAMED).map(T::to_string).collect();
    let more = if found.len() > NAMED { ", …" } else { "" };
    let plural = if found.len() == 1 { "" } else { "s" };
    (!found.is_empty()).then(|| format!("{} {what}{plural} ({}{more})", found.len(), named.join(", ")))
}

fn folder_name(found: &FoundFolder) -> String {
    TopicPartition::new(found.topic.clone(), found.partition).to_string()
}

fn made_of(topics: &[TopicName]) -> String {
    let of_folders = counted(topics, "topic").map(|topics| {
        format!(
            "; known by folders alone: {topics}. Their settings are lost, and they keep all records (retention.ms and \
             retention.bytes are -1) until these are set again"
        )
    });
    format!("a new metadata log was made of what is known{}", of_folders.unwrap_or_default())
}

fn empty(partitions: &[TopicPartition]) -> Option<String> {
    let partitions = counted(partitions, "partition")?;
    Some(format!(
        "without a folder, new and empty now: {partitions}. Nothing but Ottla has used this directory, and Ottla makes a \
         partition's folder when it is first needed"
    ))
}

fn absent(partitions: &[TopicPartition], data: &Path) -> Option<String> {
    let (first, data) = (partitions.first()?, data.display());
    let partitions = counted(partitions, "partition")?;
    Some(format!(
        "without a folder, not served now (KAFKA_STORAGE_ERROR): {partitions}. Their records may lie in another log \
         directory, or on another node. The choices, for each, while no broker runs: move its folder into {data}; or make \
         an empty folder of its name, if it is to begin anew: mkdir {data}/{first}"
    ))
}

fn left_out(partitions: &[TopicPartition]) -> Option<String> {
    let partitions = counted(partitions, "partition")?;
    Some(format!(
        "left as they are, with folders that no partition of the new metadata log has: {partitions}. Their numbers are far \
         above the others', so they are taken for stray. Move them away; or, if they are right, make the topics anew with so \
         many partitions before the next start"
    ))
}

fn offsets_partitions(count: i32) -> String {
    format!(
        "{CONSUMER_OFFSETS} has {count} partitions now: how many it had is not known, and so many fit the groups that are \
         found. Groups in those that are not here have no coordinator (COORDINATOR_NOT_AVAILABLE)"
    )
}

/// What no folder tells of.
fn unknown(folder: &Path, aside: Option<&Path>) -> String {
    let folder = folder.display();
    let undo = match aside {
        Some(aside) => format!("put {} back in the place of {folder}", aside.display()),
        None => format!("remove {folder}"),
    };
    format!(
        "not known: topics without any folder here, and partitions numbered above those found. If other log directories of \
         this node have some: before the next start, {undo}, and name all of them in one ottla check-log --repair"
    )
}

/// Whether this is a partition's folder, and not a data directory.
pub fn is_partition(path: &Path) -> bool {
    let resolved = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    super::partition_of(&resolved).is_some() && !path.join(super::META_PROPERTIES).exists()
}

/// What a partition's folder tells of its topic.
pub fn folder(found: &FoundPartition, verdict: &Verdict, compacted: bool, directory_id: Uuid) -> Option<FoundFolder> {
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

/// Of the files in a folder, sorted.
pub fn names(folder: &Path) -> Vec<String> {
    let entries =
        fs::read_dir(folder).map(|entries| entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()));
    let mut names: Vec<String> = entries.map(Iterator::collect).unwrap_or_default();
    ottla_wire::types::sort_by(&mut names, String::cmp);
    names
}

fn newest_snapshot(folder: &Path, names: &[String], begin: Offset) -> Option<(Offset, Vec<MetadataRecord>)> {
    let ids = names.iter().rev().filter_map(|name| Some((name, SnapshotId::from_file_name(name)?)));
    ids.filter(|(_, id)| id.end_offset >= begin).find_map(|(name, id)| {
        let file = fs::read(folder.join(name)).ok()?;
        Some((id.end_offset, read_snapshot(&Bytes::from(file)).ok()?))
    })
}

/// Writes a metadata log of these records; where it ends.
fn write(folder: &Path, records: Vec<MetadataRecord>, epoch: LeaderEpoch, now: TimestampMs) -> Result<Offset, String> {
    let at = OpenParams { topic_id: Some(TopicId::METADATA), ..OpenParams::fresh(now) };
    let log = Log::open(&Disk::plain(), folder, Arc::new(LogConfig::default()), at);
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
