//! Environment variables as settings, by the rule of Kafka's images.

/// The setting that `variable` names: without `KAFKA_`, in small letters, `_` as `.`, `__` as `_`, `___` as `-`.
/// `None` for a variable without that prefix. Whether there is such a setting is the caller's question.
pub(super) fn setting_name(variable: &str) -> Option<String> {
    let rest = variable.strip_prefix("KAFKA_")?;
    Some(rest.to_ascii_lowercase().replace("___", "-").replace("__", "\u{0}").replace('_', ".").replace('\u{0}', "_"))
}

#[cfg(test)]
mod tests {
    use super::setting_name;

    fn check(variable: &str, expect: Option<&str>) {
        assert_eq!(setting_name(variable).as_deref(), expect, "{variable}");
    }

    #[test]
    fn names() {
        check("KAFKA_NUM_PARTITIONS", Some("num.partitions"));
        check("KAFKA_LISTENER_NAME_A__B_SASL_JAAS_CONFIG", Some("listener.name.a_b.sasl.jaas.config"));
        check("KAFKA_A___B", Some("a-b"));
        check("KAFKA_OTTLA_EPHEMERAL", Some("ottla.ephemeral"));
        check("PATH", None);
        check("MY_KAFKA_X", None);
    }
}
