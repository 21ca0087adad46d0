use super::harness::*;
use crate::coordinator::Outcome;
use crate::coordinator::transaction::*;

use TransactionError::{ConcurrentTransactions, InvalidProducerIdMapping, ProducerFenced};
use TransactionState::*;

#[test]
fn first_partition_opens_a_transaction() {
    for state in [Empty, CompleteCommit, CompleteAbort] {
        let mut c = TestCoordinator::recovered(2, metadata(state, 3));
        c.wait(500);
        assert_eq!(c.adds(producer(10, 3), &[0, 2]), Ok(()));
        let current = c.current();
        assert_eq!((current.state, current.producer, current.start), (Ongoing, producer(10, 3), START + 500));
        assert_eq!(current.partitions.iter().cloned().collect::<Vec<_>>(), orders(&[0, 2]));
        c.wait(500);
        assert_eq!(c.adds(producer(10, 3), &[1]), Ok(()));
        let current = c.current();
        assert_eq!((current.start, current.last_update), (START + 500, START + 1_000));
        assert_eq!(current.partitions.iter().cloned().collect::<Vec<_>>(), orders(&[0, 1, 2]));
        c.check_recovery();
    }
}

#[test]
fn partitions_that_were_added_before_need_no_record() {
    let mut c = TestCoordinator::recovered(2, metadata(Ongoing, 3));
    assert_eq!(c.adds(producer(10, 3), &[0]), Ok(()));
    assert_eq!(c.log_len(), 1);
    assert_eq!(c.adds(producer(10, 3), &[0, 1]), Ok(()));
    assert_eq!(c.adds(producer(10, 3), &[1, 0]), Ok(()));
    assert_eq!(c.log_len(), 2);
}

#[test]
fn only_the_current_producer_may_add_partitions() {
    let mut c = TestCoordinator::new();
    assert_eq!(c.adds(producer(10, 3), &[0]), Err(InvalidProducerIdMapping));
    for state in [Empty, Ongoing, CompleteCommit, CompleteAbort] {
        let mut c = TestCoordinator::recovered(2, metadata(state, 3));
        assert_eq!(c.adds(producer(11, 3), &[0]), Err(InvalidProducerIdMapping));
        assert_eq!(c.adds(producer(10, 2), &[0]), Err(ProducerFenced));
        assert_eq!(c.adds(producer(10, 4), &[0]), Err(ProducerFenced));
        assert_eq!(c.log_len(), 1);
    }
}

#[test]
fn partitions_are_added_only_after_all_markers_of_the_last_transaction() {
    for state in [PrepareCommit, PrepareAbort] {
        let mut c = TestCoordinator::recovered(2, metadata(state, 3));
        // Even for another producer: it may have the next producer id.
        for p in [producer(10, 3), producer(10, 2), producer(11, 0)] {
            assert_eq!(c.adds(p, &[0]), Err(ConcurrentTransactions));
        }
        c.writes_markers();
        assert_eq!(c.adds(producer(10, 3), &[0]), Ok(()));
    }
}

#[test]
fn verification_accepts_partitions_of_the_open_transaction_only() {
    let mut c = TestCoordinator::recovered(2, metadata(Ongoing, 3));
    assert_eq!(c.verifies(producer(10, 3), &[0, 1]), Ok(vec![0]));
    assert_eq!(c.verifies(producer(11, 3), &[0]), Err(InvalidProducerIdMapping));
    assert_eq!(c.verifies(producer(10, 2), &[0]), Err(ProducerFenced));
    for state in [Empty, CompleteCommit, CompleteAbort] {
        let mut c = TestCoordinator::recovered(2, metadata(state, 3));
        assert_eq!(c.verifies(producer(10, 3), &[0]), Ok(vec![]), "{state}");
    }
    for state in [PrepareCommit, PrepareAbort] {
        let mut c = TestCoordinator::recovered(2, metadata(state, 3));
        assert_eq!(c.verifies(producer(10, 3), &[0]), Err(ConcurrentTransactions));
        assert_eq!(c.verifies(producer(10, 2), &[0]), Err(ProducerFenced));
        assert_eq!(c.verifies(producer(11, 3), &[0]), Err(InvalidProducerIdMapping));
    }
    assert_eq!(TestCoordinator::new().verifies(producer(10, 3), &[0]), Err(InvalidProducerIdMapping));
}

#[test]
fn late_batch_of_an_ended_transaction_is_refused() {
    // Protocol 1: the epoch is still the current one, but the partition is not part of the transaction any more.
    let mut c = TestCoordinator::new();
    let p = c.init().unwrap();
    c.adds(p, &[0]).unwrap();
    c.ends_1(p, Outcome::Commit).unwrap();
    c.writes_markers();
    assert_eq!(c.verifies(p, &[0]), Ok(vec![]));
    // Protocol 2: the epoch is not the current one either.
    let mut c = TestCoordinator::new();
    let p = c.init().unwrap();
    c.adds(p, &[0]).unwrap();
    c.ends_2(p, Outcome::Commit).unwrap();
    assert_eq!(c.verifies(p, &[0]), Err(ProducerFenced));
    c.writes_markers();
    assert_eq!(c.verifies(p, &[0]), Err(ProducerFenced));
}
