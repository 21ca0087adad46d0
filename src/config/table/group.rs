//! Settings of one group.

use super::settings;

settings! {
    pub(super) const GROUP:
    "consumer.assignment.interval.ms",           Int,     "1000",             AtLeast(0),      ClusterWide, Ignored, "New consumer protocol: the shortest time between two assignments.";
    internal "consumer.assignor.offload.enable", Boolean, "true",             Any,             ClusterWide, Ignored, "New consumer protocol: whether assignments are computed off the coordinator's thread.";
    "consumer.heartbeat.interval.ms",            Int,     "5000",             AtLeast(1),      ClusterWide, Ignored, "New consumer protocol: how often members report.";
    "consumer.session.timeout.ms",               Int,     "45000",            AtLeast(1),      ClusterWide, Ignored, "New consumer protocol: a member silent for this long is removed.";
    "errors.deadletterqueue.copy.record.enable", Boolean, "false",            Any,             ClusterWide, Ignored, "Share groups: whether given-up records are copied whole or only named.";
    "errors.deadletterqueue.topic.name",         String,  "",                 Any,             ClusterWide, Ignored, "Share groups: where given-up records go; empty drops them.";
    "share.assignment.interval.ms",              Int,     "1000",             AtLeast(0),      ClusterWide, Ignored, "Share groups: the shortest time between two assignments.";
    internal "share.assignor.offload.enable",    Boolean, "true",             Any,             ClusterWide, Ignored, "Share groups: whether assignments are computed off the coordinator's thread.";
    "share.auto.offset.reset",                   String,  "latest",           OffsetReset,     ClusterWide, Ignored, "Share groups: where a new group begins: earliest, latest, or by_duration: and an ISO 8601 duration.";
    "share.delivery.count.limit",                Int,     "5",                AtLeast(2),      ClusterWide, Ignored, "Share groups: deliveries of a record before it is given up.";
    "share.heartbeat.interval.ms",               Int,     "5000",             AtLeast(1),      ClusterWide, Ignored, "Share groups: how often members report.";
    "share.isolation.level",                     String,  "read_uncommitted", OneOf(&["read_committed", "read_uncommitted"]), ClusterWide, Ignored, "Share groups: whether records of open and aborted transactions are delivered.";
    "share.partition.max.record.locks",          Int,     "2000",             AtLeast(100),    ClusterWide, Ignored, "Share groups: records of a partition that may be out at once.";
    "share.record.lock.duration.ms",             Int,     "30000",            AtLeast(1000),   ClusterWide, Ignored, "Share groups: how long a delivered record is one member's own.";
    "share.renew.acknowledge.enable",            Boolean, "true",             Any,             ClusterWide, Ignored, "Share groups: whether a member may prolong its lock on a record.";
    "share.session.timeout.ms",                  Int,     "45000",            AtLeast(1),      ClusterWide, Ignored, "Share groups: a member silent for this long is removed.";
    internal "streams.acceptable.recovery.lag",  Long,    "10000",            AtLeast(0),      ClusterWide, Ignored, "Streams groups: how far behind a copy may be and still take a task over.";
    "streams.assignment.interval.ms",            Int,     "1000",             AtLeast(0),      ClusterWide, Ignored, "Streams groups: the shortest time between two assignments.";
    "streams.assignor.name",                     String,  null,               Any,             ClusterWide, Ignored, "Streams groups: the assignor to use; unset is the broker's first.";
    internal "streams.assignor.offload.enable",  Boolean, "true",             Any,             ClusterWide, Ignored, "Streams groups: whether assignments are computed off the coordinator's thread.";
    "streams.heartbeat.interval.ms",             Int,     "5000",             AtLeast(1),      ClusterWide, Ignored, "Streams groups: how often members report.";
    "streams.initial.rebalance.delay.ms",        Int,     "3000",             AtLeast(0),      ClusterWide, Ignored, "Streams groups: how long a new group waits for more members.";
    "streams.num.standby.replicas",              Int,     "0",                AtLeast(0),      ClusterWide, Ignored, "Streams groups: spare copies of each task's state.";
    internal "streams.num.warmup.replicas",      Int,     "2",                AtLeast(0),      ClusterWide, Ignored, "Streams groups: copies of state that may be built ahead of a move.";
    "streams.rack.aware.assignment.tags",        List,    "",                 Any,             ClusterWide, Ignored, "Streams groups: client tags over which spare copies are spread.";
    "streams.session.timeout.ms",                Int,     "45000",            AtLeast(1),      ClusterWide, Ignored, "Streams groups: a member silent for this long is removed.";
    internal "streams.task.offset.interval.ms",  Int,     "60000",            AtLeast(1),      ClusterWide, Ignored, "Streams groups: how often members report how far their state is.";
}
