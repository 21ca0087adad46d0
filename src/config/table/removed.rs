//! Names that old files and images still carry and that mean nothing any more.

/// Broker settings of Kafka 3.9 and before.
pub(super) const BROKER: &[&str] = &[
    "advertised.host.name",
    "advertised.port",
    "alter.config.policy.kraft.compatibility.enable",
    "auto.include.jmx.reporter",
    "broker.id.generation.enable",
    "control.plane.listener.name",
    "controlled.shutdown.max.retries",
    "controlled.shutdown.retry.backoff.ms",
    "delegation.token.master.key",
    "eligible.leader.replicas.enable",
    "group.coordinator.new.enable",
    "group.share.enable",
    "group.share.max.groups",
    "host.name",
    "inter.broker.protocol.version",
    "leader.imbalance.per.broker.percentage",
    "log.message.downconversion.enable",
    "log.message.format.version",
    "log.message.timestamp.difference.max.ms",
    "metadata.log.segment.min.bytes",
    "offsets.commit.required.acks",
    "port",
    "quota.consumer.default",
    "quota.producer.default",
    "reserved.broker.max.id",
];

/// Families of broker settings that went as a whole.
pub(super) const BROKER_PREFIXES: &[&str] = &["password.encoder.", "zookeeper."];

/// Topic settings of Kafka 3.9 and before; clients still send them with CreateTopics.
pub(super) const TOPIC: &[&str] =
    &["message.downconversion.enable", "message.format.version", "message.timestamp.difference.max.ms"];

/// Settings of Kafka's own authorizer, which its table of settings leaves out.
pub(super) const PLUGIN_SETTINGS: &[&str] = &["allow.everyone.if.no.acl.found", "super.users"];

/// How settings begin that belong to one listener's security, or to a plug-in or a vendor's additions.
pub(super) const PLUGIN_PREFIXES: &[&str] =
    &["listener.name.", "config.providers.", "confluent.", "rlmm.config.", "rsm.config."];
