//! Names of pushed metrics and labels in Prometheus.

use ottla_metrics::Kind;

/// Kafka's metrics keep their names.
const KAFKAS_PREFIX: &str = "org_apache_kafka_";
/// Others get this prefix, so that no client can push a metric of the broker.
const OTHERS_PREFIX: &str = "client_";

/// The name of a metric, without the ending of counters: `org.apache.kafka.producer.record.send.total` is
/// `org_apache_kafka_producer_record_send`.
pub fn metric_name(name: &str, kind: Kind) -> String {
    let name = sanitized(name);
    let name = match name.starts_with(KAFKAS_PREFIX) {
        true => name,
        false => format!("{OTHERS_PREFIX}{name}"),
    };
    match (kind, name.strip_suffix("_total")) {
        (Kind::Counter, Some(short)) => short.to_owned(),
        _ => name,
    }
}

/// The name of a label; `None` if it is empty.
pub fn label_name(name: &str) -> Option<String> {
    let sanitized = sanitized(name);
    match sanitized.as_bytes() {
        [] => None,
        // Prometheus keeps names with two underscores for itself, and none begins with a digit.
        [b'_', b'_', ..] | [b'0'..=b'9', ..] => Some(format!("label_{sanitized}")),
        _ => Some(sanitized),
    }
}

fn sanitized(name: &str) -> String {
    name.chars().map(|char| if char.is_ascii_alphanumeric() { char } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_of_kafka_keep_their_names_and_others_get_a_prefix() {
        let check = |name: &str, kind, expect: &str| assert_eq!(metric_name(name, kind), expect);
        check("org.apache.kafka.producer.record.send.total", Kind::Counter, "org_apache_kafka_producer_record_send");
        check("org.apache.kafka.consumer.fetch-manager.x", Kind::Gauge, "org_apache_kafka_consumer_fetch_manager_x");
        check("org.apache.kafka.x.total", Kind::Gauge, "org_apache_kafka_x_total");
        check(
            "kafka_server_brokertopicmetrics_messagesin",
            Kind::Counter,
            "client_kafka_server_brokertopicmetrics_messagesin",
        );
        check("ä\n{}", Kind::Gauge, "client_____");
    }

    #[test]
    fn labels_have_names_that_prometheus_accepts() {
        let check = |name: &str, expect: Option<&str>| assert_eq!(label_name(name).as_deref(), expect);
        check("node.id", Some("node_id"));
        check("", None);
        check("__name__", Some("label___name__"));
        check("1a", Some("label_1a"));
    }
}
