use super::*;

/// Ten segments of one batch each, a second apart.
fn ten_segments(shelf: &mut Shelf) -> Log {
    shelf.config.segment_bytes = 100;
    shelf.config.retention_ms = -1;
    let mut log = shelf.open();
    for index in 0..10 {
        log.append(&batch_at(NOW + index * 1000, &["0123456789"]), CLIENT).expect("appends");
    }
    assert_eq!(log.segment_count(), 10);
    log
}

fn set(log: &mut Log, change: impl Fn(&mut LogConfig)) {
    let mut config = (**log.config()).clone();
    change(&mut config);
    log.set_config(Arc::new(config));
}

#[track_caller]
fn keeps(shelf: &Shelf, log: &mut Log, now: TimestampMs, start: Offset, segments: usize) {
    let deleted = log.housekeep(now).expect("keeps house");
    assert_eq!((log.start_offset(), log.segment_count()), (start, segments));
    assert_eq!(log.end_offset(), 10);
    assert_eq!(records_from(log, start).len() as i64, 10 - start);
    deleted.unlink().expect("unlinks");
    let logs = shelf.names().iter().filter(|name| name.ends_with(".log")).count();
    assert_eq!(logs, segments);
    assert!(!shelf.names().iter().any(|name| name.ends_with(".deleted")));
}

#[test]
fn old_segments_go_by_their_newest_record() {
    on_every_backing(|mut shelf| {
        let mut log = ten_segments(&mut shelf);
        set(&mut log, |config| config.retention_ms = 5000);
        keeps(&shelf, &mut log, NOW + 5000, 0, 10);
        keeps(&shelf, &mut log, NOW + 5001, 1, 9);
        keeps(&shelf, &mut log, NOW + 8500, 4, 6);
        keeps(&shelf, &mut log, NOW + 100_000, 10, 1);
        drop(log);
        let log = shelf.reopen_killed(None);
        assert_eq!(
            (log.start_offset(), log.end_offset()),
            (10, 10),
            "the empty segment's name says where the log ends"
        );
    });
}

#[test]
fn large_logs_lose_their_oldest_segments() {
    on_every_backing(|mut shelf| {
        let mut log = ten_segments(&mut shelf);
        let segment = log.size() as i64 / 10;
        for (limit, start, segments) in
            [(segment * 10, 0, 10), (segment * 9 + 1, 0, 10), (segment * 9, 1, 9), (segment * 4 + 5, 5, 5), (0, 10, 1)]
        {
            set(&mut log, |config| config.retention_bytes = limit);
            keeps(&shelf, &mut log, NOW, start, segments);
        }
    });
}

#[test]
fn deleted_records_take_their_segments_along() {
    on_every_backing(|mut shelf| {
        let mut log = ten_segments(&mut shelf);
        set(&mut log, |config| config.cleanup_delete = false);
        assert_eq!(log.delete_records(4).expect("deletes"), 4);
        keeps(&shelf, &mut log, NOW, 4, 6);
        assert!(matches!(log.delete_records(3), Err(ReadError::OutOfRange { .. })));
        assert!(matches!(log.delete_records(11), Err(ReadError::OutOfRange { .. })));
        assert_eq!(log.delete_records(10).expect("deletes"), 10);
        // The active segment stays, though nothing of it can be read.
        keeps(&shelf, &mut log, NOW, 10, 1);
        let at = OpenAt { log_start: Some(10), ..shelf.at };
        shelf.close(log);
        shelf.at = at;
        assert_eq!(shelf.open().start_offset(), 10);
    });
}

#[test]
fn without_delete_only_the_log_start_counts() {
    on_every_backing(|mut shelf| {
        let mut log = ten_segments(&mut shelf);
        set(&mut log, |config| {
            config.cleanup_delete = false;
            config.retention_ms = 0;
            config.retention_bytes = 0;
        });
        keeps(&shelf, &mut log, NOW + 1_000_000, 0, 10);
    });
}

#[test]
fn deleted_files_wait_under_another_name() {
    on_every_backing(|mut shelf| {
        let mut log = ten_segments(&mut shelf);
        set(&mut log, |config| config.retention_ms = 5000);
        let deleted = log.housekeep(NOW + 6500).expect("keeps house");
        assert!(!deleted.is_empty());
        assert!(shelf.names().contains(&"00000000000000000000.log.deleted".to_owned()));
        drop(log);
        shelf.config.retention_ms = -1;
        let log = shelf.reopen_killed(None);
        assert_eq!(log.start_offset(), 2);
        assert!(!shelf.names().iter().any(|name| name.ends_with(".deleted")), "what a crash left is removed");
    });
}

#[test]
fn truncation_starts_anew_at_any_offset() {
    on_every_backing(|mut shelf| {
        let mut log = ten_segments(&mut shelf);
        log.append(&by_producer(7, 0, 0, 1), CLIENT).expect("appends");
        log.truncate_fully(500, NOW).expect("truncates").unlink().expect("unlinks");
        assert_eq!((log.start_offset(), log.end_offset(), log.size()), (500, 500, 0));
        assert_eq!(log.producers(), vec![]);
        assert_eq!(log.append(&batch(&["x"]), CLIENT).expect("appends").base_offset, 500);
        shelf.close(log);
        let log = shelf.open();
        assert_eq!((log.start_offset(), log.end_offset()), (500, 501));
        assert_eq!(log.end_offset_for_epoch(0), Some((0, 501)));
    });
}

#[test]
fn a_deleted_log_leaves_its_name_free() {
    on_every_backing(|mut shelf| {
        let mut log = ten_segments(&mut shelf);
        let slice = log.read(0, 1000, true, 1).expect("reads");
        let deleted = log.delete(Uuid([0xab; 16])).expect("deletes");
        let renamed = shelf.folder.with_file_name(format!("t-0.{}-delete", "ab".repeat(16)));
        assert!(shelf.disk.list(&renamed).expect("lists").is_some());
        assert!(matches!(log.append(&batch(&["x"]), CLIENT), Err(AppendError::Storage(LogError::Closed))));
        assert_eq!(shelf.open().end_offset(), 0);
        deleted.unlink().expect("unlinks");
        assert_eq!(shelf.disk.list(&renamed).expect("lists"), None);
        assert!(!slice.bytes.is_empty());
    });
}
