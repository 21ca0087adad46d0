//! How far compaction goes, and when it pays.

use super::*;

fn log_of(shelf: &Shelf, text: &str) -> Log {
    let mut log = shelf.open();
    Writer::new(Codec::None).write(&mut log, text);
    log
}

#[track_caller]
fn check_range(shelf: &Shelf, log: &mut Log, now: TimestampMs, expect: Option<(Offset, Offset)>) {
    let cleanable = log.cleanable(now).expect("looks");
    assert_eq!(cleanable.map(|it| (it.first_dirty, it.first_uncleanable)), expect, "{}", shelf.folder.display());
}

#[test]
fn only_compacted_topics_with_records_are_compacted() {
    let shelf = simulated();
    let mut log = shelf.open();
    check_range(&shelf, &mut log, NOW, None);
    Writer::new(Codec::None).write(&mut log, "a1");
    check_range(&shelf, &mut log, NOW, None);
    Writer::new(Codec::None).write(&mut log, "| b1");
    check_range(&shelf, &mut log, NOW, Some((0, 1)));
    log.set_config(std::sync::Arc::new(LogConfig::default()));
    check_range(&shelf, &mut log, NOW, None);
}

#[test]
fn the_dirty_part_is_what_compaction_has_not_seen() {
    let shelf = simulated();
    let mut log = log_of(&shelf, "a1 b1 | c1 | d1");
    let cleanable = log.cleanable(NOW).expect("looks").expect("has records");
    assert_eq!((cleanable.clean_bytes, cleanable.dirty_ratio()), (0, 1.0));
    assert!(cleanable.is_due());
    assert!(compact(&mut log, NOW));
    let cleanable = log.cleanable(NOW).expect("looks").expect("has records");
    assert_eq!((cleanable.dirty_bytes, cleanable.dirty_ratio(), cleanable.is_due()), (0, 0.0, false));
    assert_eq!(log.first_dirty_offset(), Some(3));
    assert!(!compact(&mut log, NOW));
    Writer::new(Codec::None).write(&mut log, "|");
    let cleanable = log.cleanable(NOW).expect("looks").expect("has records");
    assert_eq!((cleanable.dirty_ratio(), cleanable.is_due()), (0.25, false));
}

#[test]
fn young_records_wait_for_min_compaction_lag() {
    let mut shelf = simulated();
    shelf.config.min_compaction_lag_ms = 1000;
    let mut log = shelf.open();
    let mut writer = Writer::new(Codec::None);
    for text in ["a1 |", "b1 |", "c1 |", "d1"] {
        writer.write(&mut log, text);
        writer.timestamp += 100;
    }
    check_range(&shelf, &mut log, NOW + 999, None);
    check_range(&shelf, &mut log, NOW + 1000, Some((0, 1)));
    check_range(&shelf, &mut log, NOW + 1199, Some((0, 2)));
    check_range(&shelf, &mut log, NOW + 5000, Some((0, 3)));
}

#[test]
fn old_records_are_due_by_max_compaction_lag() {
    let mut shelf = simulated();
    shelf.config.max_compaction_lag_ms = 1000;
    shelf.config.min_cleanable_dirty_ratio = 1.0;
    let mut log = log_of(&shelf, "a1 | b1");
    for (now, overdue) in [(NOW, 0), (NOW + 1000, 0), (NOW + 1001, 1), (NOW + 3000, 2000)] {
        let cleanable = log.cleanable(now).expect("looks").expect("has records");
        assert_eq!((cleanable.overdue_ms, cleanable.is_due()), (overdue, overdue > 0));
    }
}

#[test]
fn what_was_not_synced_waits() {
    let shelf = simulated();
    let mut log = log_of(&shelf, "a1 |");
    log.append(&Writer::new(Codec::None).batch("a2"), CLIENT).expect("appends");
    log.roll(NOW).expect("rolls");
    check_range(&shelf, &mut log, NOW, Some((0, 1)));
    Writer::new(Codec::None).write(&mut log, "");
    check_range(&shelf, &mut log, NOW, Some((0, 2)));
}

#[test]
fn a_log_start_that_moves_takes_the_dirty_part_along() {
    let shelf = simulated();
    let mut log = log_of(&shelf, "a1 b1 | c1 d1 | e1");
    log.delete_records(3).expect("deletes");
    check_range(&shelf, &mut log, NOW, Some((3, 4)));
    assert!(compact(&mut log, NOW));
    log.delete_records(5).expect("deletes");
    let raised = |log: &mut Log| log.cleanable(NOW).expect("looks").and_then(|cleanable| cleanable.raised_from);
    assert_eq!((raised(&mut log), raised(&mut log)), (Some(4), None), "it is said once");
    let _ = log.truncate_fully(2, NOW).expect("empties");
    assert_eq!(log.first_dirty_offset(), None);
}

#[test]
fn a_checkpoint_behind_the_end_is_not_believed() {
    let mut shelf = simulated();
    shelf.close(log_of(&shelf, "a1 | b1"));
    shelf.at = OpenAt { first_dirty: Some(2), ..shelf.at };
    let mut log = shelf.open();
    check_range(&shelf, &mut log, NOW, Some((2, 1)));
    assert_eq!(log.take_open_report().and_then(|report| report.compacted_beyond_end), None);
    shelf.at = OpenAt { first_dirty: Some(3), ..shelf.at };
    shelf.close(log);
    let mut log = shelf.open();
    check_range(&shelf, &mut log, NOW, Some((0, 1)));
    assert_eq!(log.take_open_report().and_then(|report| report.compacted_beyond_end), Some(3));
}

#[test]
fn a_full_map_ends_the_dirty_part() {
    let shelf = simulated();
    let mut log = log_of(&shelf, "a1 b1 c1,a2,d1 a3 | e1 a4 |");
    // Room for three keys.
    let mut buffers = CompactionBuffers::new(24 * 4, 1.0, 1, 0);
    let stats = compact_with(&mut log, NOW, &mut buffers).expect("compacts").expect("was dirty");
    assert_eq!((stats.from, stats.to, left(&log).as_str()), (0, 4, "1b1 2c1 3a2 4d1 5a3 6e1 7a4"));
    let stats = compact_with(&mut log, NOW, &mut buffers).expect("compacts").expect("was dirty");
    assert_eq!((stats.from, stats.to, left(&log).as_str()), (4, 8, "1b1 2c1 4d1 6e1 7a4"));
    assert!(compact_with(&mut log, NOW, &mut buffers).expect("compacts").is_none());
}

#[test]
fn a_map_without_room_is_refused() {
    let shelf = simulated();
    let mut log = log_of(&shelf, "a1 |");
    let refused = compact_with(&mut log, NOW, &mut CompactionBuffers::new(24, 0.9, 1, 0));
    assert!(matches!(refused, Err(CompactError::Uncleanable { .. })), "{refused:?}");
}

#[test]
fn whoever_is_told_to_stop_leaves_nothing() {
    let shelf = simulated();
    let mut log = log_of(&shelf, "a1 a2 | a3 |");
    for calls in 0.. {
        let mut left_to_do = calls;
        let mut pace = |_: u64| {
            left_to_do -= 1;
            if left_to_do < 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let mut compaction = log.begin_compaction(NOW).expect("begins").expect("is dirty");
        let names = shelf.names();
        match compaction.next_group(&mut buffers(), &mut pace) {
            Ok(group) => {
                drop(group);
                assert!(calls > 3, "it reads each segment twice, and writes");
                break;
            }
            Err(CompactError::Abandoned) => assert_eq!(shelf.names(), names),
            Err(error) => panic!("{error}"),
        }
    }
    assert!(compact(&mut log, NOW));
    assert_eq!(left(&log), "2a3");
}

#[test]
fn damage_makes_a_log_uncleanable_and_costs_nothing() {
    const SIZE: usize = 70;
    for at in 0..2 * SIZE {
        let disk = Simulation::default();
        let shelf = compacted(Shelf::simulated(&disk));
        let mut log = log_of(&shelf, "a1 a2 | a3 |");
        assert!(all_batches(&log).iter().all(|batch| batch.bytes().len() == SIZE));
        drop(log.begin_compaction(NOW).expect("begins"));
        let names = shelf.names();
        let flip = || disk.corrupt(&file(&shelf, "00000000000000000000.log"), |bytes| bytes[at] ^= 0x10);
        flip();
        match compact_with(&mut log, NOW, &mut buffers()) {
            Err(CompactError::Uncleanable { .. }) => {
                assert_eq!(shelf.names(), names);
                flip();
                assert!(compact(&mut log, NOW));
                assert_eq!(left(&log), "2a3");
            }
            // A leader epoch is neither in the checksum nor in doubt.
            outcome => assert!(outcome.is_ok() && (12..16).contains(&(at % SIZE)), "byte {at}: {outcome:?}"),
        }
    }
}
