//! Settings of one topic. A setting without a value follows the broker, see [`super::synonyms`].

use super::{
    CLEANUP_POLICIES, COMPRESSION_TYPES, SUBJECT_NAME_STRATEGIES, SUBJECT_NAME_STRATEGY_CLASSES, TIMESTAMP_TYPES,
    settings,
};

settings! {
    pub(super) const TOPIC:
    "cleanup.policy",                          List,    "delete",              EachOf(CLEANUP_POLICIES), ClusterWide, Implemented, "How old records are removed: delete drops whole segments by age and size; compact keeps the newest record of each key.";
    "compression.type",                        String,  "producer",            OneOf(COMPRESSION_TYPES), ClusterWide, Implemented, "The compression of stored batches; producer keeps that of the producer.";
    "compression.gzip.level",                  Int,     "-1",                  BetweenOr(1, 9, -1), ClusterWide, Implemented, "The gzip level if the broker compresses; -1 is the library's default.";
    "compression.lz4.level",                   Int,     "9",                   Between(1, 17),  ClusterWide, Implemented, "The lz4 level if the broker compresses; 9 is the fast compressor, all others search longer.";
    "compression.zstd.level",                  Int,     "3",                   Between(-131072, 22), ClusterWide, Implemented, "The zstd level if the broker compresses.";
    "confluent.key.schema.validation",         Boolean, "false",               Any,             ClusterWide, Implemented, "Whether a record's key must begin with the id of a schema that is registered under its subject (or the record has the header with the schema's GUID). A batch with another key is refused with INVALID_RECORD. Null passes.";
    "confluent.key.subject.name.strategy",     String,  "io.confluent.kafka.serializers.subject.TopicNameStrategy", OneOf(SUBJECT_NAME_STRATEGY_CLASSES), ClusterWide, Implemented, "The subject of keys: the topic with -key, the full name of the record, or the topic and the name of the record.";
    "confluent.value.schema.validation",       Boolean, "false",               Any,             ClusterWide, Implemented, "The same as confluent.key.schema.validation for values. Needs the schema registry of the broker (ottla.registry.listener).";
    "confluent.value.subject.name.strategy",   String,  "io.confluent.kafka.serializers.subject.TopicNameStrategy", OneOf(SUBJECT_NAME_STRATEGY_CLASSES), ClusterWide, Implemented, "The subject of values: the topic with -value, the full name of the record, or the topic and the name of the record.";
    "delete.retention.ms",                     Long,    "86400000",            AtLeast(0),      ClusterWide, Implemented, "How long compaction keeps a tombstone, so that late readers see the deletion.";
    "errors.deadletterqueue.group.enable",     Boolean, "false",               Any,             ClusterWide, Ignored, "Share groups: whether this topic may take records that a group gave up.";
    "file.delete.delay.ms",                    Long,    "60000",               AtLeast(0),      ClusterWide, Implemented, "How long a removed file stays on disk with the suffix .deleted, for readers that still use it.";
    "flush.messages",                          Long,    "9223372036854775807", AtLeast(1),      ClusterWide, Implemented, "An fsync is due after this many records; acknowledgements wait for it.";
    "flush.ms",                                Long,    "9223372036854775807", AtLeast(0),      ClusterWide, Implemented, "A record is on disk at most this long after it was written.";
    "follower.replication.throttled.replicas", List,    "",                    ThrottledReplicas, ClusterWide, Ignored, "Replicas with throttled copying at the receiver; there is no copying here.";
    "leader.replication.throttled.replicas",   List,    "",                    ThrottledReplicas, ClusterWide, Ignored, "Replicas with throttled copying at the sender; there is no copying here.";
    "index.interval.bytes",                    Int,     "4096",                AtLeast(0),      ClusterWide, Implemented, "Bytes of records between two entries of the offset index.";
    internal "internal.segment.bytes",         Int,     null,                  Any,             ClusterWide, Implemented, "The size at which a segment is closed, without a floor; for tests.";
    "local.retention.bytes",                   Long,    "-2",                  AtLeast(-2),     ClusterWide, Ignored, "Tiered storage: bytes of a partition that stay on local disk; -2 follows retention.bytes.";
    "local.retention.ms",                      Long,    "-2",                  AtLeast(-2),     ClusterWide, Ignored, "Tiered storage: how long records stay on local disk; -2 follows retention.ms.";
    "max.compaction.lag.ms",                   Long,    "9223372036854775807", AtLeast(1),      ClusterWide, Implemented, "Records older than this are compacted even if little of the log is uncompacted.";
    "max.decompressed.message.bytes",          Int,     "2147483639",          Between(1, 2147483639), ClusterWide, Implemented, "Size limit of a record in a compressed batch once it is decompressed, checked when it is produced. The whole batch may expand to the same size, in any case to max.message.bytes, 1100 times its size or 32 MiB, but at most to 1 GiB. If the broker has to keep it in memory (cleanup.policy=compact, a compression.type of the topic's own, old message formats), the limit is the largest of: a quarter of queued.max.request.bytes, max.message.bytes, 32 MiB, 100 times its size.";
    "max.message.bytes",                       Int,     "1048588",             AtLeast(0),      ClusterWide, Implemented, "The largest batch of records, as compressed by its producer.";
    "message.timestamp.after.max.ms",          Long,    "3600000",             AtLeast(0),      ClusterWide, Implemented, "How far in the future a producer's timestamp may be.";
    "message.timestamp.before.max.ms",         Long,    "9223372036854775807", AtLeast(0),      ClusterWide, Implemented, "How far in the past a producer's timestamp may be.";
    "message.timestamp.type",                  String,  "CreateTime",          OneOf(TIMESTAMP_TYPES), ClusterWide, Implemented, "Whose clock stamps records: CreateTime is the producer's, LogAppendTime the broker's.";
    "min.cleanable.dirty.ratio",               Double,  "0.5",                 Ratio(0.0, 1.0), ClusterWide, Implemented, "The uncompacted share of a log at which it is compacted.";
    "min.compaction.lag.ms",                   Long,    "0",                   AtLeast(0),      ClusterWide, Implemented, "Records younger than this are never compacted.";
    "min.insync.replicas",                     Int,     "1",                   AtLeast(1),      ClusterWide, Ignored, "Replicas that must store a write with acks=all; as in Kafka, never more than the topic has, and the single replica here always does.";
    "ottla.schema.validation.level",           Int,     "1",                   Between(1, 2),   ClusterWide, Implemented, "What confluent.key.schema.validation and confluent.value.schema.validation check: 1 is the id of the schema; 2 is also that the key or the value decodes by it.";
    "preallocate",                             Boolean, "false",               Any,             ClusterWide, Implemented, "Reserve disk space for a whole segment when it is started; unused space is freed when it is closed. The length of the file is what was written.";
    internal "redpanda.key.schema.id.validation", Boolean, null,               Any,             ClusterWide, Implemented, "Redpanda's name of confluent.key.schema.validation; has precedence if given.";
    internal "redpanda.key.subject.name.strategy", String, null,               OneOf(SUBJECT_NAME_STRATEGIES), ClusterWide, Implemented, "Redpanda's name of confluent.key.subject.name.strategy; has precedence if given.";
    internal "redpanda.value.schema.id.validation", Boolean, null,             Any,             ClusterWide, Implemented, "Redpanda's name of confluent.value.schema.validation; has precedence if given.";
    internal "redpanda.value.subject.name.strategy", String, null,             OneOf(SUBJECT_NAME_STRATEGIES), ClusterWide, Implemented, "Redpanda's name of confluent.value.subject.name.strategy; has precedence if given.";
    "remote.copy.lag.bytes",                   Long,    "-1",                  AtLeast(-1),     ClusterWide, Ignored, "Tiered storage: bytes that stay uncopied behind the active segment.";
    "remote.copy.lag.ms",                      Long,    "0",                   AtLeast(-1),     ClusterWide, Ignored, "Tiered storage: how old a segment must be before it is copied.";
    "remote.log.copy.disable",                 Boolean, "false",               Any,             ClusterWide, Ignored, "Tiered storage: stop copying, keep what is there readable.";
    "remote.log.delete.on.disable",            Boolean, "false",               Any,             ClusterWide, Ignored, "Tiered storage: drop the copies when it is turned off.";
    "remote.storage.enable",                   Boolean, "false",               Any,             ClusterWide, Ignored, "Tiered storage: whether this topic uses it. It is not supported.";
    "retention.bytes",                         Long,    "-1",                  Any,             ClusterWide, Implemented, "The oldest segments are deleted while the rest is at least this large; -1 is no limit.";
    "retention.ms",                            Long,    "604800000",           AtLeast(-1),     ClusterWide, Implemented, "A segment, the active one too, is deleted when its newest record is older than this; -1 keeps all.";
    "segment.bytes",                           Int,     "1073741824",          AtLeast(1048576), ClusterWide, Implemented, "The size at which a new segment is started.";
    "segment.index.bytes",                     Int,     "10485760",            AtLeast(4),      ClusterWide, Implemented, "Size limit of an index file; a full index starts a new segment.";
    "segment.jitter.ms",                       Long,    "0",                   AtLeast(0),      ClusterWide, Implemented, "The maximum that is randomly subtracted from segment.ms, so that segments do not all roll at once.";
    "segment.ms",                              Long,    "604800000",           AtLeast(1),      ClusterWide, Implemented, "The age at which a new segment is started.";
    "unclean.leader.election.enable",          Boolean, "false",               Any,             ClusterWide, Ignored, "Whether a replica that is not in sync may become leader; a single replica is always in sync.";
}
