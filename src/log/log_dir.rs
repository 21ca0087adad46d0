//! The log directory: its lock, its identity, its checkpoints.
//!
//! All files have Kafka's formats, so that Apache Kafka can use the directory too. The exception is `ottla-positions`:
//! it has the position up to which each log is known to be valid, and the id of the machine's boot. When a process is
//! killed, the page cache keeps all writes, so recovery only needs to scan the data after these positions. Kafka
//! ignores unknown plain files, but doesn't start if there is an unknown folder.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use parking_lot::Mutex;
use rustix::fs::{Access, FlockOperation};

use super::checkpoints::{LoadedCheckpoints, WrittenAt, WrittenCheckpoints, read_checkpoint};
use super::directories::{self, Directories};
use super::error::IoContext;
use super::file::Disk;
use super::lock_holder::lock_holder;
use super::meta_properties::{META_PROPERTIES, MetaError, MetaProperties};
use super::positions::Positions;
use super::{
    DeletedFiles, LogDirError, LogError, OpenParams, SyncTicket, Synced, names, partition_metadata, positions, sync,
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

/// The ids of the broker that opens a log directory.
#[derive(Clone, Debug)]
pub struct Identity {
    pub node_id: i32,
    /// The cluster that the directory must belong to; `None`: the one in `meta.properties`.
    pub cluster_id: Option<String>,
    /// The random cluster id for a new directory, made by the caller.
    pub new_cluster_id: String,
    /// The random directory id for a new directory, made by the caller.
    pub new_directory_id: Uuid,
}

/// The state of a partition's folder, from the suffix of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionState {
    Live,
    /// `-delete`: a deleted partition, to be removed.
    Deleted,
    /// `-future` or `-stray`: ignored.
    Other,
}

/// A partition's folder `<topic>-<n>`, with or without one of Kafka's suffixes.
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
    /// The lock on `.lock`, held until drop.
    _lock: Option<File>,
    meta: MetaProperties,
    /// The directory of the metadata log, if it is a separate one.
    metadata: Option<MetadataDir>,
    /// The content of `.kafka_cleanshutdown` before opening removed it; `None` if there was no such file.
    clean_marker: Option<Vec<u8>>,
    may_have_lost_power: bool,
    /// Whether all pages in the page cache that are not dirty are on disk.
    page_cache_is_trusted: bool,
    mmap_error: Option<String>,
    /// The checkpoints as read when the directory was opened, without partitions that were deleted since. They have
    /// their own lock, so that lookups don't wait for a checkpoint write.
    pub(super) loaded: Mutex<LoadedCheckpoints>,
    /// The checkpoints as last written. The lock is held during a write, so that writes don't overlap.
    pub(super) written: Mutex<WrittenCheckpoints>,
    /// Whether the files still contain deleted partitions, because a write failed. It is not protected by the lock of
    /// `written`, which is taken before a partition's lock: opening a log reads this flag while it holds the
    /// partition's lock.
    pub(super) outdated: AtomicBool,
}

/// A separate directory for the metadata log (`metadata.log.dir`).
#[derive(Debug)]
struct MetadataDir {
    path: PathBuf,
    meta: MetaProperties,
    _lock: File,
}

impl LogDir {
    /// Opens the chosen directories, like [`LogDir::open`]. The directory of the metadata log has its own lock and
    /// `meta.properties`, which must name the same cluster and node.
    /// Without `syncs`, nothing is synced, for data that doesn't have to survive the process.
    pub fn open_chosen(chosen: &Directories, identity: &Identity, syncs: bool) -> Result<LogDir, LogDirError> {
        let Some(metadata) = &chosen.metadata else { return LogDir::open_with(&chosen.data, identity, syncs) };
        let cluster_id_of = |path: &Path| read_meta(path).map(|meta| meta.map(|meta| meta.cluster_id));
        let cluster_id = match cluster_id_of(&chosen.data)? {
            Some(cluster_id) => Some(cluster_id),
            None => cluster_id_of(metadata)?,
        };
        let identity = Identity { cluster_id, ..identity.clone() };
        let mut dir = LogDir::open_with(&chosen.data, &identity, syncs)?;
        fs::create_dir_all(metadata).doing("creating", metadata)?;
        directories::check_identity(metadata)?;
        let lock = lock(metadata)?;
        let [first, rest @ ..] = identity.new_directory_id.0;
        let identity = Identity {
            cluster_id: Some(dir.meta.cluster_id.clone()),
            // Differs from the id of the data directory and is as random.
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
        LogDir::open_with(path, identity, true)
    }

    fn open_with(path: &Path, identity: &Identity, syncs: bool) -> Result<LogDir, LogDirError> {
        directories::check_identity(path)?;
        std::fs::create_dir_all(path).doing("creating", path)?;
        let lock = lock(path)?;
        // Existing files may be writable even if the folder isn't; then only creating the first topic would fail.
        let usable = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
        rustix::fs::access(path, usable).map_err(|error| LogError::io("writing to", path, error.into()))?;
        let (disk, mmap_error) = Disk::probe(path);
        let disk = if syncs { disk } else { disk.without_syncs() };
        let mut dir = LogDir::open_on(disk, path, identity)?;
        dir._lock = Some(lock);
        dir.mmap_error = mmap_error.map(|error| error.to_string());
        Ok(dir)
    }

    /// Formats a directory for a broker: takes `.lock`, writes `bootstrap.checkpoint` and then `meta.properties`. An
    /// existing `meta.properties` of the same node and cluster is kept.
    pub fn prepare(path: &Path, identity: &Identity, bootstrap: &[u8]) -> Result<MetaProperties, LogDirError> {
        std::fs::create_dir_all(path).doing("creating", path)?;
        let _lock = lock(path)?;
        let (disk, _) = Disk::probe(path);
        let file = path.join(BOOTSTRAP);
        disk.write_atomic(&file, bootstrap, true).doing("writing", &file)?;
        open_meta(&disk, path, identity)
    }

    /// Reads `bootstrap.checkpoint`; `None` if the directory wasn't formatted.
    pub fn bootstrap(&self) -> Result<Option<Vec<u8>>, LogError> {
        let file = self.metadata.as_ref().map_or(&self.path, |metadata| &metadata.path).join(BOOTSTRAP);
        self.read_file(&file)
    }

    /// Like [`LogDir::open`], but on a given disk and without a lock.
    pub fn open_on(disk: Disk, path: &Path, identity: &Identity) -> Result<LogDir, LogDirError> {
        disk.create_folder(path).doing("creating", path)?;
        let meta = open_meta(&disk, path, identity)?;
        // Without recovery points recovery only takes longer; without log starts deleted records would reappear.
        let log_starts = read_checkpoint(&disk, &path.join(LOG_STARTS)).map_err(|error| match error {
            LogError::Corrupt { why, .. } => LogDirError::CorruptLogStarts { path: path.to_path_buf(), why },
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
        // Without this checkpoint all logs are compacted from their start.
        let first_dirty = read_checkpoint(&disk, &path.join(FIRST_DIRTY)).unwrap_or_default();
        let positions_path = path.join(POSITIONS);
        let positions_text = disk.read(&positions_path).doing("reading", &positions_path)?.unwrap_or_default();
        let positions = positions::parse(&positions_text, positions::boot_id().as_deref());
        let may_have_lost_power = !clean_shutdown && !matches!(positions, Positions::ThisBoot(_));
        let page_cache_is_trusted = clean_shutdown || positions == Positions::OtherBoot;
        let validated = positions.of_this_boot();
        let high_watermarks = read_checkpoint(&disk, &path.join(HIGH_WATERMARKS)).unwrap_or_default();
        let written_at = WrittenAt {
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
            mmap_error: None,
            may_have_lost_power,
            page_cache_is_trusted,
            written: Mutex::new(WrittenCheckpoints::new(&recovery_points, &log_starts)),
            outdated: AtomicBool::new(false),
            loaded: Mutex::new(LoadedCheckpoints {
                recovery_points,
                log_starts,
                first_dirty,
                validated,
                high_watermarks,
                written_at,
            }),
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The absolute path.
    pub fn absolute_path(&self) -> PathBuf {
        std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone())
    }

    /// The total bytes of the directory's volume, and the bytes available to this process; `None` if unknown.
    pub fn disk_space(&self) -> Option<(i64, i64)> {
        let stat = rustix::fs::statvfs(&self.path).ok()?;
        let bytes = |blocks: u64| i64::try_from(blocks.saturating_mul(stat.f_frsize)).unwrap_or(i64::MAX);
        Some((bytes(stat.f_blocks), bytes(stat.f_bavail)))
    }

    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    /// The error that prevents mapping files in this directory; `None` if files are mapped.
    pub fn mmap_error(&self) -> Option<&str> {
        self.mmap_error.as_deref()
    }

    pub fn meta(&self) -> &MetaProperties {
        &self.meta
    }

    /// The paths of the directory and of a separate metadata directory, for a command line.
    pub fn paths(&self) -> String {
        let metadata = self.metadata.as_ref().map(|metadata| format!(" {}", metadata.path.display()));
        format!("{}{}", self.path.display(), metadata.unwrap_or_default())
    }

    /// The id of the directory that contains the metadata log.
    pub fn metadata_directory_id(&self) -> Uuid {
        self.metadata.as_ref().map_or(self.meta.directory_id, |metadata| metadata.meta.directory_id)
    }

    /// Whether this directory contains the metadata log.
    pub fn has_metadata(&self) -> bool {
        self.metadata.is_none()
    }

    /// Whether the last broker (Ottla or Kafka) closed this directory cleanly.
    pub fn clean_shutdown(&self) -> bool {
        self.clean_marker.is_some()
    }

    /// Lists the names in a folder of the directory; none if the folder doesn't exist.
    pub fn files_of(&self, folder: &Path) -> Result<Vec<String>, LogError> {
        Ok(self.disk.list(folder).doing("listing", folder)?.unwrap_or_default())
    }

    /// Reads a small file of the directory; `None` if it doesn't exist.
    pub fn read_file(&self, file: &Path) -> Result<Option<Vec<u8>>, LogError> {
        self.disk.read(file).doing("reading", file)
    }

    /// Writes a small file of the directory, durably: the file is either complete or as before.
    pub fn write_file(&self, file: &Path, bytes: &[u8]) -> Result<(), LogError> {
        self.disk.write_atomic(file, bytes, true).doing("writing", file)?;
        self.sync()
    }

    /// Like [`LogDir::write_file`], for a file that only its owner can read.
    pub fn write_secret(&self, file: &Path, bytes: &[u8]) -> Result<(), LogError> {
        self.disk.write_secret(file, bytes).doing("writing", file)?;
        self.sync()
    }

    /// Takes the permissions of others from a file.
    pub fn hide(&self, file: &Path) -> Result<(), LogError> {
        self.disk.hide(file).doing("changing the mode of", file)
    }

    /// Lists all partition folders.
    pub fn partitions(&self) -> Result<Vec<FoundPartition>, LogError> {
        partitions_of(&self.disk, &self.path)
    }

    /// The path of a partition's folder.
    pub fn partition_path(&self, partition: &TopicPartition) -> PathBuf {
        let folder = partition.to_string();
        match &self.metadata {
            Some(metadata) if folder == METADATA_FOLDER => metadata.path.join(folder),
            _ => self.path.join(folder),
        }
    }

    /// Whether the partition has a folder here that belongs to the topic with this id.
    pub fn has_partition(&self, partition: &TopicPartition, topic_id: TopicId) -> bool {
        let folder = self.partition_path(partition);
        if !self.disk.list(&folder).is_ok_and(|names| names.is_some()) {
            return false;
        }
        let text = self.disk.read(&folder.join(partition_metadata::FILE_NAME)).ok().flatten();
        // Kafka before 2.8 did not write partition.metadata.
        text.and_then(|text| partition_metadata::parse(&text).ok()).is_none_or(|found| found == topic_id)
    }

    /// Renames the folder of a partition to `<topic>-<n>.<unique>-delete`; its log must not be open. `None` if there is
    /// no folder.
    pub fn delete(&self, partition: &TopicPartition, unique: Uuid) -> Result<Option<DeletedFiles>, LogError> {
        let from = self.partition_path(partition);
        let to = names::deleted_folder(&from, unique);
        match self.disk.rename(&from, &to) {
            Ok(()) => Ok(Some(DeletedFiles::left_over(&self.disk, to))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(LogError::io("renaming", &from, error)),
        }
    }

    /// Whether the machine may have rebooted since the directory was last used, so that unsynced data may be lost.
    /// False after a clean shutdown, which syncs everything.
    pub fn may_have_lost_power(&self) -> bool {
        self.may_have_lost_power
    }

    /// Renames a partition's folder to `<topic>-<n>.<unique>-stray`, Kafka's name for data without a topic. No data is
    /// lost, and the partition's name becomes free.
    pub fn rename_to_stray(&self, partition: &TopicPartition, unique: Uuid) -> Result<PathBuf, LogError> {
        let from = self.partition_path(partition);
        let hex: String = unique.0.iter().map(|byte| format!("{byte:02x}")).collect();
        let to = names::with_suffix(&from, &format!("{hex}-stray"));
        self.disk.rename(&from, &to).doing("renaming", &from)?;
        self.sync()?;
        Ok(to)
    }

    /// Collects the checkpoints of a partition for `Log::open`.
    pub fn open_at(&self, partition: &TopicPartition, topic_id: Option<TopicId>, now: TimestampMs) -> OpenParams {
        let loaded = self.loaded.lock();
        let validated = loaded.validated.get(partition).copied();
        OpenParams {
            now,
            clean_shutdown: self.clean_shutdown(),
            recovery_point: loaded.recovery_points.get(partition).copied().unwrap_or(0),
            // A log that could not be synced has no validated position.
            rewrite_unsynced: validated.is_none() && !self.page_cache_is_trusted,
            validated,
            log_start: loaded.log_starts.get(partition).copied(),
            first_dirty: loaded.first_dirty.get(partition).copied(),
            topic_id,
            min_end: 0,
            checkpointed_end: loaded.checkpointed_end(partition),
        }
    }

    /// Syncs the directory's entries, after one or several partitions were created, renamed or deleted.
    pub fn sync(&self) -> Result<(), LogError> {
        self.disk.sync_folder(&self.path).doing("syncing", &self.path)
    }

    /// Syncs many partitions of this directory; returns one result per ticket, in the same order.
    pub fn sync_many(&self, tickets: Vec<SyncTicket>) -> Vec<Result<Synced, LogError>> {
        sync::sync_many(&self.disk, &self.path, tickets)
    }

    /// Writes `.kafka_cleanshutdown`. All logs must be closed and synced. `broker_epoch` is -1 when unknown.
    pub fn mark_clean(&self, broker_epoch: i64) -> Result<(), LogError> {
        self.write_clean_marker(format!(r#"{{"version":0,"brokerEpoch":{broker_epoch}}}"#).as_bytes())
    }

    /// Restores `.kafka_cleanshutdown` if it existed before the directory was opened, for a broker that changed
    /// nothing.
    pub fn restore_clean_marker(&self) -> Result<(), LogError> {
        self.clean_marker.as_deref().map_or(Ok(()), |text| self.write_clean_marker(text))
    }

    fn write_clean_marker(&self, text: &[u8]) -> Result<(), LogError> {
        let path = self.path.join(CLEAN_SHUTDOWN);
        self.disk.write_atomic(&path, text, true).doing("writing", &path)?;
        self.sync()
    }
}

/// Lists the partition folders in a directory.
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

/// Takes the lock that excludes a second broker.
pub(super) fn lock(path: &Path) -> Result<File, LogDirError> {
    let lock_path = path.join(LOCK);
    let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&lock_path);
    let file = options.doing("opening", &lock_path)?;
    lock_file(path, &lock_path, file, FlockOperation::NonBlockingLockExclusive)
}

/// Takes `.lock` without writing anything; `None` if there is no such file.
pub(super) fn lock_to_read(path: &Path) -> Result<Option<File>, LogDirError> {
    let lock_path = path.join(LOCK);
    match File::open(&lock_path) {
        // An exclusive record lock requires a writable file.
        Ok(file) => lock_file(path, &lock_path, file, FlockOperation::NonBlockingLockShared).map(Some),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(LogError::io("opening", &lock_path, error).into()),
    }
}

/// Takes a POSIX record lock, as Apache Kafka does, and a `flock`: the record lock doesn't exclude two brokers in one
/// process.
fn lock_file(path: &Path, lock_path: &Path, file: File, record_lock: FlockOperation) -> Result<File, LogDirError> {
    let held = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)
        .and_then(|()| rustix::fs::fcntl_lock(&file, record_lock));
    match held {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::ACCESS) => {
            let pid = lock_holder(&file);
            Err(LogDirError::InUse { path: path.to_path_buf(), lock: lock_path.to_path_buf(), pid })
        }
        Err(error) => Err(LogError::io("locking", lock_path, error.into()).into()),
    }
}

/// Reads `meta.properties`, if it exists.
fn read_meta(dir: &Path) -> Result<Option<MetaProperties>, LogDirError> {
    let path = dir.join(META_PROPERTIES);
    let Some(text) = Disk::plain().read(&path).doing("reading", &path)? else { return Ok(None) };
    let parsed = MetaProperties::parse(&text).map_err(|error| unusable_meta(dir, error))?;
    Ok(Some(parsed.or_directory_id(Uuid::ZERO)))
}

fn unusable_meta(dir: &Path, error: MetaError) -> LogDirError {
    match error {
        MetaError::ZooKeeper => LogDirError::ZooKeeper { path: dir.to_path_buf() },
        MetaError::Corrupt(why) => LogDirError::CorruptMetaProperties { path: dir.to_path_buf(), why },
    }
}

/// Reads `meta.properties` and compares it with this broker's identity, or writes a new one.
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
    disk.write_atomic(path, meta.format().as_bytes(), true).doing("writing", path)?;
    disk.sync_folder(dir).doing("syncing", dir)
}
