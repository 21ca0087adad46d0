//! Appends that depend on the state of the log: for a writer whose decisions are based on all records before them.

use super::unreadable::Attempt;
use super::{Partition, PartitionError};
use ottla_log::{AppendParams, Appended, Origin, TxnVerification};
use ottla_wire::record::Verified;
use ottla_wire::types::{Offset, TimestampMs};

/// The end of a log. A log that was opened again after a failure may have lost records and have others at their offsets,
/// so the offset alone does not identify it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogEnd {
    pub offset: Offset,
    /// [`Partition::times_opened`].
    pub times_opened: u64,
}

impl Partition {
    /// The current end of the log.
    pub fn log_end(&self) -> Result<LogEnd, PartitionError> {
        let log = self.log()?;
        Ok(LogEnd { offset: log.end_offset(), times_opened: self.times_opened() })
    }

    /// Appends one batch as [`Partition::append`] does, but only if the log still ends at `expected`. Otherwise nothing is
    /// appended, and the result is `None`.
    pub fn append_at(
        &self,
        expected: LogEnd,
        batch: &Verified,
        origin: Origin,
        now: TimestampMs,
    ) -> Result<Option<Appended>, PartitionError> {
        let verification = TxnVerification::NotVerified;
        let how = AppendParams { leader_epoch: self.leader_epoch(), origin, verification, now };
        let mut log = self.log()?;
        if (LogEnd { offset: log.end_offset(), times_opened: self.times_opened() }) != expected {
            return Ok(None);
        }
        let appended = log.append(batch, how).map_err(PartitionError::from);
        let appended = self.noted(&mut log, Attempt::Append, appended)?;
        drop(log);
        self.waiters.wake_all();
        Ok(Some(appended))
    }
}
