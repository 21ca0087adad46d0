use super::*;

/// A coordinator that bumps the epoch with each transaction.
const V2: AppendParams = AppendParams { origin: Origin::CoordinatorV2, ..COORDINATOR };

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
            assert!(
                matches!(
                    refused,
                    Err(AppendError::InvalidTxnState { producer_id: 1, why: TxnStateError::NotTransactional })
                ),
                "{refused:?}"
            );
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

/// Restarts of a log: kill -9 with a noted position, kill -9 without one, and a clean stop.
const RESTARTS: [fn(&Fixture, Log) -> Log; 3] = [
    |fixture, log| fixture.reopen_killed(log.validated()),
    |fixture, _| fixture.reopen_killed(None),
    |fixture, log| {
        fixture.close(log);
        fixture.open()
    },
];

#[test]
fn repeated_marker_changes_nothing_but_the_logs_end() {
    let cases = [
        (COORDINATOR, 0, ControlType::Commit),
        (COORDINATOR, 0, ControlType::Abort),
        // The coordinator fences the producer.
        (COORDINATOR, 1, ControlType::Abort),
        (V2, 1, ControlType::Commit),
        (V2, 1, ControlType::Abort),
    ];
    for (how, epoch, control) in cases {
        let fixture = Fixture::simulated(&Simulation::default());
        let mut log = fixture.open();
        append(&mut log, &in_txn(1, 0, 0, 2));
        append(&mut log, &in_txn(2, 0, 0, 1));
        let ends = |log: &mut Log| {
            let end = log.end_offset();
            let appended = log.append(&marker(1, epoch, control, 0), how).expect("appends");
            assert_eq!((appended.base_offset, appended.duplicate, log.end_offset()), (end, false, end + 1));
        };
        ends(&mut log);
        let (aborted, mut producers) = (log.aborted_transactions(0, 9).expect("looks up"), log.producers());
        producers.sort_by_key(|producer| producer.producer_id);
        assert_eq!(aborted.len(), usize::from(control == ControlType::Abort));
        let is_unchanged = |log: &Log| {
            let mut now = log.producers();
            now.sort_by_key(|producer| producer.producer_id);
            assert_eq!((log.aborted_transactions(0, 9).expect("looks up"), &now), (aborted.clone(), &producers));
            assert_eq!(log.last_stable_offset(), 2, "the first offset of producer 2");
            assert_eq!(records_from(log, 0).len(), 3);
        };
        // While the broker runs, and again after each restart.
        ends(&mut log);
        is_unchanged(&log);
        for restart in RESTARTS {
            log = restart(&fixture, log);
            is_unchanged(&log);
            ends(&mut log);
            is_unchanged(&log);
        }
    }
}

#[test]
fn late_marker_of_transaction_v2_does_not_end_the_next_transaction() {
    let fixture = Fixture::simulated(&Simulation::default());
    let mut log = fixture.open();
    append(&mut log, &in_txn(1, 0, 0, 1));
    log.append(&marker(1, 1, ControlType::Commit, 0), V2).expect("appends");
    append(&mut log, &in_txn(1, 1, 0, 1));
    let late = log.append(&marker(1, 1, ControlType::Commit, 0), V2);
    assert!(matches!(late, Err(AppendError::InvalidProducerEpoch { current: 1, found: 1, .. })), "{late:?}");
    assert_eq!(log.last_stable_offset(), 2);
}

#[test]
fn repeated_marker_of_an_expired_producer_is_appended() {
    for (how, epoch) in [(COORDINATOR, 0), (V2, 1)] {
        let fixture = Fixture::simulated(&Simulation::default());
        let mut log = fixture.open();
        append(&mut log, &in_txn(1, 0, 0, 1));
        log.append(&marker(1, epoch, ControlType::Abort, 0), how).expect("appends");
        log.expire_producers(i64::MAX);
        assert!(log.producers().is_empty());
        log.append(&marker(1, epoch, ControlType::Abort, 0), how).expect("appends");
        assert_eq!(log.aborted_transactions(0, 9).expect("looks up").len(), 1);
        assert_eq!(log.last_stable_offset(), 3);
    }
}

#[test]
fn producer_with_an_open_transaction_does_not_expire() {
    let fixture = Fixture::simulated(&Simulation::default());
    let mut log = fixture.open();
    append(&mut log, &in_txn(1, 0, 0, 1));
    log.expire_producers(i64::MAX);
    assert_eq!((log.producers().len(), log.last_stable_offset()), (1, 0));
}

/// Transactions that overlap each other and the segments; the last two are open.
#[test]
fn transactions_over_several_segments_are_found_after_every_restart() {
    on_every_backing(|mut fixture| {
        fixture.config.segment_bytes = 250;
        let mut log = fixture.open();
        // The first offset of each transaction, and the first and last of those that were aborted.
        let (mut firsts, mut aborted) = (Vec::new(), Vec::new());
        for round in 0..8 {
            firsts.push(append(&mut log, &in_txn(round, 0, 0, 1)));
            append(&mut log, &batch(&["plain"]));
            append(&mut log, &in_txn(round + 100, 0, 0, 1));
            if round >= 2 {
                let ended = round - 2;
                aborted.push((firsts[ended as usize], append(&mut log, &abort(ended))));
                append(&mut log, &commit(ended + 100));
            }
        }
        assert!(log.segment_count() > 5);
        let (stable, end) = (firsts[6], log.end_offset());
        for restart in RESTARTS {
            log = restart(&fixture, log);
            assert_eq!((log.last_stable_offset(), log.end_offset()), (stable, end));
            for (from, up_to) in (0..end).flat_map(|from| (from..=end).map(move |up_to| (from, up_to))) {
                let found = log.aborted_transactions(from, up_to).expect("looks up");
                let found: Vec<_> = found.iter().map(|txn| (txn.first_offset, txn.last_offset)).collect();
                let in_range = aborted.iter().filter(|(first, last)| *last >= from && *first < up_to);
                assert_eq!(found, in_range.copied().collect::<Vec<_>>(), "{from}..{up_to}");
            }
            let slice = log.read(stable, 1 << 20, true, stable).expect("reads");
            assert!(slice.bytes.is_empty(), "nothing is committed at the last stable offset");
        }
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

#[test]
fn abort_whose_index_entry_is_not_written_is_not_read_as_committed() {
    let disk = Simulation::default();
    let fixture = Fixture::simulated(&disk);
    let mut log = fixture.open();
    append(&mut log, &in_txn(1, 0, 0, 2));
    // The marker is written, and then creating the index fails.
    disk.fail_after_changes(Some(1));
    log.append(&abort(1), COORDINATOR).expect_err("fails");
    assert_eq!((log.end_offset(), log.last_stable_offset()), (3, 0));
    disk.fail_after_changes(None);
    let mut log = log.reopen(NOW).expect("opens");
    let aborted = AbortedTxn { producer_id: 1, first_offset: 0, last_offset: 2, last_stable_offset: 3 };
    assert_eq!(log.aborted_transactions(0, 3).expect("looks up"), [aborted]);
    // The coordinator repeats the marker.
    append(&mut log, &abort(1));
    assert_eq!(log.aborted_transactions(0, 4).expect("looks up"), [aborted]);
    assert_eq!(log.last_stable_offset(), 4);
}
