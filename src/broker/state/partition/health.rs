//! The health of a partition's log.

use parking_lot::Mutex;

use ottla_log::LogError;

/// The failure of a log that was logged last. It has a lock of its own, so that it can be read without waiting for the
/// log's lock.
#[derive(Debug, Default)]
pub(super) struct Health {
    failure: Mutex<Option<Failure>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Failure {
    text: String,
    disk_is_full: bool,
}

/// How a failure differs from the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// The log worked before.
    Failed,
    /// The log failed before, for another reason.
    OtherFailure,
    /// The log failed before, for the same reason.
    None,
}

impl Health {
    /// Whether the log has failed.
    pub fn is_failed(&self) -> bool {
        self.failure.lock().is_some()
    }

    /// Whether the log has failed because the disk is full.
    pub fn is_disk_full(&self) -> bool {
        self.failure.lock().as_ref().is_some_and(|failure| failure.disk_is_full)
    }

    /// The failure, as text.
    #[cfg(test)]
    pub fn failure(&self) -> Option<String> {
        self.failure.lock().as_ref().map(|failure| failure.text.clone())
    }

    /// Notes a failure.
    pub fn failed(&self, error: &LogError) -> Change {
        let failure = Failure { text: error.to_string(), disk_is_full: error.is_disk_full() };
        match self.failure.lock().replace(failure.clone()) {
            None => Change::Failed,
            Some(before) if before == failure => Change::None,
            Some(_) => Change::OtherFailure,
        }
    }

    /// Notes that the log works. Returns whether it had failed.
    pub fn recovered(&self) -> bool {
        self.failure.lock().take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};
    use std::sync::Arc;

    use super::*;

    fn error(kind: ErrorKind) -> LogError {
        LogError::Io { what: "writing", path: "log".into(), source: Arc::new(Error::from(kind)) }
    }

    #[test]
    fn repeated_failure_is_no_change_until_the_log_recovers() {
        let health = Health::default();
        assert!(!health.is_failed() && !health.recovered());
        let [full, other] = [ErrorKind::StorageFull, ErrorKind::NotFound].map(error);
        let changes = [&full, &full, &other, &other].map(|error| health.failed(error));
        assert_eq!(changes, [Change::Failed, Change::None, Change::OtherFailure, Change::None]);
        assert!(health.is_failed() && health.recovered() && !health.is_failed());
        assert_eq!(health.failed(&full), Change::Failed);
    }

    #[test]
    fn full_disk_or_quota_is_known_until_the_log_fails_otherwise_or_recovers() {
        let health = Health::default();
        let is_full_after = |kind| {
            let _ = health.failed(&LogError::Latched(Arc::new(error(kind))));
            health.is_disk_full()
        };
        assert!(is_full_after(ErrorKind::StorageFull) && is_full_after(ErrorKind::QuotaExceeded));
        assert!(!is_full_after(ErrorKind::NotFound) && is_full_after(ErrorKind::StorageFull));
        assert!(health.recovered() && !health.is_disk_full());
    }
}
