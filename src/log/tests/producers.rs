use super::*;

#[track_caller]
fn appends(log: &mut Log, batch: &Verified, base_offset: Offset) {
    let appended = log.append(batch, CLIENT).expect("appends");
    assert_eq!((appended.base_offset, appended.duplicate), (base_offset, false));
}

#[track_caller]
fn repeats(log: &mut Log, batch: &Verified, base_offset: Offset) {
    let end = log.end_offset();
    let appended = log.append(batch, CLIENT).expect("is recognised");
    assert_eq!((appended.base_offset, appended.duplicate), (base_offset, true));
    assert_eq!(log.end_offset(), end);
}

#[track_caller]
fn out_of_order(log: &mut Log, batch: &Verified) {
    let refused = log.append(batch, CLIENT);
    assert!(matches!(refused, Err(AppendError::OutOfOrderSequence { .. })), "{refused:?}");
}

#[test]
fn the_last_five_batches_are_recognised() {
    on_every_backing(|shelf| {
        let mut log = shelf.open();
        for index in 0..6 {
            appends(&mut log, &by_producer(7, 0, index * 2, 2), i64::from(index) * 2);
        }
        for index in 1..6 {
            repeats(&mut log, &by_producer(7, 0, index * 2, 2), i64::from(index) * 2);
        }
        out_of_order(&mut log, &by_producer(7, 0, 0, 2));
        out_of_order(&mut log, &by_producer(7, 0, 10, 1));
        out_of_order(&mut log, &by_producer(7, 0, 13, 1));
        appends(&mut log, &by_producer(7, 0, 12, 1), 12);
    });
}

#[test]
fn a_new_epoch_starts_from_zero_and_fences_the_old_one() {
    on_every_backing(|shelf| {
        let mut log = shelf.open();
        appends(&mut log, &by_producer(7, 0, 0, 1), 0);
        out_of_order(&mut log, &by_producer(7, 1, 1, 1));
        appends(&mut log, &by_producer(7, 1, 0, 1), 1);
        let refused = log.append(&by_producer(7, 0, 1, 1), CLIENT);
        assert!(matches!(refused, Err(AppendError::InvalidProducerEpoch { current: 1, found: 0, .. })), "{refused:?}");
        appends(&mut log, &by_producer(7, 1, 1, 1), 2);
    });
}

#[test]
fn an_unknown_producer_may_start_anywhere() {
    on_every_backing(|shelf| {
        let mut log = shelf.open();
        appends(&mut log, &by_producer(7, 3, 40, 1), 0);
        appends(&mut log, &by_producer(7, 3, 41, 1), 1);
    });
}

#[test]
fn sequences_wrap() {
    on_every_backing(|shelf| {
        let mut log = shelf.open();
        appends(&mut log, &by_producer(7, 0, i32::MAX - 1, 2), 0);
        appends(&mut log, &by_producer(7, 0, 0, 1), 2);
        repeats(&mut log, &by_producer(7, 0, i32::MAX - 1, 2), 0);
        drop(log);
        let mut log = shelf.reopen_killed(None);
        appends(&mut log, &by_producer(7, 0, 1, 1), 3);
        appends(&mut log, &by_producer(8, 0, i32::MAX, 2), 4);
        repeats(&mut log, &by_producer(8, 0, i32::MAX, 2), 4);
        appends(&mut log, &by_producer(8, 0, 1, 1), 6);
    });
}

#[test]
fn coordinators_have_no_sequences() {
    on_every_backing(|shelf| {
        let mut log = shelf.open();
        log.append(&by_producer(7, 0, 5, 1), COORDINATOR).expect("appends");
        log.append(&by_producer(7, 0, 50, 1), COORDINATOR).expect("appends");
    });
}

#[test]
fn five_batches_in_flight_are_recognised_after_every_kind_of_restart() {
    on_every_backing(|mut shelf| {
        shelf.config.segment_bytes = 400;
        let mut log = shelf.open();
        for index in 0..5 {
            appends(&mut log, &by_producer(7, 0, index, 1), i64::from(index) * 2);
            appends(&mut log, &by_producer(9, 0, index, 1), i64::from(index) * 2 + 1);
        }
        let validated = log.validated();
        shelf.close(log);
        let all_repeat = |log: &mut Log| {
            for index in 0..5 {
                repeats(log, &by_producer(7, 0, index, 1), i64::from(index) * 2);
                repeats(log, &by_producer(9, 0, index, 1), i64::from(index) * 2 + 1);
            }
        };
        all_repeat(&mut shelf.open());
        all_repeat(&mut shelf.reopen_killed(None));
        all_repeat(&mut shelf.reopen_killed(validated));
        let mut log = shelf.open();
        out_of_order(&mut log, &by_producer(7, 0, 6, 1));
        appends(&mut log, &by_producer(7, 0, 5, 1), 10);
        out_of_order(&mut log, &by_producer(7, 0, 0, 1));
        repeats(&mut log, &by_producer(7, 0, 1, 1), 2);
    });
}

#[test]
fn idle_producers_are_forgotten() {
    on_every_backing(|mut shelf| {
        shelf.config.producer_id_expiration_ms = 1000;
        let mut log = shelf.open();
        appends(&mut log, &by_producer(7, 0, 0, 1), 0);
        log.expire_producers(NOW + 999);
        out_of_order(&mut log, &by_producer(7, 0, 5, 1));
        assert!(log.housekeep(NOW + 1000).expect("keeps house").is_empty());
        assert_eq!(log.producers().len(), 1, "retention has an interval of its own");
        log.expire_producers(NOW + 1000);
        assert_eq!(log.producers(), vec![]);
        appends(&mut log, &by_producer(7, 0, 5, 1), 1);
        shelf.close(log);
        shelf.at.now = NOW + 1000;
        assert_eq!(shelf.open().producers(), vec![], "nor do snapshots bring them back");
    });
}

/// Kafka counts from the records' timestamps; whoever writes records of last year would be forgotten at once there.
#[test]
fn a_producer_of_old_records_is_remembered() {
    on_every_backing(|mut shelf| {
        shelf.config.producer_id_expiration_ms = 1000;
        let much_later = NOW + 1_000_000;
        let mut log = shelf.open();
        let write = |log: &mut Log, sequence| {
            log.append(&by_producer(7, 0, sequence, 1), AppendAs { now: much_later, ..CLIENT }).expect("appends")
        };
        assert!(!write(&mut log, 0).duplicate);
        log.expire_producers(much_later);
        assert!(write(&mut log, 0).duplicate);
        drop(log);
        shelf.at.now = much_later + 500;
        let mut log = shelf.reopen_killed(None);
        log.expire_producers(much_later + 500);
        assert!(write(&mut log, 0).duplicate, "after a kill");
        shelf.close(log);
        assert!(write(&mut shelf.open(), 0).duplicate, "after a clean stop");
    });
}

#[test]
fn snapshots_are_kafkas_byte_for_byte() {
    on_every_backing(|shelf| {
        let mut log = shelf.open();
        appends(&mut log, &by_producer(7, 2, 0, 3), 0);
        shelf.close(log);
        let snapshot =
            shelf.disk.read(&file(&shelf, "00000000000000000003.snapshot")).expect("reads").expect("is there");
        let mut entry = Vec::new();
        entry.extend_from_slice(&1_i32.to_be_bytes());
        entry.extend_from_slice(&7_i64.to_be_bytes());
        entry.extend_from_slice(&2_i16.to_be_bytes());
        entry.extend_from_slice(&2_i32.to_be_bytes());
        entry.extend_from_slice(&2_i64.to_be_bytes());
        entry.extend_from_slice(&2_i32.to_be_bytes());
        entry.extend_from_slice(&NOW.to_be_bytes());
        entry.extend_from_slice(&(-1_i32).to_be_bytes());
        entry.extend_from_slice(&(-1_i64).to_be_bytes());
        assert_eq!(snapshot[..2], 1_i16.to_be_bytes());
        assert_eq!(snapshot[2..6], crc32c::crc32c(&entry).to_be_bytes());
        assert_eq!(snapshot[6..], entry);
    });
}

#[test]
fn a_damaged_snapshot_costs_a_longer_walk() {
    on_every_backing(|mut shelf| {
        shelf.config.segment_bytes = 400;
        let mut log = shelf.open();
        for index in 0..12 {
            appends(&mut log, &by_producer(7, 0, index, 1), i64::from(index));
        }
        shelf.close(log);
        for name in shelf.names().iter().filter(|name| name.ends_with(".snapshot")) {
            shelf.disk.open_to_write(&file(&shelf, name)).expect("opens").write_all_at(8, b"damage").expect("writes");
        }
        let mut log = shelf.open();
        repeats(&mut log, &by_producer(7, 0, 11, 1), 11);
        appends(&mut log, &by_producer(7, 0, 12, 1), 12);
    });
}
