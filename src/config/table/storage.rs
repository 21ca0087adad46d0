//! Where and how records are kept: files, retention, flushing, compression, compaction.

use super::{CLEANUP_POLICIES, COMPRESSION_TYPES, TIMESTAMP_TYPES, settings};

settings! {
    pub(super) const STORAGE:
    "log.dir",                                           List,    "./ottla-data",        Any,             ReadOnly,    Implemented, "The data directory, if log.dirs is not set.",
        kafka "/tmp/kafka-logs", "Data survives a reboot, in the directory where the broker was started.";
    "log.dirs",                                          List,    null,                  Any,             ReadOnly,    Implemented, "The data directory. Of several, separated by commas, the one with data is used; if more than one has data, the broker does not start.";
    "cordoned.log.dirs",                                 List,    "",                    Any,             PerBroker,   Ignored, "Directories without new partitions; there is only one directory.";
    "log.segment.bytes",                                 Int,     "1073741824",          AtLeast(1048576), ClusterWide, Implemented, "The size at which a new segment is started.";
    "log.roll.ms",                                       Long,    null,                  Any,             ClusterWide, Implemented, "The age at which a new segment is started; takes precedence over log.roll.hours.";
    "log.roll.hours",                                    Int,     "168",                 AtLeast(1),      ReadOnly,    Implemented, "The same in hours, if log.roll.ms is not set.";
    "log.roll.jitter.ms",                                Long,    null,                  Any,             ClusterWide, Implemented, "The maximum that is randomly subtracted from log.roll.ms, so that segments do not all roll at once.";
    "log.roll.jitter.hours",                             Int,     "0",                   AtLeast(0),      ReadOnly,    Implemented, "The same in hours, if log.roll.jitter.ms is not set.";
    "log.segment.delete.delay.ms",                       Long,    "60000",               AtLeast(0),      ClusterWide, Implemented, "How long a removed file stays on disk with the suffix .deleted, for readers that still use it.";
    "log.index.size.max.bytes",                          Int,     "10485760",            AtLeast(4),      ClusterWide, Implemented, "Size limit of an index file; a full index starts a new segment.";
    "log.index.interval.bytes",                          Int,     "4096",                AtLeast(0),      ClusterWide, Implemented, "Bytes of records between two entries of the offset index.";
    "log.preallocate",                                   Boolean, "false",               Any,             ClusterWide, Implemented, "Reserve disk space for a whole segment when it is started; unused space is freed when it is closed. The length of the file is what was written.";
    "log.cleanup.policy",                                List,    "delete",              EachOf(CLEANUP_POLICIES), ClusterWide, Implemented, "How old records are removed: delete drops whole segments by age and size; compact keeps the newest record of each key.";
    "log.retention.ms",                                  Long,    null,                  Any,             ClusterWide, Implemented, "A segment, the active one too, is deleted when its newest record is older than this; -1 keeps all. Takes precedence over log.retention.minutes and log.retention.hours.";
    "log.retention.minutes",                             Int,     null,                  Any,             ReadOnly,    Implemented, "The same in minutes, if log.retention.ms is not set.";
    "log.retention.hours",                               Int,     "168",                 Any,             ReadOnly,    Implemented, "The same in hours, if neither of the finer two is set.";
    "log.retention.bytes",                               Long,    "-1",                  Any,             ClusterWide, Implemented, "The oldest segments are deleted while the rest is at least this large; -1 is no limit.";
    "log.retention.check.interval.ms",                   Long,    "300000",              AtLeast(1),      ReadOnly,    Implemented, "How often retention looks for segments to delete.";
    internal "log.initial.task.delay.ms",                Long,    "30000",               AtLeast(0),      ReadOnly,    Implemented, "How long after start the periodic tasks of the log begin.";
    "log.flush.interval.messages",                       Long,    "9223372036854775807", AtLeast(1),      ClusterWide, Implemented, "An fsync is due after this many records of a partition; acknowledgements wait for it.";
    "log.flush.interval.ms",                             Long,    null,                  Any,             ClusterWide, Implemented, "A record is on disk at most this long after it was written; unset, log.flush.scheduler.interval.ms.";
    "log.flush.scheduler.interval.ms",                   Long,    "9223372036854775807", Any,             ReadOnly,    Implemented, "The value of log.flush.interval.ms if that is not set.";
    "log.flush.offset.checkpoint.interval.ms",           Int,     "60000",               AtLeast(0),      ReadOnly,    Implemented, "How often recovery points (the offset up to which a log is synced) and log start offsets are written to their checkpoint files.";
    "log.flush.start.offset.checkpoint.interval.ms",     Int,     "60000",               AtLeast(0),      ReadOnly,    Implemented, "How often changed log start offsets are written to their checkpoint file.";
    "log.dir.failure.timeout.ms",                        Long,    "30000",               AtLeast(1),      ReadOnly,    Ignored, "How long Kafka keeps running with a failed directory that it could not report.";
    "log.message.timestamp.type",                        String,  "CreateTime",          OneOf(TIMESTAMP_TYPES), ClusterWide, Implemented, "Whose clock stamps records: CreateTime is the producer's, LogAppendTime the broker's.";
    "log.message.timestamp.before.max.ms",               Long,    "9223372036854775807", AtLeast(0),      ClusterWide, Implemented, "How far in the past a producer's timestamp may be.";
    "log.message.timestamp.after.max.ms",                Long,    "3600000",             AtLeast(0),      ClusterWide, Implemented, "How far in the future a producer's timestamp may be.";
    "message.max.bytes",                                 Int,     "1048588",             AtLeast(0),      ClusterWide, Implemented, "The largest batch of records, as compressed by its producer.";
    "max.decompressed.message.bytes",                    Int,     "2147483639",          Between(1, 2147483639), ClusterWide, Implemented, "Size limit of a record in a compressed batch once it is decompressed, checked when it is produced. The whole batch may expand to the same size, in any case to max.message.bytes, 1100 times its size or 32 MiB, but at most to 1 GiB. If the broker has to keep it in memory (cleanup.policy=compact, a compression.type of the topic's own, old message formats), the limit is the largest of: a quarter of queued.max.request.bytes, max.message.bytes, 32 MiB, 100 times its size.";
    "compression.type",                                  String,  "producer",            OneOf(COMPRESSION_TYPES), ClusterWide, Implemented, "The compression of stored batches; producer keeps that of the producer.";
    "compression.gzip.level",                            Int,     "-1",                  BetweenOr(1, 9, -1), ClusterWide, Implemented, "The gzip level if the broker compresses; -1 is the library's default.";
    "compression.lz4.level",                             Int,     "9",                   Between(1, 17),  ClusterWide, Implemented, "The lz4 level if the broker compresses; 9 is the fast compressor, all others search longer.";
    "compression.zstd.level",                            Int,     "3",                   Between(-131072, 22), ClusterWide, Implemented, "The zstd level if the broker compresses.";
    "min.insync.replicas",                               Int,     "1",                   AtLeast(1),      ClusterWide, Ignored, "Replicas that must store a write with acks=all; as in Kafka, never more than the topic has, and the single replica here always does.";
    "producer.id.expiration.ms",                         Int,     "86400000",            AtLeast(1),      ClusterWide, Implemented, "A partition removes the state of a producer that wrote nothing for this long.";
    internal "producer.id.expiration.check.interval.ms", Int,     "600000",              AtLeast(1),      ReadOnly,    Implemented, "How often producers are checked against producer.id.expiration.ms.";
    "num.recovery.threads.per.data.dir",                 Int,     "2",                   AtLeast(1),      ClusterWide, Implemented, "Logs opened in parallel at start after a crash; otherwise a log is opened when it is first used.";
    "log.cleaner.enable",                                Boolean, "true",                Any,             ReadOnly,    Implemented, "Whether compaction runs.";
    "log.cleaner.threads",                               Int,     "1",                   AtLeast(0),      ClusterWide, Implemented, "Threads that compact.";
    "log.cleaner.backoff.ms",                            Long,    "15000",               AtLeast(0),      ClusterWide, Implemented, "How long compaction sleeps when there is nothing to do.";
    "log.cleaner.dedupe.buffer.size",                    Long,    "134217728",           Any,             ClusterWide, Implemented, "Memory for compaction's table of keys, over all its threads.";
    "log.cleaner.io.buffer.size",                        Int,     "524288",              AtLeast(0),      ClusterWide, Implemented, "Memory for compaction's reads and writes, over all its threads.";
    "log.cleaner.io.buffer.load.factor",                 Double,  "0.9",                 Any,             ClusterWide, Implemented, "How full compaction's table of keys may become.";
    "log.cleaner.io.max.bytes.per.second",               Double,  "1.7976931348623157E308", Any,             ClusterWide, Implemented, "Limit of bytes that compaction reads and writes per second.";
    "log.cleaner.delete.retention.ms",                   Long,    "86400000",            AtLeast(0),      ClusterWide, Implemented, "How long compaction keeps a tombstone, so that late readers see the deletion.";
    "log.cleaner.min.compaction.lag.ms",                 Long,    "0",                   AtLeast(0),      ClusterWide, Implemented, "Records younger than this are never compacted.";
    "log.cleaner.max.compaction.lag.ms",                 Long,    "9223372036854775807", AtLeast(1),      ClusterWide, Implemented, "Records older than this are compacted even if little of the log is uncompacted.";
    "log.cleaner.min.cleanable.ratio",                   Double,  "0.5",                 Ratio(0.0, 1.0), ClusterWide, Implemented, "The uncompacted share of a log at which it is compacted.";
    "log.local.retention.bytes",                         Long,    "-2",                  AtLeast(-2),     ClusterWide, Ignored, "Tiered storage: bytes of a partition that stay on local disk; -2 follows retention.bytes.";
    "log.local.retention.ms",                            Long,    "-2",                  AtLeast(-2),     ClusterWide, Ignored, "Tiered storage: how long records stay on local disk; -2 follows retention.ms.";
    "log.remote.copy.lag.bytes",                         Long,    "-1",                  AtLeast(-1),     ClusterWide, Ignored, "Tiered storage: bytes that stay uncopied behind the active segment.";
    "log.remote.copy.lag.ms",                            Long,    "0",                   AtLeast(-1),     ClusterWide, Ignored, "Tiered storage: how old a segment must be before it is copied.";
}
