use super::*;

#[track_caller]
fn appends(log: &mut Log, batch: &Verified, base_offset: Offset) {
    let appended = log.append(batch, CLIENT).expect("appends");
    assert_eq!((appended.base_offset, appended.duplicate), (base_offset, false));
}

#[track_caller]
fn repeats(log: &mut Log, batch: &Verified, base_offset: Offset) {
    let end = log.end_offset();
    let appended = log.append(batch, CLIENT).expect("is a duplicate");
    assert_eq!((appended.base_offset, appended.duplicate), (base_offset, true));
    assert_eq!(log.end_offset(), end);
}

#[track_caller]
fn out_of_order(log: &mut Log, batch: &Verified) {
    let refused = log.append(batch, CLIENT);
    assert!(matches!(refused, Err(AppendError::OutOfOrderSequence { .. })), "{refused:?}");
}

#[test]
fn repeated_batch_among_last_five_is_duplicate() {
    on_every_backing(|fixture| {
        let mut log = fixture.open();
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
fn new_producer_epoch_starts_at_sequence_zero_and_fences_old_epoch() {
    on_every_backing(|fixture| {
        let mut log = fixture.open();
        appends(&mut log, &by_producer(7, 0, 0, 1), 0);
        out_of_order(&mut log, &by_producer(7, 1, 1, 1));
        appends(&mut log, &by_producer(7, 1, 0, 1), 1);
        let refused = log.append(&by_producer(7, 0, 1, 1), CLIENT);
        assert!(matches!(refused, Err(AppendError::InvalidProducerEpoch { current: 1, found: 0, .. })), "{refused:?}");
        appends(&mut log, &by_producer(7, 1, 1, 1), 2);
    });
}

#[test]
fn first_batch_of_unknown_producer_may_have_any_sequence() {
    on_every_backing(|fixture| {
        let mut log = fixture.open();
        appends(&mut log, &by_producer(7, 3, 40, 1), 0);
        appends(&mut log, &by_producer(7, 3, 41, 1), 1);
    });
}

#[test]
fn sequence_after_i32_max_wraps_to_zero() {
    on_every_backing(|fixture| {
        let mut log = fixture.open();
        appends(&mut log, &by_producer(7, 0, i32::MAX - 1, 2), 0);
        appends(&mut log, &by_producer(7, 0, 0, 1), 2);
        repeats(&mut log, &by_producer(7, 0, i32::MAX - 1, 2), 0);
        drop(log);
        let mut log = fixture.reopen_killed(None);
        appends(&mut log, &by_producer(7, 0, 1, 1), 3);
        appends(&mut log, &by_producer(8, 0, i32::MAX, 2), 4);
        repeats(&mut log, &by_producer(8, 0, i32::MAX, 2), 4);
        appends(&mut log, &by_producer(8, 0, 1, 1), 6);
    });
}

#[test]
fn sequences_of_coordinator_batches_are_not_checked() {
    on_every_backing(|fixture| {
        let mut log = fixture.open();
        log.append(&by_producer(7, 0, 5, 1), COORDINATOR).expect("appends");
        log.append(&by_producer(7, 0, 50, 1), COORDINATOR).expect("appends");
    });
}

#[test]
fn repeated_batch_after_any_restart_is_duplicate() {
    on_every_backing(|mut fixture| {
        fixture.config.segment_bytes = 400;
        let mut log = fixture.open();
        for index in 0..5 {
            appends(&mut log, &by_producer(7, 0, index, 1), i64::from(index) * 2);
            appends(&mut log, &by_producer(9, 0, index, 1), i64::from(index) * 2 + 1);
        }
        let validated = log.validated();
        fixture.close(log);
        let all_repeat = |log: &mut Log| {
            for index in 0..5 {
                repeats(log, &by_producer(7, 0, index, 1), i64::from(index) * 2);
                repeats(log, &by_producer(9, 0, index, 1), i64::from(index) * 2 + 1);
            }
        };
        all_repeat(&mut fixture.open());
        all_repeat(&mut fixture.reopen_killed(None));
        all_repeat(&mut fixture.reopen_killed(validated));
        let mut log = fixture.open();
        out_of_order(&mut log, &by_producer(7, 0, 6, 1));
        appends(&mut log, &by_producer(7, 0, 5, 1), 10);
        out_of_order(&mut log, &by_producer(7, 0, 0, 1));
        repeats(&mut log, &by_producer(7, 0, 1, 1), 2);
    });
}

#[test]
fn idle_producer_is_expired() {
    on_every_backing(|mut fixture| {
        fixture.config.producer_id_expiration_ms = 1000;
        let mut log = fixture.open();
        appends(&mut log, &by_producer(7, 0, 0, 1), 0);
        log.expire_producers(NOW + 999);
        out_of_order(&mut log, &by_producer(7, 0, 5, 1));
        assert!(log.housekeep(NOW + 1000).expect("housekeeps").is_empty());
        assert_eq!(log.producers().len(), 1, "retention does not expire producers");
        log.expire_producers(NOW + 1000);
        assert_eq!(log.producers(), vec![]);
        appends(&mut log, &by_producer(7, 0, 5, 1), 1);
        fixture.close(log);
        fixture.at.now = NOW + 1000;
        assert_eq!(fixture.open().producers(), vec![], "nor does a snapshot restore them");
    });
}

/// Kafka expires producers by their records' timestamps, so that there a producer of last year's records expires at once.
#[test]
fn producer_of_records_with_old_timestamps_is_not_expired() {
    on_every_backing(|mut fixture| {
        fixture.config.producer_id_expiration_ms = 1000;
        let much_later = NOW + 1_000_000;
        let mut log = fixture.open();
        let write = |log: &mut Log, sequence| {
            log.append(&by_producer(7, 0, sequence, 1), AppendParams { now: much_later, ..CLIENT }).expect("appends")
        };
        assert!(!write(&mut log, 0).duplicate);
        log.expire_producers(much_later);
        assert!(write(&mut log, 0).duplicate);
        drop(log);
        fixture.at.now = much_later + 500;
        let mut log = fixture.reopen_killed(None);
        log.expire_producers(much_later + 500);
        assert!(write(&mut log, 0).duplicate, "after a kill");
        fixture.close(log);
        assert!(write(&mut fixture.open(), 0).duplicate, "after a clean stop");
    });
}

#[test]
fn producer_snapshot_equals_kafkas_byte_for_byte() {
    on_every_backing(|fixture| {
        let mut log = fixture.open();
        appends(&mut log, &by_producer(7, 2, 0, 3), 0);
        fixture.close(log);
        let snapshot =
            fixture.disk.read(&file(&fixture, "00000000000000000003.snapshot")).expect("reads").expect("is there");
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
fn corrupt_snapshot_is_replaced_by_scanning_records() {
    on_every_backing(|mut fixture| {
        fixture.config.segment_bytes = 400;
        let mut log = fixture.open();
        for index in 0..12 {
            appends(&mut log, &by_producer(7, 0, index, 1), i64::from(index));
        }
        fixture.close(log);
        for name in fixture.names().iter().filter(|name| name.ends_with(".snapshot")) {
            fixture
                .disk
                .open_to_write(&file(&fixture, name))
                .expect("opens")
                .write_all_at(8, b"damage")
                .expect("writes");
        }
        let mut log = fixture.open();
        repeats(&mut log, &by_producer(7, 0, 11, 1), 11);
        appends(&mut log, &by_producer(7, 0, 12, 1), 12);
    });
}
