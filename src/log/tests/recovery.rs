use super::*;

const FIRST_LOG: &str = "00000000000000000000.log";

/// Twenty batches in several segments, then nothing more is heard of the process.
fn killed(shelf: &mut Shelf) -> (Option<Validated>, u64) {
    shelf.config.segment_bytes = 700;
    let mut log = shelf.open();
    for index in 0..13 {
        log.append(&batch_at(NOW + index, &["0123456789"]), CLIENT).expect("appends");
    }
    let validated = log.validated();
    for index in 13..20 {
        log.append(&batch_at(NOW + index, &["0123456789"]), CLIENT).expect("appends");
    }
    (validated, log.size())
}

fn raw(shelf: &Shelf, name: &str) -> Vec<u8> {
    shelf.disk.read(&file(shelf, name)).expect("reads").expect("is there")
}

fn write(shelf: &Shelf, name: &str, position: u64, bytes: &[u8]) {
    shelf.disk.open_to_write(&file(shelf, name)).expect("opens").write_all_at(position, bytes).expect("writes");
}

#[test]
fn after_a_kill_everything_is_there_and_only_the_tail_is_read() {
    on_every_backing(|mut shelf| {
        let (validated, size) = killed(&mut shelf);
        let mut log = shelf.reopen_killed(validated);
        assert_eq!((log.end_offset(), log.size()), (20, size));
        assert_eq!(records_from(&log, 0).len(), 20);
        let report = log.take_open_report().expect("a report");
        assert_eq!(report.scanned_bytes, size / 20 * 7);
        assert!(!report.has_problems());
        same_as_a_full_scan(&shelf, &log);
    });
}

#[test]
fn after_a_reboot_everything_from_the_recovery_point_is_read() {
    on_every_backing(|mut shelf| {
        let (_, size) = killed(&mut shelf);
        let mut log = shelf.reopen_killed(None);
        assert_eq!(log.take_open_report().expect("a report").scanned_bytes, size);
        let second = log.segments[1].base();
        drop(log);
        shelf.at.recovery_point = second;
        let mut log = shelf.reopen_killed(None);
        assert!(log.take_open_report().expect("a report").scanned_bytes < size);
        assert_eq!(log.end_offset(), 20);
    });
}

#[test]
fn a_clean_log_is_believed() {
    on_every_backing(|mut shelf| {
        killed(&mut shelf);
        let log = shelf.reopen_killed(None);
        let at = log.validated();
        shelf.close(log);
        let mut log = shelf.open();
        assert_eq!(log.end_offset(), 20);
        assert_eq!(log.take_open_report(), None);
        drop(log);
        shelf.at.validated = at;
        assert_eq!(shelf.open().end_offset(), 20);
    });
}

#[test]
fn a_torn_tail_is_cut_and_appends_go_on() {
    on_every_backing(|mut shelf| {
        shelf.config.segment_bytes = 10_000;
        let mut log = shelf.open();
        for _ in 0..3 {
            log.append(&batch(&["0123456789"]), CLIENT).expect("appends");
        }
        let (validated, size) = (log.validated(), log.size());
        drop(log);
        let half = &batch(&["torn"]).bytes()[..40].to_vec();
        write(&shelf, FIRST_LOG, size, half);
        let mut log = shelf.reopen_killed(validated);
        assert_eq!((log.end_offset(), log.size()), (3, size));
        let report = log.take_open_report().expect("a report");
        assert!(report.truncated_bytes >= 40 && report.set_aside.is_empty(), "{report:?}");
        log.append(&batch(&["after"]), CLIENT).expect("appends");
        assert_eq!(records_from(&log, 3), [(3, "after".to_owned())]);
        shelf.close(log);
        assert_eq!(shelf.open().end_offset(), 4);
    });
}

#[test]
fn zeros_behind_the_last_batch_are_cut_without_a_word() {
    on_every_backing(|shelf| {
        let mut log = shelf.open();
        log.append(&batch(&["x"]), CLIENT).expect("appends");
        let size = log.size();
        drop(log);
        write(&shelf, FIRST_LOG, size, &[0; 100_000]);
        let mut log = shelf.reopen_killed(None);
        assert_eq!((log.end_offset(), log.size()), (1, size));
        assert!(!log.take_open_report().expect("a report").has_problems());
        assert_eq!(raw(&shelf, FIRST_LOG).len() as u64, size);
    });
}

#[test]
fn whole_batches_behind_a_broken_one_are_set_aside() {
    on_every_backing(|mut shelf| {
        shelf.config.segment_bytes = 10_000;
        let mut log = shelf.open();
        for _ in 0..5 {
            log.append(&batch(&["0123456789"]), CLIENT).expect("appends");
        }
        let size = log.size();
        shelf.close(log);
        let before = raw(&shelf, FIRST_LOG);
        let second = size / 5;
        write(&shelf, FIRST_LOG, second + 70, b"X");
        let mut log = shelf.reopen_killed(None);
        assert_eq!(log.end_offset(), 1);
        let report = log.take_open_report().expect("a report");
        assert_eq!(report.truncated_bytes, size - second);
        let aside = file(&shelf, &format!("{FIRST_LOG}.{second}.cut"));
        assert_eq!(report.set_aside, std::slice::from_ref(&aside));
        let kept = shelf.disk.read(&aside).expect("reads").expect("is there");
        assert_eq!(kept[71..], before[second as usize + 71..]);
        drop(log);
        assert_eq!(shelf.reopen_killed(None).end_offset(), 1, "the file set aside is left alone");
    });
}

#[test]
fn segments_behind_a_broken_one_are_set_aside() {
    on_every_backing(|mut shelf| {
        killed(&mut shelf);
        write(&shelf, FIRST_LOG, 100, b"XXXX");
        let mut log = shelf.reopen_killed(None);
        assert_eq!((log.end_offset(), log.segment_count()), (1, 1));
        assert!(log.take_open_report().expect("a report").set_aside.len() >= 2);
        log.append(&batch(&["on"]), CLIENT).expect("appends");
        assert_eq!(records_from(&log, 1), [(1, "on".to_owned())]);
    });
}

#[test]
fn a_segment_that_is_missing_ends_the_log() {
    on_every_backing(|mut shelf| {
        killed(&mut shelf);
        let log = shelf.reopen_killed(None);
        let (second, third) = (log.segments[1].base(), log.segments[2].base());
        drop(log);
        shelf.disk.remove(&shelf.folder.join(format!("{second:020}.log"))).expect("removes");
        let log = shelf.reopen_killed(None);
        assert_eq!(log.end_offset(), second);
        assert!(shelf.names().contains(&format!("{third:020}.log.0.cut")));
    });
}

#[test]
fn lost_indexes_are_written_again() {
    on_every_backing(|mut shelf| {
        killed(&mut shelf);
        let log = shelf.reopen_killed(None);
        shelf.close(log);
        let indexes = || {
            let names = shelf.names().into_iter().filter(|name| name.ends_with("index"));
            names.map(|name| (raw(&shelf, &name), name)).collect::<Vec<_>>()
        };
        let before = indexes();
        for (_, name) in &before {
            shelf.disk.remove(&file(&shelf, name)).expect("removes");
        }
        let mut log = shelf.open();
        assert_eq!(log.end_offset(), 20);
        assert!(log.take_open_report().expect("a report").rebuilt_indexes > 0);
        shelf.close(log);
        assert_eq!(indexes(), before);
    });
}

#[test]
fn zeros_that_kafka_preallocates_in_an_index_are_no_entries() {
    on_every_backing(|mut shelf| {
        let (validated, _) = killed(&mut shelf);
        for name in shelf.names().iter().filter(|name| name.ends_with("index")) {
            let len = raw(&shelf, name).len() as u64;
            write(&shelf, name, len, &[0; 1200]);
        }
        let log = shelf.reopen_killed(validated);
        assert_eq!(log.end_offset(), 20);
        same_as_a_full_scan(&shelf, &log);
    });
}

#[test]
fn a_wrong_place_in_the_positions_is_not_believed() {
    on_every_backing(|mut shelf| {
        let (validated, _) = killed(&mut shelf);
        let right = validated.expect("a place");
        for wrong in [
            Validated { position: right.position + 1, ..right },
            Validated { next_offset: right.next_offset + 1, ..right },
            Validated { position: 1 << 40, ..right },
            Validated { segment: 3, ..right },
        ] {
            let log = shelf.reopen_killed(Some(wrong));
            assert_eq!(log.end_offset(), 20, "{wrong:?}");
            assert_eq!(records_from(&log, 0).len(), 20);
        }
    });
}

#[test]
fn a_log_start_behind_the_end_empties_the_log() {
    on_every_backing(|mut shelf| {
        killed(&mut shelf);
        shelf.at.log_start = Some(100);
        let mut log = shelf.reopen_killed(None);
        assert_eq!((log.start_offset(), log.end_offset(), log.size()), (100, 100, 0));
        assert_eq!(log.append(&batch(&["x"]), CLIENT).expect("appends").base_offset, 100);
    });
}

#[test]
fn another_topics_folder_is_refused() {
    on_every_backing(|mut shelf| {
        shelf.at.topic_id = Some(Uuid([1; 16]));
        drop(shelf.open());
        assert_eq!(raw(&shelf, "partition.metadata"), b"version: 0\ntopic_id: AQEBAQEBAQEBAQEBAQEBAQ");
        drop(shelf.open());
        shelf.at.topic_id = Some(Uuid([2; 16]));
        assert!(matches!(shelf.try_open(), Err(LogError::OtherTopic { .. })));
    });
}

#[test]
fn leader_epochs_are_found_again() {
    on_every_backing(|shelf| {
        let mut log = shelf.open();
        for epoch in [0, 0, 2, 5, 5] {
            log.append(&batch(&["x"]), AppendAs { leader_epoch: epoch, ..CLIENT }).expect("appends");
        }
        let ends = |log: &Log| (0..7).map(|epoch| log.end_offset_for_epoch(epoch)).collect::<Vec<_>>();
        let expected = ends(&log);
        drop(log);
        assert_eq!(ends(&shelf.reopen_killed(None)), expected);
        write(&shelf, "leader-epoch-checkpoint", 0, b"damage");
        assert_eq!(ends(&shelf.open()), expected);
        shelf.close(shelf.open());
        shelf.disk.write_aside(&file(&shelf, "leader-epoch-checkpoint"), b"", false).expect("writes");
        assert_eq!(ends(&shelf.open()), expected, "a power loss left nothing of it");
        shelf.disk.remove(&file(&shelf, "leader-epoch-checkpoint")).expect("removes");
        assert_eq!(ends(&shelf.reopen_killed(None)), expected);
    });
}

#[test]
fn indexes_of_a_segment_without_records_are_not_believed() {
    on_every_backing(|shelf| {
        let mut log = shelf.open();
        log.truncate_fully(0, NOW).expect("makes the first file").unlink().expect("unlinks");
        shelf.close(log);
        write(&shelf, "00000000000000000000.index", 0, &[0, 0, 0, 9, 0, 0, 9, 9]);
        let mut log = shelf.open();
        log.append(&batch(&["x"]), CLIENT).expect("appends");
        assert_eq!(log.segments[0].opened().expect("open files").offsets.count(), 0);
        assert_eq!(records_from(&log, 0).len(), 1);
    });
}

#[test]
fn epochs_of_records_that_are_gone_are_not_believed() {
    on_every_backing(|shelf| {
        let mut log = shelf.open();
        for epoch in [0, 0, 0, 2] {
            log.append(&batch(&["x"]), AppendAs { leader_epoch: epoch, ..CLIENT }).expect("appends");
        }
        drop(log);
        // The file of an earlier life is back, whose epoch 1 began where now records of epoch 0 are.
        write(&shelf, "leader-epoch-checkpoint", 0, b"0\n2\n0 0\n1 2\n");
        let log = shelf.reopen_killed(None);
        assert_eq!((log.end_offset_for_epoch(0), log.end_offset_for_epoch(2)), (Some((0, 3)), Some((2, 4))));
    });
}

#[test]
fn an_index_that_leads_beyond_the_records_skips_none() {
    on_every_backing(|mut shelf| {
        killed(&mut shelf);
        shelf.close(shelf.reopen_killed(None));
        write(&shelf, "00000000000000000000.index", 4, &[9, 9]);
        let log = shelf.open();
        for offset in 0..20 {
            assert_eq!(log.read(offset, 1, true, Offset::MAX).expect("reads").next_offset, offset + 1);
        }
    });
}
