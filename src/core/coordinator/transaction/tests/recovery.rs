use super::harness::*;
use crate::coordinator::Outcome;
use crate::coordinator::records::TransactionMetadata;
use crate::coordinator::transaction::*;
use ottla_wire::types::ProducerIdEpoch;

use TransactionState::*;

/// Runs the steps of a transaction once for each step, with a crash before that step, and checks the state at the end.
#[track_caller]
fn check(level: i16, version: i16, outcome: Outcome, end: TransactionState) {
    let steps: [fn(&mut TestCoordinator, &mut ProducerIdEpoch, i16, Outcome); 5] = [
        |c, p, _, _| *p = c.init().unwrap(),
        |c, p, _, _| c.adds(*p, &[0]).unwrap(),
        |c, p, _, _| c.adds(*p, &[1]).unwrap(),
        |c, p, version, outcome| {
            let next = c.ends_with(ID, *p, outcome, version).unwrap();
            if version == 2 {
                *p = next;
            }
        },
        |c, _, _, _| {
            c.writes_markers();
        },
    ];
    for crash in 0..=steps.len() {
        let mut c = TestCoordinator::at_level(level);
        let mut p = ProducerIdEpoch::NONE;
        for (at, step) in steps.iter().enumerate() {
            if at == crash {
                c.crash();
            }
            step(&mut c, &mut p, version, outcome);
            c.check_recovery();
        }
        if crash == steps.len() {
            c.crash();
        }
        assert_eq!(c.state(), (end, p), "crash before step {crash}");
        assert_eq!(c.actions, []);
        // The next transaction is not blocked.
        assert_eq!(c.adds(p, &[0]), Ok(()));
    }
}

#[test]
fn transaction_with_a_crash_at_any_step_has_the_same_outcome() {
    for level in [0, 1, 2] {
        for version in [0, 2] {
            check(level, version, Outcome::Commit, CompleteCommit);
            check(level, version, Outcome::Abort, CompleteAbort);
        }
    }
}

#[test]
fn crash_between_decision_and_markers_repeats_the_same_decision() {
    for outcome in [Outcome::Commit, Outcome::Abort] {
        let mut c = TestCoordinator::new();
        let p = c.init().unwrap();
        c.adds(p, &[0, 1]).unwrap();
        c.ends_2(p, outcome).unwrap();
        let before = c.action();
        for _ in 0..3 {
            c.crash();
            let after = c.action();
            assert_eq!(WriteMarkers { position: before.position, ..after }, before);
        }
    }
}

#[test]
fn transaction_with_next_producer_of_two_phase_commit_ends_with_that_producer() {
    let mut before = metadata(PrepareCommit, 3);
    before.next_producer_id = 10;
    before.next_producer_epoch = 7;
    before.client_transaction_version = 2;
    let mut c = TestCoordinator::recovered(2, before);
    assert_eq!(c.action().producer, producer(10, 3));
    c.writes_markers();
    assert_eq!(c.state(), (CompleteCommit, producer(10, 7)));
    let current = c.current();
    assert_eq!((current.next_producer_id, current.next_producer_epoch), (-1, -1));
}

/// The records that Apache Kafka 4.3.1 wrote for a producer that was killed in a transaction, and its successor:
/// state, epoch, number of partitions, and the client's `transaction.version`.
#[test]
fn killed_producer_and_its_successor_lead_to_the_records_of_kafka() {
    let mut c = TestCoordinator::new();
    let p = c.init().unwrap();
    c.produces(p, &[0]).unwrap();
    assert_eq!(c.init(), Err(TransactionError::ConcurrentTransactions));
    c.writes_markers();
    let p = c.init().unwrap();
    c.produces(p, &[0]).unwrap();
    c.ends_2(p, Outcome::Commit).unwrap();
    c.writes_markers();
    let fields = |value: TransactionMetadata| {
        assert_eq!(value.previous_producer_id, value.producer.producer_id);
        (value.state, value.producer.epoch, value.partitions.len(), value.client_transaction_version)
    };
    let expect = [
        (Empty, 0, 0, 0),
        (Ongoing, 0, 1, 2),
        (PrepareAbort, 1, 1, 2),
        (CompleteAbort, 1, 0, 2),
        (Empty, 2, 0, 2),
        (Ongoing, 2, 1, 2),
        (PrepareCommit, 3, 1, 2),
        (CompleteCommit, 3, 0, 2),
    ];
    assert_eq!(c.records(0).into_iter().flatten().map(fields).collect::<Vec<_>>(), expect);
}
