//! Tiered storage, which is not supported.

use super::settings;

settings! {
    pub(super) const REMOTE:
    "remote.log.storage.system.enable",                      Boolean, "false",               Any,             ReadOnly,    Ignored, "Tiered storage: whether it is on. It is not supported.";
    "remote.log.storage.manager.class.name",                 String,  null,                  NonEmpty,        ReadOnly,    Ignored, "Tiered storage: the Java class that stores segments.";
    "remote.log.storage.manager.class.path",                 String,  null,                  Any,             ReadOnly,    Ignored, "Tiered storage: where that class is found.";
    "remote.log.storage.manager.impl.prefix",                String,  "rsm.config.",         NonEmpty,        ReadOnly,    Ignored, "Tiered storage: how settings for that class begin.";
    "remote.log.metadata.manager.class.name",                String,  "org.apache.kafka.server.log.remote.metadata.storage.TopicBasedRemoteLogMetadataManager", NonEmpty,        ReadOnly,    Ignored, "Tiered storage: the Java class that keeps the list of segments.";
    "remote.log.metadata.manager.class.path",                String,  null,                  Any,             ReadOnly,    Ignored, "Tiered storage: where that class is found.";
    "remote.log.metadata.manager.impl.prefix",               String,  "rlmm.config.",        NonEmpty,        ReadOnly,    Ignored, "Tiered storage: how settings for that class begin.";
    "remote.log.metadata.manager.listener.name",             String,  null,                  NonEmpty,        ReadOnly,    Ignored, "Tiered storage: the listener that class connects to.";
    "remote.log.metadata.custom.metadata.max.bytes",         Int,     "128",                 AtLeast(0),      ReadOnly,    Ignored, "Tiered storage: the largest note a store may keep beside a segment.";
    "remote.log.index.file.cache.total.size.bytes",          Long,    "1073741824",          AtLeast(1),      ClusterWide, Ignored, "Tiered storage: local space for fetched indexes.";
    internal "remote.log.index.file.cache.ttl.ms",           Long,    "900000",              AtLeast(-1),     ReadOnly,    Ignored, "Tiered storage: how long a fetched index stays; -1 is no limit.";
    "remote.log.manager.thread.pool.size",                   Int,     "2",                   AtLeast(1),      ReadOnly,    Ignored, "Tiered storage: threads for followers.";
    "remote.log.manager.copier.thread.pool.size",            Int,     "10",                  AtLeast(1),      ClusterWide, Ignored, "Tiered storage: threads that copy segments out.";
    "remote.log.manager.expiration.thread.pool.size",        Int,     "10",                  AtLeast(1),      ClusterWide, Ignored, "Tiered storage: threads that drop expired segments.";
    "remote.log.manager.follower.thread.pool.size",          Int,     "2",                   AtLeast(1),      ClusterWide, Ignored, "Tiered storage: threads for partitions that are followed.";
    "remote.log.manager.task.interval.ms",                   Long,    "30000",               AtLeast(1),      ReadOnly,    Ignored, "Tiered storage: how often the tasks run.";
    internal "remote.log.manager.task.retry.backoff.ms",     Long,    "500",                 AtLeast(1),      ReadOnly,    Ignored, "Tiered storage: the first pause after a failure.";
    internal "remote.log.manager.task.retry.backoff.max.ms", Long,    "30000",               AtLeast(1),      ReadOnly,    Ignored, "Tiered storage: the longest pause after a failure.";
    internal "remote.log.manager.task.retry.jitter",         Double,  "0.2",                 Ratio(0.0, 0.5), ReadOnly,    Ignored, "Tiered storage: the random share of that pause.";
    "remote.log.manager.copy.max.bytes.per.second",          Long,    "9223372036854775807", AtLeast(1),      ClusterWide, Ignored, "Tiered storage: limit of bytes copied out per second.";
    "remote.log.manager.copy.quota.window.num",              Int,     "11",                  AtLeast(1),      ReadOnly,    Ignored, "Tiered storage: samples kept for that limit.";
    "remote.log.manager.copy.quota.window.size.seconds",     Int,     "1",                   AtLeast(1),      ReadOnly,    Ignored, "Tiered storage: length of each sample for that limit.";
    "remote.log.manager.fetch.max.bytes.per.second",         Long,    "9223372036854775807", AtLeast(1),      ClusterWide, Ignored, "Tiered storage: limit of bytes read back per second.";
    "remote.log.manager.fetch.quota.window.num",             Int,     "11",                  AtLeast(1),      ReadOnly,    Ignored, "Tiered storage: samples kept for that limit.";
    "remote.log.manager.fetch.quota.window.size.seconds",    Int,     "1",                   AtLeast(1),      ReadOnly,    Ignored, "Tiered storage: length of each sample for that limit.";
    "remote.log.reader.threads",                             Int,     "10",                  AtLeast(1),      ClusterWide, Ignored, "Tiered storage: threads that read back.";
    "remote.log.reader.max.pending.tasks",                   Int,     "100",                 AtLeast(1),      ReadOnly,    Ignored, "Tiered storage: reads that may wait.";
    "remote.fetch.max.wait.ms",                              Int,     "500",                 AtLeast(1),      ClusterWide, Ignored, "Tiered storage: how long a fetch waits for it.";
    "remote.list.offsets.request.timeout.ms",                Long,    "30000",               AtLeast(1),      ClusterWide, Ignored, "Tiered storage: how long a search by timestamp waits for it.";
}
