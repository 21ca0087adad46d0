//! The directory that logs live in: its identity, its lock, its checkpoints.

use std::path::{Path, PathBuf};

use super::*;
use crate::types::{Offset, TimestampMs, TopicId, TopicPartition, Uuid};

/// Who is opening a log directory.
#[derive(Clone, Debug)]
pub struct Identity {
    pub node_id: i32,
    /// The cluster it must belong to; `None` takes what `meta.properties` says.
    pub cluster_id: Option<String>,
    /// Used when the directory is new, as are all ids: randomness comes from the caller.
    pub new_cluster_id: Uuid,
    pub new_directory_id: Uuid,
}

/// `meta.properties`, version 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaProperties {
    pub cluster_id: String,
    pub node_id: i32,
    pub directory_id: Uuid,
}

/// Why a log directory can't be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LogDirError {
    #[error("{} is in use by another broker (its file .lock is locked)", path.display())]
    InUse { path: PathBuf },
    #[error("{} belongs to node {found}, this is node {expected}", path.display())]
    OtherNode { path: PathBuf, expected: i32, found: i32 },
    #[error("{} belongs to cluster {found}, this is cluster {expected}", path.display())]
    OtherCluster { path: PathBuf, expected: String, found: String },
    #[error(transparent)]
    Storage(#[from] LogError),
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

/// What a partition puts into the text checkpoints and our positions file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    pub partition: TopicPartition,
    pub recovery_point: Offset,
    pub log_start: Offset,
    pub high_watermark: Offset,
    pub validated: Option<Validated>,
}

/// An opened and locked log directory.
#[derive(Debug)]
pub struct LogDir {}

impl LogDir {
    /// Opens `path`, creating it if needed; takes `.lock`; reads or writes `meta.properties`; reads the
    /// checkpoints; removes the clean shutdown marker, durably.
    pub fn open(_path: &Path, _identity: &Identity) -> Result<LogDir, LogDirError> {
        todo!()
    }

    pub fn path(&self) -> &Path {
        todo!()
    }

    pub fn disk(&self) -> &Disk {
        todo!()
    }

    pub fn meta(&self) -> &MetaProperties {
        todo!()
    }

    /// Whether the last broker on this directory, Ottla or Kafka, closed it cleanly.
    pub fn clean_shutdown(&self) -> bool {
        todo!()
    }

    /// Every partition folder there is.
    pub fn partitions(&self) -> Result<Vec<FoundPartition>, LogError> {
        todo!()
    }

    /// Where a partition's folder is.
    pub fn partition_path(&self, _partition: &TopicPartition) -> PathBuf {
        todo!()
    }

    /// What is known of a partition, for `Log::open`.
    pub fn open_at(&self, _partition: &TopicPartition, _topic_id: Option<TopicId>, _now: TimestampMs) -> OpenAt {
        todo!()
    }

    /// Writes Kafka's three checkpoints (written aside, synced, renamed) and our positions file.
    pub fn write_checkpoints(&self, _partitions: &[Checkpoint]) -> Result<(), LogError> {
        todo!()
    }

    /// Writes only our positions file: cheap (no sync), for often.
    pub fn write_positions(&self, _partitions: &[Checkpoint]) -> Result<(), LogError> {
        todo!()
    }

    /// Syncs the directory itself: after partitions were created, renamed or deleted, batched by the caller.
    pub fn sync(&self) -> Result<(), LogError> {
        todo!()
    }

    /// Writes `.kafka_cleanshutdown`: everything is closed and synced. `broker_epoch` is -1 when unknown.
    pub fn mark_clean(&self, _broker_epoch: i64) -> Result<(), LogError> {
        todo!()
    }
}
