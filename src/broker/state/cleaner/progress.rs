//! The partitions that are being compacted, and those whose last compaction failed.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use ottla_log::{CompactError, CompactionStats};
use ottla_wire::types::{PartitionIndex, TopicId};

/// The delay before the retry of a compaction that failed because of the disk.
const RETRY_DELAY: Duration = Duration::from_secs(60);

/// A partition. The topic id distinguishes topics of one name.
pub type Key = (TopicId, PartitionIndex);

/// The state of all partitions' compactions. Times are on the monotonic clock.
#[derive(Debug, Default)]
pub struct Progress {
    running: HashSet<Key>,
    failed: HashMap<Key, Failed>,
}

#[derive(Debug)]
struct Failed {
    /// When the compaction is retried. `None`: not before the broker is restarted.
    retry_at: Option<Duration>,
    /// The last line that was logged about the partition.
    logged: String,
}

impl Progress {
    /// Whether any compaction runs.
    pub fn is_busy(&self) -> bool {
        !self.running.is_empty()
    }

    /// Whether the partition is being compacted.
    pub fn is_running(&self, key: Key) -> bool {
        self.running.contains(&key)
    }

    /// Whether a compaction of the partition may begin.
    pub fn may_begin(&self, key: Key, now: Duration) -> bool {
        let must_wait = |failed: &Failed| failed.retry_at.is_none_or(|retry_at| now < retry_at);
        !self.is_running(key) && !self.failed.get(&key).is_some_and(must_wait)
    }

    /// Records that a compaction of the partition begins.
    pub fn began(&mut self, key: Key) {
        self.running.insert(key);
    }

    /// Records the outcome of a compaction, or of the check whether there is something to compact. Returns a line to
    /// log, unless the last line of the partition was the same.
    pub fn ended(
        &mut self,
        key: Key,
        now: Duration,
        outcome: &Result<CompactionStats, CompactError>,
    ) -> Option<String> {
        self.running.remove(&key);
        let (retry_at, line) = match outcome {
            Ok(_) => {
                self.failed.remove(&key);
                return None;
            }
            Err(CompactError::Abandoned) => return None,
            Err(error @ CompactError::Uncleanable { .. }) => (None, format!("stopped compacting the log: {error}")),
            Err(CompactError::Storage(error)) => (Some(now + RETRY_DELAY), format!("compaction failed: {error}")),
        };
        let before = self.failed.insert(key, Failed { retry_at, logged: line.clone() });
        before.is_none_or(|before| before.logged != line).then_some(line)
    }

    /// Removes partitions that do not exist any more.
    pub fn remove_deleted(&mut self, exists: impl Fn(&Key) -> bool) {
        self.failed.retain(|key, _| exists(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_log::LogError;

    const KEY: Key = (TopicId::METADATA, 3);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn uncleanable() -> Result<CompactionStats, CompactError> {
        Err(CompactError::Uncleanable { path: "00.log".into(), why: "a reason".to_owned() })
    }

    #[test]
    fn partition_that_is_being_compacted_is_not_compacted_again() {
        let mut progress = Progress::default();
        progress.began(KEY);
        assert!(progress.is_busy() && !progress.may_begin(KEY, at(0)) && progress.may_begin((KEY.0, 4), at(0)));
        assert_eq!(progress.ended(KEY, at(0), &Err(CompactError::Abandoned)), None);
        assert!(!progress.is_busy() && progress.may_begin(KEY, at(0)));
    }

    #[test]
    fn log_that_cannot_be_compacted_is_logged_once_and_not_retried() {
        let mut progress = Progress::default();
        let line = progress.ended(KEY, at(0), &uncleanable());
        assert_eq!(line.as_deref(), Some("stopped compacting the log: 00.log cannot be compacted: a reason"));
        assert!(!progress.may_begin(KEY, at(1_000_000)));
        assert_eq!(progress.ended(KEY, at(0), &uncleanable()), None);
        progress.remove_deleted(|key| *key == KEY);
        assert!(!progress.may_begin(KEY, at(0)));
        progress.remove_deleted(|_| false);
        assert!(progress.may_begin(KEY, at(0)));
    }

    #[test]
    fn compaction_that_failed_because_of_the_disk_is_retried() {
        let mut progress = Progress::default();
        let failed = Err(CompactError::Storage(LogError::Closed));
        assert_eq!(progress.ended(KEY, at(5), &failed).as_deref(), Some("compaction failed: the log is closed"));
        assert!(!progress.may_begin(KEY, at(64)) && progress.may_begin(KEY, at(65)));
        assert_eq!(progress.ended(KEY, at(65), &failed), None);
        assert_eq!(progress.ended(KEY, at(130), &Ok(CompactionStats::default())), None);
        assert!(progress.may_begin(KEY, at(130)));
        assert!(progress.ended(KEY, at(140), &failed).is_some());
    }
}
