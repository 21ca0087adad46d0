//! Replication between brokers. None of these has an effect on a single broker.

use super::settings;

settings! {
    pub(super) const REPLICATION:
    "auto.leader.rebalance.enable",                         Boolean, "true",     Any,        ReadOnly,    Ignored, "Whether leadership returns to preferred replicas; one node leads everything.";
    "leader.imbalance.check.interval.seconds",              Long,    "300",      AtLeast(1), ReadOnly,    Ignored, "How often the balance of leaders is checked.";
    "unclean.leader.election.enable",                       Boolean, "false",    Any,        ClusterWide, Ignored, "Whether a replica that lags may become leader; the single replica never lags.";
    internal "unclean.leader.election.interval.ms",         Long,    "300000",   AtLeast(1), ReadOnly,    Ignored, "How often partitions without a leader are looked for.";
    "num.replica.fetchers",                                 Int,     "1",        AtLeast(1), ClusterWide, Ignored, "Threads that copy from other brokers.";
    "num.replica.alter.log.dirs.threads",                   Int,     null,       Any,        ReadOnly,    Ignored, "Threads that move partitions between directories.";
    "replica.fetch.backoff.ms",                             Int,     "1000",     AtLeast(0), ReadOnly,    Ignored, "The pause after a failed copy from another broker.";
    "replica.fetch.max.bytes",                              Int,     "1048576",  AtLeast(0), ReadOnly,    Ignored, "The bytes that one copy from another broker requests per partition.";
    "replica.fetch.min.bytes",                              Int,     "1",        Any,        ReadOnly,    Ignored, "The bytes that a copy from another broker waits for.";
    "replica.fetch.response.max.bytes",                     Int,     "10485760", AtLeast(0), ReadOnly,    Ignored, "The bytes that one copy from another broker requests in total.";
    "replica.fetch.wait.max.ms",                            Int,     "500",      Any,        ReadOnly,    Ignored, "How long a copy from another broker waits.";
    "replica.high.watermark.checkpoint.interval.ms",        Long,    "5000",     Any,        ReadOnly,    Ignored, "How often high watermarks are written to their checkpoint file; here each is its log's end.";
    "replica.lag.time.max.ms",                              Long,    "30000",    Any,        ReadOnly,    Ignored, "A replica behind for this long is out of sync.";
    "replica.selector.class",                               String,  null,       Any,        ReadOnly,    Ignored, "A Java class that picks the replica to read from; there is one.";
    "replica.socket.receive.buffer.bytes",                  Int,     "65536",    Any,        ReadOnly,    Ignored, "The receive buffer of copies from other brokers.";
    "replica.socket.timeout.ms",                            Int,     "30000",    Any,        ReadOnly,    Ignored, "The timeout of copies from other brokers.";
    "replication.quota.window.num",                         Int,     "11",       AtLeast(1), ReadOnly,    Ignored, "Samples kept for quotas on replication.";
    "replication.quota.window.size.seconds",                Int,     "1",        AtLeast(1), ReadOnly,    Ignored, "Length of each sample for quotas on replication.";
    "alter.log.dirs.replication.quota.window.num",          Int,     "11",       AtLeast(1), ReadOnly,    Ignored, "Samples kept for quotas on moves between directories.";
    "alter.log.dirs.replication.quota.window.size.seconds", Int,     "1",        AtLeast(1), ReadOnly,    Ignored, "Length of each sample for quotas on moves between directories.";
    "follower.fetch.last.tiered.offset.enable",             Boolean, "false",    Any,        ClusterWide, Ignored, "Whether a new replica begins after what tiered storage has.";
    "socket.connection.setup.timeout.ms",                   Long,    "10000",    Any,        ReadOnly,    Ignored, "How long a broker tries to connect to another.";
    "socket.connection.setup.timeout.max.ms",               Long,    "30000",    Any,        ReadOnly,    Ignored, "The longest that such a try may grow to.";
}
