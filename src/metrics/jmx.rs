//! The names of Kafka's MBeans in Prometheus.
//!
//! Boards and alerts for Kafka query the names that jmx_exporter gives with its example configuration `kafka-2_0_0.yml`.
//! There, the rule for quotas of a client id also matches those of a user and a client id, with `Produce, user=NAME` as the
//! resource; here they have the labels of the rule that is meant for them.
//!
//! Attributes for which the example has no rule get the name that jmx_exporter gives without rules, in lower case.

/// A metric's name and its labels, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JmxName {
    pub name: String,
    pub labels: Vec<(String, String)>,
}

/// An MBean's name in its parts, and an attribute.
struct Bean<'a> {
    domain: &'a str,
    properties: Vec<(&'a str, &'a str)>,
    attribute: &'a str,
}

/// The name and the labels of an attribute. The quantiles of a histogram have the name of its `Count` without `_count`.
pub fn exposed(mbean: &str, attribute: &str) -> JmxName {
    let (domain, properties) = mbean.split_once(':').unwrap_or((mbean, ""));
    let properties = properties.split(',').map(|property| property.split_once('=').unwrap_or((property, ""))).collect();
    let bean = Bean { domain, properties, attribute };
    let (name, labels) = bean.by_rule().unwrap_or_else(|| bean.without_rule());
    let labels = labels.into_iter().map(|(name, value)| (safe(&name), value)).collect();
    JmxName { name: safe(&name).to_lowercase(), labels }
}

type Named = (String, Vec<(String, String)>);

impl Bean<'_> {
    /// The name by the rules of the example configuration, in their order.
    fn by_rule(&self) -> Option<Named> {
        let keys: Vec<&str> = self.properties.iter().map(|(key, _)| *key).collect();
        let value = |at: usize| self.properties.get(at).map_or("", |(_, value)| value);
        let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let is_server = self.domain == "kafka.server";
        let is_value = self.attribute == "Value";
        match &keys[..] {
            ["type", "name", "clientId", "brokerHost", "brokerPort"] if is_server && is_value => {
                let broker = format!("{}:{}", value(3), value(4));
                let labels = vec![label("clientId", value(2)), label("broker", &broker)];
                return Some((format!("kafka_server_{}_{}", value(0), value(1)), labels));
            }
            ["type", "name", "clientId", "topic", "partition"] if is_server && is_value => {
                return Some((format!("kafka_server_{}_{}", value(0), value(1)), self.labels(2)));
            }
            ["type", "client-id"] if is_server && is_attribute_of_quotas(self.attribute) => {
                let labels = vec![label("resource", value(0)), label("clientId", value(1))];
                return Some((format!("kafka_server_quota_{}", self.attribute), labels));
            }
            ["type", "user", "client-id"] if is_server && is_attribute_of_quotas(self.attribute) => {
                let labels = vec![label("resource", value(0)), label("user", value(1)), label("clientId", value(2))];
                return Some((format!("kafka_server_quota_{}", self.attribute), labels));
            }
            ["type", "name", rest @ ..] if rest.len() <= 2 => {}
            _ => return None,
        }
        if let Some(coordinator) = self.domain.strip_prefix("kafka.coordinator.") {
            let is_rule = is_value && is_word(coordinator) && keys.len() == 2;
            return is_rule.then(|| (format!("kafka_coordinator_{coordinator}_{}_{}", value(0), value(1)), Vec::new()));
        }
        let domain = self.domain.strip_prefix("kafka.").filter(|domain| is_word(domain))?;
        let named =
            |name: &str, ending: &str| Some((format!("kafka_{domain}_{}_{name}{ending}", value(0)), self.labels(2)));
        match (self.attribute, value(1).rsplit_once("PerSec")) {
            ("Count", Some((name, rest))) if !name.is_empty() && (rest.is_empty() || is_word(rest)) => {
                named(name, "_total")
            }
            ("Count", _) => named(value(1), "_count"),
            ("Value", _) => named(value(1), ""),
            (attribute, _) => {
                let digits = attribute.strip_suffix("thPercentile")?;
                let (name, mut labels) = named(value(1), "")?;
                labels.push(label("quantile", &format!("0.{digits}")));
                Some((name, labels))
            }
        }
    }

    fn without_rule(&self) -> Named {
        let first = self.properties.first().map_or("", |(_, value)| value);
        (format!("{}_{first}_{}", self.domain, self.attribute), self.labels(1))
    }

    /// The properties from an index on, as labels.
    fn labels(&self, from: usize) -> Vec<(String, String)> {
        self.properties.iter().skip(from).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn is_attribute_of_quotas(attribute: &str) -> bool {
    !attribute.is_empty() && attribute.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
}

/// The text with each run of characters that names cannot have, and of underscores, as one underscore.
fn safe(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for char in text.chars() {
        let char = if char.is_ascii_alphanumeric() || char == ':' { char } else { '_' };
        if char != '_' || !safe.ends_with('_') {
            safe.push(char);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test data has MBeans that a real broker had, with the names by the regular expressions of the configuration.
    #[test]
    fn names_of_kafkas_mbeans_are_those_of_jmx_exporter() {
        let table = include_str!("../../tests/data/kafka-jmx-names.tsv");
        let mut checked = 0;
        for line in table.lines().filter(|line| !line.starts_with('#')) {
            let [mbean, attribute, expected, _] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
            let JmxName { name, labels } = exposed(mbean, attribute);
            let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
            let shown = if labels.is_empty() { name } else { format!("{name}{{{}}}", labels.join(",")) };
            assert_eq!(shown, expected, "{mbean} {attribute}");
            checked += 1;
        }
        assert!(checked > 500, "{checked}");
    }

    #[test]
    fn values_in_braces_stay_as_they_are() {
        let JmxName { name, labels } = exposed("kafka.server:type={resource},client-id={client}", "throttle-time");
        assert_eq!(name, "kafka_server_quota_throttle_time");
        let labels: Vec<(&str, &str)> = labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(labels, [("resource", "{resource}"), ("clientId", "{client}")]);
    }
}
