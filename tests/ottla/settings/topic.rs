//! Every implemented topic setting takes effect on an open log, with the next append or the next retention check.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use ottla_config::setting::Effect;
use ottla_config::{Scope, table};
use ottla_wire::record::{BatchBuilder, Codec};

use crate::fixture::{BROKER, Fixture, LONG_AGO, TOPIC, batch, batch_at, code};
use crate::settings::dynamic::eventually;
use common::Broker;

/// The file and the test that check the effect of a setting.
const TESTED: &[(&str, &str, &str)] = &[
    ("cleanup.policy", HERE, "cleanup_policy_change_decides_whether_keys_are_required"),
    ("compression.gzip.level", HERE, "compression_level_change_alters_the_stored_size"),
    ("compression.lz4.level", HERE, "compression_level_change_alters_the_stored_size"),
    ("compression.type", DYNAMIC, "compression_type_change_applies_to_the_next_produce"),
    ("compression.zstd.level", HERE, "compression_level_change_alters_the_stored_size"),
    ("confluent.key.schema.validation", VALIDATION, "settings_decide_what_is_validated"),
    ("confluent.key.subject.name.strategy", VALIDATION, "settings_decide_what_is_validated"),
    ("confluent.value.schema.validation", VALIDATION, "settings_decide_what_is_validated"),
    ("confluent.value.subject.name.strategy", VALIDATION, "settings_decide_what_is_validated"),
    ("file.delete.delay.ms", HERE, "file_delete_delay_ms_change_applies_to_later_files"),
    ("flush.messages", DYNAMIC, "flush_messages_change_syncs_the_log"),
    ("flush.ms", HERE, "flush_ms_change_syncs_the_log"),
    ("index.interval.bytes", HERE, "index_size_and_interval_change_rolls_segments"),
    ("internal.segment.bytes", HERE, "internal_segment_bytes_change_rolls_segments"),
    ("max.decompressed.message.bytes", HERE, "max_decompressed_message_bytes_limits_compressed_records"),
    ("max.message.bytes", DYNAMIC, "max_message_bytes_change_applies_to_the_next_produce"),
    ("message.timestamp.after.max.ms", HERE, "timestamp_limits_refuse_records_outside_them"),
    ("message.timestamp.before.max.ms", HERE, "timestamp_limits_refuse_records_outside_them"),
    ("message.timestamp.type", DYNAMIC, "message_timestamp_type_change_applies_to_the_next_produce"),
    ("ottla.schema.validation.level", VALIDATION, "settings_decide_what_is_validated"),
    ("preallocate", HERE, "preallocate_change_reserves_space_for_new_segments"),
    ("redpanda.key.schema.id.validation", VALIDATION, "settings_decide_what_is_validated"),
    ("redpanda.key.subject.name.strategy", VALIDATION, "settings_decide_what_is_validated"),
    ("redpanda.value.schema.id.validation", VALIDATION, "settings_decide_what_is_validated"),
    ("redpanda.value.subject.name.strategy", VALIDATION, "settings_decide_what_is_validated"),
    ("retention.bytes", DYNAMIC, "retention_change_removes_old_segments"),
    ("retention.ms", DYNAMIC, "retention_change_removes_old_segments"),
    ("segment.bytes", DYNAMIC, "segment_bytes_change_applies_to_the_active_segment"),
    ("segment.index.bytes", HERE, "index_size_and_interval_change_rolls_segments"),
    ("segment.jitter.ms", HERE, "segment_jitter_ms_change_rolls_segments_earlier"),
    ("segment.ms", HERE, "segment_ms_change_rolls_segments"),
];
const HERE: &str = "tests/ottla/settings/topic.rs";
const DYNAMIC: &str = "tests/ottla/settings/dynamic.rs";
const VALIDATION: &str = "tests/ottla/schema_registry/validation.rs";

/// Settings that only compaction uses; its own tests check them.
const OF_COMPACTION: &[&str] =
    &["delete.retention.ms", "max.compaction.lag.ms", "min.cleanable.dirty.ratio", "min.compaction.lag.ms"];

/// A new setting needs a test of its effect, or an entry in italics on the page of settings.
#[test]
fn topic_setting_has_a_test_or_is_documented_without_effect() {
    let with_effect = |wanted| table::all(Scope::Topic).filter(move |setting| setting.effect == wanted);
    let tested: BTreeSet<&str> = TESTED.iter().map(|(name, ..)| *name).collect();
    let implemented: BTreeSet<&str> = with_effect(Effect::Implemented)
        .map(|setting| setting.name)
        .filter(|name| !OF_COMPACTION.contains(name))
        .collect();
    assert_eq!(tested, implemented);
    let reference = fs::read_to_string(in_project("docs/config.md")).unwrap();
    let (_, of_topics) = reference.split_once("## Topic").expect("a chapter on topics");
    for setting in with_effect(Effect::Ignored) {
        assert!(of_topics.contains(&format!("| *{}* |", setting.name)), "{} is not in italics", setting.name);
    }
    for (name, file, test) in TESTED {
        let text = fs::read_to_string(in_project(file)).unwrap();
        assert!(text.contains(&format!("async fn {test}() {{")), "{name} is not tested by {test} in {file}");
    }
}

fn in_project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A broker that checks retention every 50 ms, with the topic `t`.
async fn fixture(settings: &[(&str, &str)]) -> Fixture {
    let options = Broker::with().set("log.retention.check.interval.ms", "50").set("log.initial.task.delay.ms", "0");
    let fixture = Fixture::with(options).await;
    let no_retention = ("retention.ms", "-1");
    fixture.topic("t", &[&[no_retention], settings].concat()).await;
    fixture
}

impl Fixture {
    async fn alter(&self, name: &str, value: &str) {
        assert_eq!(self.set(TOPIC, "t", name, value).await, "NONE");
    }

    /// Produces records and returns the name of the error code.
    async fn produce(&self, records: Bytes) -> &'static str {
        match self.client.produce("t", 0, records).await {
            Ok(_) => "NONE",
            Err(error) => error.code().map_or("no answer", |error| code(error.code())),
        }
    }

    async fn accepted(&self, records: Bytes) {
        assert_eq!(self.produce(records).await, "NONE");
    }

    /// The files of a partition of `t` with this extension.
    fn files(&self, partition: usize, kind: &str) -> Vec<PathBuf> {
        let folder = self.broker.data_dir().join(format!("t-{partition}"));
        let paths = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        let mut paths: Vec<_> = paths.filter(|path| path.extension().is_some_and(|found| found == kind)).collect();
        paths.sort();
        paths
    }

    fn segments(&self) -> usize {
        self.files(0, "log").len()
    }
}

fn keyless() -> Bytes {
    built(Codec::None, None, b"value")
}

fn built(codec: Codec, key: Option<&[u8]>, value: &[u8]) -> Bytes {
    let mut builder = BatchBuilder::new(codec);
    builder.append(LONG_AGO, key, Some(value), &[]);
    builder.build().unwrap().bytes().clone()
}

#[tokio::test]
async fn cleanup_policy_change_decides_whether_keys_are_required() {
    let fixture = fixture(&[]).await;
    fixture.accepted(keyless()).await;
    fixture.alter("cleanup.policy", "compact").await;
    assert_eq!(fixture.produce(keyless()).await, "INVALID_RECORD");
    fixture.alter("cleanup.policy", "").await;
    fixture.accepted(keyless()).await;
}

/// Text of words in a pseudorandom order.
fn prose() -> Vec<u8> {
    let words =
        ["orders", "paid", "shipped", "at", "warehouse", "7", "by", "customer", "42", "kafka", "of", "returned"];
    let numbers = std::iter::successors(Some(1u32), |n| Some(n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223)));
    numbers.flat_map(|n| [words[(n >> 16) as usize % words.len()], " "]).flat_map(str::bytes).take(50_000).collect()
}

#[tokio::test]
async fn compression_level_change_alters_the_stored_size() {
    let fixture = fixture(&[]).await;
    let records = built(Codec::None, None, &prose());
    let stored = async || {
        let offset = fixture.client.produce("t", 0, records.clone()).await.unwrap().base_offset;
        fixture.client.fetch("t", 0, offset, 1 << 20, Duration::ZERO).await.unwrap().records.len()
    };
    for (kind, level, light, heavy) in [
        ("gzip", "compression.gzip.level", "1", "9"),
        ("lz4", "compression.lz4.level", "9", "17"),
        ("zstd", "compression.zstd.level", "-5", "19"),
    ] {
        fixture.alter("compression.type", kind).await;
        fixture.alter(level, light).await;
        let light = stored().await;
        fixture.alter(level, heavy).await;
        let heavy = stored().await;
        assert!(heavy < light, "{kind}: {heavy} bytes, {light} bytes");
    }
    // The broker's default levels apply to topics without their own.
    fixture.alter("compression.type", "zstd").await;
    fixture.topic("other", &[("compression.type", "zstd"), ("retention.ms", "-1")]).await;
    let stored = async || {
        let offset = fixture.client.produce("other", 0, records.clone()).await.unwrap().base_offset;
        fixture.client.fetch("other", 0, offset, 1 << 20, Duration::ZERO).await.unwrap().records.len()
    };
    let before = stored().await;
    assert_eq!(fixture.set(BROKER, "", "compression.zstd.level", "-5000").await, "NONE");
    assert!(stored().await > before);
}

#[tokio::test]
async fn max_decompressed_message_bytes_limits_compressed_records() {
    let fixture = fixture(&[]).await;
    let (plain, compressed) = (built(Codec::None, None, &[0; 900]), built(Codec::Gzip, None, &[0; 900]));
    fixture.accepted(compressed.clone()).await;
    fixture.alter("max.decompressed.message.bytes", "800").await;
    assert_eq!(fixture.produce(compressed.clone()).await, "INVALID_RECORD");
    fixture.accepted(plain).await;
    fixture.alter("max.decompressed.message.bytes", "1000").await;
    fixture.accepted(compressed).await;
}

#[tokio::test]
async fn timestamp_limits_refuse_records_outside_them() {
    const CENTURY_MS: i64 = 100 * 365 * 86_400_000;
    let fixture = fixture(&[]).await;
    let (old, new) = (batch_at(LONG_AGO, "old"), batch_at(LONG_AGO + CENTURY_MS, "new"));
    fixture.accepted(old.clone()).await;
    assert_eq!(fixture.produce(new.clone()).await, "INVALID_TIMESTAMP");
    fixture.alter("message.timestamp.before.max.ms", "1000").await;
    fixture.alter("message.timestamp.after.max.ms", "9223372036854775807").await;
    assert_eq!(fixture.produce(old).await, "INVALID_TIMESTAMP");
    fixture.accepted(new).await;
}

#[tokio::test]
async fn internal_segment_bytes_change_rolls_segments() {
    let fixture = fixture(&[]).await;
    for _ in 0..3 {
        fixture.accepted(batch("value")).await;
    }
    assert_eq!(fixture.segments(), 1);
    fixture.alter("internal.segment.bytes", "100").await;
    for _ in 0..3 {
        fixture.accepted(batch("value")).await;
    }
    assert_eq!(fixture.segments(), 4);
    assert_eq!(fixture.produce(batch(&"x".repeat(200))).await, "RECORD_LIST_TOO_LARGE");
}

#[tokio::test]
async fn index_size_and_interval_change_rolls_segments() {
    let fixture = fixture(&[]).await;
    // An index of two entries; none is added.
    fixture.alter("segment.index.bytes", "24").await;
    for _ in 0..4 {
        fixture.accepted(batch("value")).await;
    }
    assert_eq!(fixture.segments(), 1);
    fixture.alter("index.interval.bytes", "0").await;
    for _ in 0..6 {
        fixture.accepted(batch("value")).await;
    }
    let segments = fixture.segments();
    assert!(segments > 2, "{segments} segments");
    // The indexes of sealed segments are within the limit.
    for index in &fixture.files(0, "index")[..segments - 1] {
        assert!(fs::metadata(index).unwrap().len() <= 24, "{}", index.display());
    }
    fixture.alter("segment.index.bytes", "10485760").await;
    for _ in 0..6 {
        fixture.accepted(batch("value")).await;
    }
    assert!(fixture.segments() <= segments + 1);
}

const HOUR_MS: i64 = 3_600_000;

#[tokio::test]
async fn segment_ms_change_rolls_segments() {
    let fixture = fixture(&[]).await;
    fixture.accepted(batch_at(LONG_AGO, "a")).await;
    fixture.accepted(batch_at(LONG_AGO + 2 * HOUR_MS, "b")).await;
    assert_eq!(fixture.segments(), 1);
    fixture.alter("segment.ms", &HOUR_MS.to_string()).await;
    fixture.accepted(batch_at(LONG_AGO + 2 * HOUR_MS, "c")).await;
    assert_eq!(fixture.segments(), 2);
    fixture.accepted(batch_at(LONG_AGO + 3 * HOUR_MS, "d")).await;
    assert_eq!(fixture.segments(), 2, "an hour is not more than an hour");
}

#[tokio::test]
async fn broker_default_applies_to_open_logs() {
    let fixture = fixture(&[]).await;
    fixture.accepted(batch_at(LONG_AGO, "a")).await;
    assert_eq!(fixture.set(BROKER, "", "log.roll.ms", &HOUR_MS.to_string()).await, "NONE");
    fixture.accepted(batch_at(LONG_AGO + 2 * HOUR_MS, "b")).await;
    assert_eq!(fixture.segments(), 2);
    // The topic's own value overrides the default.
    fixture.alter("segment.ms", &(9 * HOUR_MS).to_string()).await;
    fixture.accepted(batch_at(LONG_AGO + 4 * HOUR_MS, "c")).await;
    assert_eq!(fixture.segments(), 2);
}

#[tokio::test]
async fn segment_jitter_ms_change_rolls_segments_earlier() {
    const PARTITIONS: i32 = 16;
    let fixture = Fixture::start().await;
    let span = (10 * HOUR_MS).to_string();
    let settings = [("retention.ms", "-1"), ("segment.ms", &span)];
    fixture.client.create_topic("t", PARTITIONS, &settings).await.unwrap();
    let to_all = async |timestamp| {
        for partition in 0..PARTITIONS {
            fixture.client.produce("t", partition, batch_at(timestamp, "value")).await.unwrap();
        }
        (0..PARTITIONS as usize).filter(|partition| fixture.files(*partition, "log").len() > 1).count()
    };
    to_all(LONG_AGO).await;
    assert_eq!(to_all(LONG_AGO + 6 * HOUR_MS).await, 0);
    fixture.alter("segment.jitter.ms", &span).await;
    // Each partition has its own jitter. That all are too small has a probability of less than 10^-9.
    assert!(to_all(LONG_AGO + 9 * HOUR_MS).await > 0);
    // The jitter never makes a segment last longer.
    assert_eq!(to_all(LONG_AGO + 30 * HOUR_MS).await, PARTITIONS as usize);
}

#[tokio::test]
async fn file_delete_delay_ms_change_applies_to_later_files() {
    let fixture = fixture(&[("internal.segment.bytes", "100"), ("file.delete.delay.ms", "3600000")]).await;
    let start = async || fixture.client.list_offset("t", 0, -2).await.unwrap().offset;
    for _ in 0..3 {
        fixture.accepted(batch("value")).await;
    }
    fixture.alter("retention.ms", "1000").await;
    eventually("retention", async || start().await == 3).await;
    let waiting = fixture.files(0, "deleted");
    assert!(waiting.len() >= 3, "{waiting:?}");
    fixture.alter("file.delete.delay.ms", "0").await;
    for _ in 0..3 {
        fixture.accepted(batch("value")).await;
    }
    eventually("retention", async || start().await == 6).await;
    // Files that were renamed under the long delay stay; later ones are removed at once.
    eventually("the removal of files", async || fixture.files(0, "deleted") == waiting).await;
}

#[tokio::test]
async fn flush_ms_change_syncs_the_log() {
    let options =
        Broker::with().set("log.flush.offset.checkpoint.interval.ms", "50").set("log.initial.task.delay.ms", "0");
    let fixture = Fixture::with(options).await;
    fixture.topic("t", &[]).await;
    let synced_to = async |line: &str| {
        let checkpoint = fixture.broker.data_dir().join("recovery-point-offset-checkpoint");
        fs::read_to_string(checkpoint).is_ok_and(|text| text.lines().any(|found| found == line))
    };
    for value in ["a", "b"] {
        fixture.accepted(batch(value)).await;
    }
    eventually("a checkpoint", async || synced_to("t 0 0").await).await;
    fixture.alter("flush.ms", "20").await;
    eventually("a sync", async || synced_to("t 0 1").await).await;
}

#[tokio::test]
async fn preallocate_change_reserves_space_for_new_segments() {
    const MIB: u64 = 1 << 20;
    let fixture = fixture(&[("segment.bytes", "1048576")]).await;
    let allocated = |path: &Path| fs::metadata(path).unwrap().blocks() * 512;
    fixture.accepted(batch("value")).await;
    assert!(allocated(&fixture.files(0, "log")[0]) < MIB);
    fixture.alter("preallocate", "true").await;
    for _ in 0..3 {
        fixture.accepted(batch(&"x".repeat(700_000))).await;
    }
    let segments = fixture.files(0, "log");
    assert_eq!(segments.len(), 3);
    // The length is that of the records, whatever is allocated.
    let (sealed, active) = (&segments[1], &segments[2]);
    assert_eq!(fs::metadata(active).unwrap().len(), fs::metadata(sealed).unwrap().len());
    assert!(allocated(active) >= MIB, "{} bytes", allocated(active));
    assert!(allocated(sealed) < MIB, "{} bytes", allocated(sealed));
}
