use super::harness::*;
use crate::coordinator::Outcome;
use crate::coordinator::transaction::*;
use crate::metadata::{Image, ImageDelta};

use TransactionState::*;

/// A transaction of partitions 0, 1 and 2 that was committed with protocol 1.
fn committed() -> TestCoordinator {
    let mut c = TestCoordinator::new();
    let p = c.init().unwrap();
    c.adds(p, &[0, 1, 2]).unwrap();
    c.ends_1(p, Outcome::Commit).unwrap();
    c
}

#[test]
fn transaction_is_complete_when_the_last_marker_is_written() {
    let mut c = committed();
    let action = c.action();
    c.reports(&action, orders(&[1]));
    c.reports(&action, orders(&[1, 0, 9]));
    assert_eq!(c.state().0, PrepareCommit);
    assert_eq!(c.machine.unwritten(ID, action.position), orders(&[2]));
    assert_eq!(c.machine.unwritten(ID, action.position + 1), []);
    c.wait(10);
    c.reports(&action, orders(&[2]));
    assert_eq!(c.state().0, CompleteCommit);
    let current = c.current();
    assert!(current.partitions.is_empty());
    assert_eq!(c.machine.unwritten(ID, action.position), []);
    assert_eq!((current.start, current.last_update), (START, START + 10));
    let records = c.log_len();
    c.reports(&action, orders(&[2]));
    assert_eq!(c.log_len(), records);
    c.check_recovery();
}

#[test]
fn late_report_does_not_count_for_the_next_transaction_of_the_same_producer() {
    let mut c = committed();
    let first = c.action();
    c.writes_markers();
    let p = c.state().1;
    c.adds(p, &[0, 1]).unwrap();
    c.reports(&first, orders(&[0]));
    c.ends_1(p, Outcome::Commit).unwrap();
    let second = c.action();
    assert_eq!(second.producer, first.producer);
    c.reports(&first, orders(&[0, 1, 2]));
    assert_eq!(c.state().0, PrepareCommit);
    // Not after a crash either.
    c.crash();
    c.reports(&first, orders(&[0, 1, 2]));
    assert_eq!(c.state().0, PrepareCommit);
    c.writes_markers();
    assert_eq!(c.state().0, CompleteCommit);
}

#[test]
fn report_of_an_unknown_id_changes_nothing() {
    let mut c = committed();
    let unknown = WriteMarkers { transactional_id: "other".into(), ..c.action() };
    c.reports(&unknown, orders(&[0, 1, 2]));
    assert_eq!(c.state().0, PrepareCommit);
}

#[test]
fn all_markers_are_written_again_after_a_crash() {
    let mut c = committed();
    let before = c.action();
    c.reports(&before, orders(&[0, 1]));
    c.crash();
    let after = c.action();
    assert_eq!(after.partitions, orders(&[0, 1, 2]));
    assert_eq!((after.producer, after.outcome), (before.producer, before.outcome));
    c.reports(&after, orders(&[2]));
    assert_eq!(c.state().0, PrepareCommit);
    c.writes_markers();
    assert_eq!(c.state().0, CompleteCommit);
}

#[test]
fn transaction_without_partitions_that_a_crash_left_is_completed() {
    let mut before = metadata(PrepareAbort, 3);
    before.partitions.clear();
    let c = TestCoordinator::recovered(2, before);
    assert_eq!(c.state().0, CompleteAbort);
    assert_eq!(c.actions, []);
}

#[test]
fn deleted_partitions_need_no_marker() {
    let (with, without) = (image(2, &[("orders", 1)]), image(2, &[]));
    let mut c = TestCoordinator::recovered(2, metadata(PrepareCommit, 3));
    c.metadata_changed(&ImageDelta::between(&Image::default(), &with));
    assert_eq!(c.state().0, PrepareCommit);
    c.metadata_changed(&ImageDelta::between(&with, &without));
    assert_eq!(c.state().0, CompleteCommit);
    c.check_recovery();
}

#[test]
fn partitions_deleted_before_a_crash_need_no_marker() {
    let mut c = TestCoordinator::recovered(2, metadata(PrepareCommit, 3));
    c.metadata_changed(&ImageDelta::first(&image(2, &[("orders", 1)])));
    assert_eq!(c.state().0, PrepareCommit);
    c.metadata_changed(&ImageDelta::first(&image(2, &[("other", 1)])));
    assert_eq!(c.state().0, CompleteCommit);
}

#[test]
fn new_topic_with_the_name_of_a_deleted_one_gets_its_marker() {
    let (old, new) = (image(2, &[("orders", 1)]), image(2, &[("orders", 2)]));
    let mut c = TestCoordinator::recovered(2, metadata(PrepareCommit, 3));
    c.metadata_changed(&ImageDelta::between(&old, &new));
    assert_eq!(c.state().0, PrepareCommit);
}
