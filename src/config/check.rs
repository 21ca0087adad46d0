//! Checks of values that a client sets at runtime.

use std::collections::BTreeMap;

use super::broker::BrokerConfig;
use super::java_classes;
use super::listener_values::find_with_listener;
use super::setting::InvalidValue;
use super::table::{self, Scope};
use super::text;
use super::topic::TopicConfig;

/// Why a value is rejected. The text is Apache Kafka's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("{}: {name}", unknown_message(*scope))]
    Unknown { scope: Scope, name: String },
    #[error(transparent)]
    Invalid(#[from] InvalidValue),
    /// Values that are valid alone but conflict.
    #[error("{0}")]
    Conflict(String),
}

fn unknown_message(scope: Scope) -> String {
    match scope {
        Scope::ClientMetrics => "Unknown client metrics configuration".to_owned(),
        other => format!("Unknown {} config name", other.name()),
    }
}

/// Checks one value. Settings of older Kafka releases pass with any value and have no effect.
pub fn validate(scope: Scope, name: &str, value: &str) -> Result<(), Refused> {
    match table::find(scope, name) {
        Some(setting) => {
            setting.check(value)?;
            check_class(name, value)
        }
        None if table::is_removed(scope, name) => Ok(()),
        None if scope == Scope::Broker && table::is_plugin_setting(name) => check_class(name, value),
        None => Err(Refused::Unknown { scope, name: name.to_owned() }),
    }
}

/// Rejects a Java class of others in a setting of security, in the words of Kafka for one that it does not find.
pub fn check_class(name: &str, value: &str) -> Result<(), Refused> {
    if java_classes::check_class(name, value).is_ok() {
        return Ok(());
    }
    let value = value.trim();
    Err(Refused::Invalid(InvalidValue::Value {
        name: find_with_listener(name).map_or(name, |setting| setting.name).to_owned(),
        value: value.to_owned(),
        reason: format!("Class {value} could not be found."),
    }))
}

/// Checks the settings of a topic, alone and together, with an unconfigured broker's values for the rest (Kafka's
/// `LogConfig.validate` as its tools call it).
pub fn validate_topic(overrides: &BTreeMap<String, String>) -> Result<(), Refused> {
    validate_each(overrides)?;
    validate_together(&TopicConfig::of_overrides(overrides))
}

/// Like [`validate_topic`], with this broker's values for the rest (`LogConfig.validate` as the controller calls it).
pub fn validate_topic_on_broker(broker: &BrokerConfig, overrides: &BTreeMap<String, String>) -> Result<(), Refused> {
    validate_each(overrides)?;
    validate_together(&TopicConfig::resolve(broker, overrides))
}

/// The settings that turn on the validation of records by schemas.
const SCHEMA_VALIDATION: [&str; 4] = [
    "confluent.key.schema.validation",
    "confluent.value.schema.validation",
    "redpanda.key.schema.id.validation",
    "redpanda.value.schema.id.validation",
];

/// Rejects a topic setting that turns on the validation of records by schemas, on a broker without a schema registry.
pub fn check_schema_validation(broker: &BrokerConfig, name: &str, value: &str) -> Result<(), Refused> {
    if broker.registry.is_some() || !SCHEMA_VALIDATION.contains(&name) || text::parse_bool(value.trim()) != Some(true) {
        return Ok(());
    }
    Err(Refused::Conflict(format!(
        "{name}=true needs a schema registry, and this broker has none. Start the broker with --registry-port 8081 or \
         ottla.registry.listener=8081."
    )))
}

fn validate_each(overrides: &BTreeMap<String, String>) -> Result<(), Refused> {
    overrides.iter().try_for_each(|(name, value)| validate(Scope::Topic, name, value))
}

fn validate_together(config: &TopicConfig) -> Result<(), Refused> {
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

/// The prefixes of group settings.
const GROUP_PROTOCOLS: [&str; 3] = ["consumer", "share", "streams"];

/// Checks the settings of a group, also against the broker's bounds (Kafka's `GroupConfig.validate`).
pub fn validate_group(broker: &BrokerConfig, overrides: &BTreeMap<String, String>) -> Result<(), Refused> {
    for (name, value) in overrides {
        validate(Scope::Group, name, value)?;
        check_bounds(broker, name, value)?;
    }
    for protocol in GROUP_PROTOCOLS {
        let (session, heartbeat) =
            (format!("{protocol}.session.timeout.ms"), format!("{protocol}.heartbeat.interval.ms"));
        let effective = |name: &str| match overrides.get(name) {
            Some(value) => value.parse().unwrap_or_default(),
            None => broker.values.read::<i64>(&format!("group.{name}")),
        };
        let given = overrides.contains_key(&session) || overrides.contains_key(&heartbeat);
        if given && effective(&session) <= effective(&heartbeat) {
            return Err(Refused::Conflict(format!("{session} must be greater than {heartbeat}")));
        }
    }
    Ok(())
}

/// Compares a group's setting with the broker's bounds, such as `group.consumer.min.session.timeout.ms` and
/// `group.consumer.max.session.timeout.ms` for `consumer.session.timeout.ms`.
fn check_bounds(broker: &BrokerConfig, name: &str, value: &str) -> Result<(), Refused> {
    let Some((protocol, rest)) = name.split_once('.') else { return Ok(()) };
    let rest = rest.strip_prefix("num.").unwrap_or(rest);
    let Ok(value) = value.parse::<i64>() else { return Ok(()) };
    let bound = |which: &str| {
        let bound = format!("group.{protocol}.{which}.{rest}");
        table::find(Scope::Broker, &bound).map(|setting| (setting.name, broker.values.read::<i64>(setting.name)))
    };
    let refuse =
        |than: &str, bound: &str| Err(Refused::Conflict(format!("{name} must be {than} than or equal to {bound}")));
    match (bound("min"), bound("max")) {
        (Some((min, least)), _) if value < least => refuse("greater", min),
        (_, Some((max, most))) if value > most => refuse("less", max),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::values::{Source, Values};
    use super::*;

    fn check(pairs: &[(&str, &str)], expect: &str) {
        let overrides = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let message = validate_topic(&overrides).map_or_else(|e| e.to_string(), |()| "ok".to_owned());
        assert_eq!(message, expect);
    }

    #[test]
    fn topic_settings_are_checked_alone_and_together() {
        check(&[], "ok");
        check(&[("retention.ms", "1"), ("cleanup.policy", "compact")], "ok");
        check(&[("message.format.version", "2.0")], "ok");
        check(&[("foo", "1")], "Unknown topic config name: foo");
        check(&[("retention.ms", "x")], "Invalid value x for configuration retention.ms: Not a number of type LONG");
        let conflict = "conflict topic config setting min.compaction.lag.ms (5) > max.compaction.lag.ms (3)";
        check(&[("min.compaction.lag.ms", "5"), ("max.compaction.lag.ms", "3")], conflict);
    }

    #[test]
    fn topic_settings_are_checked_with_the_brokers_values() {
        let check = |broker: (&str, &str), topic: (&str, &str), expect: bool| {
            let mut values = Values::default();
            values.set_static(broker.0, broker.1, Source::CommandLine);
            let broker = BrokerConfig::resolve(values).unwrap().config;
            let overrides = BTreeMap::from([(topic.0.to_owned(), topic.1.to_owned())]);
            assert_eq!(validate_topic_on_broker(&broker, &overrides).is_ok(), expect, "{topic:?}");
        };
        check(("log.cleaner.max.compaction.lag.ms", "3"), ("min.compaction.lag.ms", "5"), false);
        check(("log.cleaner.max.compaction.lag.ms", "5"), ("min.compaction.lag.ms", "5"), true);
        check(("log.cleaner.min.compaction.lag.ms", "5"), ("max.compaction.lag.ms", "3"), false);
        check(("log.cleaner.min.compaction.lag.ms", "5"), ("retention.ms", "x"), false);
    }

    #[test]
    fn schema_validation_needs_a_schema_registry() {
        let check = |registry: &str, name: &str, value: &str| {
            let mut values = Values::default();
            values.set_static("ottla.registry.listener", registry, Source::CommandLine);
            check_schema_validation(&BrokerConfig::resolve(values).unwrap().config, name, value)
                .map_err(|e| e.to_string())
        };
        for name in SCHEMA_VALIDATION {
            assert!(table::find(Scope::Topic, name).is_some());
            assert_eq!(check("8081", name, "true"), Ok(()));
            assert_eq!(check("", name, "false"), Ok(()));
            let refused = check("", name, " TRUE ").unwrap_err();
            assert!(refused.starts_with(&format!("{name}=true needs a schema registry")), "{refused}");
        }
        assert_eq!(check("", "preallocate", "true"), Ok(()));
    }

    #[test]
    fn group_settings_are_checked_against_the_brokers_bounds() {
        let mut values = Values::default();
        values.set_static("group.consumer.max.session.timeout.ms", "50000", Source::CommandLine);
        values.set_static("group.consumer.max.heartbeat.interval.ms", "49000", Source::CommandLine);
        let broker = BrokerConfig::resolve(values).unwrap().config;
        let check = |pairs: &[(&str, &str)], expect: &str| {
            let overrides = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let message = validate_group(&broker, &overrides).map_or_else(|e| e.to_string(), |()| "ok".to_owned());
            assert_eq!(message, expect, "{pairs:?}");
        };
        check(&[], "ok");
        let (at_least, at_most) = ("greater than or equal to group", "less than or equal to group");
        let session = "consumer.session.timeout.ms";
        check(&[(session, "45000")], "ok");
        check(&[(session, "44999")], &format!("{session} must be {at_least}.consumer.min.session.timeout.ms"));
        check(&[(session, "50001")], &format!("{session} must be {at_most}.consumer.max.session.timeout.ms"));
        check(
            &[(session, "x")],
            "Invalid value x for configuration consumer.session.timeout.ms: Not a number of type INT",
        );
        let slow = ("consumer.heartbeat.interval.ms", "45000");
        check(&[(session, "45001"), slow], "ok");
        let not_greater = format!("{session} must be greater than consumer.heartbeat.interval.ms");
        check(&[(session, "45000"), slow], &not_greater);
        check(&[slow], &not_greater);
        let locks = "share.partition.max.record.locks";
        check(&[(locks, "4001")], &format!("{locks} must be {at_most}.share.max.partition.max.record.locks"));
        let standby = "streams.num.standby.replicas";
        check(&[(standby, "3")], &format!("{standby} must be {at_most}.streams.max.standby.replicas"));
        check(&[("share.auto.offset.reset", "earliest")], "ok");
    }

    #[test]
    fn java_classes_other_than_those_of_kafka_are_not_found() {
        let check = |name: &str, value: &str, expect: &str| {
            let message = check_class(name, value).map_or_else(|e| e.to_string(), |()| "ok".to_owned());
            assert_eq!(message, expect, "{name}");
        };
        for setting in ["principal.builder.class", "ssl.engine.factory.class"] {
            let refused = format!("Invalid value a.B for configuration {setting}: Class a.B could not be found.");
            check(setting, "a.B", &refused);
            check(&format!("listener.name.ssl.{setting}"), " a.B ", &refused);
            check(setting, "", "ok");
        }
        check("ssl.engine.factory.class", "org.apache.kafka.common.security.ssl.DefaultSslEngineFactory", "ok");
        check("ssl.provider", "a.B", "ok");
    }

    #[test]
    fn settings_are_valid_only_in_their_scope() {
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
