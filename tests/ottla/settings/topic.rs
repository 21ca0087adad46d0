//! Every topic setting that is said to have an effect has it on a log that is open, from the next append or the next
//! look at retention on.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use ottla_config::setting::Effect;
use ottla_config::{Scope, table};
use ottla_wire::record::{BatchBuilder, Codec};

use crate::settings::dynamic::eventually;
use crate::world::{BROKER, LONG_AGO, TOPIC, World, batch, batch_at, code};
use common::Broker;

/// Which test, in which file, shows the effect of a setting.
const SHOWN: &[(&str, &str, &str)] = &[
    ("cleanup.policy", HERE, "cleanup_policy_change_decides_whether_keys_are_required"),
    ("compression.gzip.level", HERE, "compression_level_change_alters_the_stored_size"),
    ("compression.lz4.level", HERE, "compression_levels"),
    ("compression.type", DYNAMIC, "compression_type_change_applies_to_the_next_produce"),
    ("compression.zstd.level", HERE, "compression_level_change_alters_the_stored_size"),
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
    ("preallocate", HERE, "preallocate_change_reserves_space_for_new_segments"),
    ("retention.bytes", DYNAMIC, "retention_change_removes_old_segments"),
    ("retention.ms", DYNAMIC, "retention_change_removes_old_segments"),
    ("segment.bytes", DYNAMIC, "segment_bytes_change_applies_to_the_active_segment"),
    ("segment.index.bytes", HERE, "index_size_and_interval_change_rolls_segments"),
    ("segment.jitter.ms", HERE, "segment_jitter_ms_change_rolls_segments_earlier"),
    ("segment.ms", HERE, "segment_ms_change_rolls_segments"),
];
const HERE: &str = "tests/ottla/settings/topic.rs";
const DYNAMIC: &str = "tests/ottla/settings/dynamic.rs";

/// What only compaction acts on; its own tests show what it does with them.
const OF_COMPACTION: &[&str] =
    &["delete.retention.ms", "max.compaction.lag.ms", "min.cleanable.dirty.ratio", "min.compaction.lag.ms"];

/// A new setting comes with a test of its effect, or with words that say that it has none.
#[test]
fn topic_setting_has_a_test_or_is_documented_without_effect() {
    let standing = |wanted| table::all(Scope::Topic).filter(move |setting| setting.effect == wanted);
    let shown: BTreeSet<&str> = SHOWN.iter().map(|(name, ..)| *name).collect();
    let effective: BTreeSet<&str> = standing(Effect::Implemented)
        .map(|setting| setting.name)
        .filter(|name| !OF_COMPACTION.contains(name))
        .collect();
    assert_eq!(shown, effective);
    let reference = fs::read_to_string(in_project("docs/config.md")).unwrap();
    let (_, of_topics) = reference.split_once("## Topic").expect("a chapter on topics");
    for setting in standing(Effect::Ignored) {
        assert!(of_topics.contains(&format!("| *{}* |", setting.name)), "{} is not in italics", setting.name);
    }
    for (name, file, test) in SHOWN {
        let text = fs::read_to_string(in_project(file)).unwrap();
        assert!(text.contains(&format!("async fn {test}() {{")), "{name} is not shown by {test} in {file}");
    }
}

fn in_project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A broker that looks at retention all the time, and its topic `t`.
async fn world(settings: &[(&str, &str)]) -> World {
    let options = Broker::with().set("log.retention.check.interval.ms", "50").set("log.initial.task.delay.ms", "0");
    let world = World::with(options).await;
    let kept = ("retention.ms", "-1");
    world.topic("t", &[&[kept], settings].concat()).await;
    world
}

impl World {
    async fn alter(&self, name: &str, value: &str) {
        assert_eq!(self.set(TOPIC, "t", name, value).await, "NONE");
    }

    /// The error that records get, or NONE.
    async fn produce(&self, records: Bytes) -> &'static str {
        match self.client.produce("t", 0, records).await {
            Ok(_) => "NONE",
            Err(error) => error.code().map_or("no answer", |error| code(error.code())),
        }
    }

    async fn accepted(&self, records: Bytes) {
        assert_eq!(self.produce(records).await, "NONE");
    }

    /// The files of a partition of `t` that are of this kind.
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
    let world = world(&[]).await;
    world.accepted(keyless()).await;
    world.alter("cleanup.policy", "compact").await;
    assert_eq!(world.produce(keyless()).await, "INVALID_RECORD");
    world.alter("cleanup.policy", "").await;
    world.accepted(keyless()).await;
}

/// Words without an order.
fn prose() -> Vec<u8> {
    let words =
        ["orders", "paid", "shipped", "at", "warehouse", "7", "by", "customer", "42", "kafka", "of", "returned"];
    let numbers = std::iter::successors(Some(1u32), |n| Some(n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223)));
    numbers.flat_map(|n| [words[(n >> 16) as usize % words.len()], " "]).flat_map(str::bytes).take(50_000).collect()
}

#[tokio::test]
async fn compression_level_change_alters_the_stored_size() {
    let world = world(&[]).await;
    let records = built(Codec::None, None, &prose());
    let stored = async || {
        let offset = world.client.produce("t", 0, records.clone()).await.unwrap().base_offset;
        world.client.fetch("t", 0, offset, 1 << 20, Duration::ZERO).await.unwrap().records.len()
    };
    for (kind, level, light, heavy) in [
        ("gzip", "compression.gzip.level", "1", "9"),
        ("lz4", "compression.lz4.level", "9", "17"),
        ("zstd", "compression.zstd.level", "-5", "19"),
    ] {
        world.alter("compression.type", kind).await;
        world.alter(level, light).await;
        let light = stored().await;
        world.alter(level, heavy).await;
        let heavy = stored().await;
        assert!(heavy < light, "{kind}: {heavy} bytes, {light} bytes");
    }
    // The broker's default levels rule topics that have none of their own.
    world.alter("compression.type", "zstd").await;
    world.topic("other", &[("compression.type", "zstd"), ("retention.ms", "-1")]).await;
    let stored = async || {
        let offset = world.client.produce("other", 0, records.clone()).await.unwrap().base_offset;
        world.client.fetch("other", 0, offset, 1 << 20, Duration::ZERO).await.unwrap().records.len()
    };
    let before = stored().await;
    assert_eq!(world.set(BROKER, "", "compression.zstd.level", "-5000").await, "NONE");
    assert!(stored().await > before);
}

#[tokio::test]
async fn max_decompressed_message_bytes_limits_compressed_records() {
    let world = world(&[]).await;
    let (plain, compressed) = (built(Codec::None, None, &[0; 900]), built(Codec::Gzip, None, &[0; 900]));
    world.accepted(compressed.clone()).await;
    world.alter("max.decompressed.message.bytes", "800").await;
    assert_eq!(world.produce(compressed.clone()).await, "INVALID_RECORD");
    world.accepted(plain).await;
    world.alter("max.decompressed.message.bytes", "1000").await;
    world.accepted(compressed).await;
}

#[tokio::test]
async fn timestamp_limits_refuse_records_outside_them() {
    const CENTURY_MS: i64 = 100 * 365 * 86_400_000;
    let world = world(&[]).await;
    let (old, new) = (batch_at(LONG_AGO, "old"), batch_at(LONG_AGO + CENTURY_MS, "new"));
    world.accepted(old.clone()).await;
    assert_eq!(world.produce(new.clone()).await, "INVALID_TIMESTAMP");
    world.alter("message.timestamp.before.max.ms", "1000").await;
    world.alter("message.timestamp.after.max.ms", "9223372036854775807").await;
    assert_eq!(world.produce(old).await, "INVALID_TIMESTAMP");
    world.accepted(new).await;
}

#[tokio::test]
async fn internal_segment_bytes_change_rolls_segments() {
    let world = world(&[]).await;
    for _ in 0..3 {
        world.accepted(batch("value")).await;
    }
    assert_eq!(world.segments(), 1);
    world.alter("internal.segment.bytes", "100").await;
    for _ in 0..3 {
        world.accepted(batch("value")).await;
    }
    assert_eq!(world.segments(), 4);
    assert_eq!(world.produce(batch(&"x".repeat(200))).await, "RECORD_LIST_TOO_LARGE");
}

#[tokio::test]
async fn index_size_and_interval_change_rolls_segments() {
    let world = world(&[]).await;
    // Room for two entries, and none is made.
    world.alter("segment.index.bytes", "24").await;
    for _ in 0..4 {
        world.accepted(batch("value")).await;
    }
    assert_eq!(world.segments(), 1);
    world.alter("index.interval.bytes", "0").await;
    for _ in 0..6 {
        world.accepted(batch("value")).await;
    }
    let segments = world.segments();
    assert!(segments > 2, "{segments} segments");
    // All that is sealed is indexed within its room.
    for index in &world.files(0, "index")[..segments - 1] {
        assert!(fs::metadata(index).unwrap().len() <= 24, "{}", index.display());
    }
    world.alter("segment.index.bytes", "10485760").await;
    for _ in 0..6 {
        world.accepted(batch("value")).await;
    }
    assert!(world.segments() <= segments + 1);
}

const HOUR_MS: i64 = 3_600_000;

#[tokio::test]
async fn segment_ms_change_rolls_segments() {
    let world = world(&[]).await;
    world.accepted(batch_at(LONG_AGO, "a")).await;
    world.accepted(batch_at(LONG_AGO + 2 * HOUR_MS, "b")).await;
    assert_eq!(world.segments(), 1);
    world.alter("segment.ms", &HOUR_MS.to_string()).await;
    world.accepted(batch_at(LONG_AGO + 2 * HOUR_MS, "c")).await;
    assert_eq!(world.segments(), 2);
    world.accepted(batch_at(LONG_AGO + 3 * HOUR_MS, "d")).await;
    assert_eq!(world.segments(), 2, "an hour is not more than an hour");
}

#[tokio::test]
async fn broker_default_applies_to_open_logs() {
    let world = world(&[]).await;
    world.accepted(batch_at(LONG_AGO, "a")).await;
    assert_eq!(world.set(BROKER, "", "log.roll.ms", &HOUR_MS.to_string()).await, "NONE");
    world.accepted(batch_at(LONG_AGO + 2 * HOUR_MS, "b")).await;
    assert_eq!(world.segments(), 2);
    // The topic's own is stronger.
    world.alter("segment.ms", &(9 * HOUR_MS).to_string()).await;
    world.accepted(batch_at(LONG_AGO + 4 * HOUR_MS, "c")).await;
    assert_eq!(world.segments(), 2);
}

#[tokio::test]
async fn segment_jitter_ms_change_rolls_segments_earlier() {
    const PARTITIONS: i32 = 16;
    let world = World::start().await;
    let span = (10 * HOUR_MS).to_string();
    let settings = [("retention.ms", "-1"), ("segment.ms", &span)];
    world.client.create_topic("t", PARTITIONS, &settings).await.unwrap();
    let to_all = async |timestamp| {
        for partition in 0..PARTITIONS {
            world.client.produce("t", partition, batch_at(timestamp, "value")).await.unwrap();
        }
        (0..PARTITIONS as usize).filter(|partition| world.files(*partition, "log").len() > 1).count()
    };
    to_all(LONG_AGO).await;
    assert_eq!(to_all(LONG_AGO + 6 * HOUR_MS).await, 0);
    world.alter("segment.jitter.ms", &span).await;
    // Each partition has a jitter of its own: it would take a billion runs to see all of them small.
    assert!(to_all(LONG_AGO + 9 * HOUR_MS).await > 0);
    // No jitter makes a segment last longer.
    assert_eq!(to_all(LONG_AGO + 30 * HOUR_MS).await, PARTITIONS as usize);
}

#[tokio::test]
async fn file_delete_delay_ms_change_applies_to_later_files() {
    let world = world(&[("internal.segment.bytes", "100"), ("file.delete.delay.ms", "3600000")]).await;
    let start = async || world.client.list_offset("t", 0, -2).await.unwrap().offset;
    for _ in 0..3 {
        world.accepted(batch("value")).await;
    }
    world.alter("retention.ms", "1000").await;
    eventually("retention", async || start().await == 3).await;
    let waiting = world.files(0, "deleted");
    assert!(waiting.len() >= 3, "{waiting:?}");
    world.alter("file.delete.delay.ms", "0").await;
    for _ in 0..3 {
        world.accepted(batch("value")).await;
    }
    eventually("retention", async || start().await == 6).await;
    // What was renamed when the delay was long stays; what comes later goes at once.
    eventually("files to go", async || world.files(0, "deleted") == waiting).await;
}

#[tokio::test]
async fn flush_ms_change_syncs_the_log() {
    let options =
        Broker::with().set("log.flush.offset.checkpoint.interval.ms", "50").set("log.initial.task.delay.ms", "0");
    let world = World::with(options).await;
    world.topic("t", &[]).await;
    let synced_to = async |line: &str| {
        let checkpoint = world.broker.data_dir().join("recovery-point-offset-checkpoint");
        fs::read_to_string(checkpoint).is_ok_and(|text| text.lines().any(|found| found == line))
    };
    for value in ["a", "b"] {
        world.accepted(batch(value)).await;
    }
    eventually("a checkpoint", async || synced_to("t 0 0").await).await;
    world.alter("flush.ms", "20").await;
    eventually("a sync", async || synced_to("t 0 1").await).await;
}

#[tokio::test]
async fn preallocate_change_reserves_space_for_new_segments() {
    const MIB: u64 = 1 << 20;
    let world = world(&[("segment.bytes", "1048576")]).await;
    let room = |path: &Path| fs::metadata(path).unwrap().blocks() * 512;
    world.accepted(batch("value")).await;
    assert!(room(&world.files(0, "log")[0]) < MIB);
    world.alter("preallocate", "true").await;
    for _ in 0..3 {
        world.accepted(batch(&"x".repeat(700_000))).await;
    }
    let segments = world.files(0, "log");
    assert_eq!(segments.len(), 3);
    // The length tells what was written, whatever the room.
    let (sealed, active) = (&segments[1], &segments[2]);
    assert_eq!(fs::metadata(active).unwrap().len(), fs::metadata(sealed).unwrap().len());
    assert!(room(active) >= MIB, "{} bytes", room(active));
    assert!(room(sealed) < MIB, "{} bytes", room(sealed));
}
