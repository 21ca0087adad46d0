//! The errors of opening a log directory, with advice for the operator.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::Access;

use super::LogError;
use super::log_dir::LOG_STARTS;
use super::meta_properties::META_PROPERTIES;

/// The reason why a log directory can't be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LogDirError {
    #[error("{} is in use by {}: stop that broker, or name another directory", path.display(), holder(lock, *pid))]
    InUse { path: PathBuf, lock: PathBuf, pid: Option<u32> },
    #[error(
        "{} belongs to node {found}, and this is node {expected}: start with node.id={found}, or name another directory",
        path.display()
    )]
    OtherNode { path: PathBuf, expected: i32, found: i32 },
    #[error(
        "{} belongs to cluster {found}, and this is cluster {expected}: name a directory of cluster {expected} instead \
         (all directories in log.dirs and metadata.log.dir must belong to one cluster)",
        path.display()
    )]
    OtherCluster { path: PathBuf, expected: String, found: String },
    #[error("log.dirs names no directory")]
    NoDirectory,
    #[error("{} is not a directory: name a directory, or move the file away", path.display())]
    NotADirectory { path: PathBuf },
    #[error(
        "{} is a symbolic link to {}, which does not exist: create that directory (is its volume mounted?), or fix the link",
        path.display(), target.display()
    )]
    DanglingLink { path: PathBuf, target: PathBuf },
    /// More than one directory of `log.dirs` holds data; `found` lists them with their content.
    #[error(
        "log.dirs names several directories that hold data, but only one can be used: {found}. Nothing was changed. To \
         keep all data, stop all processes that use them, move the directories of all partitions into {}, and name only that \
         directory; or name only {} as it is, then requests for partitions in the others return KAFKA_STORAGE_ERROR",
        target.display(), target.display()
    )]
    MultipleWithData { found: String, target: PathBuf },
    /// The directory holds data but has no `meta.properties`.
    #[error(
        "{} contains {holds}, but no meta.properties, the file with the cluster id and node id. Nothing was changed. Restore \
         that file from a backup, or write a new one with `ottla kafka-storage format --cluster-id ID --config FILE`, \
         where FILE has the lines node.id=N and log.dirs={}; for an empty broker, name another directory",
        path.display(), path.display()
    )]
    NoMetaProperties { path: PathBuf, holds: String },
    /// `meta.properties` of version 0.
    #[error(
        "{} is the directory of a broker that ran with ZooKeeper (its meta.properties has version 0): its topics and \
         settings are in ZooKeeper. Nothing was changed. Migrate that cluster to KRaft with Apache Kafka 3.9, then start \
         on the migrated directory; for an empty broker, name another directory",
        path.display()
    )]
    ZooKeeper { path: PathBuf },
    #[error(
        "{} is corrupt: {why}. Nothing was changed. Restore it from a backup, or move it away and write a \
         new one with `ottla kafka-storage format --cluster-id ID --config FILE`, where FILE has the lines node.id=N and \
         log.dirs={}",
        path.join(META_PROPERTIES).display(), path.display()
    )]
    CorruptMetaProperties { path: PathBuf, why: String },
    #[error(
        "{} is corrupt: {why}. Nothing was changed. Restore it from a backup, or move it \
         away with `ottla check-log --repair {}`: records deleted by DeleteRecords may then reappear",
        path.join(LOG_STARTS).display(), path.display()
    )]
    CorruptLogStarts { path: PathBuf, why: String },
    /// The process lacks a permission; `advice` names the owner of the file and what to do.
    #[error("{error}; {advice}")]
    PermissionDenied { error: LogError, advice: String },
    #[error(transparent)]
    Storage(LogError),
}

/// Describes the process that holds the lock, or how to find it.
fn holder(lock: &Path, pid: Option<u32>) -> String {
    let lock = lock.display();
    match pid {
        Some(pid) if pid == std::process::id() => format!("another broker of this process (it holds {lock})"),
        Some(pid) => format!("another broker, process {pid} (it holds {lock})"),
        None => format!("another broker (it holds {lock}; `fuser {lock}` as root shows the process)"),
    }
}

impl From<LogError> for LogDirError {
    /// Adds advice to a permission error, if the cause can be found.
    fn from(error: LogError) -> LogDirError {
        let advice = match &error {
            LogError::Io { what, path, source } if source.kind() == ErrorKind::PermissionDenied => advice(what, path),
            _ => None,
        };
        match advice {
            Some(advice) => LogDirError::PermissionDenied { error, advice },
            None => LogDirError::Storage(error),
        }
    }
}

/// Returns advice for the case that the operation `what` on `path` was not permitted.
fn advice(what: &str, path: &Path) -> Option<String> {
    // The deepest existing path. If it is a file with sufficient permissions, the cause is the folder that contains it.
    let existing = path.ancestors().find(|ancestor| fs::metadata(ancestor).is_ok())?;
    let is_usable = |path: &Path| rustix::fs::access(path, Access::READ_OK | Access::WRITE_OK).is_ok();
    let cause = if existing == path && !existing.is_dir() && is_usable(existing) { path.parent()? } else { existing };
    let found = fs::metadata(cause).ok()?;
    let cause = Inaccessible {
        path: cause,
        is_folder: found.is_dir(),
        owner: found.uid(),
        mode: found.mode() & 0o7777,
        user: rustix::process::geteuid().as_raw(),
    };
    Some(match what {
        "creating" if existing != path => cause.advice_to_create(path),
        _ => cause.advice_to_use(),
    })
}

/// A file or folder that the process may not use.
struct Inaccessible<'a> {
    path: &'a Path,
    is_folder: bool,
    owner: u32,
    mode: u32,
    user: u32,
}

impl Inaccessible<'_> {
    fn advice_to_use(&self) -> String {
        let Inaccessible { owner, mode, user, .. } = self;
        let (path, folder) = (self.path.display(), self.folder().display());
        // The permissions that the owner needs.
        let needed = if self.is_folder { 0o700 } else { 0o600 };
        match owner == user {
            false => format!(
                "{path} belongs to uid {owner} (mode {mode:o}), and this process runs as uid {user}: change the owner of \
                 {folder} and its content (chown -R {user} {folder}), or run as uid {owner}"
            ),
            true if mode & needed != needed => format!(
                "{path} belongs to this process's uid {user}, but its mode {mode:o} forbids access: give its owner the \
                 permission (chmod -R u+rwX {folder})"
            ),
            true => format!(
                "{path} belongs to this process's uid {user}, and its mode {mode:o} allows access: something else forbids it \
                 (an access control list, SELinux or AppArmor, an immutable flag). Allow access there, or name another \
                 directory"
            ),
        }
    }

    /// Advice for a folder in which `path` can't be created. The folder may be shared, so its owner must not change.
    fn advice_to_create(&self, path: &Path) -> String {
        let Inaccessible { owner, mode, user, .. } = self;
        let (parent, path) = (self.path.display(), path.display());
        format!(
            "{parent} belongs to uid {owner} (mode {mode:o}), and this process runs as uid {user}: create {path} as uid \
             {owner} and change its owner (mkdir -p {path} && chown {user} {path}), or name another directory, or run as \
             uid {owner}"
        )
    }

    fn folder(&self) -> &Path {
        if self.is_folder { self.path } else { self.path.parent().unwrap_or(self.path) }
    }
}
