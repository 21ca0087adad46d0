//! Consumer groups, classic and new, and committed offsets.

use super::settings;

settings! {
    pub(super) const GROUPS:
    "group.initial.rebalance.delay.ms",                  Int,     "0",                   Any,             ReadOnly,    Implemented, "How long a new, empty group waits for more members before its first assignment. Unset: only for clients that have just requested the coordinator, 0.1 s after each join and 0.4 s in total.",
        kafka "3000", "Consumers that start together usually get their partitions at once, and a single one does not wait. A given value, 0 included, has Kafka's meaning.";
    "group.min.session.timeout.ms",                      Int,     "6000",                Any,             ReadOnly,    Implemented, "The shortest session timeout that a classic member may request.";
    "group.max.session.timeout.ms",                      Int,     "1800000",             Any,             ReadOnly,    Implemented, "The longest session timeout that a classic member may request.";
    "group.max.size",                                    Int,     "2147483647",          AtLeast(1),      ReadOnly,    Implemented, "Members of one classic group.";
    "offset.metadata.max.bytes",                         Int,     "4096",                Any,             ReadOnly,    Implemented, "Size limit of the metadata that a client stores with a committed offset.";
    "offsets.retention.minutes",                         Int,     "10080",               AtLeast(1),      ReadOnly,    Implemented, "How long an empty group's committed offsets are kept.";
    "offsets.retention.check.interval.ms",               Long,    "600000",              AtLeast(1),      ReadOnly,    Implemented, "How often committed offsets are checked for expiration.";
    "offsets.topic.num.partitions",                      Int,     "50",                  AtLeast(1),      ReadOnly,    Implemented, "Partitions of __consumer_offsets, fixed when it is created.";
    "offsets.topic.replication.factor",                  Short,   "1",                   AtLeast(1),      ReadOnly,    Ignored, "Replicas of __consumer_offsets; there is one.",
        kafka "3", "There is one broker.";
    "offsets.topic.segment.bytes",                       Int,     "104857600",           AtLeast(1),      ReadOnly,    Implemented, "The segment size of __consumer_offsets.";
    "offsets.topic.compression.codec",                   Int,     "0",                   Between(0, 4),   ReadOnly,    Implemented, "How __consumer_offsets is compressed: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd.";
    "offsets.load.buffer.size",                          Int,     "5242880",             AtLeast(1),      ReadOnly,    Ignored, "The read size when __consumer_offsets is loaded.";
    "offsets.commit.timeout.ms",                         Int,     "5000",                AtLeast(1),      ReadOnly,    Ignored, "How long a commit waits for other replicas; there are none.";
    "group.coordinator.rebalance.protocols",             List,    "classic,consumer,streams", EachOf(&["consumer", "classic", "share", "streams"]), ReadOnly,    Ignored, "The rebalance protocols that groups may use.";
    "group.coordinator.threads",                         Int,     "4",                   AtLeast(1),      ReadOnly,    Ignored, "Threads of the group coordinator.";
    "group.coordinator.background.threads",              Int,     "2",                   AtLeast(1),      ReadOnly,    Ignored, "Threads that compute assignments.";
    "group.coordinator.append.linger.ms",                Int,     "-1",                  AtLeast(-1),     ReadOnly,    Ignored, "How long the group coordinator gathers records before it writes them.";
    "group.coordinator.cached.buffer.max.bytes",         Int,     "1048588",             AtLeast(524288), ClusterWide, Ignored, "The largest write buffer that the group coordinator keeps for the next time.";
    "group.consumer.heartbeat.interval.ms",              Int,     "5000",                AtLeast(1),      ReadOnly,    Ignored, "New consumer protocol: the interval of the members' heartbeats.";
    "group.consumer.session.timeout.ms",                 Int,     "45000",               AtLeast(1),      ReadOnly,    Ignored, "New consumer protocol: a member that sends no heartbeat for this long is removed.";
    "group.consumer.min.heartbeat.interval.ms",          Int,     "5000",                AtLeast(1),      ReadOnly,    Ignored, "New consumer protocol: the shortest heartbeat interval a group may be given.";
    "group.consumer.max.heartbeat.interval.ms",          Int,     "15000",               AtLeast(1),      ReadOnly,    Ignored, "New consumer protocol: the longest heartbeat interval a group may be given.";
    "group.consumer.min.session.timeout.ms",             Int,     "45000",               AtLeast(1),      ReadOnly,    Ignored, "New consumer protocol: the shortest session timeout a group may be given.";
    "group.consumer.max.session.timeout.ms",             Int,     "60000",               AtLeast(1),      ReadOnly,    Ignored, "New consumer protocol: the longest session timeout a group may be given.";
    "group.consumer.max.size",                           Int,     "2147483647",          AtLeast(1),      ReadOnly,    Ignored, "New consumer protocol: members of one group.";
    "group.consumer.assignors",                          List,    "uniform,range",       Any,             ReadOnly,    Ignored, "New consumer protocol: the assignors offered; the first is the default.";
    internal "group.consumer.assignor.offload.enable",   Boolean, "true",                Any,             ClusterWide, Ignored, "New consumer protocol: whether assignments are computed on another thread than the coordinator's.";
    "group.consumer.assignment.interval.ms",             Int,     "1000",                AtLeast(0),      ClusterWide, Ignored, "New consumer protocol: the minimum interval between two assignments.";
    "group.consumer.min.assignment.interval.ms",         Int,     "0",                   AtLeast(0),      ReadOnly,    Ignored, "New consumer protocol: the least that a group's assignment interval may be.";
    "group.consumer.max.assignment.interval.ms",         Int,     "15000",               AtLeast(0),      ReadOnly,    Ignored, "New consumer protocol: the most that a group's assignment interval may be.";
    "group.consumer.migration.policy",                   String,  "bidirectional",       OneOfAnyCase(&["DISABLED", "DOWNGRADE", "UPGRADE", "BIDIRECTIONAL"]), ReadOnly,    Ignored, "Whether groups move between the classic and the new protocol, and which way.";
    internal "group.consumer.regex.refresh.interval.ms", Int,     "600000",              AtLeast(10000),  ReadOnly,    Ignored, "New consumer protocol: how often subscriptions by pattern are matched again.";
}
