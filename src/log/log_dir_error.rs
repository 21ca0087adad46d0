//! Why a broker doesn't start on a directory, and what to do about it.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::Access;

use super::LogError;

/// Why a log directory can't be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LogDirError {
    #[error(
        "{} is in use by another broker (it holds {}/.lock): stop that one, or name another directory",
        path.display(), path.display()
    )]
    InUse { path: PathBuf },
    #[error(
        "{} belongs to node {found}, this is node {expected}: start with node.id={found}, or name another directory",
        path.display()
    )]
    OtherNode { path: PathBuf, expected: i32, found: i32 },
    #[error(
        "{} belongs to cluster {found}, and this is cluster {expected}: name a directory of cluster {expected} in its place \
         (those in log.dirs and metadata.log.dir are of one cluster)",
        path.display()
    )]
    OtherCluster { path: PathBuf, expected: String, found: String },
    #[error("log.dirs names no directory")]
    NoneNamed,
    #[error("{} is not a directory: name another one, or move it away", path.display())]
    NotAFolder { path: PathBuf },
    #[error(
        "{} is a symbolic link to {}, which does not exist: make that directory (is its volume mounted?), or mend the link",
        path.display(), target.display()
    )]
    DanglingLink { path: PathBuf, target: PathBuf },
    /// More than one of `log.dirs` holds data; `found` says what lies where.
    #[error(
        "log.dirs names several directories that hold data, and one can be served: {found}. Nothing was changed. To \
         have all of it, stop whatever uses them and move the folders of all partitions into {}, then name that one \
         alone; or name {} alone as it is, and partitions that lie in the others answer KAFKA_STORAGE_ERROR",
        target.display(), target.display()
    )]
    SeveralHoldData { found: String, target: PathBuf },
    /// Data without `meta.properties`.
    #[error(
        "{} holds {holds}, and no meta.properties that says which cluster and node they are of. Nothing was changed. Put \
         the file back from a copy, or write it anew with `ottla kafka-storage format --cluster-id ID --config FILE`, \
         where FILE has the lines node.id=N and log.dirs={}; for an empty broker, name another directory",
        path.display(), path.display()
    )]
    NoIdentity { path: PathBuf, holds: String },
    /// `meta.properties` of version 0.
    #[error(
        "{} is the directory of a broker that ran with ZooKeeper (its meta.properties has version 0): its topics and \
         settings are in ZooKeeper. Nothing was changed. Migrate that cluster to KRaft with Apache Kafka 3.9, then start \
         on what comes of it; for an empty broker, name another directory",
        path.display()
    )]
    OfZooKeeper { path: PathBuf },
    #[error(
        "{}/meta.properties is damaged: {why}. Nothing was changed. Put it back from a copy, or move it away and write it \
         anew with `ottla kafka-storage format --cluster-id ID --config FILE`, where FILE has the lines node.id=N and \
         log.dirs={}",
        path.display(), path.display()
    )]
    DamagedIdentity { path: PathBuf, why: String },
    #[error(
        "{}/log-start-offset-checkpoint is damaged: {why}. Nothing was changed. Put it back from a copy, or set it aside \
         with `ottla check-log --repair {}`: records that DeleteRecords has deleted may be there again then",
        path.display(), path.display()
    )]
    DamagedLogStarts { path: PathBuf, why: String },
    /// The operating system refused for want of rights; `advice` says whose the place is, and what to do.
    #[error("{error}; {advice}")]
    NotAllowed { error: LogError, advice: String },
    #[error(transparent)]
    Storage(LogError),
}

impl From<LogError> for LogDirError {
    /// Says of a refusal for want of rights whose they are, if that can be found out.
    fn from(error: LogError) -> LogDirError {
        let advice = match &error {
            LogError::Io { what, path, source } if source.kind() == ErrorKind::PermissionDenied => advice(what, path),
            _ => None,
        };
        match advice {
            Some(advice) => LogDirError::NotAllowed { error, advice },
            None => LogDirError::Storage(error),
        }
    }
}

/// What to do where this was not allowed with `path`.
fn advice(what: &str, path: &Path) -> Option<String> {
    // The innermost there is on the way; where nothing is wrong with the file itself, it's the folder that it is in.
    let there = path.ancestors().find(|place| fs::metadata(place).is_ok())?;
    let is_usable = |place: &Path| rustix::fs::access(place, Access::READ_OK | Access::WRITE_OK).is_ok();
    let place = if there == path && !there.is_dir() && is_usable(there) { path.parent()? } else { there };
    let found = fs::metadata(place).ok()?;
    let place = Place {
        path: place,
        is_folder: found.is_dir(),
        owner: found.uid(),
        mode: found.mode() & 0o7777,
        user: rustix::process::geteuid().as_raw(),
    };
    Some(match what {
        "creating" if there != path => place.to_make(path),
        _ => place.to_use(),
    })
}

/// What a process was not allowed to use.
struct Place<'a> {
    path: &'a Path,
    is_folder: bool,
    owner: u32,
    mode: u32,
    user: u32,
}

impl Place<'_> {
    fn to_use(&self) -> String {
        let Place { owner, mode, user, .. } = self;
        let (path, folder) = (self.path.display(), self.folder().display());
        // What its owner needs of it.
        let needed = if self.is_folder { 0o700 } else { 0o600 };
        match owner == user {
            false => format!(
                "{path} belongs to uid {owner} (mode {mode:o}), and this process is of uid {user}: give it to that user, \
                 with what else is in {folder} (chown -R {user} {folder}), or run as uid {owner}"
            ),
            true if mode & needed != needed => format!(
                "{path} belongs to this process's uid {user}, and its mode {mode:o} forbids it: give its owner the right \
                 (chmod -R u+rwX {folder})"
            ),
            true => format!(
                "{path} belongs to this process's uid {user}, and its mode {mode:o} allows it: it is forbidden by something \
                 else (an access control list, SELinux or AppArmor, an immutable flag). Allow it there, or name another \
                 directory"
            ),
        }
    }

    /// Of a folder in which `path` can't be made. It may be everybody's: it isn't to be given away.
    fn to_make(&self, path: &Path) -> String {
        let Place { owner, mode, user, .. } = self;
        let (parent, path) = (self.path.display(), path.display());
        format!(
            "{parent} belongs to uid {owner} (mode {mode:o}), and this process is of uid {user}: make {path} as that one and \
             give it to uid {user} (mkdir -p {path} && chown {user} {path}), or name another directory, or run as uid {owner}"
        )
    }

    fn folder(&self) -> &Path {
        if self.is_folder { self.path } else { self.path.parent().unwrap_or(self.path) }
    }
}
