use std::collections::BTreeSet;

use super::super::setting::Effect;
use super::super::table::{self, Scope, synonyms};
use super::super::values::Source;
use super::*;

fn resolve(pairs: &[(&str, &str)]) -> Result<Resolved, String> {
    let mut values = Values::default();
    for (name, value) in pairs {
        values.set_static(name, value, Source::CommandLine);
    }
    BrokerConfig::resolve(values)
}

fn config(pairs: &[(&str, &str)]) -> BrokerConfig {
    resolve(pairs).unwrap().config
}

fn check_error(pairs: &[(&str, &str)], expect: &str) {
    assert_eq!(resolve(pairs).unwrap_err(), expect);
}

/// Settings that are read without a typed field.
const UNTYPED: &[&str] = &[
    "authorizer.class.name",
    "ottla.admin.allowed.hosts",
    "ottla.admin.listener",
    "listeners",
    "advertised.listeners",
    "listener.security.protocol.map",
    "controller.listener.names",
    "log.dir",
    "log.dirs",
    "metadata.log.dir",
    "node.id",
    "broker.id",
    "broker.rack",
    "max.connections.per.ip.overrides",
    "transaction.two.phase.commit.enable",
    // By `metrics`.
    "ottla.metrics.allowed.hosts",
    "ottla.metrics.listener",
    "ottla.metrics.max.series",
    "ottla.metrics.token",
    // By `otlp`.
    "ottla.otlp.endpoint",
    "ottla.otlp.headers",
    "ottla.otlp.traces.enable",
    // By `secure` and `admin`.
    "ottla.admin.scram.users",
    "ottla.admin.ssl.key.password",
    "ottla.admin.ssl.keystore.certificate.chain",
    "ottla.admin.ssl.keystore.key",
    "ottla.admin.ssl.keystore.location",
    "ottla.admin.ssl.keystore.password",
    "ottla.admin.ssl.keystore.type",
    "ottla.admin.token",
    "ottla.console.enable",
    "ottla.console.principal",
    // By `registry`.
    "ottla.registry.allowed.hosts",
    "ottla.registry.compatibility.level",
    "ottla.registry.listener",
    "ottla.registry.mode.mutability",
    "ottla.registry.optional.port",
    "ottla.registry.scram.users",
    "ottla.registry.ssl.key.password",
    "ottla.registry.ssl.keystore.certificate.chain",
    "ottla.registry.ssl.keystore.key",
    "ottla.registry.ssl.keystore.location",
    "ottla.registry.ssl.keystore.password",
    "ottla.registry.ssl.keystore.type",
    "ottla.registry.topic",
    "ottla.registry.users",
    // By `rest_proxy`.
    "ottla.rest.proxy.allowed.hosts",
    "ottla.rest.proxy.listener",
    "ottla.rest.proxy.scram.users",
    "ottla.rest.proxy.ssl.key.password",
    "ottla.rest.proxy.ssl.keystore.certificate.chain",
    "ottla.rest.proxy.ssl.keystore.key",
    "ottla.rest.proxy.ssl.keystore.location",
    "ottla.rest.proxy.ssl.keystore.password",
    "ottla.rest.proxy.ssl.keystore.type",
    "ottla.oidc.issuer.enable",
    "ottla.oidc.token.lifetime.seconds",
    "ottla.secure",
    "ottla.secure.dir",
    "ottla.secure.hosts",
    "ottla.trace.ring.bytes",
    "ottla.users",
    // For each listener.
    "connections.max.reauth.ms",
    "ottla.jaas.file",
    "sasl.enabled.mechanisms",
    "sasl.jaas.config",
    "sasl.oauthbearer.allow.unverified.audience",
    "sasl.oauthbearer.allow.unverified.issuer",
    "sasl.oauthbearer.clock.skew.seconds",
    "sasl.oauthbearer.expected.audience",
    "sasl.oauthbearer.expected.issuer",
    "sasl.oauthbearer.jwks.endpoint.refresh.ms",
    "sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms",
    "sasl.oauthbearer.jwks.endpoint.retry.backoff.ms",
    "sasl.oauthbearer.jwks.endpoint.url",
    "sasl.oauthbearer.jwt.validator.class",
    "sasl.oauthbearer.scope.claim.name",
    "sasl.oauthbearer.sub.claim.name",
    "sasl.server.callback.handler.class",
    "ssl.allow.dn.changes",
    "ssl.allow.san.changes",
    "ssl.cipher.suites",
    "ssl.client.auth",
    "ssl.enabled.protocols",
    "ssl.engine.factory.class",
    "ssl.key.password",
    "ssl.keystore.certificate.chain",
    "ssl.keystore.key",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.keystore.type",
    "ssl.principal.mapping.rules",
    "ssl.protocol",
    "ssl.truststore.certificates",
    "ssl.truststore.location",
    "ssl.truststore.password",
    "ssl.truststore.type",
];

#[test]
fn every_implemented_setting_is_read() {
    let typed = [
        AnnouncementConfig::NAMES,
        LoggingConfig::NAMES,
        NetworkConfig::NAMES,
        FetchConfig::NAMES,
        TopicsConfig::NAMES,
        StorageConfig::NAMES,
        CleanerConfig::NAMES,
        GroupsConfig::NAMES,
        TransactionsConfig::NAMES,
        QuotasConfig::NAMES,
        TokensConfig::NAMES,
        ClientMetricsConfig::NAMES,
    ];
    let in_effect = |scope| table::all(scope).filter(|setting| setting.effect == Effect::Implemented);
    let by_topics = in_effect(Scope::Topic).flat_map(|setting| synonyms::of_topic(setting.name)).map(|s| s.name);
    let read: BTreeSet<_> = typed.concat().into_iter().chain(UNTYPED.iter().copied()).chain(by_topics).collect();
    let implemented: BTreeSet<_> = in_effect(Scope::Broker).map(|setting| setting.name).collect();
    assert_eq!(implemented.symmetric_difference(&read).collect::<Vec<_>>(), Vec::<&&str>::new());
}

#[test]
fn defaults_have_the_types_of_their_fields() {
    let values = Values::default();
    let text = |name| values.text(name);
    let invalid_fields = [
        AnnouncementConfig::invalid_fields(text),
        LoggingConfig::invalid_fields(text),
        NetworkConfig::invalid_fields(text),
        FetchConfig::invalid_fields(text),
        TopicsConfig::invalid_fields(text),
        StorageConfig::invalid_fields(text),
        CleanerConfig::invalid_fields(text),
        GroupsConfig::invalid_fields(text),
        TransactionsConfig::invalid_fields(text),
        QuotasConfig::invalid_fields(text),
        TokensConfig::invalid_fields(text),
        ClientMetricsConfig::invalid_fields(text),
    ];
    assert_eq!(invalid_fields.concat(), Vec::<&str>::new());
}

#[test]
fn unconfigured_broker_has_the_defaults() {
    let config = BrokerConfig::default();
    assert_eq!(config, resolve(&[]).unwrap().config);
    assert_eq!(config.log_dirs, [PathBuf::from("./ottla-data")]);
    assert_eq!(config.node_id, 1);
    assert_eq!(config.listeners.len(), 1);
    assert_eq!(config.groups.initial_rebalance_delay_ms, 0);
    assert_eq!(config.network.socket_request_max_bytes, 100 << 20);
    assert_eq!(config.topics.replication_factor_policy, ReplicationFactorPolicy::Clamp);
    assert!(config.topics.auto_create_topics_enable);
}

#[test]
fn log_dirs_take_precedence_over_log_dir() {
    let dirs = |pairs: &[(&str, &str)]| config(pairs).log_dirs;
    assert_eq!(dirs(&[("log.dir", "/a")]), [PathBuf::from("/a")]);
    assert_eq!(dirs(&[("log.dir", "/a"), ("log.dirs", "/b")]), [PathBuf::from("/b")]);
    assert_eq!(dirs(&[("log.dirs", "/b, /c,/b")]), ["/b", "/c"].map(PathBuf::from));
    let metadata = |pairs: &[(&str, &str)]| config(pairs).metadata_log_dir;
    assert_eq!(metadata(&[("metadata.log.dir", "/m")]), Some(PathBuf::from("/m")));
    assert_eq!(metadata(&[]), None);
}

#[test]
fn node_id_is_read_from_either_name() {
    assert_eq!(config(&[("node.id", "7")]).node_id, 7);
    assert_eq!(config(&[("broker.id", "0")]).node_id, 0);
    assert_eq!(config(&[("broker.id", "-1")]).node_id, 1);
    let differ = [("node.id", "1"), ("broker.id", "2")];
    check_error(&differ, "node.id=1 and broker.id=2 conflict; remove one of them");
}

#[test]
fn connection_overrides_are_parsed() {
    let config = config(&[("max.connections.per.ip.overrides", "10.0.0.1:5, host:0,[::1]:7,")]);
    let expect = [("10.0.0.1", 5), ("host", 0), ("::1", 7)].map(|(host, count)| (host.to_owned(), count));
    assert_eq!(config.max_connections_per_ip_overrides, expect);
}

#[test]
fn minimum_session_timeout_above_maximum_is_rejected() {
    let pairs = [("group.min.session.timeout.ms", "10"), ("group.max.session.timeout.ms", "9")];
    check_error(&pairs, "group.min.session.timeout.ms=10 is more than group.max.session.timeout.ms=9");
}

#[test]
fn two_phase_commit_is_rejected() {
    let refused = "transaction.two.phase.commit.enable=true: two-phase commit is not supported yet";
    check_error(&[("transaction.two.phase.commit.enable", "true")], refused);
    config(&[("transaction.two.phase.commit.enable", "false")]);
}

#[test]
fn retention_time_of_zero_is_rejected() {
    let refused = "log.retention.ms must be unlimited (-1) or, greater than or equal to 1";
    check_error(&[("log.retention.ms", "0")], refused);
    check_error(&[("log.retention.minutes", "0"), ("log.retention.hours", "5")], refused);
    config(&[("log.retention.ms", "1"), ("log.retention.hours", "0")]);
    config(&[("log.retention.ms", "-1")]);
}

#[test]
fn dynamic_value_of_the_broker_overrides_the_default_of_the_cluster_and_the_static_value() {
    let map = |value: &str| BTreeMap::from([("message.max.bytes".to_owned(), value.to_owned())]);
    let base = config(&[("message.max.bytes", "1")]);
    let limit = |config: &BrokerConfig| super::super::TopicConfig::resolve(config, &BTreeMap::new()).max_message_bytes;
    assert_eq!(limit(&base), 1);
    assert_eq!(limit(&base.with_dynamic(&map("2"), &BTreeMap::new())), 2);
    assert_eq!(limit(&base.with_dynamic(&map("2"), &map("3"))), 3);
    assert_eq!(limit(&base.with_dynamic(&map("2"), &map("x"))), 2);
}

#[test]
fn clamped_replication_factor_is_reported() {
    let notices = |pairs: &[(&str, &str)]| resolve(pairs).unwrap().notices;
    let three = ("default.replication.factor", "3");
    assert_eq!(notices(&[three]), ["default.replication.factor=3: there is one broker, so topics get one replica"]);
    assert_eq!(notices(&[three, ("ottla.replication.factor.policy", "strict")]), Vec::<String>::new());
}

#[test]
fn advertised_listeners_may_change_at_runtime() {
    let listeners = "A://:1,B://:2";
    let map = "A:PLAINTEXT,B:PLAINTEXT";
    let config = config(&[("listeners", listeners), ("listener.security.protocol.map", map)]);
    let set = BTreeMap::from([("advertised.listeners".to_owned(), "B://elsewhere:7,C://nowhere:8".to_owned())]);
    let changed = config.with_dynamic(&BTreeMap::new(), &set);
    assert_eq!(changed.listeners[0], config.listeners[0]);
    let advertised = &changed.listeners[1].advertised;
    assert_eq!((advertised.host.as_deref(), advertised.port), (Some("elsewhere"), Some(7)));
    assert_eq!(changed.with_dynamic(&BTreeMap::new(), &BTreeMap::new()).listeners[1], config.listeners[1]);
}
