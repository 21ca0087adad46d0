use std::time::Duration;

use super::harness::*;
use crate::coordinator::transaction::*;
use crate::coordinator::{Outcome, StateMachine};

use TransactionError::{ConcurrentTransactions, InvalidProducerIdMapping, InvalidTxnState, ProducerFenced};
use TransactionState::*;

const CHECK_MS: u64 = 10_000;
const REMOVAL_MS: u64 = 3_600_000;
const EXPIRATION_MS: u64 = 604_800_000;

#[test]
fn overdue_transaction_is_aborted_at_the_next_check() {
    for level in [0, 1, 2] {
        let mut c = TestCoordinator::recovered(level, metadata(Ongoing, 3));
        // The timeout must have passed, not just been reached.
        c.wait(60_000);
        assert_eq!(c.state().0, Ongoing);
        c.wait(CHECK_MS);
        assert_eq!(c.state(), (PrepareAbort, producer(10, 4)));
        let action = c.action();
        assert_eq!((action.outcome, action.producer), (Outcome::Abort, producer(10, 4)));
        c.writes_markers();
        assert_eq!(c.state(), (CompleteAbort, producer(10, 4)));
        assert_eq!(c.adds(producer(10, 3), &[0]), Err(ProducerFenced));
        assert_eq!(c.ends_1(producer(10, 3), Outcome::Commit), Err(ProducerFenced));
        // As in Kafka, a client of protocol 2 may learn that its transaction was aborted, and continue.
        let [commit, abort] = [Outcome::Commit, Outcome::Abort].map(|outcome| c.ends_2(producer(10, 3), outcome));
        match level {
            2 => assert_eq!((commit, abort), (Err(InvalidTxnState), Ok(producer(10, 4)))),
            _ => assert_eq!((commit, abort), (Err(ProducerFenced), Err(ProducerFenced))),
        }
        c.check_recovery();
    }
}

#[test]
fn timeout_counts_from_the_first_partition() {
    let mut c = TestCoordinator::new();
    let p = c.init_with(ID, 30_000, None).unwrap();
    c.wait(100_000);
    c.adds(p, &[0]).unwrap();
    c.wait(29_000);
    c.adds(p, &[1]).unwrap();
    c.wait(1_000);
    assert_eq!(c.state().0, Ongoing);
    c.wait(CHECK_MS + 1);
    assert_eq!(c.state().0, PrepareAbort);
}

#[test]
fn deadline_survives_a_crash() {
    let mut c = TestCoordinator::recovered(2, metadata(Ongoing, 3));
    c.wait(59_000);
    c.crash();
    c.wait(CHECK_MS);
    assert_eq!(c.state().0, PrepareAbort);
}

#[test]
fn overdue_transaction_with_an_exhausted_epoch_is_aborted_with_the_maximum_epoch() {
    for level in [1, 2] {
        let last = producer(10, HIGHEST_EPOCH - 1);
        let mut c = TestCoordinator::recovered(level, metadata(Ongoing, HIGHEST_EPOCH - 1));
        c.wait(60_000 + CHECK_MS);
        assert_eq!(c.action().producer, producer(10, HIGHEST_EPOCH));
        c.writes_markers();
        assert_eq!(c.ends_2(last, Outcome::Abort), Err(ProducerFenced));
        assert_eq!(c.init(), Ok(producer(1_001, 0)));
        assert_eq!(c.adds(last, &[0]), Err(InvalidProducerIdMapping));
    }
}

#[test]
fn two_phase_commit_has_no_timeout() {
    let mut before = metadata(Ongoing, 3);
    before.timeout_ms = i32::MAX;
    let mut c = TestCoordinator::recovered(2, before);
    assert_eq!(c.machine.poll_timeout(), None);
    c.wait(100 * 86_400_000);
    assert_eq!(c.state().0, Ongoing);
}

#[test]
fn many_overdue_transactions_are_aborted_in_several_batches() {
    let mut c = TestCoordinator::new();
    for id in 0..250 {
        let id = id.to_string();
        let p = c.init_with(&id, 1, None).unwrap();
        c.adds_to(&id, p, &[0]).unwrap();
    }
    let mut batches = Vec::new();
    let mut before = c.log_len();
    c.wait(CHECK_MS - 1);
    assert_eq!(c.log_len(), before);
    // All batches are due at the same time.
    c.wait(1);
    batches.push(c.log_len() - before);
    before = c.log_len();
    c.wait(CHECK_MS);
    batches.push(c.log_len() - before);
    assert_eq!(batches, [250, 0]);
    assert_eq!(c.actions.len(), 250);
    c.check_recovery();
}

#[test]
fn one_check_aborts_a_bounded_number_of_transactions() {
    let mut c = TestCoordinator::new();
    for id in 0..150 {
        let id = id.to_string();
        let p = c.init_with(&id, 1, None).unwrap();
        c.adds_to(&id, p, &[0]).unwrap();
    }
    let mut later = c.now();
    later.monotonic += Duration::from_millis(CHECK_MS);
    later.wall += CHECK_MS as i64;
    let effects = c.machine.handle_timeout(later);
    assert_eq!(effects.records.len(), 100);
    assert_eq!(c.machine.poll_timeout(), Some(later.monotonic));
}

#[test]
fn unused_id_is_removed_after_its_expiration() {
    for state in [Empty, CompleteCommit, CompleteAbort] {
        let mut c = TestCoordinator::recovered(2, metadata(state, 3));
        c.wait(EXPIRATION_MS - 1);
        assert_eq!(c.state().0, state);
        c.wait(REMOVAL_MS);
        assert_eq!(c.records(1), [None]);
        assert_eq!(c.machine.describe(ID), None);
        assert_eq!(c.adds(producer(10, 3), &[0]), Err(InvalidProducerIdMapping));
        c.check_recovery();
        assert_eq!(c.machine.poll_timeout(), None);
        assert_eq!(c.continues(producer(10, 3)), Ok(producer(1_001, 0)));
    }
}

#[test]
fn id_with_an_unfinished_transaction_is_not_removed() {
    for state in [PrepareCommit, PrepareAbort] {
        let mut c = TestCoordinator::recovered(2, metadata(state, 3));
        c.wait(EXPIRATION_MS + REMOVAL_MS);
        assert_eq!(c.state().0, state);
        assert_eq!(c.init(), Err(ConcurrentTransactions));
    }
}

#[test]
fn use_of_an_id_delays_its_removal() {
    let mut c = TestCoordinator::recovered(2, metadata(Empty, 3));
    c.wait(EXPIRATION_MS / 2);
    c.init().unwrap();
    c.wait(EXPIRATION_MS - REMOVAL_MS);
    assert_eq!(c.state().0, Empty);
    c.wait(2 * REMOVAL_MS);
    assert_eq!(c.machine.describe(ID), None);
}

#[test]
fn machine_without_ids_has_no_timers() {
    let mut c = TestCoordinator::new();
    assert_eq!(c.machine.poll_timeout(), None);
    let p = c.init().unwrap();
    assert_eq!(c.machine.poll_timeout(), Some(Duration::from_millis(REMOVAL_MS)));
    c.adds(p, &[0]).unwrap();
    assert_eq!(c.machine.poll_timeout(), Some(Duration::from_millis(CHECK_MS)));
}
