//! Synonyms: the broker settings that a topic setting, or a broker setting in a finer unit, falls back to.

/// A broker setting to fall back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Synonym {
    pub name: &'static str,
    /// The factor between the units: 3,600,000 from hours to milliseconds.
    pub factor: i64,
}

const MINUTES: i64 = 60_000;
const HOURS: i64 = 3_600_000;

/// The broker settings that a topic without `name` falls back to; the first one given counts (Kafka's
/// `ServerTopicConfigSynonyms`).
pub fn of_topic(name: &str) -> &'static [Synonym] {
    lookup(TOPIC, name)
}

/// The settings that a broker without `name` falls back to (Kafka's `DynamicBrokerConfig.brokerConfigSynonyms`).
pub fn of_broker(name: &str) -> &'static [Synonym] {
    lookup(BROKER, name)
}

fn lookup(table: &'static [(&str, &[Synonym])], name: &str) -> &'static [Synonym] {
    table.iter().find(|(of, _)| *of == name).map_or(&[], |(_, synonyms)| synonyms)
}

const fn same(name: &'static str) -> Synonym {
    Synonym { name, factor: 1 }
}

const fn minutes(name: &'static str) -> Synonym {
    Synonym { name, factor: MINUTES }
}

const fn hours(name: &'static str) -> Synonym {
    Synonym { name, factor: HOURS }
}

const TOPIC: &[(&str, &[Synonym])] = &[
    ("cleanup.policy", &[same("log.cleanup.policy")]),
    ("compression.gzip.level", &[same("compression.gzip.level")]),
    ("compression.lz4.level", &[same("compression.lz4.level")]),
    ("compression.type", &[same("compression.type")]),
    ("compression.zstd.level", &[same("compression.zstd.level")]),
    ("delete.retention.ms", &[same("log.cleaner.delete.retention.ms")]),
    ("file.delete.delay.ms", &[same("log.segment.delete.delay.ms")]),
    ("flush.messages", &[same("log.flush.interval.messages")]),
    ("flush.ms", &[same("log.flush.interval.ms"), same("log.flush.scheduler.interval.ms")]),
    ("index.interval.bytes", &[same("log.index.interval.bytes")]),
    ("local.retention.bytes", &[same("log.local.retention.bytes")]),
    ("local.retention.ms", &[same("log.local.retention.ms")]),
    ("max.compaction.lag.ms", &[same("log.cleaner.max.compaction.lag.ms")]),
    ("max.decompressed.message.bytes", &[same("max.decompressed.message.bytes")]),
    ("max.message.bytes", &[same("message.max.bytes")]),
    ("message.timestamp.after.max.ms", &[same("log.message.timestamp.after.max.ms")]),
    ("message.timestamp.before.max.ms", &[same("log.message.timestamp.before.max.ms")]),
    ("message.timestamp.type", &[same("log.message.timestamp.type")]),
    ("min.cleanable.dirty.ratio", &[same("log.cleaner.min.cleanable.ratio")]),
    ("min.compaction.lag.ms", &[same("log.cleaner.min.compaction.lag.ms")]),
    ("min.insync.replicas", &[same("min.insync.replicas")]),
    ("preallocate", &[same("log.preallocate")]),
    ("remote.copy.lag.bytes", &[same("log.remote.copy.lag.bytes")]),
    ("remote.copy.lag.ms", &[same("log.remote.copy.lag.ms")]),
    ("retention.bytes", &[same("log.retention.bytes")]),
    ("retention.ms", &[same("log.retention.ms"), minutes("log.retention.minutes"), hours("log.retention.hours")]),
    ("segment.bytes", &[same("log.segment.bytes")]),
    ("segment.index.bytes", &[same("log.index.size.max.bytes")]),
    ("segment.jitter.ms", &[same("log.roll.jitter.ms"), hours("log.roll.jitter.hours")]),
    ("segment.ms", &[same("log.roll.ms"), hours("log.roll.hours")]),
    ("unclean.leader.election.enable", &[same("unclean.leader.election.enable")]),
];

const BROKER: &[(&str, &[Synonym])] = &[
    ("log.flush.interval.ms", &[same("log.flush.scheduler.interval.ms")]),
    ("log.retention.ms", &[minutes("log.retention.minutes"), hours("log.retention.hours")]),
    ("log.retention.minutes", &[Synonym { name: "log.retention.hours", factor: HOURS / MINUTES }]),
    ("log.roll.jitter.ms", &[hours("log.roll.jitter.hours")]),
    ("log.roll.ms", &[hours("log.roll.hours")]),
];
