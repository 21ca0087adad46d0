use super::*;

const FIRST_LOG: &str = "00000000000000000000.log";

/// Appends twenty batches in several segments, then drops the log as a kill would.
fn killed(fixture: &mut Fixture) -> (Option<Validated>, u64) {
    fixture.config.segment_bytes = 700;
    let mut log = fixture.open();
    for index in 0..13 {
        log.append(&batch_at(NOW + index, &["0123456789"]), CLIENT).expect("appends");
    }
    let validated = log.validated();
    for index in 13..20 {
        log.append(&batch_at(NOW + index, &["0123456789"]), CLIENT).expect("appends");
    }
    (validated, log.size())
}

fn raw(fixture: &Fixture, name: &str) -> Vec<u8> {
    fixture.disk.read(&file(fixture, name)).expect("reads").expect("is there")
}

fn write(fixture: &Fixture, name: &str, position: u64, bytes: &[u8]) {
    fixture.disk.open_to_write(&file(fixture, name)).expect("opens").write_all_at(position, bytes).expect("writes");
}

#[test]
fn open_after_kill_scans_only_tail() {
    on_every_backing(|mut fixture| {
        let (validated, size) = killed(&mut fixture);
        let mut log = fixture.reopen_killed(validated);
        assert_eq!((log.end_offset(), log.size()), (20, size));
        assert_eq!(records_from(&log, 0).len(), 20);
        let report = log.take_open_report().expect("a report");
        assert_eq!(report.scanned_bytes, size / 20 * 7);
        assert!(!report.has_problems());
        assert_equals_full_scan(&fixture, &log);
    });
}

#[test]
fn open_after_reboot_scans_from_recovery_point() {
    on_every_backing(|mut fixture| {
        let (_, size) = killed(&mut fixture);
        let mut log = fixture.reopen_killed(None);
        assert_eq!(log.take_open_report().expect("a report").scanned_bytes, size);
        let second = log.segments[1].base();
        drop(log);
        fixture.at.recovery_point = second;
        let mut log = fixture.reopen_killed(None);
        assert!(log.take_open_report().expect("a report").scanned_bytes < size);
        assert_eq!(log.end_offset(), 20);
    });
}

#[test]
fn open_after_clean_shutdown_scans_nothing() {
    on_every_backing(|mut fixture| {
        killed(&mut fixture);
        let log = fixture.reopen_killed(None);
        let at = log.validated();
        fixture.close(log);
        let mut log = fixture.open();
        assert_eq!(log.end_offset(), 20);
        assert_eq!(log.take_open_report(), None);
        drop(log);
        fixture.at.validated = at;
        assert_eq!(fixture.open().end_offset(), 20);
    });
}

#[test]
fn torn_tail_is_truncated_and_appends_continue() {
    on_every_backing(|mut fixture| {
        fixture.config.segment_bytes = 10_000;
        let mut log = fixture.open();
        for _ in 0..3 {
            log.append(&batch(&["0123456789"]), CLIENT).expect("appends");
        }
        let (validated, size) = (log.validated(), log.size());
        drop(log);
        let half = &batch(&["torn"]).bytes()[..40].to_vec();
        write(&fixture, FIRST_LOG, size, half);
        let mut log = fixture.reopen_killed(validated);
        assert_eq!((log.end_offset(), log.size()), (3, size));
        let report = log.take_open_report().expect("a report");
        assert!(report.truncated_bytes >= 40 && report.set_aside.is_empty(), "{report:?}");
        log.append(&batch(&["after"]), CLIENT).expect("appends");
        assert_eq!(records_from(&log, 3), [(3, "after".to_owned())]);
        fixture.close(log);
        assert_eq!(fixture.open().end_offset(), 4);
    });
}

#[test]
fn zeros_after_last_batch_are_truncated_without_report() {
    on_every_backing(|fixture| {
        let mut log = fixture.open();
        log.append(&batch(&["x"]), CLIENT).expect("appends");
        let size = log.size();
        drop(log);
        write(&fixture, FIRST_LOG, size, &[0; 100_000]);
        let mut log = fixture.reopen_killed(None);
        assert_eq!((log.end_offset(), log.size()), (1, size));
        assert!(!log.take_open_report().expect("a report").has_problems());
        assert_eq!(raw(&fixture, FIRST_LOG).len() as u64, size);
    });
}

#[test]
fn valid_batches_after_corrupt_one_are_saved_to_cut_file() {
    on_every_backing(|mut fixture| {
        fixture.config.segment_bytes = 10_000;
        let mut log = fixture.open();
        for _ in 0..5 {
            log.append(&batch(&["0123456789"]), CLIENT).expect("appends");
        }
        let size = log.size();
        fixture.close(log);
        let before = raw(&fixture, FIRST_LOG);
        let second = size / 5;
        write(&fixture, FIRST_LOG, second + 70, b"X");
        let mut log = fixture.reopen_killed(None);
        assert_eq!(log.end_offset(), 1);
        let report = log.take_open_report().expect("a report");
        assert_eq!((report.truncated_bytes, &*report.lost), (size - second, std::slice::from_ref(&(1..5))));
        let aside = file(&fixture, &format!("{FIRST_LOG}.{second}.cut"));
        assert_eq!(report.set_aside, std::slice::from_ref(&aside));
        let saved = fixture.disk.read(&aside).expect("reads").expect("is there");
        assert_eq!(saved[71..], before[second as usize + 71..]);
        drop(log);
        assert_eq!(fixture.reopen_killed(None).end_offset(), 1, "the .cut file is not read");
    });
}

#[test]
fn segments_after_corrupt_batch_are_renamed_to_cut_files() {
    on_every_backing(|mut fixture| {
        killed(&mut fixture);
        write(&fixture, FIRST_LOG, 100, b"XXXX");
        let mut log = fixture.reopen_killed(None);
        assert_eq!((log.end_offset(), log.segment_count()), (1, 1));
        let report = log.take_open_report().expect("a report");
        assert!(report.set_aside.len() >= 2);
        assert_eq!(report.lost, std::slice::from_ref(&(1..20)));
        log.append(&batch(&["on"]), CLIENT).expect("appends");
        assert_eq!(records_from(&log, 1), [(1, "on".to_owned())]);
    });
}

#[test]
fn log_with_missing_segment_ends_before_it() {
    on_every_backing(|mut fixture| {
        killed(&mut fixture);
        let log = fixture.reopen_killed(None);
        let (second, third) = (log.segments[1].base(), log.segments[2].base());
        drop(log);
        fixture.disk.remove(&fixture.folder.join(format!("{second:020}.log"))).expect("removes");
        let log = fixture.reopen_killed(None);
        assert_eq!(log.end_offset(), second);
        assert!(fixture.names().contains(&format!("{third:020}.log.0.cut")));
    });
}

#[test]
fn removed_indexes_are_rebuilt_on_open() {
    on_every_backing(|mut fixture| {
        killed(&mut fixture);
        let log = fixture.reopen_killed(None);
        fixture.close(log);
        let indexes = || {
            let names = fixture.names().into_iter().filter(|name| name.ends_with("index"));
            names.map(|name| (raw(&fixture, &name), name)).collect::<Vec<_>>()
        };
        let before = indexes();
        for (_, name) in &before {
            fixture.disk.remove(&file(&fixture, name)).expect("removes");
        }
        let mut log = fixture.open();
        assert_eq!(log.end_offset(), 20);
        assert!(log.take_open_report().expect("a report").rebuilt_indexes > 0);
        fixture.close(log);
        assert_eq!(indexes(), before);
    });
}

#[test]
fn preallocated_zeros_in_index_are_ignored() {
    on_every_backing(|mut fixture| {
        let (validated, _) = killed(&mut fixture);
        for name in fixture.names().iter().filter(|name| name.ends_with("index")) {
            let len = raw(&fixture, name).len() as u64;
            write(&fixture, name, len, &[0; 1200]);
        }
        let log = fixture.reopen_killed(validated);
        assert_eq!(log.end_offset(), 20);
        assert_equals_full_scan(&fixture, &log);
    });
}

#[test]
fn wrong_validated_position_is_ignored() {
    on_every_backing(|mut fixture| {
        let (validated, _) = killed(&mut fixture);
        let right = validated.expect("a place");
        for wrong in [
            Validated { position: right.position + 1, ..right },
            Validated { next_offset: right.next_offset + 1, ..right },
            Validated { position: 1 << 40, ..right },
            Validated { segment: 3, ..right },
        ] {
            let log = fixture.reopen_killed(Some(wrong));
            assert_eq!(log.end_offset(), 20, "{wrong:?}");
            assert_eq!(records_from(&log, 0).len(), 20);
        }
    });
}

#[test]
fn log_start_beyond_log_end_empties_log() {
    on_every_backing(|mut fixture| {
        killed(&mut fixture);
        fixture.at.log_start = Some(100);
        let mut log = fixture.reopen_killed(None);
        assert_eq!((log.start_offset(), log.end_offset(), log.size()), (100, 100, 0));
        assert_eq!(log.append(&batch(&["x"]), CLIENT).expect("appends").base_offset, 100);
    });
}

#[test]
fn folder_of_another_topic_id_is_refused() {
    on_every_backing(|mut fixture| {
        fixture.at.topic_id = Some(Uuid([1; 16]));
        drop(fixture.open());
        assert_eq!(raw(&fixture, "partition.metadata"), b"version: 0\ntopic_id: AQEBAQEBAQEBAQEBAQEBAQ");
        drop(fixture.open());
        fixture.at.topic_id = Some(Uuid([2; 16]));
        assert!(matches!(fixture.try_open(), Err(LogError::OtherTopic { .. })));
    });
}

#[test]
fn leader_epochs_after_lost_checkpoint_are_rebuilt() {
    on_every_backing(|fixture| {
        let mut log = fixture.open();
        for epoch in [0, 0, 2, 5, 5] {
            log.append(&batch(&["x"]), AppendParams { leader_epoch: epoch, ..CLIENT }).expect("appends");
        }
        let ends = |log: &Log| (0..7).map(|epoch| log.end_offset_for_epoch(epoch)).collect::<Vec<_>>();
        let expected = ends(&log);
        drop(log);
        assert_eq!(ends(&fixture.reopen_killed(None)), expected);
        write(&fixture, "leader-epoch-checkpoint", 0, b"damage");
        assert_eq!(ends(&fixture.open()), expected);
        fixture.close(fixture.open());
        fixture.disk.write_atomic(&file(&fixture, "leader-epoch-checkpoint"), b"", false).expect("writes");
        assert_eq!(ends(&fixture.open()), expected, "the file is empty, as after a power loss");
        fixture.disk.remove(&file(&fixture, "leader-epoch-checkpoint")).expect("removes");
        assert_eq!(ends(&fixture.reopen_killed(None)), expected);
    });
}

#[test]
fn index_of_empty_segment_is_discarded() {
    on_every_backing(|fixture| {
        let mut log = fixture.open();
        log.truncate_fully(0, NOW).expect("makes the first file").unlink().expect("unlinks");
        fixture.close(log);
        write(&fixture, "00000000000000000000.index", 0, &[0, 0, 0, 9, 0, 0, 9, 9]);
        let mut log = fixture.open();
        log.append(&batch(&["x"]), CLIENT).expect("appends");
        assert_eq!(log.segments[0].opened().expect("open files").offsets.count(), 0);
        assert_eq!(records_from(&log, 0).len(), 1);
    });
}

#[test]
fn leader_epochs_contradicting_records_are_discarded() {
    on_every_backing(|fixture| {
        let mut log = fixture.open();
        for epoch in [0, 0, 0, 2] {
            log.append(&batch(&["x"]), AppendParams { leader_epoch: epoch, ..CLIENT }).expect("appends");
        }
        drop(log);
        // A checkpoint from before a truncation: its epoch 1 begins at offsets that now have records of epoch 0.
        write(&fixture, "leader-epoch-checkpoint", 0, b"0\n2\n0 0\n1 2\n");
        let log = fixture.reopen_killed(None);
        assert_eq!((log.end_offset_for_epoch(0), log.end_offset_for_epoch(2)), (Some((0, 3)), Some((2, 4))));
    });
}

#[test]
fn read_with_index_pointing_beyond_records_skips_none() {
    on_every_backing(|mut fixture| {
        killed(&mut fixture);
        fixture.close(fixture.reopen_killed(None));
        write(&fixture, "00000000000000000000.index", 4, &[9, 9]);
        let log = fixture.open();
        for offset in 0..20 {
            assert_eq!(log.read(offset, 1, true, Offset::MAX).expect("reads").next_offset, offset + 1);
        }
    });
}
