//! Settings of the group coordinator.

use std::time::Duration;

use ottla_config::BrokerConfig;

const INITIAL_REBALANCE_DELAY: &str = "group.initial.rebalance.delay.ms";

/// Settings of the group coordinator. Each field names its Kafka setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupConfig {
    /// `group.min.session.timeout.ms`: the minimum session timeout of classic members.
    pub min_session_timeout: Duration,
    /// `group.max.session.timeout.ms`: the maximum session timeout of classic members.
    pub max_session_timeout: Duration,
    /// `group.max.size`: the maximum number of members of a classic group.
    pub max_size: usize,
    /// `ottla.group.disconnected.member.timeout.ms`: the session timeout of a member after its connection closed.
    /// `None`: the member's own session timeout.
    pub disconnected_member_timeout: Option<Duration>,
    /// `group.initial.rebalance.delay.ms`, if it is set: how long an empty group waits for more members before its
    /// first generation, as in Apache Kafka; with zero it does not wait. `None`: it waits only for clients that are
    /// expected to join.
    pub initial_rebalance_delay: Option<Duration>,
    /// `offset.metadata.max.bytes`: the maximum length of the metadata of an offset, in UTF-16
    /// units as in Kafka.
    pub offset_metadata_max: usize,
    /// `offsets.retention.minutes`: the retention time of offsets.
    pub offsets_retention: Duration,
    /// `offsets.retention.check.interval.ms`: the interval of checks for expired offsets.
    pub offsets_retention_check_interval: Duration,
}

impl Default for GroupConfig {
    /// The defaults of the settings.
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
