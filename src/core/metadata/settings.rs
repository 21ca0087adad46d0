//! Validation of dynamic settings by the table of settings.

use std::ops::RangeInclusive;

use super::errors::MetadataError;
use super::image::{ConfigKind, Settings};
use ottla_config::listener_values::find_with_listener;
use ottla_config::setting::{Kind, Setting, Update};
use ottla_config::{self as config, BrokerConfig, Refused, Scope, table};

/// The scope of settings of a kind of resource.
pub(super) fn scope(kind: ConfigKind) -> Scope {
    match kind {
        ConfigKind::Topic => Scope::Topic,
        ConfigKind::Broker => Scope::Broker,
        ConfigKind::ClientMetrics => Scope::ClientMetrics,
        ConfigKind::Group => Scope::Group,
    }
}

/// Checks all overrides of a topic, a group or a client-metrics subscription together (Kafka's
/// `ControllerConfigurationValidator`). `broker` has the defaults of topics and the bounds of groups. For brokers see
/// [`check_broker`].
pub(super) fn check(broker: &BrokerConfig, kind: ConfigKind, settings: &Settings) -> Result<(), MetadataError> {
    let refused = |refused: Refused| match (kind, &refused) {
        (ConfigKind::ClientMetrics, Refused::Unknown { .. }) => MetadataError::InvalidRequest(refused.to_string()),
        _ => MetadataError::InvalidConfig(refused.to_string()),
    };
    match kind {
        ConfigKind::Topic => config::validate_topic_on_broker(broker, settings).map_err(refused)?,
        ConfigKind::Group => config::validate_group(broker, settings).map_err(refused)?,
        _ => {
            settings.iter().try_for_each(|(name, value)| config::validate(scope(kind), name, value).map_err(refused))?
        }
    }
    match kind {
        ConfigKind::ClientMetrics => {
            settings.get("interval.ms").map_or(Ok(()), |interval| check_client_interval(interval))?;
            settings.get("match").map_or(Ok(()), |patterns| check_client_match(patterns))
        }
        _ => Ok(()),
    }
}

/// Checks what a client newly sets for a topic against what this broker has.
pub(super) fn check_new<'a>(
    broker: &BrokerConfig,
    set: impl Iterator<Item = (&'a String, &'a String)>,
) -> Result<(), MetadataError> {
    for (name, value) in set {
        let checked = config::check_schema_validation(broker, name, value);
        checked.map_err(|refused| MetadataError::InvalidConfig(refused.to_string()))?;
    }
    Ok(())
}

/// The valid push intervals of client metrics, in milliseconds.
const CLIENT_INTERVALS: RangeInclusive<i64> = 100..=3_600_000;

/// Checks a subscription's `interval.ms`, which is a number.
fn check_client_interval(interval: &str) -> Result<(), MetadataError> {
    match interval.trim().parse() {
        Ok(number) if CLIENT_INTERVALS.contains(&number) => Ok(()),
        _ => Err(MetadataError::InvalidRequest(format!(
            "Invalid value {interval} for interval.ms, interval must be between 100 and 3600000 (1 hour)"
        ))),
    }
}

/// The client properties that a client-metrics subscription can match (KIP-714).
const CLIENT_PARAMETERS: [&str; 6] = [
    "client_id",
    "client_instance_id",
    "client_software_name",
    "client_software_version",
    "client_source_address",
    "client_source_port",
];

/// Checks that every entry of a subscription's `match` is `<parameter>=<pattern>`.
fn check_client_match(patterns: &str) -> Result<(), MetadataError> {
    let legal = |entry: &str| match entry.trim_end_matches('=').split('=').collect::<Vec<_>>()[..] {
        [name, pattern] => CLIENT_PARAMETERS.contains(&name.trim()) && is_pattern(pattern.trim()),
        _ => false,
    };
    match config::setting::list(patterns).find(|entry| !legal(entry)) {
        Some(wrong) => Err(MetadataError::InvalidConfig(format!("Illegal client matching pattern: {wrong}"))),
        None => Ok(()),
    }
}

/// Whether this is a regular expression. Java syntax that the Rust crate does not support is accepted, for Kafka.
fn is_pattern(pattern: &str) -> bool {
    let unsupported = |error: &regex::Error| {
        let why = error.to_string();
        why.contains("not supported") || why.contains("unrecognized escape sequence")
    };
    regex::Regex::new(pattern).map_or_else(|error| unsupported(&error), |_| true)
}

/// Checks the dynamic settings of one broker, or with `default` the cluster-wide ones (Kafka's
/// `DynamicBrokerConfig.validate`). Unknown names are accepted, as they may be settings of a plug-in.
///
/// Errors are INVALID_REQUEST, which Kafka keeps for compatibility with old clients.
pub(super) fn check_broker(settings: &Settings, default: bool) -> Result<(), MetadataError> {
    let refuse = |message: String| Err(MetadataError::InvalidRequest(message));
    let named = |wrong: fn(&str, &Setting) -> bool| {
        let names = settings.keys().filter(|name| known(name).is_some_and(|setting| wrong(name, setting)));
        names.map(String::as_str).collect::<Vec<_>>().join(", ")
    };
    // A setting of one listener is never fixed in Kafka.
    let fixed = named(|name, setting| setting.update == Update::ReadOnly && setting.name == name);
    if !fixed.is_empty() {
        return refuse(format!("Cannot update these configs dynamically: [{fixed}]"));
    }
    let unprefixed = named(|name, _| name.starts_with("ssl.") && is_listener_security(name));
    if !unprefixed.is_empty() {
        return refuse(format!(
            "These security configs can be dynamically updated only per-listener using the listener prefix: [{unprefixed}]"
        ));
    }
    let is_own = |name: &str| match of_listener_alone(name) {
        Some(base) => !CLUSTER_WIDE_OF_LISTENERS.contains(&base),
        None => known(name).is_some_and(|setting| setting.update == Update::PerBroker),
    };
    let own = settings.keys().map(String::as_str).filter(|name| is_own(name)).collect::<Vec<_>>().join(", ");
    if default && !own.is_empty() {
        return refuse(format!(
            "Cannot update these configs at default cluster level, broker id must be specified: [{own}]"
        ));
    }
    for (name, value) in settings {
        if let Some(Err(invalid)) = known(name).map(|setting| setting.check(value)) {
            return refuse(of_listener(name, invalid.to_string()));
        }
        if let Err(refused) = config::check_class(name, value) {
            return refuse(of_listener(name, refused.to_string()));
        }
    }
    if let Some(why) = locks_out(settings) {
        return refuse(why);
    }
    match config::check_retention(|name| settings.get(name).map(String::as_str)) {
        Err(why) => refuse(format!("requirement failed: {why}")),
        Ok(()) => Ok(()),
    }
}

/// Settings of a listener that can be set for all brokers (Kafka's `ClusterLevelListenerConfigs`).
const CLUSTER_WIDE_OF_LISTENERS: [&str; 3] = ["max.connections", "max.connection.creation.rate", "num.network.threads"];

/// The name of a setting of one listener behind the listener's name.
fn of_listener_alone(name: &str) -> Option<&str> {
    name.strip_prefix("listener.name.")?.split_once('.').map(|(_, base)| base)
}

/// The reason why settings would close the broker to every client, after which nobody could change them again.
fn locks_out(settings: &Settings) -> Option<String> {
    let is_zero = |value: &str| value.trim().parse() == Ok(0);
    let limit = settings.iter().find_map(|(name, value)| {
        let base = of_listener_alone(name).unwrap_or(name);
        let is_limit = ["max.connections", "max.connection.creation.rate"].contains(&base);
        (is_limit && is_zero(value)).then(|| format!("Invalid {base} {}", value.trim()))
    });
    limit.or_else(|| {
        let given = |name: &str| settings.get(name).map(String::as_str).unwrap_or_default();
        let is_locked = is_zero(given(PER_IP)) && given(PER_IP_OVERRIDES).trim().is_empty();
        is_locked.then(|| {
            format!("requirement failed: {PER_IP} can be set to zero only if {PER_IP_OVERRIDES} property is set.")
        })
    })
}

const PER_IP: &str = "max.connections.per.ip";
const PER_IP_OVERRIDES: &str = "max.connections.per.ip.overrides";

/// The error about the value of a setting: Kafka finds it when the listener reads the value, if the setting has the name of
/// a mechanism or cannot be changed for all listeners.
fn of_listener(name: &str, error: String) -> String {
    let is_found_by_listener = known(name).is_some_and(|setting| {
        let mut parts = name.splitn(4, '.').skip(3);
        setting.name != name && (setting.update == Update::ReadOnly || parts.next() != Some(setting.name))
    });
    match is_found_by_listener {
        false => error,
        true => format!(
            "Invalid value org.apache.kafka.common.config.ConfigException: {error} for configuration Invalid dynamic \
             configuration"
        ),
    }
}

/// Whether the table has this setting.
pub(super) fn is_known(kind: ConfigKind, name: &str) -> bool {
    find(kind, name).is_some()
}

/// Whether a setting is a list, which supports Append and Subtract. As in Kafka, one of a listener does not.
pub(super) fn is_list(kind: ConfigKind, name: &str) -> bool {
    // Kafka's controller has no types for settings of subscriptions.
    kind != ConfigKind::ClientMetrics && find(kind, name).is_some_and(|setting| setting.kind == Kind::List)
}

/// The default entries of a list setting.
pub(super) fn default_list(kind: ConfigKind, name: &str) -> &'static str {
    find(kind, name).and_then(|setting| setting.default).unwrap_or_default()
}

fn find(kind: ConfigKind, name: &str) -> Option<&'static Setting> {
    table::find(scope(kind), name)
}

/// The broker setting with that name, with or without a listener prefix.
fn known(name: &str) -> Option<&'static Setting> {
    find_with_listener(name)
}

/// Whether a broker setting belongs to the keystore or truststore of a listener.
fn is_listener_security(name: &str) -> bool {
    name.starts_with("ssl.keystore.") || name.starts_with("ssl.truststore.") || name == "ssl.key.password"
}
