//! Replication between brokers. None of these has an effect on a single broker.

use super::settings;

settings! {
    pub(super) const REPLICATION:
    "auto.leader.rebalance.enable",                         Boolean, "true",     Any,        ReadOnly,    Ignored, "Whether leadership moves back to preferred replicas; a single broker leads all partitions.";
    "leader.imbalance.check.interval.seconds",              Long,    "300",      AtLeast(1), ReadOnly,    Ignored, "How often the balance of leaders is checked.";
    "unclean.leader.election.enable",                       Boolean, "false",    Any,        ClusterWide, Ignored, "Whether a replica that is not in sync may become leader; a single replica is always in sync.";
    internal "unclean.leader.election.interval.ms",         Long,    "300000",   AtLeast(1), ReadOnly,    Ignored, "The interval of searches for partitions without a leader.";
    "num.replica.fetchers",                                 Int,     "1",        AtLeast(1), ClusterWide, Ignored, "Threads that fetch records from other brokers.";
    "num.replica.alter.log.dirs.threads",                   Int,     null,       Any,        ReadOnly,    Ignored, "Threads that move partitions between directories.";
    "replica.fetch.backoff.ms",                             Int,     "1000",     AtLeast(0), ReadOnly,    Ignored, "The delay after a failed fetch from another broker.";
    "replica.fetch.max.bytes",                              Int,     "1048576",  AtLeast(0), ReadOnly,    Ignored, "The maximum bytes per partition of one fetch from another broker.";
    "replica.fetch.min.bytes",                              Int,     "1",        Any,        ReadOnly,    Ignored, "The minimum bytes that a fetch from another broker waits for.";
    "replica.fetch.response.max.bytes",                     Int,     "10485760", AtLeast(0), ReadOnly,    Ignored, "The maximum bytes of one fetch from another broker.";
    "replica.fetch.wait.max.ms",                            Int,     "500",      Any,        ReadOnly,    Ignored, "The maximum wait of a fetch from another broker.";
    "replica.high.watermark.checkpoint.interval.ms",        Long,    "5000",     Any,        ReadOnly,    Ignored, "How often high watermarks are written to their checkpoint file; here a high watermark is always the log end offset.";
    "replica.lag.time.max.ms",                              Long,    "30000",    Any,        ReadOnly,    Ignored, "A replica that lags for this long is removed from the in-sync replicas.";
    "replica.selector.class",                               String,  null,       Any,        ReadOnly,    Ignored, "A Java class that selects the replica to read from; here each partition has one replica.";
    "replica.socket.receive.buffer.bytes",                  Int,     "65536",    Any,        ReadOnly,    Ignored, "The receive buffer of connections for fetches from other brokers.";
    "replica.socket.timeout.ms",                            Int,     "30000",    Any,        ReadOnly,    Ignored, "The network timeout of fetches from other brokers.";
    "replication.quota.window.num",                         Int,     "11",       AtLeast(1), ReadOnly,    Ignored, "Samples kept for quotas on replication.";
    "replication.quota.window.size.seconds",                Int,     "1",        AtLeast(1), ReadOnly,    Ignored, "Length of each sample for quotas on replication.";
    "alter.log.dirs.replication.quota.window.num",          Int,     "11",       AtLeast(1), ReadOnly,    Ignored, "Samples kept for quotas on moves between directories.";
    "alter.log.dirs.replication.quota.window.size.seconds", Int,     "1",        AtLeast(1), ReadOnly,    Ignored, "Length of each sample for quotas on moves between directories.";
    "follower.fetch.last.tiered.offset.enable",             Boolean, "false",    Any,        ClusterWide, Ignored, "Whether a new replica starts at the offset after the records in tiered storage.";
    "socket.connection.setup.timeout.ms",                   Long,    "10000",    Any,        ReadOnly,    Ignored, "The timeout of connecting to another broker.";
    "socket.connection.setup.timeout.max.ms",               Long,    "30000",    Any,        ReadOnly,    Ignored, "The maximum timeout of connecting; it grows after each failure.";
}
