//! Settings without effect that old files and images still contain.

/// Broker settings of Kafka 3.9 and before, back to 0.7.
pub(super) const BROKER: &[&str] = &[
    "advertised.host.name",
    "advertised.port",
    "alter.config.policy.kraft.compatibility.enable",
    "auto.include.jmx.reporter",
    "broker.id.generation.enable",
    "brokerid",
    "control.plane.listener.name",
    "controlled.shutdown.max.retries",
    "controlled.shutdown.retry.backoff.ms",
    "controller.message.queue.size",
    "delegation.token.master.key",
    "eligible.leader.replicas.enable",
    "enable.zookeeper",
    "follower.replication.throttled.rate",
    "group.coordinator.new.enable",
    "group.share.enable",
    "group.share.max.groups",
    "host.name",
    "hostname",
    "inter.broker.protocol.version",
    "leader.imbalance.per.broker.percentage",
    "leader.replication.throttled.rate",
    "log.cleanup.interval.mins",
    "log.default.flush.interval.ms",
    "log.default.flush.scheduler.interval.ms",
    "log.delete.delay.ms",
    "log.file.size",
    "log.flush.interval",
    "log.flush.interval.ms.per.topic",
    "log.message.downconversion.enable",
    "log.message.format.version",
    "log.message.timestamp.difference.max.ms",
    "log.retention.bytes.per.topic",
    "log.retention.hours.per.topic",
    "log.retention.size",
    "log.roll.hours.per.topic",
    "log.segment.bytes.per.topic",
    "max.id.map.snapshots",
    "max.message.size",
    "max.socket.request.bytes",
    "max.topic.name.length",
    "metadata.log.segment.min.bytes",
    "monitoring.period.secs",
    "num.threads",
    "offsets.commit.required.acks",
    "port",
    "quota.consumer.default",
    "quota.producer.default",
    "replica.alter.log.dirs.io.max.bytes.per.second",
    "replica.lag.max.messages",
    "reserved.broker.max.id",
    "socket.receive.buffer",
    "socket.send.buffer",
    "topic.flush.intervals.ms",
    "topic.log.file.size",
    "topic.log.retention.hours",
    "topic.log.retention.size",
    "topic.log.roll.hours",
    "topic.partition.count.map",
    "unstable.metadata.versions.enable",
];

/// Prefixes of removed broker settings.
pub(super) const BROKER_PREFIXES: &[&str] = &["kafka.csv.metrics.", "password.encoder.", "zk.", "zookeeper."];

/// Topic settings of Kafka 3.9 and before; clients still send them with CreateTopics.
pub(super) const TOPIC: &[&str] =
    &["message.downconversion.enable", "message.format.version", "message.timestamp.difference.max.ms"];

/// Settings of Kafka's own authorizer, which are not in Kafka's table of settings.
pub(super) const PLUGIN_SETTINGS: &[&str] = &["allow.everyone.if.no.acl.found", "super.users"];

/// Prefixes of settings of one listener's security, of plug-ins and of vendors' additions. The metrics settings belong to
/// reporters of old distributions.
pub(super) const PLUGIN_PREFIXES: &[&str] = &[
    "authorizer.zookeeper.",
    "confluent.",
    "config.providers.",
    "kafka.ganglia.metrics.",
    "kafka.graphite.metrics.",
    "kafka.http.metrics.",
    "kafka.timeline.metrics.",
    "listener.name.",
    "remote.log.metadata.consume.",
    "remote.log.metadata.initialization.",
    "remote.log.metadata.topic.",
    "rlmm.config.",
    "rsm.config.",
];
