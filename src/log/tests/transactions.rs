use super::*;

#[track_caller]
fn append(log: &mut Log, batch: &Verified) -> Offset {
    log.append(batch, COORDINATOR).expect("appends").base_offset
}

fn abort(producer_id: ProducerId) -> Verified {
    marker(producer_id, 0, ControlType::Abort, 1)
}

fn commit(producer_id: ProducerId) -> Verified {
    marker(producer_id, 0, ControlType::Commit, 1)
}

/// Appends two transactions: producer 1 at 0..=1, aborted at 5; producer 2 at 2..=3, committed at 6.
fn two_transactions(log: &mut Log) {
    append(log, &in_txn(1, 0, 0, 2));
    append(log, &in_txn(2, 0, 0, 2));
    append(log, &batch(&["plain"]));
    append(log, &abort(1));
    append(log, &commit(2));
}

#[test]
fn last_stable_offset_is_start_of_oldest_open_transaction() {
    on_every_backing(|fixture| {
        let mut log = fixture.open();
        let mut stable = Vec::new();
        for batch in [batch(&["x"]), in_txn(1, 0, 0, 1), in_txn(2, 0, 0, 1), commit(1), in_txn(2, 0, 1, 1), abort(2)] {
            append(&mut log, &batch);
            stable.push(log.last_stable_offset());
        }
        assert_eq!(stable, [1, 1, 1, 2, 2, 6]);
    });
}

#[test]
fn aborted_transactions_returns_those_overlapping_the_range() {
    on_every_backing(|fixture| {
        let mut log = fixture.open();
        two_transactions(&mut log);
        let aborted = AbortedTxn { producer_id: 1, first_offset: 0, last_offset: 5, last_stable_offset: 2 };
        for (from, up_to, expected) in [(0, 7, vec![aborted]), (5, 6, vec![aborted]), (6, 7, vec![]), (0, 0, vec![])] {
            assert_eq!(log.aborted_transactions(from, up_to).expect("looks up"), expected, "{from}..{up_to}");
        }
        fixture.close(log);
        let log = fixture.open();
        assert_eq!(log.aborted_transactions(0, 7).expect("looks up"), vec![aborted]);
        drop(log);
        let log = fixture.reopen_killed(None);
        assert_eq!(log.aborted_transactions(0, 7).expect("looks up"), vec![aborted]);
        assert_eq!(log.last_stable_offset(), 7);
    });
}

#[test]
fn transaction_index_equals_kafkas_byte_for_byte() {
    on_every_backing(|fixture| {
        let mut log = fixture.open();
        two_transactions(&mut log);
        let index =
            fixture.disk.read(&file(&fixture, "00000000000000000000.txnindex")).expect("reads").expect("is there");
        let mut expected = 0_i16.to_be_bytes().to_vec();
        for field in [1_i64, 0, 5, 2] {
            expected.extend_from_slice(&field.to_be_bytes());
        }
        assert_eq!(index, expected);
    });
}

#[test]
fn open_transaction_after_restart_still_bounds_last_stable_offset() {
    on_every_backing(|mut fixture| {
        fixture.config.segment_bytes = 250;
        let mut log = fixture.open();
        append(&mut log, &batch(&["x"]));
        append(&mut log, &in_txn(1, 0, 0, 1));
        for _ in 0..5 {
            append(&mut log, &batch(&["y"]));
        }
        let validated = log.validated();
        fixture.close(log);
        for mut log in [fixture.open(), fixture.reopen_killed(None), fixture.reopen_killed(validated)] {
            assert_eq!(log.last_stable_offset(), 1);
            assert_eq!(log.producers()[0].current_txn_start, Some(1));
            let refused = log.append(&by_producer(1, 0, 1, 1), CLIENT);
            assert!(matches!(refused, Err(AppendError::InvalidTxnState { producer_id: 1 })), "{refused:?}");
        }
        let mut log = fixture.open();
        append(&mut log, &abort(1));
        assert_eq!(log.last_stable_offset(), 8);
        let aborted = AbortedTxn { producer_id: 1, first_offset: 1, last_offset: 7, last_stable_offset: 8 };
        assert_eq!(log.aborted_transactions(0, 3).expect("looks up"), vec![aborted]);
    });
}

#[test]
fn marker_of_older_producer_or_coordinator_epoch_is_fenced() {
    on_every_backing(|fixture| {
        let mut log = fixture.open();
        append(&mut log, &in_txn(1, 5, 0, 1));
        let refused = log.append(&marker(1, 4, ControlType::Abort, 3), COORDINATOR);
        assert!(matches!(refused, Err(AppendError::InvalidProducerEpoch { .. })), "{refused:?}");
        append(&mut log, &marker(1, 6, ControlType::Abort, 3));
        let refused = log.append(&marker(1, 6, ControlType::Abort, 2), COORDINATOR);
        assert!(
            matches!(refused, Err(AppendError::TransactionCoordinatorFenced { current: 3, found: 2, .. })),
            "{refused:?}"
        );
        let refused = log.append(&in_txn(1, 5, 1, 1), CLIENT);
        assert!(matches!(refused, Err(AppendError::InvalidProducerEpoch { .. })), "{refused:?}");
        // The bumped epoch starts from zero.
        assert!(matches!(log.append(&in_txn(1, 6, 1, 1), CLIENT), Err(AppendError::OutOfOrderSequence { .. })));
        log.append(&in_txn(1, 6, 0, 1), CLIENT).expect("appends");
        // Markers without a transaction, and repeated ones, end nothing.
        append(&mut log, &marker(9, 0, ControlType::Commit, 0));
        assert_eq!(log.last_stable_offset(), 2);
    });
}

#[test]
fn transaction_v2_marker_without_bumped_epoch_is_refused() {
    const V2: AppendParams = AppendParams { origin: Origin::CoordinatorV2, ..COORDINATOR };
    on_every_backing(|fixture| {
        let mut log = fixture.open();
        append(&mut log, &in_txn(1, 5, 0, 1));
        for epoch in [4, 5] {
            let refused = log.append(&marker(1, epoch, ControlType::Commit, 0), V2);
            assert!(matches!(refused, Err(AppendError::InvalidProducerEpoch { current: 5, .. })), "{refused:?}");
        }
        // The second time there is nothing left to end.
        for _ in 0..2 {
            log.append(&marker(1, 6, ControlType::Commit, 0), V2).expect("appends");
            assert_eq!(log.last_stable_offset(), log.end_offset());
        }
        append(&mut log, &in_txn(2, i16::MAX, 0, 1));
        log.append(&marker(2, i16::MAX, ControlType::Abort, 0), V2).expect("appends");
        assert_eq!(log.last_stable_offset(), log.end_offset());
    });
}

#[test]
fn control_batch_without_marker_is_refused() {
    on_every_backing(|fixture| {
        let mut log = fixture.open();
        let mut builder = BatchBuilder::new(Codec::None)
            .producer(ProducerIdEpoch { producer_id: 1, epoch: 0 }, -1)
            .transactional()
            .control();
        builder.append(NOW, Some(b"x"), Some(b"y"), &[]);
        let refused = log.append(&builder.build().expect("builds"), COORDINATOR);
        assert!(matches!(refused, Err(AppendError::MalformedControlBatch)), "{refused:?}");
    });
}

#[test]
fn last_stable_offset_with_inconsistent_files_stays_within_log() {
    on_every_backing(|fixture| {
        let mut log = fixture.open();
        append(&mut log, &batch(&["x", "y"]));
        append(&mut log, &in_txn(1, 0, 0, 1));
        fixture.close(log);
        // An inconsistent file: a segment whose base offset is below the transaction in the previous segment.
        fixture.disk.open_to_write(&file(&fixture, "00000000000000000001.log")).expect("creates");
        fixture.disk.remove(&file(&fixture, "00000000000000000003.snapshot")).expect("removes");
        let log = fixture.open();
        assert!(log.last_stable_offset() <= log.end_offset(), "{} of {}", log.last_stable_offset(), log.end_offset());
    });
}
