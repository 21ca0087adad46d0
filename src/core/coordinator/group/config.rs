//! The settings that group coordination knows.

use std::time::Duration;

use ottla_config::BrokerConfig;

const INITIAL_REBALANCE_DELAY: &str = "group.initial.rebalance.delay.ms";

/// Settings of group coordination; each field names the Kafka setting that it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupConfig {
    /// `group.min.session.timeout.ms`: the shortest session a classic member may ask for.
    pub min_session_timeout: Duration,
    /// `group.max.session.timeout.ms`: the longest session a classic member may ask for.
    pub max_session_timeout: Duration,
    /// `group.max.size`: how many members a classic group takes.
    pub max_size: usize,
    /// `ottla.group.disconnected.member.timeout.ms`: how long a member stays whose connection closed; none: as long as
    /// its session.
    pub disconnected_member_timeout: Option<Duration>,
    /// `group.initial.rebalance.delay.ms`, if it was given: how long an empty group waits for more members before
    /// its first rebalance, as Apache Kafka's does; zero forms the group with whoever comes first. None: it waits for
    /// those alone who are about to join.
    pub initial_rebalance_delay: Option<Duration>,
    /// `offset.metadata.max.bytes`: the longest text that may go with a committed offset, in
    /// UTF-16 units as Kafka counts it.
    pub offset_metadata_max: usize,
    /// `offsets.retention.minutes`: how long an offset outlives its use.
    pub offsets_retention: Duration,
    /// `offsets.retention.check.interval.ms`: how often offsets are looked through for expired ones.
    pub offsets_retention_check_interval: Duration,
}

impl Default for GroupConfig {
    /// The settings' own defaults.
    fn default() -> Self {
        GroupConfig::from(&BrokerConfig::default())
    }
}

impl From<&BrokerConfig> for GroupConfig {
    fn from(config: &BrokerConfig) -> Self {
        let settings = &config.groups;
        let millis = |ms: i32| Duration::from_millis(u64::try_from(ms).unwrap_or(0));
        let minutes = u64::try_from(settings.offsets_retention_minutes).unwrap_or(0);
        GroupConfig {
            min_session_timeout: millis(settings.min_session_timeout_ms),
            max_session_timeout: millis(settings.max_session_timeout_ms),
            max_size: settings.max_size,
            disconnected_member_timeout: u64::try_from(settings.disconnected_member_timeout_ms)
                .ok()
                .map(Duration::from_millis),
            initial_rebalance_delay: config
                .values
                .given(INITIAL_REBALANCE_DELAY)
                .map(|_| Duration::from_millis(settings.initial_rebalance_delay_ms)),
            offset_metadata_max: settings.offset_metadata_max_bytes,
            offsets_retention: Duration::from_secs(minutes.saturating_mul(60)),
            offsets_retention_check_interval: Duration::from_millis(settings.offsets_retention_check_interval_ms),
        }
    }
}
