//! Share groups and streams groups.

use super::settings;

settings! {
    pub(super) const SHARE_AND_STREAMS:
    "group.share.heartbeat.interval.ms",                             Int,     "5000",                AtLeast(1),      ReadOnly,    Ignored, "Share groups: the interval of the members' heartbeats.";
    "group.share.session.timeout.ms",                                Int,     "45000",               AtLeast(1),      ReadOnly,    Ignored, "Share groups: a member that sends no heartbeat for this long is removed.";
    "group.share.min.heartbeat.interval.ms",                         Int,     "5000",                AtLeast(1),      ReadOnly,    Ignored, "Share groups: the shortest heartbeat interval a group may be given.";
    "group.share.max.heartbeat.interval.ms",                         Int,     "15000",               AtLeast(1),      ReadOnly,    Ignored, "Share groups: the longest heartbeat interval a group may be given.";
    "group.share.min.session.timeout.ms",                            Int,     "45000",               AtLeast(1),      ReadOnly,    Ignored, "Share groups: the shortest session timeout a group may be given.";
    "group.share.max.session.timeout.ms",                            Int,     "60000",               AtLeast(1),      ReadOnly,    Ignored, "Share groups: the longest session timeout a group may be given.";
    "group.share.max.size",                                          Int,     "200",                 Between(1, 1000), ReadOnly,    Ignored, "Share groups: members of one group.";
    "group.share.max.share.sessions",                                Int,     "2000",                AtLeast(1),      ReadOnly,    Ignored, "Share groups: sessions remembered per broker.";
    "group.share.assignors",                                         List,    "simple",              Any,             ReadOnly,    Ignored, "Share groups: the assignors offered.";
    internal "group.share.assignor.offload.enable",                  Boolean, "true",                Any,             ClusterWide, Ignored, "Share groups: whether assignments are computed on another thread than the coordinator's.";
    "group.share.assignment.interval.ms",                            Int,     "1000",                AtLeast(0),      ClusterWide, Ignored, "Share groups: the minimum interval between two assignments.";
    "group.share.min.assignment.interval.ms",                        Int,     "0",                   AtLeast(0),      ReadOnly,    Ignored, "Share groups: the least that a group's assignment interval may be.";
    "group.share.max.assignment.interval.ms",                        Int,     "15000",               AtLeast(0),      ReadOnly,    Ignored, "Share groups: the most that a group's assignment interval may be.";
    "group.share.delivery.count.limit",                              Int,     "5",                   Between(2, 10),  ReadOnly,    Ignored, "Share groups: the maximum number of deliveries of a record.";
    "group.share.min.delivery.count.limit",                          Int,     "2",                   Between(2, 5),   ReadOnly,    Ignored, "Share groups: the least that a group's delivery limit may be.";
    "group.share.max.delivery.count.limit",                          Int,     "10",                  Between(5, 25),  ReadOnly,    Ignored, "Share groups: the most that a group's delivery limit may be.";
    "group.share.record.lock.duration.ms",                           Int,     "30000",               Between(1000, 3600000), ReadOnly,    Ignored, "Share groups: how long a delivered record is locked for its member.";
    "group.share.min.record.lock.duration.ms",                       Int,     "15000",               Between(1000, 30000), ReadOnly,    Ignored, "Share groups: the shortest lock a group may be given.";
    "group.share.max.record.lock.duration.ms",                       Int,     "60000",               Between(30000, 3600000), ReadOnly,    Ignored, "Share groups: the longest lock a group may be given.";
    "group.share.partition.max.record.locks",                        Int,     "2000",                Between(100, 10000), ReadOnly,    Ignored, "Share groups: the maximum number of locked records of a partition (delivered, not yet acknowledged).";
    "group.share.min.partition.max.record.locks",                    Int,     "100",                 Between(100, 2000), ReadOnly,    Ignored, "Share groups: the least that a group's number of locks may be.";
    "group.share.max.partition.max.record.locks",                    Int,     "4000",                Between(2000, 10000), ReadOnly,    Ignored, "Share groups: the most that a group's number of locks may be.";
    internal "group.share.initialize.retry.interval.ms",             Int,     "30000",               AtLeast(1),      ReadOnly,    Ignored, "Share groups: the pause before a partition's state is initialised again.";
    internal "group.share.persister.class.name",                     String,  "org.apache.kafka.server.share.persister.DefaultStatePersister", Any,             ReadOnly,    Ignored, "Share groups: the Java class that keeps their state; Java classes are not supported.";
    internal "group.share.dlq.manager.class.name",                   String,  "org.apache.kafka.server.share.dlq.DefaultShareGroupDLQManager", Any,             ReadOnly,    Ignored, "Share groups: the Java class that handles given-up records; Java classes are not supported.";
    "errors.deadletterqueue.auto.create.topics.enable",              Boolean, "false",               Any,             ClusterWide, Ignored, "Share groups: whether topics for given-up records are created automatically.";
    "errors.deadletterqueue.topic.name.prefix",                      String,  "dlq.",                Any,             ClusterWide, Ignored, "Share groups: how names of topics for given-up records begin.";
    "share.coordinator.append.linger.ms",                            Int,     "-1",                  AtLeast(-1),     ReadOnly,    Ignored, "How long the share coordinator gathers records before it writes them.";
    "share.coordinator.cached.buffer.max.bytes",                     Int,     "1048588",             AtLeast(524288), ClusterWide, Ignored, "The largest write buffer that the share coordinator keeps for the next time.";
    internal "share.coordinator.cold.partition.snapshot.interval.ms", Int,     "300000",              AtLeast(1),      ReadOnly,    Ignored, "How often the state of quiet partitions is written whole.";
    "share.coordinator.load.buffer.size",                            Int,     "5242880",             AtLeast(1),      ReadOnly,    Ignored, "The read size when __share_group_state is loaded.";
    "share.coordinator.snapshot.update.records.per.snapshot",        Int,     "500",                 Between(0, 500), ReadOnly,    Ignored, "Updates to a share partition's state between two whole copies of it.";
    "share.coordinator.state.topic.compression.codec",               Int,     "0",                   Between(0, 4),   ReadOnly,    Ignored, "How __share_group_state is compressed: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd.";
    "share.coordinator.state.topic.min.isr",                         Short,   "1",                   AtLeast(1),      ReadOnly,    Ignored, "Replicas of __share_group_state that must have a write; there is one.",
        kafka "2", "There is one broker.";
    "share.coordinator.state.topic.num.partitions",                  Int,     "50",                  AtLeast(1),      ReadOnly,    Ignored, "Partitions of __share_group_state.";
    internal "share.coordinator.state.topic.prune.interval.ms",      Int,     "300000",              AtLeast(1),      ReadOnly,    Ignored, "How often spent records of __share_group_state are dropped.";
    "share.coordinator.state.topic.replication.factor",              Short,   "1",                   AtLeast(1),      ReadOnly,    Ignored, "Replicas of __share_group_state; there is one.",
        kafka "3", "There is one broker.";
    "share.coordinator.state.topic.segment.bytes",                   Int,     "104857600",           AtLeast(1),      ReadOnly,    Ignored, "The segment size of __share_group_state.";
    "share.coordinator.threads",                                     Int,     "1",                   AtLeast(1),      ReadOnly,    Ignored, "Threads of the share coordinator.";
    "share.coordinator.write.timeout.ms",                            Int,     "5000",                AtLeast(1),      ReadOnly,    Ignored, "How long a write of share state waits for other replicas.";
    "group.streams.heartbeat.interval.ms",                           Int,     "5000",                AtLeast(1),      ReadOnly,    Ignored, "Streams groups: the interval of the members' heartbeats.";
    "group.streams.session.timeout.ms",                              Int,     "45000",               AtLeast(1),      ReadOnly,    Ignored, "Streams groups: a member that sends no heartbeat for this long is removed.";
    "group.streams.min.heartbeat.interval.ms",                       Int,     "5000",                AtLeast(1),      ReadOnly,    Ignored, "Streams groups: the shortest heartbeat interval a group may be given.";
    "group.streams.max.heartbeat.interval.ms",                       Int,     "15000",               AtLeast(1),      ReadOnly,    Ignored, "Streams groups: the longest heartbeat interval a group may be given.";
    "group.streams.min.session.timeout.ms",                          Int,     "45000",               AtLeast(1),      ReadOnly,    Ignored, "Streams groups: the shortest session timeout a group may be given.";
    "group.streams.max.session.timeout.ms",                          Int,     "60000",               AtLeast(1),      ReadOnly,    Ignored, "Streams groups: the longest session timeout a group may be given.";
    "group.streams.max.size",                                        Int,     "2147483647",          AtLeast(1),      ReadOnly,    Ignored, "Streams groups: members of one group.";
    "group.streams.assignors",                                       List,    "sticky",              Any,             ReadOnly,    Ignored, "Streams groups: the assignors offered.";
    internal "group.streams.assignor.offload.enable",                Boolean, "true",                Any,             ClusterWide, Ignored, "Streams groups: whether assignments are computed on another thread than the coordinator's.";
    "group.streams.assignment.interval.ms",                          Int,     "1000",                AtLeast(0),      ClusterWide, Ignored, "Streams groups: the minimum interval between two assignments.";
    "group.streams.min.assignment.interval.ms",                      Int,     "0",                   AtLeast(0),      ReadOnly,    Ignored, "Streams groups: the least that a group's assignment interval may be.";
    "group.streams.max.assignment.interval.ms",                      Int,     "15000",               AtLeast(0),      ReadOnly,    Ignored, "Streams groups: the most that a group's assignment interval may be.";
    "group.streams.initial.rebalance.delay.ms",                      Int,     "3000",                AtLeast(0),      ReadOnly,    Ignored, "Streams groups: how long a new group waits for more members.";
    "group.streams.num.standby.replicas",                            Int,     "0",                   AtLeast(0),      ReadOnly,    Ignored, "Streams groups: the number of standby replicas of each task.";
    "group.streams.max.standby.replicas",                            Int,     "2",                   AtLeast(0),      ReadOnly,    Ignored, "Streams groups: the most spare copies a group may be given.";
    internal "group.streams.num.warmup.replicas",                    Int,     "2",                   AtLeast(0),      ReadOnly,    Ignored, "Streams groups: the maximum number of warmup replicas, which copy the state before a task moves.";
    internal "group.streams.max.warmup.replicas",                    Int,     "20",                  AtLeast(0),      ReadOnly,    Ignored, "Streams groups: the most copies built ahead that a group may be given.";
    internal "group.streams.acceptable.recovery.lag",                Long,    "10000",               AtLeast(0),      ReadOnly,    Ignored, "Streams groups: the maximum lag of a copy of the state that may become active.";
    internal "group.streams.task.offset.interval.ms",                Int,     "60000",               AtLeast(1),      ReadOnly,    Ignored, "Streams groups: the interval at which members report the offsets of their tasks.";
    internal "group.streams.min.task.offset.interval.ms",            Int,     "15000",               AtLeast(1),      ReadOnly,    Ignored, "Streams groups: the least that a group's reporting interval may be.";
    "group.streams.rack.aware.assignment.tags",                      List,    "",                    Any,             ReadOnly,    Ignored, "Streams groups: the client tags that are used to distribute standby replicas over racks.";
    "group.streams.topology.description.plugin.class",               Class,   null,                  Any,             ReadOnly,    Ignored, "Streams groups: a Java class that receives topologies; Java classes are not supported.";
}
