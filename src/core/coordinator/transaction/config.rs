//! Settings of the transaction coordinator.

use std::time::Duration;

use ottla_config::BrokerConfig;

/// Settings of the transaction coordinator. Each field names its Kafka setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionConfig {
    /// `transaction.max.timeout.ms`: the maximum timeout that a client may request.
    pub max_timeout_ms: i32,
    /// `transaction.abort.timed.out.transaction.cleanup.interval.ms`: the interval of checks for overdue transactions.
    pub abort_check_interval: Duration,
    /// `transactional.id.expiration.ms`: how long an unused id is kept.
    pub id_expiration: Duration,
    /// `transaction.remove.expired.transaction.cleanup.interval.ms`: the interval of checks for unused ids.
    pub removal_interval: Duration,
}

impl Default for TransactionConfig {
    /// The defaults of the settings.
    fn default() -> Self {
        TransactionConfig::from(&BrokerConfig::default())
    }
}

impl From<&BrokerConfig> for TransactionConfig {
    fn from(config: &BrokerConfig) -> Self {
        let settings = &config.transactions;
        TransactionConfig {
            max_timeout_ms: settings.max_timeout_ms,
            abort_check_interval: Duration::from_millis(settings.abort_timed_out_cleanup_interval_ms),
            id_expiration: Duration::from_millis(settings.transactional_id_expiration_ms),
            removal_interval: Duration::from_millis(settings.remove_expired_cleanup_interval_ms),
        }
    }
}
