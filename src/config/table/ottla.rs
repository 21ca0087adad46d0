//! Settings that are ours alone.

use super::settings;

settings! {
    pub(super) const OTTLA:
    "ottla.admin.allowed.hosts",       List,    "",      Any,                          ReadOnly,    Implemented, "Host names, beside localhost, IP addresses and this machine's own name, under which the admin port answers requests.";
    "ottla.admin.listener",            String,  null,    Any,                          ReadOnly,    Implemented, "Where the admin port (/health, /ready, /reset) listens: host:port, or a port of localhost alone; 0 picks a free one. Not set: there is none. --admin-port sets it.";
    "ottla.advertised.localhost.rewrite", Boolean, "true", Any,                        ReadOnly,    Implemented, "Where a listener advertises this machine itself (localhost, 127.0.0.1, ::1), a client that came from another machine or container is told the address it reached instead: localhost would send it to itself.";
    "ottla.cluster.id",                String,  null,    NonEmpty,                      ReadOnly,    Implemented, "The cluster's id where the data directory is new; random where not given. A directory that has one keeps it. CLUSTER_ID sets it.";
    "ottla.create.topics",             List,    "",      StartTopics,                   ReadOnly,    Implemented, "Topics to create at start, before the broker says that it is ready: NAME, or NAME:PARTITIONS:REPLICATION-FACTOR:CLEANUP-POLICY with the last parts left out or empty. Those there already are left alone. --create-topic and KAFKA_CREATE_TOPICS set it.";
    "ottla.ephemeral",                 Boolean, "false", Any,                          ReadOnly,    Implemented, "Nothing is meant to outlive the process: nothing is synced to disk. --ephemeral sets it.";
    "ottla.group.disconnected.member.timeout.ms", Int, "-1", AtLeast(-1), ReadOnly, Implemented, "How long a member of a classic group stays once the connection it was last heard on closed, unless it comes back: so that a consumer that was killed does not hold its partitions until its session ends. -1: as in Kafka, connections don't matter. Static members stay for their session in any case.";
    "ottla.log.format",                String,  "text",  OneOf(&["text", "json"]),     ReadOnly,    Implemented, "The form of the lines that the broker logs to stderr: text, or an object of JSON on each line. --log-format sets it. An embedded broker logs as its host does.";
    "ottla.log.level",                 String,  "info",  NonEmpty,                     ReadOnly,    Implemented, "What is logged: off, error, warn, info, debug or trace; and for single loggers LOGGER=LEVEL, separated by commas (info,ottla.server=debug). --log-level sets it; RUST_LOG, which has the same form, counts in place of what a file says. An embedded broker logs as its host does.";
    "ottla.ready.lines",               Boolean, "false", Any,                          ReadOnly,    Implemented, "Once ready, write to stdout the lines by which test libraries know Kafka to be: Transitioning from RECOVERY to RUNNING, [KafkaServer id=N] started, Kafka Server started. The container image sets it.";
    "ottla.replication.factor.policy", String,  "clamp", OneOf(&["clamp", "strict"]), ReadOnly, Implemented, "What a topic that asks for more than one replica gets: clamp makes one replica and warns, strict answers INVALID_REPLICATION_FACTOR as Kafka does. Replicas assigned by hand to this broker and to others that are not there are treated alike.";
}
