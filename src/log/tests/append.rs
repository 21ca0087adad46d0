use super::*;

#[test]
fn appended_records_get_consecutive_offsets() {
    on_every_backing(|fixture| {
        let mut log = fixture.open();
        let first = log.append(&batch(&["a", "b"]), CLIENT).expect("appends");
        assert_eq!((first.base_offset, first.last_offset, first.duplicate), (0, 1, false));
        let second = log.append(&batch(&["c"]), AppendParams { leader_epoch: 3, ..CLIENT }).expect("appends");
        assert_eq!((second.base_offset, second.last_offset), (2, 2));
        assert_eq!(log.end_offset(), 3);
        let expected = [(0, "a"), (1, "b"), (2, "c")].map(|(offset, value)| (offset, value.to_owned()));
        assert_eq!(records_from(&log, 0), expected);
        assert_eq!(log.end_offset_for_epoch(0), Some((0, 2)));
        assert_eq!(log.end_offset_for_epoch(3), Some((3, 3)));
    });
}

#[test]
fn empty_log_creates_no_files() {
    on_every_backing(|fixture| {
        let mut log = fixture.open();
        assert_eq!((log.start_offset(), log.end_offset(), log.size()), (0, 0, 0));
        assert!(log.flush_target().expect("a ticket").is_empty());
        assert_eq!(log.validated(), None);
        fixture.close(log);
        assert_eq!(fixture.names(), Vec::<String>::new());
        assert_eq!(fixture.open().end_offset(), 0);
    });
}

#[test]
fn read_bytes_after_truncation_stay_unchanged() {
    on_every_backing(|fixture| {
        let mut log = fixture.open();
        log.append(&batch(&["first"]), CLIENT).expect("appends");
        let slice = log.read(0, 1000, true, 1).expect("reads");
        let copy = slice.bytes.to_vec();
        for _ in 0..2000 {
            log.append(&batch(&["a value that makes the file grow beyond its first mapping"]), CLIENT)
                .expect("appends");
        }
        log.truncate_fully(0, NOW).expect("truncates").unlink().expect("unlinks");
        drop(log);
        assert_eq!(slice.bytes, copy);
    });
}

#[test]
fn segment_reaching_segment_bytes_is_rolled() {
    on_every_backing(|mut fixture| {
        fixture.config.segment_bytes = 300;
        let mut log = fixture.open();
        let mut rolled = 0;
        for index in 0..20 {
            rolled += usize::from(log.append(&batch(&["0123456789"]), CLIENT).expect("appends").rolled);
            assert_eq!(log.end_offset(), index + 1);
        }
        assert_eq!(rolled + 1, log.segment_count());
        assert!(rolled >= 5);
        assert_eq!(records_from(&log, 0).len(), 20);
        assert!(fixture.names().contains(&format!("{:020}.snapshot", log.segments[1].base())));
    });
}

#[test]
fn segment_older_than_segment_ms_by_record_time_is_rolled() {
    on_every_backing(|mut fixture| {
        fixture.config.segment_ms = 1000;
        let mut log = fixture.open();
        for (timestamp, rolls) in [(0, false), (1000, false), (1001, true), (1500, false), (5000, true), (0, false)] {
            let appended = log.append(&batch_at(NOW + timestamp, &["x"]), CLIENT).expect("appends");
            assert_eq!(appended.rolled, rolls, "at {timestamp}");
        }
    });
}

#[test]
fn segment_with_full_index_is_rolled() {
    on_every_backing(|mut fixture| {
        // Space for three entries of offsets and two of times, one of them reserved for the final entry.
        fixture.config.segment_index_bytes = 24;
        fixture.config.index_interval_bytes = 0;
        let mut log = fixture.open();
        for _ in 0..8 {
            log.append(&batch(&["x"]), CLIENT).expect("appends");
        }
        assert_eq!(log.segment_count(), 4);
    });
}

#[test]
fn batch_larger_than_segment_is_refused() {
    on_every_backing(|mut fixture| {
        fixture.config.segment_bytes = 100;
        let mut log = fixture.open();
        let refused = log.append(&batch(&["0123456789012345678901234567890123456789"]), CLIENT);
        assert!(matches!(refused, Err(AppendError::LargerThanSegment { limit: 100, .. })), "{refused:?}");
        log.append(&batch(&["x"]), CLIENT).expect("the log still accepts appends");
    });
}

#[test]
fn append_with_older_leader_epoch_is_fenced() {
    on_every_backing(|fixture| {
        let mut log = fixture.open();
        log.append(&batch(&["x"]), AppendParams { leader_epoch: 5, ..CLIENT }).expect("appends");
        let refused = log.append(&batch(&["x"]), AppendParams { leader_epoch: 4, ..CLIENT });
        assert!(matches!(refused, Err(AppendError::FencedLeaderEpoch { current: 5, found: 4 })), "{refused:?}");
    });
}

#[test]
fn index_files_equal_kafkas_byte_for_byte() {
    on_every_backing(|fixture| {
        let mut log = fixture.open();
        // Each batch has 70 bytes; an entry is added once more than 100 bytes were appended since the last entry.
        for index in 0..5 {
            log.append(&batch_at(NOW + index, &["ab"]), CLIENT).expect("appends");
        }
        assert_eq!(log.size(), 350);
        fixture.close(log);
        let read = |name: &str| fixture.disk.read(&file(&fixture, name)).expect("reads").expect("is there");
        let offsets = [[0, 0, 0, 2, 0, 0, 0, 140], [0, 0, 0, 4, 0, 0, 1, 24]].concat();
        assert_eq!(read("00000000000000000000.index"), offsets);
        let time = |delta: i64, offset: u8| [(NOW + delta).to_be_bytes().as_slice(), &[0, 0, 0, offset]].concat();
        assert_eq!(read("00000000000000000000.timeindex"), [time(2, 2), time(4, 4)].concat());
        assert_eq!(read("00000000000000000000.log").len(), 350, "the preallocated space is truncated");
        assert_eq!(read("leader-epoch-checkpoint"), b"0\n1\n0 0\n");
    });
}

#[test]
fn failed_write_latches_log_and_reads_still_work() {
    let disk = Simulation::default();
    let fixture = Fixture::simulated(&disk);
    let mut log = fixture.open();
    log.append(&batch(&["before"]), CLIENT).expect("appends");
    disk.fail_after_changes(Some(0));
    assert!(matches!(log.append(&batch(&["x"]), CLIENT), Err(AppendError::Storage(LogError::Io { .. }))));
    disk.fail_after_changes(None);
    assert!(matches!(log.append(&batch(&["x"]), CLIENT), Err(AppendError::Storage(LogError::Latched(_)))));
    assert!(log.failure().is_some());
    assert_eq!(records_from(&log, 0).len(), 1, "reads still work");
    drop(log);
    let mut log = fixture.reopen_killed(None);
    assert_eq!(log.append(&batch(&["after"]), CLIENT).expect("appends again").base_offset, 1);
}

#[test]
fn failed_sync_latches_log() {
    let disk = Simulation::default();
    let fixture = Fixture::simulated(&disk);
    let mut log = fixture.open();
    log.append(&batch(&["x"]), CLIENT).expect("appends");
    let ticket = log.flush_target().expect("a ticket");
    disk.fail_after_changes(Some(0));
    let outcome = ticket.sync();
    assert!(outcome.is_err());
    log.mark_synced(outcome);
    disk.fail_after_changes(None);
    assert!(log.append(&batch(&["x"]), CLIENT).is_err());
    assert_eq!(log.recovery_point(), 0);
}

#[test]
fn sync_advances_durable_offset_and_recovery_point() {
    on_every_backing(|mut fixture| {
        fixture.config.segment_bytes = 200;
        let mut log = fixture.open();
        for _ in 0..5 {
            log.append(&batch(&["x"]), CLIENT).expect("appends");
        }
        let ticket = log.flush_sealed().expect("a ticket");
        assert_eq!(ticket.end_offset(), 4);
        log.append(&batch(&["x"]), CLIENT).expect("appends while syncing");
        log.mark_synced(ticket.sync());
        assert_eq!((log.durable_offset(), log.recovery_point()), (4, 4));
        let ticket = log.flush_target().expect("a ticket");
        log.mark_synced(ticket.sync());
        assert_eq!((log.durable_offset(), log.recovery_point()), (6, 5));
        assert!(log.flush_target().expect("a ticket").is_empty());
        // The segment was synced while it was active; its indexes, which were written when it was sealed, are not.
        log.append(&batch(&["x"]), CLIENT).expect("appends");
        assert_eq!((log.durable_offset(), log.recovery_point()), (6, 5));
        let ticket = log.flush_sealed().expect("a ticket");
        log.mark_synced(ticket.sync());
        assert_eq!((log.durable_offset(), log.recovery_point()), (6, 6));
    });
}
