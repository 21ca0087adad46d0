//! Whether a client may set a value while the broker runs.

use std::collections::BTreeMap;

use super::setting::InvalidValue;
use super::table::{self, Scope};
use super::topic::TopicConfig;

/// Why a value may not be set. Displays as Apache Kafka words it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("Unknown {} config name: {name}", scope.name())]
    Unknown { scope: Scope, name: String },
    #[error(transparent)]
    Invalid(#[from] InvalidValue),
    /// Values, each allowed, that do not go together.
    #[error("{0}")]
    Conflict(String),
}

/// Checks one value. A name that older Kafkas had passes with any value and does nothing.
pub fn validate(scope: Scope, name: &str, value: &str) -> Result<(), Refused> {
    match table::find(scope, name) {
        Some(setting) => Ok(setting.check(value)?),
        None if table::is_removed(scope, name) => Ok(()),
        None if scope == Scope::Broker && table::is_for_a_plugin(name) => Ok(()),
        None => Err(Refused::Unknown { scope, name: name.to_owned() }),
    }
}

/// Checks all the settings of one topic, together as well (Kafka's LogConfig.validate).
pub fn validate_topic(overrides: &BTreeMap<String, String>) -> Result<(), Refused> {
    for (name, value) in overrides {
        validate(Scope::Topic, name, value)?;
    }
    let config = TopicConfig::of_overrides(overrides);
    if config.min_compaction_lag_ms > config.max_compaction_lag_ms {
        return Err(Refused::Conflict(format!(
            "conflict topic config setting min.compaction.lag.ms ({}) > max.compaction.lag.ms ({})",
            config.min_compaction_lag_ms, config.max_compaction_lag_ms
        )));
    }
    if config.remote_storage_enable {
        let reason = "Tiered Storage functionality is disabled in the broker. \
                      Topic cannot be configured with remote log storage.";
        return Err(Refused::Conflict(reason.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pairs: &[(&str, &str)], expect: &str) {
        let overrides = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let said = validate_topic(&overrides).map_or_else(|e| e.to_string(), |()| "ok".to_owned());
        assert_eq!(said, expect);
    }

    #[test]
    fn topics() {
        check(&[], "ok");
        check(&[("retention.ms", "1"), ("cleanup.policy", "compact")], "ok");
        check(&[("message.format.version", "2.0")], "ok");
        check(&[("foo", "1")], "Unknown topic config name: foo");
        check(&[("retention.ms", "x")], "Invalid value x for configuration retention.ms: Not a number of type LONG");
        let conflict = "conflict topic config setting min.compaction.lag.ms (5) > max.compaction.lag.ms (3)";
        check(&[("min.compaction.lag.ms", "5"), ("max.compaction.lag.ms", "3")], conflict);
    }

    #[test]
    fn other_scopes() {
        let check =
            |scope, name, value, expect: bool| assert_eq!(validate(scope, name, value).is_ok(), expect, "{name}");
        check(Scope::Broker, "log.retention.ms", "5", true);
        check(Scope::Broker, "zookeeper.connect", "zk:2181", true);
        check(Scope::Broker, "super.users", "User:a", true);
        check(Scope::Broker, "retention.ms", "5", false);
        check(Scope::Group, "consumer.session.timeout.ms", "0", false);
        check(Scope::ClientMetrics, "interval.ms", "5000", true);
    }
}
