//! Names of settings and topics that were typed, checked before anything is changed: an unknown one is refused, with
//! the nearest known one.

use ottla_config::setting::Effect;
use ottla_config::{Scope, table};

/// Refuses a setting that no resource of this scope has.
///
/// Settings that Apache Kafka has dropped, or that belong to its plug-ins, are known: they are accepted without effect.
pub fn check_setting(scope: Scope, name: &str) -> Result<(), String> {
    if table::find(scope, name).is_some() || is_accepted_without_effect(scope, name) {
        return Ok(());
    }
    let hint = match table::nearest(scope, name) {
        Some(nearest) => format!("; did you mean {nearest}?"),
        None => match Scope::ALL.into_iter().find(|other| table::find(*other, name).is_some()) {
            Some(other) => format!("; {name} is a {} setting", other.name()),
            None => String::new(),
        },
    };
    Err(format!("unknown {} setting {name}{hint}", scope.name()))
}

/// Whether a setting that [`check_setting`] knows changes what a broker does.
pub fn has_effect(scope: Scope, name: &str) -> bool {
    table::find(scope, name).is_some_and(|setting| setting.effect == Effect::Implemented)
}

fn is_accepted_without_effect(scope: Scope, name: &str) -> bool {
    table::is_removed(scope, name) || (scope == Scope::Broker && table::is_for_a_plugin(name))
}

/// That there is no such topic, with the nearest one that there is.
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
    fn unknown_setting_is_refused_with_the_nearest_or_the_scope_that_has_it() {
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
    }

    #[test]
    fn setting_that_kafka_dropped_or_a_plugin_has_is_known_without_effect() {
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
    fn unknown_topic_is_told_with_the_nearest() {
        let no_topic = |name: &str| no_topic(name, ["orders", "payments"].into_iter());
        assert_eq!(no_topic("ordes"), "there is no topic ordes; did you mean orders?");
        assert_eq!(no_topic("invoices"), "there is no topic invoices");
    }
}
