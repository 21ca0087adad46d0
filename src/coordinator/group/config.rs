//! The settings that group coordination knows.

use std::time::Duration;

/// Settings of group coordination; each field names the Kafka setting that it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupConfig {
    /// `group.min.session.timeout.ms`: the shortest session a classic member may ask for.
    pub min_session_timeout: Duration,
    /// `group.max.session.timeout.ms`: the longest session a classic member may ask for.
    pub max_session_timeout: Duration,
    /// `group.max.size`: how many members a classic group takes.
    pub max_size: usize,
    /// `group.initial.rebalance.delay.ms`: how long an empty group waits for more members before
    /// its first rebalance. Zero forms the group with whoever comes first.
    pub initial_rebalance_delay: Duration,
    /// `offset.metadata.max.bytes`: the longest text that may go with a committed offset, in
    /// UTF-16 units as Kafka counts it.
    pub offset_metadata_max: usize,
    /// `offsets.retention.minutes`: how long an offset outlives its use.
    pub offsets_retention: Duration,
    /// `offsets.retention.check.interval.ms`: how often offsets are looked through for expired ones.
    pub offsets_retention_check_interval: Duration,
}

impl Default for GroupConfig {
    fn default() -> Self {
        GroupConfig {
            min_session_timeout: Duration::from_secs(6),
            max_session_timeout: Duration::from_secs(30 * 60),
            max_size: i32::MAX as usize,
            initial_rebalance_delay: Duration::ZERO,
            offset_metadata_max: 4096,
            offsets_retention: Duration::from_secs(7 * 24 * 60 * 60),
            offsets_retention_check_interval: Duration::from_secs(10 * 60),
        }
    }
}
