use super::*;

/// Creates a log of ten segments of one batch each, a second apart.
fn ten_segments(fixture: &mut Fixture) -> Log {
    fixture.config.segment_bytes = 100;
    fixture.config.retention_ms = -1;
    let mut log = fixture.open();
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
fn keeps(fixture: &Fixture, log: &mut Log, now: TimestampMs, start: Offset, segments: usize) {
    let deleted = log.housekeep(now).expect("housekeeps");
    assert_eq!((log.start_offset(), log.segment_count()), (start, segments));
    assert_eq!(log.end_offset(), 10);
    assert_eq!(records_from(log, start).len() as i64, 10 - start);
    deleted.unlink().expect("unlinks");
    let logs = fixture.names().iter().filter(|name| name.ends_with(".log")).count();
    assert_eq!(logs, segments);
    assert!(!fixture.names().iter().any(|name| name.ends_with(".deleted")));
}

#[test]
fn retention_ms_deletes_segments_by_newest_record() {
    on_every_backing(|mut fixture| {
        let mut log = ten_segments(&mut fixture);
        set(&mut log, |config| config.retention_ms = 5000);
        keeps(&fixture, &mut log, NOW + 5000, 0, 10);
        keeps(&fixture, &mut log, NOW + 5001, 1, 9);
        keeps(&fixture, &mut log, NOW + 8500, 4, 6);
        keeps(&fixture, &mut log, NOW + 100_000, 10, 1);
        drop(log);
        let log = fixture.reopen_killed(None);
        assert_eq!((log.start_offset(), log.end_offset()), (10, 10), "the empty segment's name has the end offset");
    });
}

#[test]
fn retention_bytes_deletes_oldest_segments() {
    on_every_backing(|mut fixture| {
        let mut log = ten_segments(&mut fixture);
        let segment = log.size() as i64 / 10;
        for (limit, start, segments) in
            [(segment * 10, 0, 10), (segment * 9 + 1, 0, 10), (segment * 9, 1, 9), (segment * 4 + 5, 5, 5), (0, 10, 1)]
        {
            set(&mut log, |config| config.retention_bytes = limit);
            keeps(&fixture, &mut log, NOW, start, segments);
        }
    });
}

#[test]
fn segments_below_log_start_are_deleted() {
    on_every_backing(|mut fixture| {
        let mut log = ten_segments(&mut fixture);
        set(&mut log, |config| config.cleanup_delete = false);
        assert_eq!(log.delete_records(4).expect("deletes"), 4);
        keeps(&fixture, &mut log, NOW, 4, 6);
        assert!(matches!(log.delete_records(3), Err(ReadError::OutOfRange { .. })));
        assert!(matches!(log.delete_records(11), Err(ReadError::OutOfRange { .. })));
        assert_eq!(log.delete_records(10).expect("deletes"), 10);
        // The active segment stays, although all its records are deleted.
        keeps(&fixture, &mut log, NOW, 10, 1);
        let at = OpenParams { log_start: Some(10), ..fixture.at };
        fixture.close(log);
        fixture.at = at;
        assert_eq!(fixture.open().start_offset(), 10);
    });
}

#[test]
fn retention_without_delete_policy_deletes_nothing_above_log_start() {
    on_every_backing(|mut fixture| {
        let mut log = ten_segments(&mut fixture);
        set(&mut log, |config| {
            config.cleanup_delete = false;
            config.retention_ms = 0;
            config.retention_bytes = 0;
        });
        keeps(&fixture, &mut log, NOW + 1_000_000, 0, 10);
    });
}

#[test]
fn deleted_segment_is_renamed_and_removed_on_next_open() {
    on_every_backing(|mut fixture| {
        let mut log = ten_segments(&mut fixture);
        set(&mut log, |config| config.retention_ms = 5000);
        let deleted = log.housekeep(NOW + 6500).expect("housekeeps");
        assert!(!deleted.is_empty());
        assert!(fixture.names().contains(&"00000000000000000000.log.deleted".to_owned()));
        drop(log);
        fixture.config.retention_ms = -1;
        let log = fixture.reopen_killed(None);
        assert_eq!(log.start_offset(), 2);
        assert!(!fixture.names().iter().any(|name| name.ends_with(".deleted")), "files left by a crash are removed");
    });
}

#[test]
fn truncate_fully_continues_at_given_offset() {
    on_every_backing(|mut fixture| {
        let mut log = ten_segments(&mut fixture);
        log.append(&by_producer(7, 0, 0, 1), CLIENT).expect("appends");
        log.truncate_fully(500, NOW).expect("truncates").unlink().expect("unlinks");
        assert_eq!((log.start_offset(), log.end_offset(), log.size()), (500, 500, 0));
        assert_eq!(log.producers(), vec![]);
        assert_eq!(log.append(&batch(&["x"]), CLIENT).expect("appends").base_offset, 500);
        fixture.close(log);
        let log = fixture.open();
        assert_eq!((log.start_offset(), log.end_offset()), (500, 501));
        assert_eq!(log.end_offset_for_epoch(0), Some((0, 501)));
    });
}

#[test]
fn delete_renames_folder_so_that_new_log_can_be_created() {
    on_every_backing(|mut fixture| {
        let mut log = ten_segments(&mut fixture);
        let slice = log.read(0, 1000, true, 1).expect("reads");
        let deleted = log.delete(Uuid([0xab; 16])).expect("deletes");
        let renamed = fixture.folder.with_file_name(format!("t-0.{}-delete", "ab".repeat(16)));
        assert!(fixture.disk.list(&renamed).expect("lists").is_some());
        assert!(matches!(log.append(&batch(&["x"]), CLIENT), Err(AppendError::Storage(LogError::Closed))));
        assert_eq!(fixture.open().end_offset(), 0);
        deleted.unlink().expect("unlinks");
        assert_eq!(fixture.disk.list(&renamed).expect("lists"), None);
        assert!(!slice.bytes.is_empty());
    });
}
