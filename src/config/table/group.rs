//! Settings of one group.

use super::settings;

settings! {
    pub(super) const GROUP:
    "consumer.assignment.interval.ms",           Int,     "1000",             AtLeast(0),      ClusterWide, Ignored, "New consumer protocol: the minimum interval between two assignments.";
    internal "consumer.assignor.offload.enable", Boolean, "true",             Any,             ClusterWide, Ignored, "New consumer protocol: whether assignments are computed on another thread than the coordinator's.";
    "consumer.heartbeat.interval.ms",            Int,     "5000",             AtLeast(1),      ClusterWide, Ignored, "New consumer protocol: the interval of the members' heartbeats.";
    "consumer.session.timeout.ms",               Int,     "45000",            AtLeast(1),      ClusterWide, Ignored, "New consumer protocol: a member that sends no heartbeat for this long is removed.";
    "errors.deadletterqueue.copy.record.enable", Boolean, "false",            Any,             ClusterWide, Ignored, "Share groups: whether the dead-letter topic gets a copy of the rejected record, or only its topic, partition and offset.";
    "errors.deadletterqueue.topic.name",         String,  "",                 Any,             ClusterWide, Ignored, "Share groups: the dead-letter topic for records that could not be delivered; if empty, there is none.";
    "share.assignment.interval.ms",              Int,     "1000",             AtLeast(0),      ClusterWide, Ignored, "Share groups: the minimum interval between two assignments.";
    internal "share.assignor.offload.enable",    Boolean, "true",             Any,             ClusterWide, Ignored, "Share groups: whether assignments are computed on another thread than the coordinator's.";
    "share.auto.offset.reset",                   String,  "latest",           OffsetReset,     ClusterWide, Ignored, "Share groups: where a new group begins: earliest, latest, or by_duration:DURATION with an ISO 8601 duration.";
    "share.delivery.count.limit",                Int,     "5",                AtLeast(2),      ClusterWide, Ignored, "Share groups: the maximum number of deliveries of a record.";
    "share.heartbeat.interval.ms",               Int,     "5000",             AtLeast(1),      ClusterWide, Ignored, "Share groups: the interval of the members' heartbeats.";
    "share.isolation.level",                     String,  "read_uncommitted", OneOf(&["read_committed", "read_uncommitted"]), ClusterWide, Ignored, "Share groups: whether records of open and aborted transactions are delivered.";
    "share.partition.max.record.locks",          Int,     "2000",             AtLeast(100),    ClusterWide, Ignored, "Share groups: the maximum number of locked records of a partition (delivered, not yet acknowledged).";
    "share.record.lock.duration.ms",             Int,     "30000",            AtLeast(1000),   ClusterWide, Ignored, "Share groups: how long a delivered record is locked for its member.";
    "share.renew.acknowledge.enable",            Boolean, "true",             Any,             ClusterWide, Ignored, "Share groups: whether a member may renew its lock on a record.";
    "share.session.timeout.ms",                  Int,     "45000",            AtLeast(1),      ClusterWide, Ignored, "Share groups: a member that sends no heartbeat for this long is removed.";
    internal "streams.acceptable.recovery.lag",  Long,    "10000",            AtLeast(0),      ClusterWide, Ignored, "Streams groups: the maximum lag of a copy of the state that may become active.";
    "streams.assignment.interval.ms",            Int,     "1000",             AtLeast(0),      ClusterWide, Ignored, "Streams groups: the minimum interval between two assignments.";
    "streams.assignor.name",                     String,  null,               Any,             ClusterWide, Ignored, "Streams groups: the assignor to use; if unset, the first one of the broker.";
    internal "streams.assignor.offload.enable",  Boolean, "true",             Any,             ClusterWide, Ignored, "Streams groups: whether assignments are computed on another thread than the coordinator's.";
    "streams.heartbeat.interval.ms",             Int,     "5000",             AtLeast(1),      ClusterWide, Ignored, "Streams groups: the interval of the members' heartbeats.";
    "streams.initial.rebalance.delay.ms",        Int,     "3000",             AtLeast(0),      ClusterWide, Ignored, "Streams groups: how long a new group waits for more members.";
    "streams.num.standby.replicas",              Int,     "0",                AtLeast(0),      ClusterWide, Ignored, "Streams groups: the number of standby replicas of each task.";
    internal "streams.num.warmup.replicas",      Int,     "2",                AtLeast(0),      ClusterWide, Ignored, "Streams groups: the maximum number of warmup replicas, which copy the state before a task moves.";
    "streams.rack.aware.assignment.tags",        List,    "",                 Any,             ClusterWide, Ignored, "Streams groups: the client tags that are used to distribute standby replicas over racks.";
    "streams.session.timeout.ms",                Int,     "45000",            AtLeast(1),      ClusterWide, Ignored, "Streams groups: a member that sends no heartbeat for this long is removed.";
    internal "streams.task.offset.interval.ms",  Int,     "60000",            AtLeast(1),      ClusterWide, Ignored, "Streams groups: the interval at which members report the offsets of their tasks.";
}
