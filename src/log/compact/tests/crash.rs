//! A compaction that stops at every point where it may: what was there before is there afterwards, and the next
//! compaction ends as this one would have.

use std::collections::BTreeMap;

use super::*;
use crate::LogError;
use crate::tests::random::Random;

/// Segments that become two groups, with every kind of batch; producer 7 has nothing in the active one.
const TEXT: &str = "a1 b1,c1 | 7!a2 d1 7x | 8!e1 _1 a3 8+ | b-,f1 8!a4 8x | c2 7!g1 7+ g2 | h1 a5 | i1";

fn shelf_on(disk: &Simulation) -> Shelf {
    let mut shelf = compacted(Shelf::simulated(disk));
    shelf.config.segment_bytes = 1000;
    shelf
}

/// A disk with a log that is whole and synced.
fn prepared() -> Simulation {
    let disk = Simulation::default();
    Writer::new(Codec::Lz4).write(&mut shelf_on(&disk).open(), TEXT);
    // As if the machine had been stopped cleanly: nothing is left to sync.
    disk.power_loss(&mut || 0)
}

/// The last committed value of each key.
fn view(log: &Log) -> BTreeMap<String, String> {
    let aborted = log.aborted_transactions(0, log.end_offset()).expect("looks up");
    let mut view = BTreeMap::new();
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
                (Some(key), Some(value)) => drop(view.insert(key, value)),
                (Some(key), None) => drop(view.remove(&key)),
                (None, _) => {}
            }
        }
    }
    view
}

fn reopened(shelf: &Shelf, clean_shutdown: bool, recovery_point: Offset) -> Log {
    let at = OpenAt { clean_shutdown, recovery_point, ..shelf.at };
    let log = Log::open(&shelf.disk, &shelf.folder, std::sync::Arc::new(shelf.config.clone()), at).expect("opens");
    for name in shelf.names() {
        assert!(![".cleaned", ".swap", ".deleted"].iter().any(|left| name.ends_with(left)), "{name} is left");
    }
    log
}

/// What the log was before, and what it is to be in the end.
struct Expected {
    view: BTreeMap<String, String>,
    end: Offset,
    left: String,
}

impl Expected {
    fn new() -> Expected {
        let disk = prepared();
        let mut log = shelf_on(&disk).open();
        let (view, end) = (view(&log), log.end_offset());
        assert!(compact(&mut log, NOW));
        assert_eq!(log.segment_count(), 3, "two groups and the active segment");
        Expected { view, end, left: left(&log) }
    }

    #[track_caller]
    fn check(&self, mut log: Log) {
        assert_eq!((view(&log), log.end_offset(), log.last_stable_offset()), (self.view.clone(), self.end, self.end));
        assert_eq!(log.producers().len(), 2);
        let ticket = log.flush_target().expect("has a ticket");
        log.mark_synced(ticket.sync());
        assert!(compact(&mut log, NOW), "it is as dirty as before");
        assert_eq!((left(&log), view(&log)), (self.left.clone(), self.view.clone()));
    }
}

/// Compacts with a disk that fails somewhere; whether it got to the end.
fn compact_until_it_fails(shelf: &Shelf) -> Result<bool, CompactError> {
    let mut log = shelf.try_open()?;
    compact_with(&mut log, NOW, &mut buffers()).map(|stats| stats.is_some())
}

#[test]
fn a_disk_that_fails_anywhere_loses_nothing() {
    let expected = Expected::new();
    let left = "4d1 5x 6e1 9+ 10b- 11f1 [12..12] 13x 14c2 [15..15] 16+ 17g2 18h1 19a5 20i1";
    assert_eq!(expected.left, left);
    for changes in 0.. {
        let disk = prepared();
        let shelf = shelf_on(&disk);
        disk.fail_after_changes(Some(changes));
        let outcome = compact_until_it_fails(&shelf);
        disk.fail_after_changes(None);
        if matches!(outcome, Ok(true)) {
            assert!(changes > 40, "only {changes} changes");
            return;
        }
        // The process has been killed; and what an open that failed as well would leave is opened once more.
        for again in 0..40 {
            disk.fail_after_changes(Some(again));
            let opened: Result<Log, LogError> = shelf.try_reopen_killed(None);
            disk.fail_after_changes(None);
            if opened.is_ok() {
                break;
            }
        }
        expected.check(reopened(&shelf, false, expected.end));
    }
}

#[test]
fn a_power_loss_anywhere_loses_nothing() {
    let expected = Expected::new();
    for sync in 1.. {
        let disk = prepared();
        disk.crash_at_sync(sync);
        if matches!(compact_until_it_fails(&shelf_on(&disk)), Ok(true)) {
            assert!(sync > 10, "only {sync} syncs");
            return;
        }
        for seed in 0..20 {
            let mut random = Random(sync * 1000 + seed);
            let disk = disk.power_loss(&mut || random.next());
            for recovery_point in [0, expected.end] {
                expected.check(reopened(&shelf_on(&disk), false, recovery_point));
            }
        }
    }
}

/// Stops after so many changes of the disk, as `kill -9` would.
fn stopped_after(changes: u64) -> Option<Shelf> {
    let disk = prepared();
    let shelf = shelf_on(&disk);
    disk.fail_after_changes(Some(changes));
    let outcome = compact_until_it_fails(&shelf);
    disk.fail_after_changes(None);
    outcome.is_err().then_some(shelf)
}

#[test]
fn a_compaction_that_had_begun_to_put_things_in_place_is_finished() {
    let expected = Expected::new();
    let mut seen = (0, 0, 0);
    for changes in 0.. {
        let Some(shelf) = stopped_after(changes) else { break };
        let has = |suffix: &str| shelf.names().iter().any(|name| name.ends_with(suffix));
        let first_is_swapped = has(".swap") && !has(".cleaned");
        match (has(".cleaned"), has(".swap")) {
            (true, true) => seen.0 += 1,
            (false, true) => seen.1 += 1,
            _ => seen.2 += 1,
        }
        let log = reopened(&shelf, true, expected.end);
        if first_is_swapped {
            assert!(log.segment_count() < 7, "after {changes} changes");
        }
        expected.check(log);
    }
    assert!(seen.0 > 2 && seen.1 > 10 && seen.2 > 10, "{seen:?}");
}

/// What is left of a log, and the names that opening it leaves, where files lie beside it that something interrupted
/// has left: name and content.
#[track_caller]
fn check_left_over(left_over: &[(&str, &[u8])], expect: &str) {
    let shelf = simulated();
    Writer::new(Codec::None).write(&mut shelf.open(), "a1 a2 | b1 | c1");
    for (name, bytes) in left_over {
        shelf.disk.write_aside(&file(&shelf, name), bytes, false).expect("writes");
    }
    assert_eq!(left(&reopened(&shelf, true, 4)), expect);
}

fn bytes_at(offset: Offset, key: &str) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Codec::None).placed_at(offset, 0);
    builder.append(NOW, Some(key.as_bytes()), Some(b"9"), &[]);
    builder.build().expect("builds").bytes().to_vec()
}

#[test]
fn what_apache_kafka_left_is_finished_or_taken_back() {
    let (whole, last) = (bytes_at(1, "x"), bytes_at(2, "y"));
    let (first_log, second_log) = ("00000000000000000000.log", "00000000000000000002.log");
    let swap = |name: &str| format!("{name}.swap");
    let cleaned = |name: &str| format!("{name}.cleaned");
    // It stands for all that its offsets cover.
    check_left_over(&[(&swap(first_log), &whole)], "1x9 2b1 3c1");
    check_left_over(&[(&swap(first_log), &[&whole[..], &last].concat())], "1x9 2y9 3c1");
    check_left_over(&[(&swap(first_log), &whole), (&swap(second_log), &last)], "1x9 2y9 3c1");
    check_left_over(&[(&swap(first_log), b"")], "2b1 3c1");
    // It isn't all there yet, or it is behind a segment that isn't.
    let before = "0a1 1a2 2b1 3c1";
    check_left_over(&[(&cleaned(first_log), &whole)], before);
    check_left_over(&[(&swap(first_log), &whole), (&cleaned("00000000000000000000.index"), b"")], before);
    check_left_over(&[(&cleaned(first_log), &whole), (&swap(second_log), &last)], before);
    check_left_over(&[(&swap(first_log), &whole), (&cleaned(second_log), &last)], "1x9 2b1 3c1");
    // It is damaged, and what it is to replace is still there.
    check_left_over(&[(&swap(first_log), &whole[..60])], before);
    // An index alone has lost its suffix last.
    check_left_over(&[("00000000000000000000.index.swap", b"")], before);
}
