//! Changes of settings.

use super::*;

fn op(name: &str, kind: OpKind, value: &str) -> ConfigOp {
    ConfigOp { name: name.to_owned(), kind, value: Some(value.to_owned()) }
}

fn ops(ops: impl Into<Vec<ConfigOp>>) -> Alteration {
    Alteration::Incremental(ops.into())
}

fn set(name: &str, value: &str) -> Alteration {
    ops([op(name, OpKind::Set, value)])
}

fn topic(name: &str) -> ConfigResource {
    ConfigResource::topic(name)
}

fn broker(name: &str) -> ConfigResource {
    ConfigResource::new(ConfigKind::Broker, name)
}

fn cluster_with_topic() -> TestCluster {
    let mut cluster = TestCluster::started();
    cluster.create_named("t", 1);
    cluster
}

fn settings(cluster: &TestCluster, resource: &ConfigResource) -> String {
    let settings = cluster.image().configs().get(resource.kind, &resource.name);
    settings.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
}

#[test]
fn incremental_alter_sets_and_unsets_settings() {
    let mut cluster = cluster_with_topic();
    cluster.alter(topic("t"), ops([op("retention.ms", OpKind::Set, "1"), op("segment.ms", OpKind::Set, "2")])).unwrap();
    assert_eq!(settings(&cluster, &topic("t")), "retention.ms=1 segment.ms=2");
    let delete = ConfigOp { name: "retention.ms".to_owned(), kind: OpKind::Delete, value: None };
    cluster.alter(topic("t"), ops([delete])).unwrap();
    assert_eq!(settings(&cluster, &topic("t")), "segment.ms=2");
}

#[test]
fn append_and_subtract_change_lists_only() {
    let mut cluster = cluster_with_topic();
    let mut change = |kind, value: &str| {
        cluster.alter(topic("t"), ops([op("cleanup.policy", kind, value)])).unwrap();
        settings(&cluster, &topic("t"))
    };
    // An unset list starts with its default.
    assert_eq!(change(OpKind::Append, "compact"), "cleanup.policy=delete,compact");
    assert_eq!(change(OpKind::Append, "compact"), "cleanup.policy=delete,compact");
    assert_eq!(change(OpKind::Subtract, "delete"), "cleanup.policy=compact");
    assert_eq!(kind(cluster.alter(topic("t"), ops([op("retention.ms", OpKind::Append, "1")]))), "InvalidConfig");
}

#[test]
fn schema_validation_is_refused_without_a_schema_registry_and_stays_where_it_is_set() {
    let validation = ("confluent.value.schema.validation", "true");
    let registry = vec![("ottla.registry.listener".to_owned(), "0".to_owned())];
    let sources = ottla_config::Sources { command_line: registry, ..Default::default() };
    let broker = Arc::new(ottla_config::load(&sources).unwrap().config);
    let mut with = TestCluster::with(MetadataConfig { broker, ..config() }).start();
    with.create_named("t", 1);
    with.alter(topic("t"), set(validation.0, validation.1)).unwrap();
    let mut without = TestCluster { machine: MetadataMachine::new(config()), log: Vec::new(), ids_drawn: 100 };
    without.write(&snapshot_records(with.image()));
    without.alter(topic("t"), set("retention.ms", "1")).unwrap();
    without.alter(topic("t"), set(validation.0, validation.1)).unwrap();
    without.create_named("u", 1);
    let refused = without.alter(topic("u"), set(validation.0, validation.1)).unwrap_err();
    assert!(refused.to_string().contains("needs a schema registry"), "{refused}");
    let configs = vec![("confluent.key.schema.validation".to_owned(), Some("true".to_owned()))];
    let topic = NewTopic { configs, ..without.topic("v") };
    assert_eq!(kind(without.create(topic)), "InvalidConfig");
}

#[test]
fn unchanged_setting_writes_no_record() {
    let mut cluster = cluster_with_topic();
    cluster.alter(topic("t"), set("retention.ms", "1")).unwrap();
    let written = cluster.log.len();
    cluster.alter(topic("t"), set("retention.ms", "1")).unwrap();
    assert_eq!(cluster.log.len(), written);
}

#[test]
fn alter_configs_unsets_settings_that_are_not_given() {
    let mut cluster = cluster_with_topic();
    cluster.alter(topic("t"), ops([op("retention.ms", OpKind::Set, "1"), op("segment.ms", OpKind::Set, "2")])).unwrap();
    let replace = Alteration::Replace(vec![("segment.ms".to_owned(), Some("3".to_owned()))]);
    cluster.alter(topic("t"), replace).unwrap();
    assert_eq!(settings(&cluster, &topic("t")), "segment.ms=3");
    cluster.alter(topic("t"), Alteration::Replace(Vec::new())).unwrap();
    assert_eq!(settings(&cluster, &topic("t")), "");
}

#[test]
fn invalid_setting_rejects_the_whole_resource() {
    let mut cluster = cluster_with_topic();
    let both = [op("retention.ms", OpKind::Set, "1"), op("segment.ms", OpKind::Set, "soon")];
    assert_eq!(kind(cluster.alter(topic("t"), ops(both))), "InvalidConfig");
    assert_eq!(settings(&cluster, &topic("t")), "");
}

#[test]
fn invalid_config_changes_are_rejected() {
    let mut cluster = cluster_with_topic();
    let mut refusal = |resource, how| kind(cluster.alter(resource, how));
    assert_eq!(refusal(topic("none"), set("retention.ms", "1")), "UnknownTopic");
    assert_eq!(refusal(topic(""), set("retention.ms", "1")), "InvalidRequest");
    assert_eq!(refusal(topic("a b"), set("retention.ms", "1")), "InvalidTopic");
    assert_eq!(refusal(topic("t"), set("no.such", "1")), "InvalidConfig");
    let twice = [op("retention.ms", OpKind::Set, "1"), op("retention.ms", OpKind::Set, "2")];
    assert_eq!(refusal(topic("t"), ops(twice)), "InvalidRequest");
    let null = ConfigOp { name: "retention.ms".to_owned(), kind: OpKind::Set, value: None };
    assert_eq!(refusal(topic("t"), ops([null])), "InvalidRequest");
    assert_eq!(refusal(topic("t"), Alteration::Replace(vec![("retention.ms".to_owned(), None)])), "InvalidRequest");
    assert_eq!(
        refusal(ConfigResource::new(ConfigKind::Group, ""), set("consumer.session.timeout.ms", "1")),
        "InvalidRequest"
    );
    assert_eq!(refusal(ConfigResource::new(ConfigKind::Group, "g"), set("no.such", "1")), "InvalidConfig");
    assert_eq!(
        refusal(ConfigResource::new(ConfigKind::ClientMetrics, ""), set("interval.ms", "100")),
        "InvalidRequest"
    );
}

/// As Apache Kafka 4.3.1 answers.
#[test]
fn invalid_client_metrics_settings_are_rejected() {
    let mut cluster = TestCluster::started();
    let mut answer = |name: &str, value: &str| match cluster
        .alter(ConfigResource::new(ConfigKind::ClientMetrics, "m"), set(name, value))
    {
        Ok(()) => "ok".to_owned(),
        refused => kind(refused),
    };
    assert_eq!(answer("no.such", "1"), "InvalidRequest");
    assert_eq!(answer("interval.ms", "1"), "InvalidRequest");
    assert_eq!(answer("match", "xx"), "InvalidConfig");
    assert_eq!(answer("match", "client_id=a.*,client_source_port=9092"), "ok");
}

#[test]
fn duplicate_resource_is_rejected_with_a_result_for_each() {
    let mut cluster = cluster_with_topic();
    let change = ConfigChange { resource: topic("t"), how: set("retention.ms", "1") };
    let request = AlterConfigs { changes: vec![change.clone(), change], validate_only: false };
    let MetadataReply::AlterConfigs(results) = cluster.run(MetadataCommand::AlterConfigs(request)) else { panic!() };
    assert_eq!(results.len(), 2);
    assert!(results.into_iter().all(|(_, result)| kind(result) == "InvalidRequest"));
}

#[test]
fn validate_only_changes_no_settings() {
    let mut cluster = cluster_with_topic();
    let changes = vec![ConfigChange { resource: topic("t"), how: set("retention.ms", "1") }];
    let MetadataReply::AlterConfigs(results) =
        cluster.run(MetadataCommand::AlterConfigs(AlterConfigs { changes, validate_only: true }))
    else {
        panic!()
    };
    assert_eq!((&results[0].1, settings(&cluster, &topic("t")).as_str()), (&Ok(()), ""));
}

#[test]
fn broker_settings_are_stored_per_broker_and_as_default() {
    let mut cluster = TestCluster::started();
    cluster.alter(broker(""), set("log.cleaner.threads", "2")).unwrap();
    cluster.alter(broker("1"), set("log.retention.ms", "1000")).unwrap();
    assert_eq!(cluster.image().default_broker_configs()["log.cleaner.threads"], "2");
    assert_eq!(cluster.image().broker_configs(NODE)["log.retention.ms"], "1000");
    assert!(cluster.image().broker_configs(2).is_empty());
}

/// As Apache Kafka 4.3.1 answers.
#[test]
fn invalid_broker_settings_are_rejected() {
    let mut cluster = TestCluster::started();
    let mut answer = |name: &str, setting: &str, value: &str| match cluster.alter(broker(name), set(setting, value)) {
        Ok(()) => "ok".to_owned(),
        refused => kind(refused),
    };
    assert_eq!(answer("", "from.a.plug-in", "x"), "ok");
    assert_eq!(answer("1", "zookeeper.connect", "x"), "ok");
    assert_eq!(answer("", "node.id", "5"), "InvalidRequest");
    assert_eq!(answer("", "log.retention.ms", "abc"), "InvalidRequest");
    assert_eq!(answer("", "listeners", "PLAINTEXT://:1"), "InvalidRequest");
    assert_eq!(answer("", "ssl.keystore.type", "JKS"), "InvalidRequest");
    assert_eq!(answer("1", "ssl.keystore.type", "JKS"), "InvalidRequest");
    assert_eq!(answer("1", "listener.name.plaintext.ssl.keystore.type", "JKS"), "ok");
    assert_eq!(answer("7", "log.retention.ms", "1000"), "InvalidRequest");
    assert_eq!(answer("seven", "log.retention.ms", "1000"), "InvalidRequest");
}

/// As Apache Kafka 4.3.1 answers.
#[test]
fn principal_builder_other_than_kafkas_is_rejected_at_runtime() {
    let mut cluster = TestCluster::started();
    let why = "Invalid value com.example.X for configuration principal.builder.class: Class com.example.X could not be \
               found.";
    for name in ["principal.builder.class", "listener.name.sasl_plaintext.principal.builder.class"] {
        let refused = cluster.alter(broker("1"), set(name, "com.example.X"));
        assert_eq!(refused, Err(MetadataError::InvalidRequest(why.to_owned())), "{name}");
        let kafkas = "org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder";
        cluster.alter(broker("1"), set(name, kafkas)).unwrap();
    }
}

#[test]
fn settings_of_groups_and_subscriptions_are_stored_and_removed() {
    let mut cluster = TestCluster::started();
    let group = ConfigResource::new(ConfigKind::Group, "g");
    cluster.alter(group.clone(), set("consumer.session.timeout.ms", "50000")).unwrap();
    cluster.alter(ConfigResource::new(ConfigKind::ClientMetrics, "m"), set("interval.ms", "1000")).unwrap();
    assert_eq!(cluster.image().group_configs("g")["consumer.session.timeout.ms"], "50000");
    assert_eq!(cluster.image().configs().names(ConfigKind::ClientMetrics), ["m".into()] as [std::sync::Arc<str>; 1]);
    cluster.alter(group, Alteration::Replace(Vec::new())).unwrap();
    assert!(cluster.image().configs().names(ConfigKind::Group).is_empty());
}
