//! A topic's settings as Rust types.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::broker::BrokerConfig;
use super::table::{self, Scope, synonyms};
use super::text;
use super::values::{SettingValue, Values, typed_settings};

typed_settings! {
    /// All settings of one topic, with their effective values.
    pub struct TopicConfig {
        cleanup_policy: CleanupPolicy = "cleanup.policy";
        compression_gzip_level: i32 = "compression.gzip.level";
        compression_lz4_level: i32 = "compression.lz4.level";
        compression_type: CompressionType = "compression.type";
        compression_zstd_level: i32 = "compression.zstd.level";
        confluent_key_schema_validation: bool = "confluent.key.schema.validation";
        confluent_key_subject_name_strategy: SubjectNameStrategy = "confluent.key.subject.name.strategy";
        confluent_value_schema_validation: bool = "confluent.value.schema.validation";
        confluent_value_subject_name_strategy: SubjectNameStrategy = "confluent.value.subject.name.strategy";
        delete_retention_ms: i64 = "delete.retention.ms";
        errors_deadletterqueue_group_enable: bool = "errors.deadletterqueue.group.enable";
        file_delete_delay_ms: i64 = "file.delete.delay.ms";
        /// `i64::MAX` is never.
        flush_messages: i64 = "flush.messages";
        /// `i64::MAX` is never.
        flush_ms: i64 = "flush.ms";
        follower_replication_throttled_replicas: Vec<String> = "follower.replication.throttled.replicas";
        index_interval_bytes: u32 = "index.interval.bytes";
        /// Replaces `segment.bytes` if given.
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
        ottla_schema_validation_level: i32 = "ottla.schema.validation.level";
        preallocate: bool = "preallocate";
        redpanda_key_schema_id_validation: Option<bool> = "redpanda.key.schema.id.validation";
        redpanda_key_subject_name_strategy: Option<SubjectNameStrategy> = "redpanda.key.subject.name.strategy";
        redpanda_value_schema_id_validation: Option<bool> = "redpanda.value.schema.id.validation";
        redpanda_value_subject_name_strategy: Option<SubjectNameStrategy> = "redpanda.value.subject.name.strategy";
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
    /// Resolves the settings of a topic with these overrides; all others follow the broker.
    ///
    /// Never fails: values are checked when a client sets them ([`super::validate_topic`]). An invalid value, which another
    /// release may have written, is treated as not set.
    pub fn resolve(broker: &BrokerConfig, overrides: &BTreeMap<String, String>) -> TopicConfig {
        TopicConfig::read(|name| text(&broker.values, overrides, name))
    }

    /// Resolves the settings of a topic on an unconfigured broker.
    pub(super) fn of_overrides(overrides: &BTreeMap<String, String>) -> TopicConfig {
        let unconfigured = Values::default();
        TopicConfig::read(|name| text(&unconfigured, overrides, name))
    }

    /// How records are validated by the schemas of the schema registry; `None` if they are not.
    pub fn schema_validation(&self) -> Option<SchemaValidation> {
        let key = self.redpanda_key_schema_id_validation.unwrap_or(self.confluent_key_schema_validation);
        let value = self.redpanda_value_schema_id_validation.unwrap_or(self.confluent_value_schema_validation);
        let of_key = self.redpanda_key_subject_name_strategy.unwrap_or(self.confluent_key_subject_name_strategy);
        let of_value = self.redpanda_value_subject_name_strategy.unwrap_or(self.confluent_value_subject_name_strategy);
        (key || value).then(|| SchemaValidation {
            key: key.then_some(of_key),
            value: value.then_some(of_value),
            decodes: self.ottla_schema_validation_level >= 2,
        })
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

/// The effective value of a topic's setting: its own, or the broker's, or the default. `None` is null.
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

/// How old records are removed. With neither, all records are kept.
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

/// The compression of stored batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CompressionType {
    /// As the producer compressed them.
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

/// How a topic's records are validated by schemas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchemaValidation {
    /// The subjects of keys; `None` if they are not checked.
    pub key: Option<SubjectNameStrategy>,
    /// The same for values.
    pub value: Option<SubjectNameStrategy>,
    /// Whether keys and values must decode by their schemas.
    pub decodes: bool,
}

/// How the subject of a key or a value is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SubjectNameStrategy {
    #[default]
    TopicName,
    RecordName,
    TopicRecordName,
}

impl SettingValue for SubjectNameStrategy {
    /// Reads the name of a Java class, with its package (Confluent's settings) or without (Redpanda's).
    fn read(text: Option<&str>) -> Option<Self> {
        let text = text?;
        match text.rsplit_once('.').map_or(text, |(_, class)| class) {
            "TopicNameStrategy" => Some(SubjectNameStrategy::TopicName),
            "RecordNameStrategy" => Some(SubjectNameStrategy::RecordName),
            "TopicRecordNameStrategy" => Some(SubjectNameStrategy::TopicRecordName),
            _ => None,
        }
    }
}

/// The clock of record timestamps.
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
            values.set_static(name, value, Source::CommandLine);
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
    fn defaults_have_the_types_of_their_fields() {
        assert_eq!(TopicConfig::invalid_fields(default_text), Vec::<&str>::new());
    }

    #[test]
    fn unconfigured_topic_has_kafkas_defaults() {
        let config = resolve(&[], &[]);
        assert_eq!(config, TopicConfig::default());
        assert_eq!(config.cleanup_policy, CleanupPolicy { delete: true, compact: false });
        assert_eq!(config.retention_ms, 7 * 24 * 3_600_000);
        assert_eq!(config.segment_limit_bytes(), 1 << 30);
        assert_eq!(config.max_message_bytes, 1_048_588);
        assert_eq!(config.flush_ms, i64::MAX);
    }

    #[test]
    fn broker_setting_in_the_smallest_unit_takes_precedence() {
        assert_eq!(resolve(&[("log.retention.hours", "2")], &[]).retention_ms, 7_200_000);
        assert_eq!(resolve(&[("log.retention.hours", "2"), ("log.retention.minutes", "3")], &[]).retention_ms, 180_000);
        assert_eq!(resolve(&[("log.retention.ms", "5"), ("log.retention.minutes", "3")], &[]).retention_ms, 5);
        assert_eq!(resolve(&[("log.retention.hours", "-1")], &[]).retention_ms, -1);
        assert_eq!(resolve(&[("log.flush.scheduler.interval.ms", "9")], &[]).flush_ms, 9);
    }

    #[test]
    fn topic_override_takes_precedence_over_the_broker() {
        let config = resolve(&[("log.cleanup.policy", "delete")], &[("cleanup.policy", "compact, delete")]);
        assert_eq!(config.cleanup_policy, CleanupPolicy { delete: true, compact: true });
        assert_eq!(resolve(&[("message.max.bytes", "10")], &[("max.message.bytes", " 20 ")]).max_message_bytes, 20);
        assert_eq!(resolve(&[("message.max.bytes", "10")], &[]).max_message_bytes, 10);
        assert_eq!(resolve(&[], &[("compression.type", "zstd")]).compression_type, CompressionType::Zstd);
    }

    #[test]
    fn schema_validation_has_confluents_settings_and_redpandas_names_have_precedence() {
        let validation = |topic: &[(&str, &str)]| resolve(&[], topic).schema_validation();
        let (topic_name, record_name) = (SubjectNameStrategy::TopicName, SubjectNameStrategy::RecordName);
        assert_eq!(validation(&[("ottla.schema.validation.level", "2")]), None);
        let key = ("confluent.key.schema.validation", "true");
        let expect = SchemaValidation { key: Some(topic_name), value: None, decodes: false };
        assert_eq!(validation(&[key]), Some(expect));
        let value = ("confluent.value.schema.validation", "true");
        let strategy =
            ("confluent.value.subject.name.strategy", "io.confluent.kafka.serializers.subject.TopicRecordNameStrategy");
        let level = ("ottla.schema.validation.level", "2");
        let both = Some(SubjectNameStrategy::TopicRecordName);
        let expect = SchemaValidation { value: both, decodes: true, ..expect };
        assert_eq!(validation(&[key, value, strategy, level]), Some(expect));
        let redpandas = [
            ("redpanda.key.schema.id.validation", "false"),
            ("redpanda.value.schema.id.validation", "true"),
            ("redpanda.value.subject.name.strategy", "RecordNameStrategy"),
        ];
        let expect = SchemaValidation { key: None, value: Some(record_name), decodes: false };
        assert_eq!(validation(&redpandas), Some(expect));
        assert_eq!(validation(&[&redpandas[..], &[key, strategy]].concat()), Some(expect));
    }

    #[test]
    fn invalid_override_is_treated_as_not_set() {
        assert_eq!(resolve(&[], &[("segment.bytes", "1"), ("unknown.setting", "x")]), TopicConfig::default());
    }
}
