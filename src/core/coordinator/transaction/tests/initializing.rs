use super::harness::*;
use crate::coordinator::Outcome;
use crate::coordinator::records::{TransactionMetadata, ValueVersion};
use crate::coordinator::transaction::*;
use ottla_wire::types::ProducerIdEpoch;

use TransactionError::{
    ConcurrentTransactions, InvalidRequest, InvalidTransactionTimeout, ProducerFenced, ProducerIdNeeded,
};
use TransactionState::*;

#[test]
fn new_id_gets_a_producer_id_with_epoch_0() {
    let mut c = TestCoordinator::new();
    let request =
        InitProducerId { transactional_id: ID.into(), timeout_ms: 5, expected: None, fresh_producer_id: None };
    assert_eq!(c.send(request.clone()), Err(ProducerIdNeeded));
    assert_eq!(c.log_len(), 0);
    assert_eq!(c.send(InitProducerId { fresh_producer_id: Some(7), ..request }), Ok(producer(7, 0)));
    let expect =
        TransactionMetadata { producer: producer(7, 0), previous_producer_id: 7, timeout_ms: 5, ..metadata(Empty, 0) };
    assert_eq!(c.records(0), [Some(expect)]);
    // An unused producer id changes nothing.
    assert_eq!(c.init(), Ok(producer(7, 1)));
}

#[test]
fn continuing_client_whose_id_is_unknown_gets_a_new_producer() {
    let mut c = TestCoordinator::new();
    assert_eq!(c.continues(producer(10, 3)), Ok(producer(1_001, 0)));
}

#[test]
fn requests_without_id_or_with_a_timeout_out_of_range_are_rejected() {
    let mut c = TestCoordinator::new();
    assert_eq!(c.init_with("", TIMEOUT_MS, None), Err(InvalidRequest));
    assert_eq!(c.adds_to("", producer(1, 0), &[0]), Err(InvalidRequest));
    assert_eq!(c.ends_with("", producer(1, 0), Outcome::Abort, 2), Err(InvalidRequest));
    for (timeout_ms, expect) in [
        (0, Err(InvalidTransactionTimeout)),
        (-1, Err(InvalidTransactionTimeout)),
        (900_001, Err(InvalidTransactionTimeout)),
        (1, Ok(producer(1_001, 0))),
        (900_000, Ok(producer(1_001, 1))),
    ] {
        assert_eq!(c.init_with(ID, timeout_ms, None), expect, "{timeout_ms}");
    }
    assert_eq!(c.current().timeout_ms, 900_000);
}

/// Checks the reply to InitProducerId, and the state after it.
#[track_caller]
fn check(
    level: i16,
    before: TransactionMetadata,
    expected: Option<ProducerIdEpoch>,
    reply: Result<ProducerIdEpoch, TransactionError>,
    after: (TransactionState, ProducerIdEpoch),
) {
    let name = format!("level {level}, {} epoch {}", before.state, before.producer.epoch);
    let mut c = TestCoordinator::recovered(level, before);
    assert_eq!(c.init_with(ID, TIMEOUT_MS, expected), reply, "{name}");
    assert_eq!(c.state(), after, "{name}");
    c.check_recovery();
}

#[test]
fn new_producer_increments_the_epoch_where_no_transaction_is_open() {
    for state in [Empty, CompleteCommit, CompleteAbort] {
        for level in [0, 1, 2] {
            check(level, metadata(state, 3), None, Ok(producer(10, 4)), (Empty, producer(10, 4)));
        }
    }
}

#[test]
fn producer_that_initializes_while_markers_are_missing_must_try_again() {
    for state in [PrepareCommit, PrepareAbort] {
        for expected in [None, Some(producer(10, 3)), Some(producer(99, 1))] {
            check(2, metadata(state, 3), expected, Err(ConcurrentTransactions), (state, producer(10, 3)));
        }
    }
}

#[test]
fn new_producer_aborts_an_open_transaction_with_a_higher_epoch() {
    for level in [0, 1, 2] {
        check(level, metadata(Ongoing, 3), None, Err(ConcurrentTransactions), (PrepareAbort, producer(10, 4)));
        let mut c = TestCoordinator::recovered(level, metadata(Ongoing, 3));
        assert_eq!(c.init(), Err(ConcurrentTransactions));
        let action = c.action();
        assert_eq!((action.producer, action.outcome), (producer(10, 4), Outcome::Abort));
        assert_eq!(action.transaction_version, if level == 2 { 2 } else { 0 });
        assert_eq!(action.partitions, orders(&[0]));
        assert_eq!(c.init(), Err(ConcurrentTransactions));
        c.writes_markers();
        assert_eq!(c.state(), (CompleteAbort, producer(10, 4)));
        assert_eq!(c.init(), Ok(producer(10, 5)));
        assert_eq!(c.adds(producer(10, 3), &[0]), Err(ProducerFenced));
    }
}

#[test]
fn transaction_of_another_producer_id_is_not_aborted() {
    check(2, metadata(Ongoing, 3), Some(producer(11, 3)), Err(ProducerFenced), (Ongoing, producer(10, 3)));
    // The epoch is only checked when the client tries again, as in Kafka.
    let zombie = Some(producer(10, 1));
    check(2, metadata(Ongoing, 3), zombie, Err(ConcurrentTransactions), (PrepareAbort, producer(10, 4)));
}

#[test]
fn client_continues_with_its_current_producer_only() {
    let current = metadata(CompleteCommit, 3);
    check(2, current.clone(), Some(producer(10, 3)), Ok(producer(10, 4)), (Empty, producer(10, 4)));
    for zombie in [producer(10, 2), producer(10, 4), producer(11, 3)] {
        check(2, current.clone(), Some(zombie), Err(ProducerFenced), (CompleteCommit, producer(10, 3)));
    }
}

#[test]
fn repeated_request_of_a_continuing_client_gets_the_same_epoch() {
    let mut c = TestCoordinator::recovered(2, metadata(Empty, 3));
    assert_eq!(c.continues(producer(10, 3)), Ok(producer(10, 4)));
    assert_eq!(c.continues(producer(10, 3)), Ok(producer(10, 4)));
    assert_eq!(c.continues(producer(10, 3)), Ok(producer(10, 4)));
    // No record has the epoch before the current one, as in Kafka.
    c.crash();
    assert_eq!(c.continues(producer(10, 3)), Err(ProducerFenced));
    assert_eq!(c.continues(producer(10, 4)), Ok(producer(10, 5)));
    // Another producer was initialized.
    assert_eq!(c.init(), Ok(producer(10, 6)));
    assert_eq!(c.continues(producer(10, 4)), Err(ProducerFenced));
    assert_eq!(c.continues(producer(10, 5)), Err(ProducerFenced));
}

#[test]
fn repeated_request_after_an_abort_of_the_coordinator_is_rejected() {
    for level in [0, 1] {
        let mut c = TestCoordinator::recovered(level, metadata(Empty, 3));
        let p = c.continues(producer(10, 3)).unwrap();
        c.adds(p, &[0]).unwrap();
        assert_eq!(c.init(), Err(ConcurrentTransactions));
        c.writes_markers();
        assert_eq!(c.continues(producer(10, 3)), Err(ProducerFenced));
    }
}

#[test]
fn exhausted_epoch_leads_to_a_new_producer_id() {
    let last = HIGHEST_EPOCH - 1;
    for state in [Empty, CompleteCommit, CompleteAbort] {
        for epoch in [last, HIGHEST_EPOCH] {
            check(2, metadata(state, epoch), None, Ok(producer(1_001, 0)), (Empty, producer(1_001, 0)));
        }
        check(2, metadata(state, last - 1), None, Ok(producer(10, last)), (Empty, producer(10, last)));
    }
    let mut c = TestCoordinator::recovered(0, metadata(Empty, last));
    assert_eq!(c.continues(producer(10, last)), Ok(producer(1_001, 0)));
    assert_eq!(c.continues(producer(10, last)), Ok(producer(1_001, 0)));
    assert_eq!(c.continues(producer(10, last - 1)), Err(ProducerFenced));
    assert_eq!(c.continues(producer(1_001, 0)), Ok(producer(1_001, 1)));
    assert_eq!(c.continues(producer(10, last)), Err(ProducerFenced));
}

#[test]
fn fencing_an_exhausted_epoch_uses_the_maximum_epoch_for_markers_only() {
    let last = HIGHEST_EPOCH - 1;
    // Protocol 1: the next InitProducerId assigns a producer id.
    let mut c = TestCoordinator::recovered(1, metadata(Ongoing, last));
    assert_eq!(c.init(), Err(ConcurrentTransactions));
    assert_eq!(c.action().producer, producer(10, HIGHEST_EPOCH));
    c.writes_markers();
    assert_eq!(c.state(), (CompleteAbort, producer(10, HIGHEST_EPOCH)));
    assert_eq!(c.init(), Ok(producer(1_001, 0)));
    // Apache Kafka may have left an open transaction with the maximum epoch.
    let mut c = TestCoordinator::recovered(1, metadata(Ongoing, HIGHEST_EPOCH));
    assert_eq!(c.init(), Err(ConcurrentTransactions));
    assert_eq!(c.action().producer, producer(10, HIGHEST_EPOCH));
    // Protocol 2: the abort assigns it.
    let mut c = TestCoordinator::recovered(2, metadata(Ongoing, last));
    assert_eq!(c.init(), Err(ConcurrentTransactions));
    assert_eq!(c.action().producer, producer(10, HIGHEST_EPOCH));
    c.crash();
    assert_eq!(c.action().producer, producer(10, HIGHEST_EPOCH));
    c.writes_markers();
    assert_eq!(c.state(), (CompleteAbort, producer(1_001, 0)));
    assert_eq!(c.init(), Ok(producer(1_001, 1)));
}

#[test]
fn records_have_version_0_while_the_feature_is_at_level_0() {
    let mut c = TestCoordinator::at_level(0);
    let p = c.init().unwrap();
    c.adds(p, &[0]).unwrap();
    c.ends_1(p, Outcome::Commit).unwrap();
    c.writes_markers();
    assert!(c.records(0).iter().flatten().all(|value| value.version == ValueVersion::V0));
    c.check_recovery();
    c.set_level(1);
    c.init().unwrap();
    assert_eq!(c.current().version, ValueVersion::V1);
    assert_eq!(c.current().previous_producer_id, p.producer_id);
}
