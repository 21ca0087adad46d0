//! Redpanda's cluster properties and the broker settings that they stand for.

use super::yaml::Node;

/// Properties with the same values as a setting of the broker.
const SAME: &[(&str, &str)] = &[
    ("auto_create_topics_enabled", "auto.create.topics.enable"),
    ("default_topic_partitions", "num.partitions"),
    ("default_topic_replications", "default.replication.factor"),
    ("delete_retention_ms", "log.retention.ms"),
    ("fetch_max_bytes", "fetch.max.bytes"),
    ("group_initial_rebalance_delay", "group.initial.rebalance.delay.ms"),
    ("group_max_session_timeout_ms", "group.max.session.timeout.ms"),
    ("group_min_session_timeout_ms", "group.min.session.timeout.ms"),
    ("group_topic_partitions", "offsets.topic.num.partitions"),
    ("kafka_batch_max_bytes", "message.max.bytes"),
    ("kafka_connections_max", "max.connections"),
    ("kafka_connections_max_per_ip", "max.connections.per.ip"),
    ("log_cleanup_policy", "log.cleanup.policy"),
    ("log_compression_type", "compression.type"),
    ("log_message_timestamp_type", "log.message.timestamp.type"),
    ("log_retention_ms", "log.retention.ms"),
    ("log_segment_ms", "log.roll.ms"),
    ("log_segment_size", "log.segment.bytes"),
    ("node_id", "node.id"),
    ("rack", "broker.rack"),
    ("retention_bytes", "log.retention.bytes"),
    ("transaction_coordinator_partitions", "transaction.state.log.num.partitions"),
    ("transaction_max_timeout_ms", "transaction.max.timeout.ms"),
    ("transactional_id_expiration_ms", "transactional.id.expiration.ms"),
];

/// Properties that `settings` reads itself.
const READ: &[&str] = &[
    "admin",
    "admin_api_require_auth",
    "admin_api_tls",
    "advertised_kafka_api",
    "data_directory",
    "developer_mode",
    "enable_sasl",
    "kafka_api",
    "kafka_api_tls",
    "kafka_enable_authorization",
    "kafka_mtls_principal_mapping_rules",
    "sasl_mechanisms",
    "schema_registry_enable_authorization",
    "superusers",
];

/// Properties and sections of a cluster of several nodes, or of clients inside of Redpanda: nothing is missing without
/// them.
const NEEDLESS: &[&str] = &[
    "advertised_rpc_api",
    "empty_seed_starts_cluster",
    "pandaproxy_client",
    "rpc_server",
    "rpk",
    "schema_registry_client",
    "seed_servers",
];

/// The properties of `--mode dev-container`, unless they are given.
const DEV_CONTAINER: &[(&str, &str)] =
    &[("auto_create_topics_enabled", "true"), ("group_initial_rebalance_delay", "0"), ("group_topic_partitions", "3")];
/// Redpanda's defaults that differ from the broker's.
const DEFAULTS: &[(&str, &str)] = &[("auto_create_topics_enabled", "false")];

/// The cluster properties of all files. The first of several values of a name counts.
#[derive(Debug)]
pub struct Properties<'a> {
    /// `redpanda` in redpanda.yaml, .bootstrap.yaml, and the top level of redpanda.yaml.
    sources: [&'a Node; 3],
    is_dev_container: bool,
}

impl<'a> Properties<'a> {
    pub fn new(node: &'a Node, bootstrap: &'a Node, is_dev_container: bool) -> Properties<'a> {
        Properties { sources: [node.get("redpanda"), bootstrap, node], is_dev_container }
    }

    pub fn get(&self, name: &str) -> &'a Node {
        const NULL: &Node = &Node::Null;
        self.sources.into_iter().map(|source| source.get(name)).find(|value| !value.is_null()).unwrap_or(NULL)
    }

    /// Kafka's names and the values of those that stand for a setting.
    pub fn settings(&self) -> Vec<(String, String)> {
        let default = |name| {
            let modes = self.is_dev_container.then_some(DEV_CONTAINER);
            let mut defaults = modes.into_iter().chain([DEFAULTS]).flatten();
            defaults.find(|(known, _)| *known == name).map(|(_, value)| *value)
        };
        let value = |name| self.get(name).text().or_else(|| default(name));
        SAME.iter().filter_map(|(name, kafka)| Some(((*kafka).to_owned(), value(name)?.to_owned()))).collect()
    }

    /// The given properties without effect.
    pub fn ignored(&self) -> Vec<String> {
        const SECTIONS: &[&str] = &["redpanda", "pandaproxy", "schema_registry"];
        let is_used = |name: &str| {
            READ.contains(&name)
                || NEEDLESS.contains(&name)
                || SECTIONS.contains(&name)
                || SAME.iter().any(|(known, _)| *known == name)
        };
        let names = self.sources.into_iter().flat_map(Node::entries).filter(|(_, value)| !value.is_null());
        let mut ignored: Vec<String> =
            names.map(|(name, _)| name).filter(|name| !is_used(name)).map(String::clone).collect();
        ignored.sort_unstable();
        ignored.dedup();
        ignored
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_config::{Scope, table};

    #[test]
    fn names_are_sorted_and_stand_for_settings_of_the_broker() {
        assert!(SAME.is_sorted() && READ.is_sorted() && NEEDLESS.is_sorted());
        for (name, kafka) in SAME {
            assert!(table::find(Scope::Broker, kafka).is_some(), "{name}: {kafka}");
        }
        for (name, _) in DEV_CONTAINER.iter().chain(DEFAULTS) {
            assert!(SAME.iter().any(|(known, _)| known == name), "{name}");
        }
    }

    #[test]
    fn node_file_precedes_bootstrap_file_and_mode() {
        let node = Node::parse("redpanda: {log_segment_size: 1}\ndefault_topic_partitions: 2\n").unwrap();
        let bootstrap = "log_segment_size: 3\ndefault_topic_partitions: 4\nretention_bytes: null\nsomething: 1";
        let bootstrap = Node::parse(bootstrap).unwrap();
        let properties = Properties::new(&node, &bootstrap, true);
        let expect = [
            ("auto.create.topics.enable", "true"),
            ("num.partitions", "4"),
            ("group.initial.rebalance.delay.ms", "0"),
            ("offsets.topic.num.partitions", "3"),
            ("log.segment.bytes", "1"),
        ];
        assert_eq!(properties.settings(), expect.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(properties.ignored(), ["something"]);
        let null = Node::Null;
        let defaults = Properties::new(&null, &null, false).settings();
        assert_eq!(defaults, [("auto.create.topics.enable".to_owned(), "false".to_owned())]);
    }
}
