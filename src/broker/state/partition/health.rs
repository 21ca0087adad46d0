//! Whether a partition's log works.

use parking_lot::Mutex;

/// The failure of a log, as it was last reported to the operator. A lock of its own, so that requests can be refused
/// without waiting for the log's.
#[derive(Debug, Default)]
pub(super) struct Health {
    failure: Mutex<Option<String>>,
}

/// What a failure changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// The log worked before.
    Failed,
    /// It fails for another reason now.
    OtherFailure,
    /// It failed in the same way before.
    None,
}

impl Health {
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

    /// Notes that the log works; returns whether it had failed.
    pub fn recovered(&self) -> bool {
        self.failure.lock().take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_is_a_change_once_until_the_log_recovers() {
        let health = Health::default();
        assert!(!health.is_failed() && !health.recovered());
        let changes = ["full", "full", "no such file", "no such file"].map(|error| health.failed(error));
        assert_eq!(changes, [Change::Failed, Change::None, Change::OtherFailure, Change::None]);
        assert!(health.is_failed() && health.recovered() && !health.is_failed());
        assert_eq!(health.failed("full"), Change::Failed);
    }
}
