//! Compactions that are interrupted at every possible point: no committed value is lost, and the next compaction has the
//! same result as an uninterrupted one. `LOG_CRASH_SEEDS` sets the number of different power losses at each point.

use std::collections::BTreeMap;

use super::*;
use crate::LogError;
use crate::tests::model::number;
use crate::tests::random::Random;

/// Segments that a compaction rewrites as two groups, in the notation of [`Writer::write`]. They have every kind of
/// batch. Producer 7 has no batch in the active segment.
const SEGMENTS: &str = "a1 b1,c1 | 7!a2 d1 7x | 8!e1 _1 a3 8+ | b-,f1 8!a4 8x | c2 7!g1 7+ g2 | h1 a5 | i1";

fn fixture_on(disk: &Simulation) -> Fixture {
    let mut fixture = compacted(Fixture::simulated(disk));
    fixture.config.segment_bytes = 1000;
    fixture
}

/// Returns a disk with a synced log.
fn prepared() -> Simulation {
    let disk = Simulation::default();
    Writer::new(Codec::Lz4).write(&mut fixture_on(&disk).open(), SEGMENTS);
    // A disk without unsynced changes.
    disk.power_loss(&mut || 0)
}

/// Returns the last committed value of each key.
fn committed_values(log: &Log) -> BTreeMap<String, String> {
    let aborted = log.aborted_transactions(0, log.end_offset()).expect("looks up");
    let mut committed_values = BTreeMap::new();
    for batch in all_batches(log).iter().filter(|batch| !batch.header().is_control()) {
        let header = batch.header();
        let is_in = |txn: &crate::AbortedTxn| {
            txn.producer_id == header.producer_id && (txn.first_offset..txn.last_offset).contains(&header.base_offset)
        };
        if header.is_transactional() && aborted.iter().any(is_in) {
            continue;
        }
        for record in batch.records().map(|record| record.expect("a record")) {
            let text = |bytes: bytes::Bytes| String::from_utf8_lossy(&bytes).into_owned();
            match (record.key.map(text), record.value.map(text)) {
                (Some(key), Some(value)) => drop(committed_values.insert(key, value)),
                (Some(key), None) => drop(committed_values.remove(&key)),
                (None, _) => {}
            }
        }
    }
    committed_values
}

fn reopened(fixture: &Fixture, clean_shutdown: bool, recovery_point: Offset) -> Log {
    let at = OpenParams { clean_shutdown, recovery_point, ..fixture.at };
    let log =
        Log::open(&fixture.disk, &fixture.folder, std::sync::Arc::new(fixture.config.clone()), at).expect("opens");
    for name in fixture.names() {
        assert!(
            ![".cleaned", ".swap", ".deleted"].iter().any(|suffix| name.ends_with(suffix)),
            "{name} was not removed"
        );
    }
    log
}

/// The values and end offset of the log, and its text after an uninterrupted compaction.
struct Expected {
    committed_values: BTreeMap<String, String>,
    end: Offset,
    compacted: String,
}

impl Expected {
    fn new() -> Expected {
        let disk = prepared();
        let mut log = fixture_on(&disk).open();
        let (committed_values, end) = (committed_values(&log), log.end_offset());
        assert!(compact(&mut log, NOW));
        assert_eq!(log.segment_count(), 3, "two groups and the active segment");
        Expected { committed_values, end, compacted: text_of(&log) }
    }

    #[track_caller]
    fn check(&self, mut log: Log) {
        assert_eq!(
            (committed_values(&log), log.end_offset(), log.last_stable_offset()),
            (self.committed_values.clone(), self.end, self.end)
        );
        assert_eq!(log.producers().len(), 2);
        let ticket = log.flush_target().expect("has a ticket");
        log.mark_synced(ticket.sync());
        assert!(compact(&mut log, NOW), "the log is still dirty");
        assert_eq!((text_of(&log), committed_values(&log)), (self.compacted.clone(), self.committed_values.clone()));
    }
}

/// Compacts with a disk that may fail; returns whether a compaction completed.
fn compact_until_it_fails(fixture: &Fixture) -> Result<bool, CompactError> {
    let mut log = fixture.try_open()?;
    compact_with(&mut log, NOW, &mut buffers()).map(|stats| stats.is_some())
}

#[test]
fn compaction_on_disk_failing_at_any_change_loses_nothing() {
    let expected = Expected::new();
    let compacted = "4d1 5x 6e1 9+ 10b- 11f1 [12..12] 13x 14c2 [15..15] 16+ 17g2 18h1 19a5 20i1";
    assert_eq!(expected.compacted, compacted);
    for changes in 0.. {
        let disk = prepared();
        let fixture = fixture_on(&disk);
        disk.fail_after_changes(Some(changes));
        let outcome = compact_until_it_fails(&fixture);
        disk.fail_after_changes(None);
        if matches!(outcome, Ok(true)) {
            assert!(changes > 40, "only {changes} changes");
            return;
        }
        // After the kill, opening the log may fail at any change as well.
        for again in 0..40 {
            disk.fail_after_changes(Some(again));
            let opened: Result<Log, LogError> = fixture.try_reopen_killed(None);
            disk.fail_after_changes(None);
            if opened.is_ok() {
                break;
            }
        }
        expected.check(reopened(&fixture, false, expected.end));
    }
}

#[test]
fn compaction_with_power_loss_at_any_sync_loses_nothing() {
    let expected = Expected::new();
    for sync in 1.. {
        let disk = prepared();
        disk.crash_at_sync(sync);
        if matches!(compact_until_it_fails(&fixture_on(&disk)), Ok(true)) {
            assert!(sync > 10, "only {sync} syncs");
            return;
        }
        for seed in 0..number("LOG_CRASH_SEEDS").unwrap_or(4) {
            let mut random = Random(sync * 1000 + seed);
            let disk = disk.power_loss(&mut || random.next());
            for recovery_point in [0, expected.end] {
                expected.check(reopened(&fixture_on(&disk), false, recovery_point));
            }
        }
    }
}

/// Interrupts a compaction after this many changes of the disk, as `kill -9` would; `None` if it completes.
fn stopped_after(changes: u64) -> Option<Fixture> {
    let disk = prepared();
    let fixture = fixture_on(&disk);
    disk.fail_after_changes(Some(changes));
    let outcome = compact_until_it_fails(&fixture);
    disk.fail_after_changes(None);
    outcome.is_err().then_some(fixture)
}

#[test]
fn compaction_killed_during_swap_is_completed_on_open() {
    let expected = Expected::new();
    let (mut cleaned_and_swap, mut only_swap, mut neither) = (0, 0, 0);
    for changes in 0.. {
        let Some(fixture) = stopped_after(changes) else { break };
        let has = |suffix: &str| fixture.names().iter().any(|name| name.ends_with(suffix));
        let first_is_swapped = has(".swap") && !has(".cleaned");
        match (has(".cleaned"), has(".swap")) {
            (true, true) => cleaned_and_swap += 1,
            (false, true) => only_swap += 1,
            _ => neither += 1,
        }
        let log = reopened(&fixture, true, expected.end);
        if first_is_swapped {
            assert!(log.segment_count() < 7, "after {changes} changes");
        }
        expected.check(log);
    }
    let counts = (cleaned_and_swap, only_swap, neither);
    assert!(cleaned_and_swap > 2 && only_swap > 10 && neither > 10, "{counts:?}");
}

/// Checks the records of a log after it was opened with files that an interrupted compaction left, and that these files
/// are removed. `left_over` has the name and content of each file.
#[track_caller]
fn check_left_over(left_over: &[(&str, &[u8])], expect: &str) {
    let fixture = simulated();
    Writer::new(Codec::None).write(&mut fixture.open(), "a1 a2 | b1 | c1");
    for (name, bytes) in left_over {
        fixture.disk.write_atomic(&file(&fixture, name), bytes, false).expect("writes");
    }
    assert_eq!(text_of(&reopened(&fixture, true, 4)), expect);
}

fn bytes_at(offset: Offset, key: &str) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Codec::None).placed_at(offset, 0);
    builder.append(NOW, Some(key.as_bytes()), Some(b"9"), &[]);
    builder.build().expect("builds").bytes().to_vec()
}

#[test]
fn interrupted_compaction_of_apache_kafka_is_completed_or_reverted() {
    let (whole, last) = (bytes_at(1, "x"), bytes_at(2, "y"));
    let (first_log, second_log) = ("00000000000000000000.log", "00000000000000000002.log");
    let swap = |name: &str| format!("{name}.swap");
    let cleaned = |name: &str| format!("{name}.cleaned");
    // A swapped segment replaces all segments that its offsets cover.
    check_left_over(&[(&swap(first_log), &whole)], "1x9 2b1 3c1");
    check_left_over(&[(&swap(first_log), &[&whole[..], &last].concat())], "1x9 2y9 3c1");
    check_left_over(&[(&swap(first_log), &whole), (&swap(second_log), &last)], "1x9 2y9 3c1");
    check_left_over(&[(&swap(first_log), b"")], "2b1 3c1");
    // Not all files of the segment have the suffix .swap, or those of an earlier segment do not have it.
    let before = "0a1 1a2 2b1 3c1";
    check_left_over(&[(&cleaned(first_log), &whole)], before);
    check_left_over(&[(&swap(first_log), &whole), (&cleaned("00000000000000000000.index"), b"")], before);
    check_left_over(&[(&cleaned(first_log), &whole), (&swap(second_log), &last)], before);
    check_left_over(&[(&swap(first_log), &whole), (&cleaned(second_log), &last)], "1x9 2b1 3c1");
    // The swapped segment is corrupt, and the segments that it replaces still exist.
    check_left_over(&[(&swap(first_log), &whole[..60])], before);
    // Only one index still has the suffix .swap.
    check_left_over(&[("00000000000000000000.index.swap", b"")], before);
}
