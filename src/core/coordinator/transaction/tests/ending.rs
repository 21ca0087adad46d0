use super::harness::*;
use crate::coordinator::Outcome::{self, Abort, Commit};
use crate::coordinator::records::TransactionMetadata;
use crate::coordinator::transaction::*;
use ottla_wire::types::ProducerIdEpoch;

use TransactionError::{ConcurrentTransactions, InvalidProducerIdMapping, InvalidTxnState, ProducerFenced};
use TransactionState::*;

/// Checks EndTxn of protocol 1 by producer 10 with epoch 3: the reply, and the state after it.
#[track_caller]
fn check_1(state: TransactionState, outcome: Outcome, reply: Result<(), TransactionError>, after: TransactionState) {
    let mut c = TestCoordinator::recovered(2, metadata(state, 3));
    assert_eq!(c.ends_1(producer(10, 3), outcome), reply, "{state} {outcome:?}");
    assert_eq!(c.state(), (after, producer(10, 3)), "{state} {outcome:?}");
    c.check_recovery();
}

#[test]
fn protocol_1_ends_an_open_transaction_and_repeats_the_reply() {
    check_1(Ongoing, Commit, Ok(()), PrepareCommit);
    check_1(Ongoing, Abort, Ok(()), PrepareAbort);
    check_1(CompleteCommit, Commit, Ok(()), CompleteCommit);
    check_1(CompleteAbort, Abort, Ok(()), CompleteAbort);
    check_1(CompleteCommit, Abort, Err(InvalidTxnState), CompleteCommit);
    check_1(CompleteAbort, Commit, Err(InvalidTxnState), CompleteAbort);
    check_1(Empty, Commit, Err(InvalidTxnState), Empty);
    check_1(Empty, Abort, Err(InvalidTxnState), Empty);
    for outcome in [Commit, Abort] {
        check_1(PrepareCommit, outcome, Err(ConcurrentTransactions), PrepareCommit);
        check_1(PrepareAbort, outcome, Err(ConcurrentTransactions), PrepareAbort);
    }
}

#[test]
fn protocol_1_rejects_every_other_producer() {
    assert_eq!(TestCoordinator::new().ends_1(producer(10, 3), Abort), Err(InvalidProducerIdMapping));
    for state in [Empty, Ongoing, PrepareCommit, PrepareAbort, CompleteCommit, CompleteAbort] {
        let mut c = TestCoordinator::recovered(2, metadata(state, 3));
        assert_eq!(c.ends_1(producer(11, 3), Commit), Err(InvalidProducerIdMapping));
        for epoch in [2, 4] {
            assert_eq!(c.ends_1(producer(10, epoch), Commit), Err(ProducerFenced), "{state}");
        }
        assert_eq!(c.log_len(), 1);
    }
}

/// The epoch of a request of protocol 2, in comparison to the current one.
const RETRY: i16 = 2;
const CURRENT: i16 = 3;
const LATER: i16 = 4;

/// Checks EndTxn of protocol 2 where the current epoch is 3: the reply, and the state after it.
#[track_caller]
fn check_2(
    state: TransactionState,
    outcome: Outcome,
    epoch: i16,
    reply: Result<i16, TransactionError>,
    after: (TransactionState, i16),
) {
    let mut c =
        TestCoordinator::recovered(2, TransactionMetadata { client_transaction_version: 2, ..metadata(state, 3) });
    let name = format!("{state} {outcome:?} {epoch}");
    assert_eq!(c.ends_2(producer(10, epoch), outcome), reply.map(|epoch| producer(10, epoch)), "{name}");
    assert_eq!(c.state(), (after.0, producer(10, after.1)), "{name}");
    c.check_recovery();
}

#[test]
fn protocol_2_ends_an_open_transaction_with_the_next_epoch() {
    check_2(Ongoing, Commit, CURRENT, Ok(4), (PrepareCommit, 4));
    check_2(Ongoing, Abort, CURRENT, Ok(4), (PrepareAbort, 4));
    for (outcome, epoch) in [(Commit, RETRY), (Abort, RETRY), (Commit, LATER), (Abort, LATER)] {
        check_2(Ongoing, outcome, epoch, Err(ProducerFenced), (Ongoing, 3));
    }
}

#[test]
fn protocol_2_without_an_open_transaction_gets_the_reply_of_kafka() {
    check_2(Empty, Abort, RETRY, Err(ProducerFenced), (Empty, 3));
    check_2(Empty, Abort, CURRENT, Ok(4), (CompleteAbort, 4));
    check_2(Empty, Commit, RETRY, Err(ProducerFenced), (Empty, 3));
    check_2(Empty, Commit, CURRENT, Err(InvalidTxnState), (Empty, 3));

    check_2(CompleteAbort, Abort, RETRY, Ok(3), (CompleteAbort, 3));
    check_2(CompleteAbort, Abort, CURRENT, Ok(4), (CompleteAbort, 4));
    check_2(CompleteAbort, Commit, RETRY, Err(InvalidTxnState), (CompleteAbort, 3));
    check_2(CompleteAbort, Commit, CURRENT, Err(InvalidTxnState), (CompleteAbort, 3));

    check_2(CompleteCommit, Abort, RETRY, Err(InvalidTxnState), (CompleteCommit, 3));
    check_2(CompleteCommit, Abort, CURRENT, Ok(4), (CompleteAbort, 4));
    check_2(CompleteCommit, Commit, RETRY, Ok(3), (CompleteCommit, 3));
    check_2(CompleteCommit, Commit, CURRENT, Err(InvalidTxnState), (CompleteCommit, 3));

    for state in [Empty, CompleteAbort, CompleteCommit] {
        for outcome in [Commit, Abort] {
            check_2(state, outcome, LATER, Err(ProducerFenced), (state, 3));
        }
    }
}

#[test]
fn fenced_client_of_protocol_2_does_not_get_the_producer_of_a_client_of_protocol_1() {
    for state in [CompleteCommit, CompleteAbort] {
        for outcome in [Commit, Abort] {
            let mut c = TestCoordinator::recovered(2, metadata(state, 3));
            assert_eq!(c.ends_2(producer(10, RETRY), outcome), Err(ProducerFenced));
        }
    }
}

#[test]
fn protocol_2_must_try_again_while_markers_are_missing() {
    for state in [PrepareCommit, PrepareAbort] {
        for outcome in [Commit, Abort] {
            for epoch in [RETRY, CURRENT, LATER] {
                check_2(state, outcome, epoch, Err(ConcurrentTransactions), (state, 3));
            }
        }
    }
}

#[test]
fn protocol_2_rejects_other_producer_ids() {
    assert_eq!(TestCoordinator::new().ends_2(producer(10, 3), Abort), Err(InvalidProducerIdMapping));
    for state in [Empty, Ongoing, CompleteCommit, CompleteAbort] {
        let mut c = TestCoordinator::recovered(2, metadata(state, 3));
        for epoch in [RETRY, CURRENT] {
            assert_eq!(c.ends_2(producer(11, epoch), Abort), Err(InvalidProducerIdMapping));
        }
    }
}

#[test]
fn abort_without_partitions_is_complete_at_once() {
    let mut c = TestCoordinator::recovered(2, metadata(Empty, 3));
    c.wait(100);
    assert_eq!(c.ends_2(producer(10, 3), Abort), Ok(producer(10, 4)));
    assert_eq!(c.actions, []);
    let records: Vec<_> = c.records(1).into_iter().flatten().map(|value| (value.state, value.start)).collect();
    assert_eq!(records, [(PrepareAbort, START + 100), (CompleteAbort, START + 100)]);
    assert_eq!(c.ends_2(producer(10, 3), Abort), Ok(producer(10, 4)));
    assert_eq!(c.ends_2(producer(10, 4), Abort), Ok(producer(10, 5)));
}

#[test]
fn marker_of_protocol_2_has_the_next_epoch() {
    for (version, epoch) in [(0, 3), (1, 3), (2, 4)] {
        let mut c = TestCoordinator::recovered(2, metadata(Ongoing, 3));
        c.ends_with(ID, producer(10, 3), Commit, version).unwrap();
        let expect = WriteMarkers {
            transactional_id: ID.into(),
            producer: producer(10, epoch),
            outcome: Commit,
            transaction_version: if version == 2 { 2 } else { 0 },
            partitions: orders(&[0]),
            position: 1,
        };
        assert_eq!(c.action(), expect);
    }
}

/// A state with the last epoch that a client may have.
fn exhausted(state: TransactionState) -> TransactionMetadata {
    metadata(state, HIGHEST_EPOCH - 1)
}

/// Checks that EndTxn with the last epoch leads to a new producer id, also when it is repeated.
#[track_caller]
fn check_overflow(before: TransactionMetadata, outcome: Outcome) {
    let (last, next) = (producer(10, HIGHEST_EPOCH - 1), producer(1_001, 0));
    let has_partitions = !before.partitions.is_empty();
    let mut c = TestCoordinator::recovered(2, before);
    assert_eq!(c.ends_2(last, outcome), Ok(next));
    if has_partitions {
        assert_eq!(c.action().producer, producer(10, HIGHEST_EPOCH));
        assert_eq!(c.current().next_producer_id, 1_001);
        // The client may already use the next producer.
        assert_eq!(c.adds(next, &[0]), Err(ConcurrentTransactions));
        assert_eq!(c.ends_2(last, outcome), Err(ConcurrentTransactions));
        c.crash().writes_markers();
    }
    assert_eq!(c.state().1, next);
    assert_eq!(c.current().next_producer_id, -1);
    assert_eq!(c.ends_2(last, outcome), Ok(next));
    c.crash();
    assert_eq!(c.ends_2(last, outcome), Ok(next));
    assert_eq!(c.adds(last, &[0]), Err(InvalidProducerIdMapping));
    assert_eq!(c.adds(next, &[0]), Ok(()));
    assert_eq!(c.ends_2(next, Commit), Ok(producer(1_001, 1)));
    c.check_recovery();
}

#[test]
fn exhausted_epoch_ends_with_a_new_producer_id() {
    check_overflow(exhausted(Ongoing), Commit);
    check_overflow(exhausted(Ongoing), Abort);
    check_overflow(exhausted(Empty), Abort);
    check_overflow(exhausted(CompleteCommit), Abort);
    check_overflow(exhausted(CompleteAbort), Abort);
}

#[test]
fn repeat_of_an_overflow_with_the_other_outcome_is_rejected() {
    let mut c = TestCoordinator::recovered(2, exhausted(Ongoing));
    c.ends_2(producer(10, HIGHEST_EPOCH - 1), Commit).unwrap();
    c.writes_markers();
    assert_eq!(c.ends_2(producer(10, HIGHEST_EPOCH - 1), Abort), Err(InvalidTxnState));
}

#[test]
fn continuing_client_gets_the_producer_of_an_overflow() {
    let mut c = TestCoordinator::recovered(2, exhausted(Ongoing));
    c.ends_2(producer(10, HIGHEST_EPOCH - 1), Commit).unwrap();
    c.writes_markers();
    assert_eq!(c.continues(producer(10, HIGHEST_EPOCH - 1)), Ok(producer(1_001, 0)));
    assert_eq!(c.continues(producer(1_001, 0)), Ok(producer(1_001, 1)));
}

#[test]
fn protocol_1_keeps_an_exhausted_epoch() {
    let mut c = TestCoordinator::recovered(2, exhausted(Ongoing));
    assert_eq!(c.ends_1(producer(10, HIGHEST_EPOCH - 1), Commit), Ok(()));
    c.writes_markers();
    assert_eq!(c.state(), (CompleteCommit, producer(10, HIGHEST_EPOCH - 1)));
}

#[test]
fn no_client_gets_the_maximum_epoch() {
    // Only fencing leads to this state.
    let mut c = TestCoordinator::recovered(2, metadata(CompleteAbort, HIGHEST_EPOCH));
    assert_eq!(c.ends_2(producer(10, HIGHEST_EPOCH - 1), Abort), Err(ProducerFenced));
    assert_eq!(c.continues(producer(10, HIGHEST_EPOCH - 1)), Err(ProducerFenced));
    assert_eq!(c.init(), Ok(producer(1_001, 0)));
}

#[test]
fn protocol_2_just_after_a_downgrade_keeps_its_state_in_the_records() {
    let mut c = TestCoordinator::recovered(0, exhausted(Ongoing));
    assert_eq!(c.ends_2(producer(10, HIGHEST_EPOCH - 1), Commit), Ok(producer(1_001, 0)));
    c.check_recovery();
    c.crash();
    assert_eq!(c.action().transaction_version, 2);
    c.writes_markers();
    assert_eq!(c.state(), (CompleteCommit, producer(1_001, 0)));
    c.check_recovery();
    let none: Option<ProducerIdEpoch> = None;
    assert_eq!(c.init_with(ID, TIMEOUT_MS, none), Ok(producer(1_001, 1)));
}
