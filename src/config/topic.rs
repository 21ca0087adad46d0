//! A topic's settings as Rust types.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::broker::BrokerConfig;
use super::table::{self, Scope, synonyms};
use super::text;
use super::values::{SettingValue, Values, typed_settings};

typed_settings! {
    /// All settings of one topic, each with the value in force.
    pub struct TopicConfig {
        cleanup_policy: CleanupPolicy = "cleanup.policy";
        compression_gzip_level: i32 = "compression.gzip.level";
        compression_lz4_level: i32 = "compression.lz4.level";
        compression_type: CompressionType = "compression.type";
        compression_zstd_level: i32 = "compression.zstd.level";
        delete_retention_ms: i64 = "delete.retention.ms";
        errors_deadletterqueue_group_enable: bool = "errors.deadletterqueue.group.enable";
        file_delete_delay_ms: i64 = "file.delete.delay.ms";
        /// `i64::MAX` is never.
        flush_messages: i64 = "flush.messages";
        /// `i64::MAX` is never.
        flush_ms: i64 = "flush.ms";
        follower_replication_throttled_replicas: Vec<String> = "follower.replication.throttled.replicas";
        index_interval_bytes: u32 = "index.interval.bytes";
        /// In place of `segment.bytes`, where given.
        internal_segment_bytes: Option<u32> = "internal.segment.bytes";
        leader_replication_throttled_replicas: Vec<String> = "leader.replication.throttled.replicas";
        local_retention_bytes: i64 = "local.retention.bytes";
        local_retention_ms: i64 = "local.retention.ms";
        max_compaction_lag_ms: i64 = "max.compaction.lag.ms";
        max_decompressed_message_bytes: usize = "max.decompressed.message.bytes";
        max_message_bytes: usize = "max.message.bytes";
        message_timestamp_after_max_ms: i64 = "message.timestamp.after.max.ms";
        message_timestamp_before_max_ms: i64 = "message.timestamp.before.max.ms";
        message_timestamp_type: TimestampType = "message.timestamp.type";
        min_cleanable_dirty_ratio: f64 = "min.cleanable.dirty.ratio";
        min_compaction_lag_ms: i64 = "min.compaction.lag.ms";
        min_insync_replicas: i32 = "min.insync.replicas";
        preallocate: bool = "preallocate";
        remote_copy_lag_bytes: i64 = "remote.copy.lag.bytes";
        remote_copy_lag_ms: i64 = "remote.copy.lag.ms";
        remote_log_copy_disable: bool = "remote.log.copy.disable";
        remote_log_delete_on_disable: bool = "remote.log.delete.on.disable";
        remote_storage_enable: bool = "remote.storage.enable";
        /// Negative is no limit.
        retention_bytes: i64 = "retention.bytes";
        /// Negative is no limit.
        retention_ms: i64 = "retention.ms";
        segment_bytes: u32 = "segment.bytes";
        segment_index_bytes: u32 = "segment.index.bytes";
        segment_jitter_ms: i64 = "segment.jitter.ms";
        segment_ms: i64 = "segment.ms";
        unclean_leader_election_enable: bool = "unclean.leader.election.enable";
    }
}

impl TopicConfig {
    /// The settings of a topic that has `overrides` of its own; all others follow the broker.
    ///
    /// Never fails: values are checked when a client sets them ([`super::validate_topic`]). One that is not allowed
    /// all the same (another release wrote it) counts as not set.
    pub fn resolve(broker: &BrokerConfig, overrides: &BTreeMap<String, String>) -> TopicConfig {
        TopicConfig::read(|name| text(&broker.values, overrides, name))
    }

    /// The settings of a topic on a broker where nothing is configured.
    pub(super) fn of_overrides(overrides: &BTreeMap<String, String>) -> TopicConfig {
        let nothing = Values::default();
        TopicConfig::read(|name| text(&nothing, overrides, name))
    }

    /// The size at which a segment is closed.
    pub fn segment_limit_bytes(&self) -> u32 {
        self.internal_segment_bytes.unwrap_or(self.segment_bytes)
    }
}

impl Default for TopicConfig {
    fn default() -> Self {
        TopicConfig::read(default_text)
    }
}

/// The value in force of a topic's setting: its own, else the broker's, else the default; `None` is null.
pub(super) fn text<'a>(
    broker: &'a Values,
    overrides: &'a BTreeMap<String, String>,
    name: &'static str,
) -> Option<Cow<'a, str>> {
    let allowed = |value: &&String| table::find(Scope::Topic, name).is_some_and(|setting| setting.check(value).is_ok());
    if let Some(value) = overrides.get(name).filter(allowed) {
        return Some(Cow::Borrowed(value.trim()));
    }
    broker.first_synonym(synonyms::of_topic(name)).or_else(|| default_text(name))
}

fn default_text(name: &'static str) -> Option<Cow<'static, str>> {
    table::find(Scope::Topic, name)?.default.map(Cow::Borrowed)
}

/// What becomes of old records. With neither, everything is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CleanupPolicy {
    pub delete: bool,
    pub compact: bool,
}

impl SettingValue for CleanupPolicy {
    fn read(text: Option<&str>) -> Option<Self> {
        let has = |policy| text.is_some_and(|text| text::list(text).any(|entry| entry == policy));
        Some(CleanupPolicy { delete: has("delete"), compact: has("compact") })
    }
}

/// How batches are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CompressionType {
    /// As their producer made them.
    #[default]
    Producer,
    Uncompressed,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl SettingValue for CompressionType {
    fn read(text: Option<&str>) -> Option<Self> {
        Some(match text? {
            "producer" => CompressionType::Producer,
            "uncompressed" => CompressionType::Uncompressed,
            "gzip" => CompressionType::Gzip,
            "snappy" => CompressionType::Snappy,
            "lz4" => CompressionType::Lz4,
            "zstd" => CompressionType::Zstd,
            _ => return None,
        })
    }
}

/// Whose clock stamps records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimestampType {
    /// The producer's.
    #[default]
    CreateTime,
    /// The broker's.
    LogAppendTime,
}

impl SettingValue for TimestampType {
    fn read(text: Option<&str>) -> Option<Self> {
        match text? {
            "CreateTime" => Some(TimestampType::CreateTime),
            "LogAppendTime" => Some(TimestampType::LogAppendTime),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::values::Source;
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn resolve(broker: &[(&str, &str)], topic: &[(&str, &str)]) -> TopicConfig {
        let mut values = Values::default();
        for (name, value) in broker {
            values.give(name, value, Source::CommandLine);
        }
        TopicConfig::resolve(&BrokerConfig::resolve(values).unwrap().config, &map(topic))
    }

    #[test]
    fn every_topic_setting_has_a_field() {
        let mut fields = TopicConfig::NAMES.to_vec();
        fields.sort_unstable();
        assert_eq!(fields, table::all(Scope::Topic).map(|setting| setting.name).collect::<Vec<_>>());
    }

    #[test]
    fn defaults_are_of_their_fields_types() {
        assert_eq!(TopicConfig::misfits(default_text), Vec::<&str>::new());
    }

    #[test]
    fn defaults_are_kafkas() {
        let config = resolve(&[], &[]);
        assert_eq!(config, TopicConfig::default());
        assert_eq!(config.cleanup_policy, CleanupPolicy { delete: true, compact: false });
        assert_eq!(config.retention_ms, 7 * 24 * 3_600_000);
        assert_eq!(config.segment_limit_bytes(), 1 << 30);
        assert_eq!(config.max_message_bytes, 1_048_588);
        assert_eq!(config.flush_ms, i64::MAX);
    }

    #[test]
    fn the_finest_broker_setting_wins() {
        assert_eq!(resolve(&[("log.retention.hours", "2")], &[]).retention_ms, 7_200_000);
        assert_eq!(resolve(&[("log.retention.hours", "2"), ("log.retention.minutes", "3")], &[]).retention_ms, 180_000);
        assert_eq!(resolve(&[("log.retention.ms", "5"), ("log.retention.minutes", "3")], &[]).retention_ms, 5);
        assert_eq!(resolve(&[("log.retention.hours", "-1")], &[]).retention_ms, -1);
        assert_eq!(resolve(&[("log.flush.scheduler.interval.ms", "9")], &[]).flush_ms, 9);
    }

    #[test]
    fn the_topic_wins_over_the_broker() {
        let config = resolve(&[("log.cleanup.policy", "delete")], &[("cleanup.policy", "compact, delete")]);
        assert_eq!(config.cleanup_policy, CleanupPolicy { delete: true, compact: true });
        assert_eq!(resolve(&[("message.max.bytes", "10")], &[("max.message.bytes", " 20 ")]).max_message_bytes, 20);
        assert_eq!(resolve(&[("message.max.bytes", "10")], &[]).max_message_bytes, 10);
        assert_eq!(resolve(&[], &[("compression.type", "zstd")]).compression_type, CompressionType::Zstd);
    }

    #[test]
    fn what_is_not_allowed_counts_as_not_set() {
        assert_eq!(resolve(&[], &[("segment.bytes", "1"), ("nonsense", "x")]), TopicConfig::default());
    }
}
