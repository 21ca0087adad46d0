//! Why a broker doesn't start on a directory, and what to do about it.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use super::LogError;

/// Why a log directory can't be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LogDirError {
    #[error("{} is in use by another broker (it holds {}/.lock)", path.display(), path.display())]
    InUse { path: PathBuf },
    #[error(
        "{} belongs to node {found}, this is node {expected}: start with node.id={found}, or name another directory",
        path.display()
    )]
    OtherNode { path: PathBuf, expected: i32, found: i32 },
    #[error("{} belongs to cluster {found}, this is cluster {expected}: name a directory of that cluster", path.display())]
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
    /// The operating system refused for want of rights; `folder` is the innermost one there is on the way to the file.
    #[error(
        "{error}; {} belongs to uid {owner} (mode {mode:o}), and this process is of uid {user}: give it to that user, \
         or run as uid {owner}",
        folder.display()
    )]
    NotAllowed { error: LogError, folder: PathBuf, owner: u32, mode: u32, user: u32 },
    #[error(transparent)]
    Storage(LogError),
}

impl From<LogError> for LogDirError {
    /// Says of a refusal for want of rights whose they are, if that can be found out.
    fn from(error: LogError) -> LogDirError {
        let refused = match &error {
            LogError::Io { path, source, .. } if source.kind() == ErrorKind::PermissionDenied => Some(path),
            _ => None,
        };
        let found = refused.and_then(|path| {
            path.ancestors().skip(1).find_map(|folder| Some((folder.to_path_buf(), fs::metadata(folder).ok()?)))
        });
        match found {
            Some((folder, metadata)) => LogDirError::NotAllowed {
                error,
                folder,
                owner: metadata.uid(),
                mode: metadata.mode() & 0o7777,
                user: rustix::process::geteuid().as_raw(),
            },
            None => LogDirError::Storage(error),
        }
    }
}
