//! Settings that only Ottla has.

use super::settings;

settings! {
    pub(super) const OTTLA:
    "ottla.admin.allowed.hosts",       List,    "",      Any,                          ReadOnly,    Implemented, "Host names that the admin port accepts in requests, in addition to localhost, IP addresses and this machine's own name.";
    "ottla.admin.listener",            String,  null,    Any,                          ReadOnly,    Implemented, "Where the admin port (/health, /ready, /reset) listens: host:port, or a port on localhost; 0 chooses a free port. Unset, the admin port is off. --admin-port sets it.";
    "ottla.advertised.localhost.rewrite", Boolean, "true", Any,                        ReadOnly,    Implemented, "If a listener advertises a local address (localhost, 127.0.0.1, ::1), a client on another machine or in a container gets the address at which it reached the broker instead, because localhost would mean the client itself.";
    "ottla.cluster.id",                String,  null,    NonEmpty,                      ReadOnly,    Implemented, "The cluster id of a new data directory; random if unset. An existing directory keeps its id. CLUSTER_ID sets it.";
    "ottla.create.topics",             List,    "",      StartTopics,                   ReadOnly,    Implemented, "Topics to create at start, before the broker is ready: NAME, or NAME:PARTITIONS:REPLICATION-FACTOR:CLEANUP-POLICY where the last parts may be missing or empty. Existing topics are not changed. --create-topic and KAFKA_CREATE_TOPICS set it.";
    "ottla.ephemeral",                 Boolean, "false", Any,                          ReadOnly,    Implemented, "Data does not have to outlive the process: nothing is synced to disk. --ephemeral sets it.";
    "ottla.group.disconnected.member.timeout.ms", Int, "-1", AtLeast(-1), ReadOnly, Implemented, "How long a member of a classic group stays in the group after its last connection closed, unless it reconnects. So a killed consumer does not keep its partitions until its session expires. -1: connections don't matter, as in Kafka. Static members always stay until their session expires.";
    "ottla.jaas.file",                 String,  null,    NonEmpty,                      ReadOnly,    Implemented, "A JAAS file with the login modules of SASL listeners, as -Djava.security.auth.login.config in the environment variable KAFKA_OPTS. Settings named sasl.jaas.config have precedence.";
    "ottla.log.format",                String,  "text",  OneOf(&["text", "json"]),     ReadOnly,    Implemented, "The format of log lines on stderr: text, or one JSON object per line. --log-format sets it. An embedded broker uses the logging of its program.";
    "ottla.log.level",                 String,  "info",  NonEmpty,                     ReadOnly,    Implemented, "The log level: off, error, warn, info, debug or trace, and LOGGER=LEVEL for single loggers, separated by commas (info,ottla.server=debug). --log-level sets it; RUST_LOG, which has the same format, takes precedence over a file. An embedded broker uses the logging of its program.";
    "ottla.ready.lines",               Boolean, "false", Any,                          ReadOnly,    Implemented, "When ready, write the lines to stdout by which test libraries recognize Kafka: Transitioning from RECOVERY to RUNNING, [KafkaServer id=N] started, Kafka Server started. The container image sets it.";
    "ottla.replication.factor.policy", String,  "clamp", OneOf(&["clamp", "strict"]), ReadOnly, Implemented, "How a topic with a replication factor of more than 1 is handled: clamp creates one replica and logs a warning, strict returns INVALID_REPLICATION_FACTOR as Kafka does. The same applies to replicas assigned by hand to other brokers.";
}
