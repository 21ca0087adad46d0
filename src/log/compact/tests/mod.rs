//! Tests of compaction, with logs written as text before and after.
//!
//! `|` ends a segment, a space ends a batch, a comma ends a record. A record is a key and a value of one character each:
//! `a1`; the value `-` is a tombstone, the key `_` is null. `7:a1` is a record of the idempotent producer 7, `7!a1` of
//! its transaction, which `7+` commits and `7x` aborts. After compaction, records have their offset in front: `0a1`;
//! markers are `5+` and `5x`, and `[3..4]` is a batch without records.

use std::collections::HashMap;

use super::*;
use crate::tests::*;
use crate::{Log, LogConfig, OpenParams, Simulation};
use ottla_wire::record::control::{ControlType, EndTxnMarker};
use ottla_wire::record::{Batch, BatchBuilder, Codec, Verified, batches};
use ottla_wire::types::{Offset, ProducerId, ProducerIdEpoch, TimestampMs};

mod crash;
mod files;
mod kept_records;
mod limits;
mod old_formats;

const DAY: TimestampMs = 24 * 60 * 60 * 1000;

fn compacted(mut fixture: Fixture) -> Fixture {
    fixture.config =
        LogConfig { cleanup_compact: true, cleanup_delete: false, delete_retention_ms: DAY, ..fixture.config.clone() };
    fixture
}

fn simulated() -> Fixture {
    compacted(Fixture::simulated(&Simulation::default()))
}

/// Writes logs from text.
struct Writer {
    codec: Codec,
    timestamp: TimestampMs,
    sequences: HashMap<ProducerId, i32>,
}

impl Writer {
    fn new(codec: Codec) -> Writer {
        Writer { codec, timestamp: NOW, sequences: HashMap::new() }
    }

    fn write(&mut self, log: &mut Log, text: &str) {
        for (index, segment) in text.split('|').enumerate() {
            if index > 0 {
                log.roll(NOW).expect("rolls");
            }
            for batch in segment.split_whitespace() {
                let batch = self.batch(batch);
                log.append(&batch, COORDINATOR).expect("appends");
            }
        }
        let ticket = log.flush_target().expect("has a ticket");
        log.mark_synced(ticket.sync());
    }

    fn batch(&mut self, text: &str) -> Verified {
        if let Some(producer_id) = text.strip_suffix(['+', 'x']) {
            let control = if text.ends_with('+') { ControlType::Commit } else { ControlType::Abort };
            let producer = ProducerIdEpoch { producer_id: producer_id.parse().expect("an id"), epoch: 0 };
            let marker = EndTxnMarker { coordinator_epoch: 1 };
            return BatchBuilder::end_transaction(producer, control, marker, self.timestamp).expect("builds");
        }
        let (producer, records) = text.split_once([':', '!']).map_or((None, text), |(id, rest)| (Some(id), rest));
        let mut builder = BatchBuilder::new(self.codec);
        if let Some(producer_id) = producer.map(|id| id.parse().expect("an id")) {
            let sequence = self.sequences.entry(producer_id).or_default();
            builder = builder.producer(ProducerIdEpoch { producer_id, epoch: 0 }, *sequence);
            *sequence += records.split(',').count() as i32;
        }
        if text.contains('!') {
            builder = builder.transactional();
        }
        for (index, record) in records.split(',').enumerate() {
            let (key, value) = record.split_at(1);
            let (key, value) = (Some(key).filter(|key| *key != "_"), Some(value).filter(|value| *value != "-"));
            let timestamp = self.timestamp + index as i64;
            builder.append(timestamp, key.map(str::as_bytes), value.map(str::as_bytes), &[]);
        }
        builder.build().expect("builds")
    }
}

/// Reads all batches of a log.
fn all_batches(log: &Log) -> Vec<Batch> {
    let (mut found, mut next) = (Vec::new(), log.start_offset());
    while next < log.end_offset() {
        let slice = log.read(next, 1 << 20, true, Offset::MAX).expect("reads");
        if slice.bytes.is_empty() {
            break;
        }
        found.extend(batches(&slice.bytes).map(|batch| batch.expect("a whole batch")));
        next = slice.next_offset;
    }
    found
}

/// Formats a log as text.
fn text_of(log: &Log) -> String {
    let mut text = Vec::new();
    for batch in all_batches(log) {
        batch.check_crc().expect("a valid CRC");
        let header = batch.header();
        if header.record_count == 0 {
            text.push(format!("[{}..{}]", header.base_offset, header.last_offset()));
        }
        for record in batch.records() {
            let record = record.expect("a record");
            let field = |field: &Option<bytes::Bytes>, none: &str| {
                field.as_ref().map_or(none.to_owned(), |bytes| String::from_utf8_lossy(bytes).into_owned())
            };
            text.push(if header.is_control() {
                let aborts = ControlType::from_key(&record.key.unwrap_or_default()) == Ok(Some(ControlType::Abort));
                format!("{}{}", record.offset, if aborts { 'x' } else { '+' })
            } else {
                format!("{}{}{}", record.offset, field(&record.key, "_"), field(&record.value, "-"))
            });
        }
    }
    text.join(" ")
}

fn buffers() -> CompactionBuffers {
    CompactionBuffers::new(1 << 20, 0.9, 1, 42)
}

fn unthrottled(_: u64) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Compacts a log; returns whether it had dirty records.
fn compact(log: &mut Log, now: TimestampMs) -> bool {
    compact_with(log, now, &mut buffers()).expect("compacts").is_some()
}

fn compact_with(
    log: &mut Log,
    now: TimestampMs,
    buffers: &mut CompactionBuffers,
) -> Result<Option<CompactionStats>, CompactError> {
    let Some(mut compaction) = log.begin_compaction(now)? else { return Ok(None) };
    while let Some(group) = compaction.next_group(buffers, &mut unthrottled)? {
        match log.replace(group)? {
            Replaced::InPlace(files) => files.unlink()?,
            Replaced::LogChanged(_) => panic!("the log was not changed"),
        }
    }
    log.finish_compaction(&compaction)?;
    let ticket = log.flush_target()?;
    log.mark_synced(ticket.sync());
    Ok(Some(*compaction.stats()))
}

/// Checks a log after one compaction, with each codec; also after it is opened again, and after a full scan.
#[track_caller]
fn check(text: &str, expect: &str) {
    for codec in Codec::ALL {
        check_again(codec, text, &[(NOW, expect)]);
    }
}

/// Like [`check`], with compactions at several times. Before each later one, a new segment is written, so that the log is
/// dirty.
#[track_caller]
fn check_again(codec: Codec, text: &str, expect: &[(TimestampMs, &str)]) {
    let fixture = simulated();
    let (mut log, mut writer) = (fixture.open(), Writer::new(codec));
    writer.write(&mut log, text);
    for (index, (now, expect)) in expect.iter().enumerate() {
        if index > 0 {
            writer.write(&mut log, "zz |");
        }
        assert!(compact(&mut log, *now));
        assert_eq!(text_of(&log), *expect, "{codec:?}, compaction {index}");
        for batch in
            all_batches(&log).iter().filter(|batch| !batch.header().is_control() && batch.header().record_count > 0)
        {
            assert_eq!(batch.header().codec(), Ok(codec));
        }
        assert_equals_full_scan(&fixture, &log);
    }
    let end = log.end_offset();
    fixture.close(log);
    let log = fixture.open();
    assert_eq!((text_of(&log).as_str(), log.end_offset()), (expect[expect.len() - 1].1, end));
}
