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

/// Two transactions: 1 is at 0..=1 and aborted at 5, 2 is at 2..=3 and committed at 6.
fn two_transactions(log: &mut Log) {
    append(log, &in_txn(1, 0, 0, 2));
    append(log, &in_txn(2, 0, 0, 2));
    append(log, &batch(&["plain"]));
    append(log, &abort(1));
    append(log, &commit(2));
}

#[test]
fn the_last_stable_offset_waits_for_the_oldest_transaction() {
    on_every_backing(|shelf| {
        let mut log = shelf.open();
        let mut stable = Vec::new();
        for batch in [batch(&["x"]), in_txn(1, 0, 0, 1), in_txn(2, 0, 0, 1), commit(1), in_txn(2, 0, 1, 1), abort(2)] {
            append(&mut log, &batch);
            stable.push(log.last_stable_offset());
        }
        assert_eq!(stable, [1, 1, 1, 2, 2, 6]);
    });
}

#[test]
fn aborted_transactions_are_told_to_those_who_read_them() {
    on_every_backing(|shelf| {
        let mut log = shelf.open();
        two_transactions(&mut log);
        let aborted = AbortedTxn { producer_id: 1, first_offset: 0, last_offset: 5, last_stable_offset: 2 };
        for (from, up_to, expected) in [(0, 7, vec![aborted]), (5, 6, vec![aborted]), (6, 7, vec![]), (0, 0, vec![])] {
            assert_eq!(log.aborted_transactions(from, up_to).expect("looks up"), expected, "{from}..{up_to}");
        }
        shelf.close(log);
        let log = shelf.open();
        assert_eq!(log.aborted_transactions(0, 7).expect("looks up"), vec![aborted]);
        drop(log);
        let log = shelf.reopen_killed(None);
        assert_eq!(log.aborted_transactions(0, 7).expect("looks up"), vec![aborted]);
        assert_eq!(log.last_stable_offset(), 7);
    });
}

#[test]
fn the_transaction_index_is_kafkas_byte_for_byte() {
    on_every_backing(|shelf| {
        let mut log = shelf.open();
        two_transactions(&mut log);
        let index = shelf.disk.read(&file(&shelf, "00000000000000000000.txnindex")).expect("reads").expect("is there");
        let mut expected = 0_i16.to_be_bytes().to_vec();
        for field in [1_i64, 0, 5, 2] {
            expected.extend_from_slice(&field.to_be_bytes());
        }
        assert_eq!(index, expected);
    });
}

#[test]
fn open_transactions_survive_restarts() {
    on_every_backing(|mut shelf| {
        shelf.config.segment_bytes = 250;
        let mut log = shelf.open();
        append(&mut log, &batch(&["x"]));
        append(&mut log, &in_txn(1, 0, 0, 1));
        for _ in 0..5 {
            append(&mut log, &batch(&["y"]));
        }
        let validated = log.validated();
        shelf.close(log);
        for mut log in [shelf.open(), shelf.reopen_killed(None), shelf.reopen_killed(validated)] {
            assert_eq!(log.last_stable_offset(), 1);
            assert_eq!(log.producers()[0].current_txn_start, Some(1));
            let refused = log.append(&by_producer(1, 0, 1, 1), CLIENT);
            assert!(matches!(refused, Err(AppendError::InvalidTxnState { producer_id: 1 })), "{refused:?}");
        }
        let mut log = shelf.open();
        append(&mut log, &abort(1));
        assert_eq!(log.last_stable_offset(), 8);
        let aborted = AbortedTxn { producer_id: 1, first_offset: 1, last_offset: 7, last_stable_offset: 8 };
        assert_eq!(log.aborted_transactions(0, 3).expect("looks up"), vec![aborted]);
    });
}

#[test]
fn markers_fence_older_epochs_and_coordinators() {
    on_every_backing(|shelf| {
        let mut log = shelf.open();
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
fn a_marker_of_transaction_version_2_has_an_epoch_of_its_own() {
    const V2: AppendAs = AppendAs { origin: Origin::CoordinatorV2, ..COORDINATOR };
    on_every_backing(|shelf| {
        let mut log = shelf.open();
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
fn a_control_batch_without_a_marker_is_refused() {
    on_every_backing(|shelf| {
        let mut log = shelf.open();
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
fn the_last_stable_offset_lies_within_the_log_whatever_the_files_say() {
    on_every_backing(|shelf| {
        let mut log = shelf.open();
        append(&mut log, &batch(&["x", "y"]));
        append(&mut log, &in_txn(1, 0, 0, 1));
        shelf.close(log);
        // A segment that begins before the transaction, behind the one that has it.
        shelf.disk.open_to_write(&file(&shelf, "00000000000000000001.log")).expect("creates");
        shelf.disk.remove(&file(&shelf, "00000000000000000003.snapshot")).expect("removes");
        let log = shelf.open();
        assert!(log.last_stable_offset() <= log.end_offset(), "{} of {}", log.last_stable_offset(), log.end_offset());
    });
}
