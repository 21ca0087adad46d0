//! The errors of the log.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file::{ExternalChange, is_fd_exhaustion};
use ottla_wire::types::{LeaderEpoch, Offset, ProducerId};

/// A failure of the storage itself: Kafka's KAFKA_STORAGE_ERROR.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LogError {
    /// A system call failed; `what` is the operation.
    #[error("{what} {}: {source}", path.display())]
    Io { what: &'static str, path: PathBuf, source: Arc<io::Error> },
    /// The files contradict each other or Kafka's formats in a way that recovery can't repair.
    #[error("{}: {why}", path.display())]
    Corrupt { path: PathBuf, why: String },
    /// The log was closed or deleted by its owner.
    #[error("the log is closed")]
    Closed,
    /// An earlier write or sync failed: the content of the files is uncertain until the log is reopened.
    #[error("the log is closed to writes because of an earlier failure: {0}")]
    Latched(Arc<LogError>),
    /// `partition.metadata` names another topic: the folder belongs to a deleted topic.
    #[error("{} belongs to topic id {found}, not {expected}", path.display())]
    OtherTopic { path: PathBuf, expected: ottla_wire::types::TopicId, found: ottla_wire::types::TopicId },
}

impl LogError {
    pub(crate) fn io(what: &'static str, path: &Path, source: io::Error) -> LogError {
        LogError::Io { what, path: path.to_path_buf(), source: Arc::new(source) }
    }

    /// Whether a file could not be opened because the process has no free file descriptor. Temporary.
    pub(crate) fn is_fd_exhaustion(&self) -> bool {
        matches!(self, LogError::Io { source, .. } if is_fd_exhaustion(source))
    }

    /// Whether another process truncated or removed a file in use: acknowledged records are lost, and appends must
    /// stop.
    pub fn is_data_loss(&self) -> bool {
        match self {
            LogError::Io { source, .. } => source.get_ref().is_some_and(|inner| inner.is::<ExternalChange>()),
            LogError::Latched(error) => error.is_data_loss(),
            _ => false,
        }
    }

    /// Whether the disk or a quota is full. Temporary.
    pub fn is_disk_full(&self) -> bool {
        match self {
            LogError::Io { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            LogError::Latched(error) => error.is_disk_full(),
            _ => false,
        }
    }

    pub(crate) fn corrupt(path: &Path, why: impl Into<String>) -> LogError {
        LogError::Corrupt { path: path.to_path_buf(), why: why.into() }
    }
}

/// Adds the operation and the file to an I/O error.
pub(crate) trait IoContext<T> {
    fn doing(self, what: &'static str, path: &Path) -> Result<T, LogError>;

    /// Like [`IoContext::doing`], but builds the path only on error.
    fn doing_with(self, what: &'static str, path: impl FnOnce() -> PathBuf) -> Result<T, LogError>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn doing(self, what: &'static str, path: &Path) -> Result<T, LogError> {
        self.map_err(|source| LogError::io(what, path, source))
    }

    fn doing_with(self, what: &'static str, path: impl FnOnce() -> PathBuf) -> Result<T, LogError> {
        self.map_err(|source| LogError::io(what, &path(), source))
    }
}

/// An error of an append. Nothing was written, except perhaps with [`AppendError::Storage`].
///
/// The checks are those of Kafka's `ProducerAppendInfo` and `LocalLog`.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// The sequence number neither follows the producer's last batch nor repeats one of its last five.
    #[error(
        "out of order sequence number for producer {producer_id}: {found} (incoming), {last} (current end sequence number)"
    )]
    OutOfOrderSequence { producer_id: ProducerId, last: i32, found: i32 },
    /// A newer instance of the producer has written, or a marker has bumped the epoch.
    #[error("epoch {found} of producer {producer_id} is not the one expected after the last seen epoch {current}")]
    InvalidProducerEpoch { producer_id: ProducerId, current: i16, found: i16 },
    /// The batch contradicts the state of its producer's transaction in this partition.
    #[error("{why} (producer {producer_id})")]
    InvalidTxnState { producer_id: ProducerId, why: TxnStateError },
    /// A marker from a transaction coordinator that has been replaced.
    #[error("coordinator epoch {found} of producer {producer_id} is smaller than the last seen epoch {current}")]
    TransactionCoordinatorFenced { producer_id: ProducerId, current: i32, found: i32 },
    /// The leader epoch is below that of the last batch.
    #[error("leader epoch {found} is smaller than the last one, {current}")]
    FencedLeaderEpoch { current: LeaderEpoch, found: LeaderEpoch },
    /// The batch is larger than `segment.bytes`: Kafka's RECORD_LIST_TOO_LARGE.
    #[error("a batch of {size} bytes exceeds the segment size of {limit} bytes")]
    LargerThanSegment { size: usize, limit: usize },
    /// A control batch without a readable control record.
    #[error("a control batch contains no readable marker")]
    MalformedControlBatch,
    #[error(transparent)]
    Storage(#[from] LogError),
}

impl AppendError {
    /// Whether the batch was refused because of its producer's state. Nothing was appended, and the log is in order.
    pub fn is_producer_error(&self) -> bool {
        matches!(
            self,
            AppendError::OutOfOrderSequence { .. }
                | AppendError::InvalidProducerEpoch { .. }
                | AppendError::InvalidTxnState { .. }
                | AppendError::TransactionCoordinatorFenced { .. }
        )
    }
}

/// How a batch contradicts the state of its producer's transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TxnStateError {
    #[error("expected a transactional batch, since a transaction is open")]
    NotTransactional,
    /// The batch would begin a transaction without a valid verification: its transaction has ended, or the coordinator
    /// doesn't know of it.
    #[error("the batch is not part of an ongoing transaction")]
    NotVerified,
}

/// An error of a read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    /// The requested offset is before the log start or after the log end: OFFSET_OUT_OF_RANGE.
    #[error("offset {asked} is outside of {start}..={end}")]
    OutOfRange { asked: Offset, start: Offset, end: Offset },
    #[error(transparent)]
    Storage(#[from] LogError),
}
