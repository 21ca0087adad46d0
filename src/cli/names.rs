//! Checks names of settings and topics from the command line before anything is changed. The error for an unknown name
//! has the nearest known one.

use ottla_config::setting::Effect;
use ottla_config::{Scope, listener_values, table};

/// Returns an error if no resource of this scope has the setting.
///
/// Settings that Apache Kafka has removed, or that belong to its plug-ins, are accepted: they have no effect.
pub fn check_setting(scope: Scope, name: &str) -> Result<(), String> {
    if table::find(scope, name).is_some() || is_accepted_without_effect(scope, name) {
        return Ok(());
    }
    Err(format!("unknown {} setting {name}{}", scope.name(), table::hint(scope, name)))
}

/// Whether a setting that [`check_setting`] accepts has an effect.
pub fn has_effect(scope: Scope, name: &str) -> bool {
    let of_listener = || listener_values::find(name).filter(|_| scope == Scope::Broker);
    table::find(scope, name).or_else(of_listener).is_some_and(|setting| setting.effect != Effect::Ignored)
}

fn is_accepted_without_effect(scope: Scope, name: &str) -> bool {
    table::is_removed(scope, name) || (scope == Scope::Broker && table::is_plugin_setting(name))
}

/// The error for a missing topic, with the nearest existing one.
pub fn no_topic<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    match table::nearest_of(known, name) {
        Some(nearest) => format!("there is no topic {name}; did you mean {nearest}?"),
        None => format!("there is no topic {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_setting_is_refused_with_nearest_name_or_the_scope_that_has_it() {
        let check = |scope, name, expect: &str| assert_eq!(check_setting(scope, name).unwrap_err(), expect, "{name}");
        check(
            Scope::Broker,
            "log.retention.m",
            "unknown broker setting log.retention.m; did you mean log.retention.ms?",
        );
        check(Scope::Topic, "retention_ms", "unknown topic setting retention_ms; did you mean retention.ms?");
        check(
            Scope::Topic,
            "num.partitions",
            "unknown topic setting num.partitions; num.partitions is a broker setting",
        );
        check(Scope::Group, "xyzzy", "unknown group setting xyzzy");
        check(
            Scope::Broker,
            "retention.ms",
            "unknown broker setting retention.ms; retention.ms is a topic setting, the broker setting is log.retention.ms",
        );
        check(
            Scope::Topic,
            "message.max.bytes",
            "unknown topic setting message.max.bytes; message.max.bytes is a broker setting, the topic setting is \
             max.message.bytes",
        );
    }

    #[test]
    fn removed_or_plugin_setting_is_accepted_without_effect() {
        for (scope, name) in [
            (Scope::Topic, "message.format.version"),
            (Scope::Broker, "zookeeper.connect"),
            (Scope::Broker, "confluent.support.metrics.enable"),
        ] {
            assert_eq!(check_setting(scope, name), Ok(()), "{name}");
            assert!(!has_effect(scope, name), "{name}");
        }
        assert!(has_effect(Scope::Broker, "log.retention.ms"));
    }

    #[test]
    fn error_of_missing_topic_has_nearest_name() {
        let no_topic = |name: &str| no_topic(name, ["orders", "payments"].into_iter());
        assert_eq!(no_topic("ordes"), "there is no topic ordes; did you mean orders?");
        assert_eq!(no_topic("invoices"), "there is no topic invoices");
    }
}
