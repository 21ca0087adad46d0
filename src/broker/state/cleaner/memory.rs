//! What the cleaner remembers of partitions: which it is at, and which it leaves alone.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use ottla_log::{CompactError, CompactionStats};
use ottla_wire::types::{PartitionIndex, TopicId};

/// How long a partition is left alone after the disk failed its compaction.
const SET_BACK: Duration = Duration::from_secs(60);

/// A partition, whatever its topic's name stands for by now.
pub type Key = (TopicId, PartitionIndex);

/// Times are on the monotonic clock.
#[derive(Debug, Default)]
pub struct Memory {
    running: HashSet<Key>,
    left_alone: HashMap<Key, LeftAlone>,
}

#[derive(Debug)]
struct LeftAlone {
    /// None: until the broker starts again.
    until: Option<Duration>,
    /// What was said of it.
    told: String,
}

impl Memory {
    pub fn is_busy(&self) -> bool {
        !self.running.is_empty()
    }

    pub fn is_running(&self, key: Key) -> bool {
        self.running.contains(&key)
    }

    /// Whether a compaction may be begun.
    pub fn may_begin(&self, key: Key, now: Duration) -> bool {
        let is_left_alone = |left: &LeftAlone| left.until.is_none_or(|until| now < until);
        !self.is_running(key) && !self.left_alone.get(&key).is_some_and(is_left_alone)
    }

    pub fn began(&mut self, key: Key) {
        self.running.insert(key);
    }

    /// A compaction, or a look at whether there is something to compact, has ended; what is to be told of it, which
    /// isn't told twice.
    pub fn ended(
        &mut self,
        key: Key,
        now: Duration,
        outcome: &Result<CompactionStats, CompactError>,
    ) -> Option<String> {
        self.running.remove(&key);
        let (until, told) = match outcome {
            Ok(_) => {
                self.left_alone.remove(&key);
                return None;
            }
            Err(CompactError::Abandoned) => return None,
            Err(error @ CompactError::Uncleanable { .. }) => {
                (None, format!("the log is not compacted any more: {error}"))
            }
            Err(CompactError::Storage(error)) => (Some(now + SET_BACK), format!("compaction failed: {error}")),
        };
        let before = self.left_alone.insert(key, LeftAlone { until, told: told.clone() });
        before.is_none_or(|before| before.told != told).then_some(told)
    }

    /// Forgets what was left alone of partitions that don't exist any more.
    pub fn forget_gone(&mut self, exists: impl Fn(&Key) -> bool) {
        self.left_alone.retain(|key, _| exists(key));
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
        Err(CompactError::Uncleanable { path: "00.log".into(), why: "of that".to_owned() })
    }

    #[test]
    fn one_at_a_time() {
        let mut memory = Memory::default();
        memory.began(KEY);
        assert!(memory.is_busy() && !memory.may_begin(KEY, at(0)) && memory.may_begin((KEY.0, 4), at(0)));
        assert_eq!(memory.ended(KEY, at(0), &Err(CompactError::Abandoned)), None);
        assert!(!memory.is_busy() && memory.may_begin(KEY, at(0)));
    }

    #[test]
    fn what_cannot_be_compacted_is_said_once() {
        let mut memory = Memory::default();
        let told = memory.ended(KEY, at(0), &uncleanable());
        assert_eq!(told.as_deref(), Some("the log is not compacted any more: 00.log cannot be compacted: of that"));
        assert!(!memory.may_begin(KEY, at(1_000_000)));
        assert_eq!(memory.ended(KEY, at(0), &uncleanable()), None);
        memory.forget_gone(|key| *key == KEY);
        assert!(!memory.may_begin(KEY, at(0)));
        memory.forget_gone(|_| false);
        assert!(memory.may_begin(KEY, at(0)));
    }

    #[test]
    fn a_disk_that_fails_is_tried_again() {
        let mut memory = Memory::default();
        let failed = Err(CompactError::Storage(LogError::Closed));
        assert_eq!(memory.ended(KEY, at(5), &failed).as_deref(), Some("compaction failed: the log is closed"));
        assert!(!memory.may_begin(KEY, at(64)) && memory.may_begin(KEY, at(65)));
        assert_eq!(memory.ended(KEY, at(65), &failed), None);
        assert_eq!(memory.ended(KEY, at(130), &Ok(CompactionStats::default())), None);
        assert!(memory.may_begin(KEY, at(130)));
        assert!(memory.ended(KEY, at(140), &failed).is_some());
    }
}
