//! The cleanable range, and when a log is due.

use super::*;

fn log_of(fixture: &Fixture, text: &str) -> Log {
    let mut log = fixture.open();
    Writer::new(Codec::None).write(&mut log, text);
    log
}

#[track_caller]
fn check_range(fixture: &Fixture, log: &mut Log, now: TimestampMs, expect: Option<(Offset, Offset)>) {
    let cleanable = log.cleanable(now).expect("looks");
    assert_eq!(cleanable.map(|it| (it.first_dirty, it.first_uncleanable)), expect, "{}", fixture.folder.display());
}

#[test]
fn cleanable_without_compact_policy_or_sealed_records_is_none() {
    let fixture = simulated();
    let mut log = fixture.open();
    check_range(&fixture, &mut log, NOW, None);
    Writer::new(Codec::None).write(&mut log, "a1");
    check_range(&fixture, &mut log, NOW, None);
    Writer::new(Codec::None).write(&mut log, "| b1");
    check_range(&fixture, &mut log, NOW, Some((0, 1)));
    log.set_config(std::sync::Arc::new(LogConfig::default()));
    check_range(&fixture, &mut log, NOW, None);
}

#[test]
fn dirty_bytes_are_those_since_last_compaction() {
    let fixture = simulated();
    let mut log = log_of(&fixture, "a1 b1 | c1 | d1");
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
fn records_younger_than_min_compaction_lag_are_uncleanable() {
    let mut fixture = simulated();
    fixture.config.min_compaction_lag_ms = 1000;
    let mut log = fixture.open();
    let mut writer = Writer::new(Codec::None);
    for text in ["a1 |", "b1 |", "c1 |", "d1"] {
        writer.write(&mut log, text);
        writer.timestamp += 100;
    }
    check_range(&fixture, &mut log, NOW + 999, None);
    check_range(&fixture, &mut log, NOW + 1000, Some((0, 1)));
    check_range(&fixture, &mut log, NOW + 1199, Some((0, 2)));
    check_range(&fixture, &mut log, NOW + 5000, Some((0, 3)));
}

#[test]
fn log_with_record_older_than_max_compaction_lag_is_due() {
    let mut fixture = simulated();
    fixture.config.max_compaction_lag_ms = 1000;
    fixture.config.min_cleanable_dirty_ratio = 1.0;
    let mut log = log_of(&fixture, "a1 | b1");
    for (now, overdue) in [(NOW, 0), (NOW + 1000, 0), (NOW + 1001, 1), (NOW + 3000, 2000)] {
        let cleanable = log.cleanable(now).expect("looks").expect("has records");
        assert_eq!((cleanable.overdue_ms, cleanable.is_due()), (overdue, overdue > 0));
    }
}

#[test]
fn unsynced_segment_is_uncleanable() {
    let fixture = simulated();
    let mut log = log_of(&fixture, "a1 |");
    log.append(&Writer::new(Codec::None).batch("a2"), CLIENT).expect("appends");
    log.roll(NOW).expect("rolls");
    check_range(&fixture, &mut log, NOW, Some((0, 1)));
    Writer::new(Codec::None).write(&mut log, "");
    check_range(&fixture, &mut log, NOW, Some((0, 2)));
}

#[test]
fn first_dirty_offset_below_log_start_is_raised_to_it() {
    let fixture = simulated();
    let mut log = log_of(&fixture, "a1 b1 | c1 d1 | e1");
    log.delete_records(3).expect("deletes");
    check_range(&fixture, &mut log, NOW, Some((3, 4)));
    assert!(compact(&mut log, NOW));
    log.delete_records(5).expect("deletes");
    let raised = |log: &mut Log| log.cleanable(NOW).expect("looks").and_then(|cleanable| cleanable.raised_from);
    assert_eq!((raised(&mut log), raised(&mut log)), (Some(4), None), "reported once");
    let _ = log.truncate_fully(2, NOW).expect("empties");
    assert_eq!(log.first_dirty_offset(), None);
}

#[test]
fn cleaner_checkpoint_beyond_log_end_is_ignored_and_reported() {
    let mut fixture = simulated();
    fixture.close(log_of(&fixture, "a1 | b1"));
    fixture.at = OpenParams { first_dirty: Some(2), ..fixture.at };
    let mut log = fixture.open();
    check_range(&fixture, &mut log, NOW, Some((2, 1)));
    assert_eq!(log.take_open_report().and_then(|report| report.compacted_beyond_end), None);
    fixture.at = OpenParams { first_dirty: Some(3), ..fixture.at };
    fixture.close(log);
    let mut log = fixture.open();
    check_range(&fixture, &mut log, NOW, Some((0, 1)));
    assert_eq!(log.take_open_report().and_then(|report| report.compacted_beyond_end), Some(3));
}

#[test]
fn full_key_map_ends_compacted_range() {
    let fixture = simulated();
    let mut log = log_of(&fixture, "a1 b1 c1,a2,d1 a3 | e1 a4 |");
    // Space for three keys.
    let mut buffers = CompactionBuffers::new(24 * 4, 1.0, 1, 0);
    let stats = compact_with(&mut log, NOW, &mut buffers).expect("compacts").expect("was dirty");
    assert_eq!((stats.from, stats.to, text_of(&log).as_str()), (0, 4, "1b1 2c1 3a2 4d1 5a3 6e1 7a4"));
    let stats = compact_with(&mut log, NOW, &mut buffers).expect("compacts").expect("was dirty");
    assert_eq!((stats.from, stats.to, text_of(&log).as_str()), (4, 8, "1b1 2c1 4d1 6e1 7a4"));
    assert!(compact_with(&mut log, NOW, &mut buffers).expect("compacts").is_none());
}

#[test]
fn compaction_with_map_too_small_for_one_key_returns_uncleanable() {
    let fixture = simulated();
    let mut log = log_of(&fixture, "a1 |");
    let refused = compact_with(&mut log, NOW, &mut CompactionBuffers::new(24, 0.9, 1, 0));
    assert!(matches!(refused, Err(CompactError::Uncleanable { .. })), "{refused:?}");
}

#[test]
fn abandoned_compaction_leaves_no_files() {
    let fixture = simulated();
    let mut log = log_of(&fixture, "a1 a2 | a3 |");
    for calls in 0.. {
        let mut calls_left = calls;
        let mut throttle = |_: u64| {
            calls_left -= 1;
            if calls_left < 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let mut compaction = log.begin_compaction(NOW).expect("begins").expect("is dirty");
        let names = fixture.names();
        match compaction.next_group(&mut buffers(), &mut throttle) {
            Ok(group) => {
                drop(group);
                assert!(calls > 3, "it reads each segment twice, and writes");
                break;
            }
            Err(CompactError::Abandoned) => assert_eq!(fixture.names(), names),
            Err(error) => panic!("{error}"),
        }
    }
    assert!(compact(&mut log, NOW));
    assert_eq!(text_of(&log), "2a3");
}

#[test]
fn compaction_of_corrupt_segment_returns_uncleanable_and_loses_nothing() {
    const SIZE: usize = 70;
    for at in 0..2 * SIZE {
        let disk = Simulation::default();
        let fixture = compacted(Fixture::simulated(&disk));
        let mut log = log_of(&fixture, "a1 a2 | a3 |");
        assert!(all_batches(&log).iter().all(|batch| batch.bytes().len() == SIZE));
        drop(log.begin_compaction(NOW).expect("begins"));
        let names = fixture.names();
        let flip = || disk.corrupt(&file(&fixture, "00000000000000000000.log"), |bytes| bytes[at] ^= 0x10);
        flip();
        match compact_with(&mut log, NOW, &mut buffers()) {
            Err(CompactError::Uncleanable { .. }) => {
                assert_eq!(fixture.names(), names);
                flip();
                assert!(compact(&mut log, NOW));
                assert_eq!(text_of(&log), "2a3");
            }
            // The leader epoch is not covered by the checksum.
            outcome => assert!(outcome.is_ok() && (12..16).contains(&(at % SIZE)), "byte {at}: {outcome:?}"),
        }
    }
}
