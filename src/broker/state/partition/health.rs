//! The health of a partition's log.

use parking_lot::Mutex;

/// The failure of a log that was logged last. It has a lock of its own, so that it can be read without waiting for the
/// log's lock.
#[derive(Debug, Default)]
pub(super) struct Health {
    failure: Mutex<Option<String>>,
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

    /// The failure, as text.
    #[cfg(test)]
    pub fn failure(&self) -> Option<String> {
        self.failure.lock().clone()
    }

    /// Notes a failure.
    pub fn failed(&self, error: &str) -> Change {
        match self.failure.lock().replace(error.to_owned()) {
            None => Change::Failed,
            Some(before) if before == error => Change::None,
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
    use super::*;

    #[test]
    fn repeated_failure_is_no_change_until_the_log_recovers() {
        let health = Health::default();
        assert!(!health.is_failed() && !health.recovered());
        let changes = ["full", "full", "no such file", "no such file"].map(|error| health.failed(error));
        assert_eq!(changes, [Change::Failed, Change::None, Change::OtherFailure, Change::None]);
        assert!(health.is_failed() && health.recovered() && !health.is_failed());
        assert_eq!(health.failed("full"), Change::Failed);
    }
}
