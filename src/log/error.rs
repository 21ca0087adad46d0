//! What can go wrong in storage, by who has to act on it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file::{ExternalChange, is_fd_exhaustion};
use ottla_wire::types::{LeaderEpoch, Offset, ProducerId};

/// A failure of the storage itself: Kafka's KAFKA_STORAGE_ERROR.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LogError {
    /// The operating system refused; `what` says what was being done to which file.
    #[error("{what} {}: {source}", path.display())]
    Io { what: &'static str, path: PathBuf, source: Arc<io::Error> },
    /// The files contradict each other or Kafka's formats in a way that recovery doesn't mend.
    #[error("{}: {why}", path.display())]
    Corrupt { path: PathBuf, why: String },
    /// The log was closed or deleted by its owner.
    #[error("the log is closed")]
    Closed,
    /// An earlier write or sync failed: what the files hold is uncertain until the log is reopened.
    #[error("the log is closed to writes since an earlier failure: {0}")]
    Latched(Arc<LogError>),
    /// `partition.metadata` names another topic: the folder belongs to a topic that is gone.
    #[error("{} belongs to topic id {found}, not {expected}", path.display())]
    OtherTopic { path: PathBuf, expected: ottla_wire::types::TopicId, found: ottla_wire::types::TopicId },
}

impl LogError {
    pub(crate) fn io(what: &'static str, path: &Path, source: io::Error) -> LogError {
        LogError::Io { what, path: path.to_path_buf(), source: Arc::new(source) }
    }

    /// Whether there was no descriptor for opening a file: that is over when others are closed.
    pub(crate) fn is_want_of_descriptors(&self) -> bool {
        matches!(self, LogError::Io { source, .. } if is_fd_exhaustion(source))
    }

    /// Whether somebody else has cut or removed a file in use: what was acknowledged is gone, and nothing may be appended.
    pub fn is_loss(&self) -> bool {
        match self {
            LogError::Io { source, .. } => source.get_ref().is_some_and(|inner| inner.is::<ExternalChange>()),
            LogError::Latched(error) => error.is_loss(),
            _ => false,
        }
    }

    pub(crate) fn corrupt(path: &Path, why: impl Into<String>) -> LogError {
        LogError::Corrupt { path: path.to_path_buf(), why: why.into() }
    }
}

/// Attaches what was being done, and to which file, to an I/O error.
pub(crate) trait IoContext<T> {
    fn doing(self, what: &'static str, path: &Path) -> Result<T, LogError>;

    /// As [`IoContext::doing`], for where a path would have to be made for nothing most of the time.
    fn doing_to(self, what: &'static str, path: impl FnOnce() -> PathBuf) -> Result<T, LogError>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn doing(self, what: &'static str, path: &Path) -> Result<T, LogError> {
        self.map_err(|source| LogError::io(what, path, source))
    }

    fn doing_to(self, what: &'static str, path: impl FnOnce() -> PathBuf) -> Result<T, LogError> {
        self.map_err(|source| LogError::io(what, &path(), source))
    }
}

/// Why a batch was not appended. Nothing was written, except with [`AppendError::Storage`].
///
/// The rules are those of Kafka's `ProducerAppendInfo` and `LocalLog`.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// The sequence neither continues the producer's last batch nor repeats one of its last five.
    #[error(
        "out of order sequence number for producer {producer_id}: {found} (incoming), {last} (current end sequence number)"
    )]
    OutOfOrderSequence { producer_id: ProducerId, last: i32, found: i32 },
    /// A newer incarnation of the producer has written, or the epoch was bumped by a marker.
    #[error("epoch {found} of producer {producer_id} is not the one expected after the last seen epoch {current}")]
    InvalidProducerEpoch { producer_id: ProducerId, current: i16, found: i16 },
    /// A batch outside a transaction from a producer that has one open here.
    #[error("expected a transactional write from producer {producer_id}, which has a transaction open")]
    InvalidTxnState { producer_id: ProducerId },
    /// A marker from a transaction coordinator that has been replaced.
    #[error("coordinator epoch {found} of producer {producer_id} is smaller than the last seen epoch {current}")]
    TransactionCoordinatorFenced { producer_id: ProducerId, current: i32, found: i32 },
    /// A leader epoch below that of the last batch.
    #[error("leader epoch {found} is smaller than the last one, {current}")]
    FencedLeaderEpoch { current: LeaderEpoch, found: LeaderEpoch },
    /// The batch alone exceeds `segment.bytes`: Kafka's RECORD_LIST_TOO_LARGE.
    #[error("a batch of {size} bytes exceeds the segment size of {limit} bytes")]
    LargerThanSegment { size: usize, limit: usize },
    /// A control batch that doesn't hold a readable control record.
    #[error("a control batch holds no readable marker")]
    MalformedControlBatch,
    #[error(transparent)]
    Storage(#[from] LogError),
}

/// Why a range could not be read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    /// The offset asked for lies before the log start or beyond the log end: OFFSET_OUT_OF_RANGE.
    #[error("offset {asked} is outside of {start}..={end}")]
    OutOfRange { asked: Offset, start: Offset, end: Offset },
    #[error(transparent)]
    Storage(#[from] LogError),
}
