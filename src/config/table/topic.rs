//! Settings of one topic. One that is not set follows the broker, see [`super::synonyms`].

use super::{CLEANUP_POLICIES, COMPRESSION_TYPES, TIMESTAMP_TYPES, settings};

settings! {
    pub(super) const TOPIC:
    "cleanup.policy",                          List,    "delete",              EachOf(CLEANUP_POLICIES), ClusterWide, Implemented, "What becomes of old records: delete drops whole segments by age and size; compact keeps the newest record of each key.";
    "compression.type",                        String,  "producer",            OneOf(COMPRESSION_TYPES), ClusterWide, Implemented, "How batches are stored; producer keeps them as they came.";
    "compression.gzip.level",                  Int,     "-1",                  BetweenOr(1, 9, -1), ClusterWide, Implemented, "The gzip level where the broker compresses; -1 is the library's default.";
    "compression.lz4.level",                   Int,     "9",                   Between(1, 17),  ClusterWide, Implemented, "The lz4 level where the broker compresses; 9 is the fast compressor, all others search longer.";
    "compression.zstd.level",                  Int,     "3",                   Between(-131072, 22), ClusterWide, Implemented, "The zstd level where the broker compresses.";
    "delete.retention.ms",                     Long,    "86400000",            AtLeast(0),      ClusterWide, Implemented, "How long compaction keeps a tombstone, so that late readers see the deletion.";
    "errors.deadletterqueue.group.enable",     Boolean, "false",               Any,             ClusterWide, Ignored, "Share groups: whether this topic may take records that a group gave up.";
    "file.delete.delay.ms",                    Long,    "60000",               AtLeast(0),      ClusterWide, Implemented, "How long a removed file stays on disk under a .deleted name, for readers still at it.";
    "flush.messages",                          Long,    "9223372036854775807", AtLeast(1),      ClusterWide, Implemented, "An fsync is due after this many records; acknowledgements wait for it.";
    "flush.ms",                                Long,    "9223372036854775807", AtLeast(0),      ClusterWide, Implemented, "A record is on disk at most this long after it was written.";
    "follower.replication.throttled.replicas", List,    "",                    ThrottledReplicas, ClusterWide, Ignored, "Replicas whose copying is throttled at the receiver; nothing is copied here.";
    "leader.replication.throttled.replicas",   List,    "",                    ThrottledReplicas, ClusterWide, Ignored, "Replicas whose copying is throttled at the sender; nothing is copied here.";
    "index.interval.bytes",                    Int,     "4096",                AtLeast(0),      ClusterWide, Implemented, "Bytes of records between two entries of the offset index.";
    internal "internal.segment.bytes",         Int,     null,                  Any,             ClusterWide, Implemented, "The size at which a segment is closed, without a floor; for tests.";
    "local.retention.bytes",                   Long,    "-2",                  AtLeast(-2),     ClusterWide, Ignored, "Tiered storage: what of a partition stays on local disk; -2 follows retention.bytes.";
    "local.retention.ms",                      Long,    "-2",                  AtLeast(-2),     ClusterWide, Ignored, "Tiered storage: how long records stay on local disk; -2 follows retention.ms.";
    "max.compaction.lag.ms",                   Long,    "9223372036854775807", AtLeast(1),      ClusterWide, Implemented, "Records older than this are compacted even in a log hardly worth it.";
    "max.decompressed.message.bytes",          Int,     "2147483639",          Between(1, 2147483639), ClusterWide, Implemented, "The largest that a record of a compressed batch may be once decompressed, checked when it is produced. A batch as a whole may expand as far, at least to max.message.bytes, to 1100 times its size and to 32 MiB, at most to 1 GiB. Where the broker has to hold it in memory (cleanup.policy=compact, a compression.type of the topic's own, old message formats), the most is a quarter of queued.max.request.bytes, or if that is more max.message.bytes, 32 MiB or 100 times its size.";
    "max.message.bytes",                       Int,     "1048588",             AtLeast(0),      ClusterWide, Implemented, "The largest batch of records, as compressed by its producer.";
    "message.timestamp.after.max.ms",          Long,    "3600000",             AtLeast(0),      ClusterWide, Implemented, "How far in the future a producer's timestamp may lie.";
    "message.timestamp.before.max.ms",         Long,    "9223372036854775807", AtLeast(0),      ClusterWide, Implemented, "How far in the past a producer's timestamp may lie.";
    "message.timestamp.type",                  String,  "CreateTime",          OneOf(TIMESTAMP_TYPES), ClusterWide, Implemented, "Whose clock stamps records: CreateTime is the producer's, LogAppendTime the broker's.";
    "min.cleanable.dirty.ratio",               Double,  "0.5",                 Ratio(0.0, 1.0), ClusterWide, Implemented, "The uncompacted share of a log that makes compaction worth it.";
    "min.compaction.lag.ms",                   Long,    "0",                   AtLeast(0),      ClusterWide, Implemented, "Records younger than this are never compacted.";
    "min.insync.replicas",                     Int,     "1",                   AtLeast(1),      ClusterWide, Ignored, "Replicas that must have a write under acks=all, but, as in Kafka, never more than the topic has: the one here always has it.";
    "preallocate",                             Boolean, "false",               Any,             ClusterWide, Implemented, "Reserve room for a whole segment on disk when it is begun; what is left of it is given back when it is closed. The length of the file tells what was written.";
    "remote.copy.lag.bytes",                   Long,    "-1",                  AtLeast(-1),     ClusterWide, Ignored, "Tiered storage: bytes that stay uncopied behind the active segment.";
    "remote.copy.lag.ms",                      Long,    "0",                   AtLeast(-1),     ClusterWide, Ignored, "Tiered storage: how old a segment must be before it is copied.";
    "remote.log.copy.disable",                 Boolean, "false",               Any,             ClusterWide, Ignored, "Tiered storage: stop copying, keep what is there readable.";
    "remote.log.delete.on.disable",            Boolean, "false",               Any,             ClusterWide, Ignored, "Tiered storage: drop the copies when it is turned off.";
    "remote.storage.enable",                   Boolean, "false",               Any,             ClusterWide, Ignored, "Tiered storage: whether this topic uses it. There is none here.";
    "retention.bytes",                         Long,    "-1",                  Any,             ClusterWide, Implemented, "The oldest segments go as long as so much is left without them; -1 is no limit.";
    "retention.ms",                            Long,    "604800000",           AtLeast(-1),     ClusterWide, Implemented, "A segment goes, the one being written to as well, when its newest record is older than this; -1 keeps all.";
    "segment.bytes",                           Int,     "1073741824",          AtLeast(1048576), ClusterWide, Implemented, "A partition's file is closed and a new one begun at this size.";
    "segment.index.bytes",                     Int,     "10485760",            AtLeast(4),      ClusterWide, Implemented, "The largest an index file may become; a fuller one rolls the segment.";
    "segment.jitter.ms",                       Long,    "0",                   AtLeast(0),      ClusterWide, Implemented, "Up to this much is taken off segment.ms at random, so that files do not all roll at once.";
    "segment.ms",                              Long,    "604800000",           AtLeast(1),      ClusterWide, Implemented, "A partition's file is closed and a new one begun at this age.";
    "unclean.leader.election.enable",          Boolean, "false",               Any,             ClusterWide, Ignored, "Whether a replica that lags may lead; the one replica never lags.";
}
