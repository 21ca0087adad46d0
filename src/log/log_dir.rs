//! The directory that logs live in: its lock, its identity, its checkpoints.
//!
//! All files are Kafka's, so that Apache Kafka can carry on with the directory, except `ottla-positions`: it says
//! how far each log was known to be whole, and in which boot of the machine. After a killed process the page
//! cache still has everything, so only what follows those places has to be read again. Kafka ignores plain
//! files that it doesn't know; it would not start on a folder of ours.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use parking_lot::Mutex;
use rustix::fs::FlockOperation;

use super::checkpoints::{Known, NotedAt, OnFile, read_checkpoint};
use super::directories::{self, Directories};
use super::error::IoContext;
use super::file::Disk;
use super::meta_properties::{META_PROPERTIES, MetaError, MetaProperties};
use super::{
    DeletedFiles, LogDirError, LogError, OpenAt, SyncTicket, Synced, names, partition_metadata, positions, sync,
};
use ottla_wire::types::{TimestampMs, TopicId, TopicPartition, Uuid};

/// The folder of the metadata log.
pub(super) const METADATA_FOLDER: &str = "__cluster_metadata-0";
const LOCK: &str = ".lock";
pub(super) const BOOTSTRAP: &str = "bootstrap.checkpoint";
pub(super) const CLEAN_SHUTDOWN: &str = ".kafka_cleanshutdown";
pub(super) const RECOVERY_POINTS: &str = "recovery-point-offset-checkpoint";
pub(super) const LOG_STARTS: &str = "log-start-offset-checkpoint";
pub(super) const FIRST_DIRTY: &str = "cleaner-offset-checkpoint";
pub(super) const HIGH_WATERMARKS: &str = "replication-offset-checkpoint";
pub(super) const POSITIONS: &str = "ottla-positions";

/// Who is opening a log directory.
#[derive(Clone, Debug)]
pub struct Identity {
    pub node_id: i32,
    /// The cluster it must belong to; `None` takes what `meta.properties` says.
    pub cluster_id: Option<String>,
    /// Used when the directory is new, as is the next: randomness comes from the caller.
    pub new_cluster_id: String,
    pub new_directory_id: Uuid,
}

/// What a folder in a log directory stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionState {
    Live,
    /// `-delete`: what is left of a deleted partition, to be removed.
    Deleted,
    /// `-future` or `-stray`: left alone.
    Other,
}

/// A folder `<topic>-<n>`, with or without one of Kafka's suffixes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundPartition {
    pub partition: TopicPartition,
    pub state: PartitionState,
    pub path: PathBuf,
}

/// An opened and locked log directory.
#[derive(Debug)]
pub struct LogDir {
    pub(super) path: PathBuf,
    pub(super) disk: Disk,
    /// Held for as long as the directory is open.
    _lock: Option<File>,
    meta: MetaProperties,
    /// The directory of the metadata log, if it isn't this one.
    metadata: Option<MetadataDir>,
    /// The content of `.kafka_cleanshutdown`, which opening has removed; `None` where there was no such file.
    clean_marker: Option<Vec<u8>>,
    may_have_lost_power: bool,
    why_not_mapped: Option<String>,
    /// What the files said when the directory was opened, but for partitions that are gone since.
    pub(super) known: Mutex<Known>,
    /// Held while a file of offsets is written.
    pub(super) on_file: Mutex<OnFile>,
    /// Whether deleted partitions are in the files still: they could not be written. Beside the lock, because the opener of
    /// a log reads it while it holds the partition's lock, which comes after that of the files.
    pub(super) outdated: AtomicBool,
}

/// A directory that has the metadata log alone (`metadata.log.dir`).
#[derive(Debug)]
struct MetadataDir {
    path: PathBuf,
    meta: MetaProperties,
    _lock: File,
}

impl LogDir {
    /// Opens the directories that were chosen, as [`LogDir::open`] does. That of the metadata log has a lock and a
    /// `meta.properties` of its own, which must be of the same cluster and node.
    pub fn open_chosen(chosen: &Directories, identity: &Identity) -> Result<LogDir, LogDirError> {
        let Some(metadata) = &chosen.metadata else { return LogDir::open(&chosen.data, identity) };
        let known = |path: &Path| read_meta(path).map(|meta| meta.map(|meta| meta.cluster_id));
        let cluster_id = match known(&chosen.data)? {
            Some(of_data) => Some(of_data),
            None => known(metadata)?,
        };
        let identity = Identity { cluster_id, ..identity.clone() };
        let mut dir = LogDir::open(&chosen.data, &identity)?;
        fs::create_dir_all(metadata).doing("creating", metadata)?;
        directories::check_identity(metadata)?;
        let lock = lock(metadata)?;
        let [first, rest @ ..] = identity.new_directory_id.0;
        let identity = Identity {
            cluster_id: Some(dir.meta.cluster_id.clone()),
            // Another one than that of the other directory, and as random.
            new_directory_id: Uuid(std::array::from_fn(|at| if at == 0 { !first } else { rest[at - 1] })),
            ..identity
        };
        let meta = open_meta(&dir.disk, metadata, &identity)?;
        dir.metadata = Some(MetadataDir { path: metadata.clone(), meta, _lock: lock });
        Ok(dir)
    }

    /// Opens `path`, creating it if needed; takes `.lock`; reads or writes `meta.properties`; reads the
    /// checkpoints; removes the clean shutdown marker, durably. Files are mapped where the file system allows.
    pub fn open(path: &Path, identity: &Identity) -> Result<LogDir, LogDirError> {
        directories::check_identity(path)?;
        std::fs::create_dir_all(path).doing("creating", path)?;
        let lock = lock(path)?;
        let (disk, why_not_mapped) = Disk::probe(path);
        let mut dir = LogDir::open_on(disk, path, identity)?;
        dir._lock = Some(lock);
        dir.why_not_mapped = why_not_mapped.map(|error| error.to_string());
        Ok(dir)
    }

    /// Makes a directory for a broker that is yet to come: takes `.lock`, writes `bootstrap.checkpoint`, and last
    /// `meta.properties`. One that has `meta.properties` keeps it, if it is that node's and cluster's.
    pub fn prepare(path: &Path, identity: &Identity, bootstrap: &[u8]) -> Result<MetaProperties, LogDirError> {
        std::fs::create_dir_all(path).doing("creating", path)?;
        let _lock = lock(path)?;
        let (disk, _) = Disk::probe(path);
        let file = path.join(BOOTSTRAP);
        disk.write_aside(&file, bootstrap, true).doing("writing", &file)?;
        open_meta(&disk, path, identity)
    }

    /// What `bootstrap.checkpoint` says, if the directory was formatted.
    pub fn bootstrap(&self) -> Result<Option<Vec<u8>>, LogError> {
        let file = self.metadata.as_ref().map_or(&self.path, |metadata| &metadata.path).join(BOOTSTRAP);
        self.read_file(&file)
    }

    /// As [`LogDir::open`], on a disk of the caller's choice and without a lock.
    pub fn open_on(disk: Disk, path: &Path, identity: &Identity) -> Result<LogDir, LogDirError> {
        disk.create_folder(path).doing("creating", path)?;
        let meta = open_meta(&disk, path, identity)?;
        // A lost recovery point only costs time; a lost log start would bring deleted records back.
        let log_starts = read_checkpoint(&disk, &path.join(LOG_STARTS)).map_err(|error| match error {
            LogError::Corrupt { why, .. } => LogDirError::DamagedLogStarts { path: path.to_path_buf(), why },
            error => error.into(),
        })?;
        let marker = path.join(CLEAN_SHUTDOWN);
        let clean_marker = disk.read(&marker).doing("reading", &marker)?;
        let clean_shutdown = clean_marker.is_some();
        if clean_shutdown {
            disk.remove(&marker).doing("removing", &marker)?;
            disk.sync_folder(path).doing("syncing", path)?;
        }
        let recovery_points = read_checkpoint(&disk, &path.join(RECOVERY_POINTS)).unwrap_or_default();
        // Without it everything is compacted once more.
        let first_dirty = read_checkpoint(&disk, &path.join(FIRST_DIRTY)).unwrap_or_default();
        let positions_path = path.join(POSITIONS);
        let positions_text = disk.read(&positions_path).doing("reading", &positions_path)?.unwrap_or_default();
        let validated = positions::parse(&positions_text, positions::boot_id().as_deref());
        let high_watermarks = read_checkpoint(&disk, &path.join(HIGH_WATERMARKS)).unwrap_or_default();
        let noted_at = NotedAt {
            recovery_points: disk.modified(&path.join(RECOVERY_POINTS)),
            high_watermarks: disk.modified(&path.join(HIGH_WATERMARKS)),
            positions: disk.modified(&positions_path),
        };
        Ok(LogDir {
            path: path.to_path_buf(),
            disk,
            _lock: None,
            meta,
            metadata: None,
            clean_marker,
            why_not_mapped: None,
            may_have_lost_power: !clean_shutdown && validated.is_empty(),
            on_file: Mutex::new(OnFile::new(&recovery_points, &log_starts)),
            outdated: AtomicBool::new(false),
            known: Mutex::new(Known { recovery_points, log_starts, first_dirty, validated, high_watermarks, noted_at }),
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path as an absolute one.
    pub fn absolute_path(&self) -> PathBuf {
        std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone())
    }

    /// The bytes of the volume that the directory is on, and how many of them are available to this process.
    pub fn disk_space(&self) -> Option<(i64, i64)> {
        let stat = rustix::fs::statvfs(&self.path).ok()?;
        let bytes = |blocks: u64| i64::try_from(blocks.saturating_mul(stat.f_frsize)).unwrap_or(i64::MAX);
        Some((bytes(stat.f_blocks), bytes(stat.f_bavail)))
    }

    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    /// Why files are not mapped here, for a log line; `None` when they are.
    pub fn why_not_mapped(&self) -> Option<&str> {
        self.why_not_mapped.as_deref()
    }

    pub fn meta(&self) -> &MetaProperties {
        &self.meta
    }

    /// The directory, and that of the metadata log, as words of a command line.
    pub fn paths(&self) -> String {
        let metadata = self.metadata.as_ref().map(|metadata| format!(" {}", metadata.path.display()));
        format!("{}{}", self.path.display(), metadata.unwrap_or_default())
    }

    /// The id of the directory that the metadata log lies in.
    pub fn metadata_directory_id(&self) -> Uuid {
        self.metadata.as_ref().map_or(self.meta.directory_id, |metadata| metadata.meta.directory_id)
    }

    /// Whether the metadata log lies in this directory itself.
    pub fn has_metadata(&self) -> bool {
        self.metadata.is_none()
    }

    /// Whether the last broker on this directory, Ottla or Kafka, closed it cleanly.
    pub fn clean_shutdown(&self) -> bool {
        self.clean_marker.is_some()
    }

    /// The names in a folder of the directory; none if it isn't there.
    pub fn files_of(&self, folder: &Path) -> Result<Vec<String>, LogError> {
        Ok(self.disk.list(folder).doing("listing", folder)?.unwrap_or_default())
    }

    /// A whole small file of the directory; `None` if there is none.
    pub fn read_file(&self, file: &Path) -> Result<Option<Vec<u8>>, LogError> {
        self.disk.read(file).doing("reading", file)
    }

    /// Every partition folder there is.
    pub fn partitions(&self) -> Result<Vec<FoundPartition>, LogError> {
        partitions_of(&self.disk, &self.path)
    }

    /// Where a partition's folder is.
    pub fn partition_path(&self, partition: &TopicPartition) -> PathBuf {
        let folder = partition.to_string();
        match &self.metadata {
            Some(metadata) if folder == METADATA_FOLDER => metadata.path.join(folder),
            _ => self.path.join(folder),
        }
    }

    /// Whether the partition has a folder here, and not one of another topic with the same name.
    pub fn has_partition(&self, partition: &TopicPartition, topic_id: TopicId) -> bool {
        let folder = self.partition_path(partition);
        if !self.disk.list(&folder).is_ok_and(|names| names.is_some()) {
            return false;
        }
        let text = self.disk.read(&folder.join(partition_metadata::FILE_NAME)).ok().flatten();
        // Kafka before 2.8 wrote no such file.
        text.and_then(|text| partition_metadata::parse(&text).ok()).is_none_or(|found| found == topic_id)
    }

    /// Renames the folder of a partition whose log isn't open to `<topic>-<n>.<unique>-delete`; `None` if it has none.
    pub fn delete(&self, partition: &TopicPartition, unique: Uuid) -> Result<Option<DeletedFiles>, LogError> {
        let from = self.partition_path(partition);
        let to = names::deleted_folder(&from, unique);
        match self.disk.rename(&from, &to) {
            Ok(()) => Ok(Some(DeletedFiles::left_over(&self.disk, to))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(LogError::io("renaming", &from, error)),
        }
    }

    /// Whether the machine may have been off since the directory was used: what was not synced may be lost. In a
    /// directory that was closed cleanly nothing was left to sync.
    pub fn may_have_lost_power(&self) -> bool {
        self.may_have_lost_power
    }

    /// Renames a partition's folder to `<topic>-<n>.<unique>-stray`, Kafka's name for data that belongs to
    /// no topic: nothing is lost, and the partition's name is free.
    pub fn set_aside(&self, partition: &TopicPartition, unique: Uuid) -> Result<PathBuf, LogError> {
        let from = self.partition_path(partition);
        let hex: String = unique.0.iter().map(|byte| format!("{byte:02x}")).collect();
        let to = names::with_suffix(&from, &format!("{hex}-stray"));
        self.disk.rename(&from, &to).doing("renaming", &from)?;
        self.sync()?;
        Ok(to)
    }

    /// What is known of a partition, for `Log::open`.
    pub fn open_at(&self, partition: &TopicPartition, topic_id: Option<TopicId>, now: TimestampMs) -> OpenAt {
        let known = self.known.lock();
        OpenAt {
            now,
            clean_shutdown: self.clean_shutdown(),
            recovery_point: known.recovery_points.get(partition).copied().unwrap_or(0),
            validated: known.validated.get(partition).copied(),
            log_start: known.log_starts.get(partition).copied(),
            first_dirty: known.first_dirty.get(partition).copied(),
            topic_id,
            at_least: 0,
            noted_end: known.noted_end(partition),
        }
    }

    /// Syncs the directory itself: after partitions were created, renamed or deleted, batched by the caller.
    pub fn sync(&self) -> Result<(), LogError> {
        self.disk.sync_folder(&self.path).doing("syncing", &self.path)
    }

    /// Syncs what many partitions of this directory have to sync; one outcome for each ticket, in their order.
    pub fn sync_many(&self, tickets: Vec<SyncTicket>) -> Vec<Result<Synced, LogError>> {
        sync::sync_many(&self.disk, &self.path, tickets)
    }

    /// Writes `.kafka_cleanshutdown`: everything is closed and synced. `broker_epoch` is -1 when unknown.
    pub fn mark_clean(&self, broker_epoch: i64) -> Result<(), LogError> {
        self.write_clean_marker(format!(r#"{{"version":0,"brokerEpoch":{broker_epoch}}}"#).as_bytes())
    }

    /// Puts `.kafka_cleanshutdown` back as it was before the directory was opened, if it was there: nothing was changed.
    pub fn restore_clean_marker(&self) -> Result<(), LogError> {
        self.clean_marker.as_deref().map_or(Ok(()), |text| self.write_clean_marker(text))
    }

    fn write_clean_marker(&self, text: &[u8]) -> Result<(), LogError> {
        let path = self.path.join(CLEAN_SHUTDOWN);
        self.disk.write_aside(&path, text, true).doing("writing", &path)?;
        self.sync()
    }
}

/// The partition folders in a directory.
pub(super) fn partitions_of(disk: &Disk, path: &Path) -> Result<Vec<FoundPartition>, LogError> {
    let names = disk.list_folders(path).doing("listing", path)?;
    Ok(names.iter().filter_map(|name| found(path, name)).collect())
}

fn found(folder: &Path, name: &str) -> Option<FoundPartition> {
    let path = folder.join(name);
    let suffixed = name.rsplit_once('.').and_then(|(partition, suffix)| {
        let (_, kind) = suffix.rsplit_once('-')?;
        let state = match kind {
            "delete" => PartitionState::Deleted,
            "future" | "stray" => PartitionState::Other,
            _ => return None,
        };
        Some((names::parse_partition(partition)?, state))
    });
    let (partition, state) = suffixed.or_else(|| Some((names::parse_partition(name)?, PartitionState::Live)))?;
    Some(FoundPartition { partition, state, path })
}

/// Takes the lock that keeps a second broker away.
pub(super) fn lock(path: &Path) -> Result<File, LogDirError> {
    let lock_path = path.join(LOCK);
    let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&lock_path);
    let file = options.doing("opening", &lock_path)?;
    // Apache Kafka holds a POSIX record lock, which two brokers of one process wouldn't notice: both kinds.
    let held = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)
        .and_then(|()| rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive));
    match held {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) => {
            Err(LogDirError::InUse { path: path.to_path_buf() })
        }
        Err(error) => Err(LogError::io("locking", &lock_path, error.into()).into()),
    }
}

/// Reads `meta.properties`, if it is there.
fn read_meta(dir: &Path) -> Result<Option<MetaProperties>, LogDirError> {
    let path = dir.join(META_PROPERTIES);
    let Some(text) = Disk::plain().read(&path).doing("reading", &path)? else { return Ok(None) };
    let parsed = MetaProperties::parse(&text).map_err(|error| unusable_meta(dir, error))?;
    Ok(Some(parsed.or_directory_id(Uuid::ZERO)))
}

fn unusable_meta(dir: &Path, error: MetaError) -> LogDirError {
    match error {
        MetaError::OfZooKeeper => LogDirError::OfZooKeeper { path: dir.to_path_buf() },
        MetaError::Damaged(why) => LogDirError::DamagedIdentity { path: dir.to_path_buf(), why },
    }
}

/// Reads `meta.properties` and compares it with who we are, or writes it.
fn open_meta(disk: &Disk, dir: &Path, identity: &Identity) -> Result<MetaProperties, LogDirError> {
    let path = dir.join(META_PROPERTIES);
    let Some(text) = disk.read(&path).doing("reading", &path)? else {
        let cluster_id = identity.cluster_id.clone().unwrap_or_else(|| identity.new_cluster_id.clone());
        let (node_id, directory_id) = (identity.node_id, identity.new_directory_id);
        let meta = MetaProperties { cluster_id, node_id, directory_id };
        write_meta(disk, dir, &path, &meta)?;
        return Ok(meta);
    };
    let parsed = MetaProperties::parse(&text).map_err(|error| unusable_meta(dir, error))?;
    let found = parsed.or_directory_id(identity.new_directory_id);
    if found.node_id != identity.node_id {
        return Err(LogDirError::OtherNode { path: dir.into(), expected: identity.node_id, found: found.node_id });
    }
    if let Some(expected) = identity.cluster_id.clone().filter(|expected| *expected != found.cluster_id) {
        return Err(LogDirError::OtherCluster { path: dir.into(), expected, found: found.cluster_id });
    }
    if parsed.directory_id.is_none() {
        write_meta(disk, dir, &path, &found)?;
    }
    Ok(found)
}

fn write_meta(disk: &Disk, dir: &Path, path: &Path, meta: &MetaProperties) -> Result<(), LogError> {
    disk.write_aside(path, meta.format().as_bytes(), true).doing("writing", path)?;
    disk.sync_folder(dir).doing("syncing", dir)
}
