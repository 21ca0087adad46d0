use super::harness::*;
use crate::coordinator::Outcome;
use crate::coordinator::transaction::*;

use TransactionState::*;

#[test]
fn description_has_the_state_of_the_id() {
    let mut c = TestCoordinator::new();
    assert_eq!(c.machine.describe(ID), None);
    let p = c.init().unwrap();
    let empty =
        TransactionDescription { state: Empty, timeout_ms: TIMEOUT_MS, start: -1, producer: p, partitions: Vec::new() };
    assert_eq!(c.machine.describe(ID), Some(empty.clone()));
    c.wait(5);
    c.adds(p, &[3, 1]).unwrap();
    let ongoing = TransactionDescription { state: Ongoing, start: START + 5, partitions: orders(&[1, 3]), ..empty };
    assert_eq!(c.machine.describe(ID), Some(ongoing.clone()));
    let p = c.ends_2(p, Outcome::Commit).unwrap();
    // Partitions with a marker are not listed any more.
    let action = c.action();
    c.reports(&action, orders(&[1]));
    let prepared = TransactionDescription { state: PrepareCommit, producer: p, partitions: orders(&[3]), ..ongoing };
    assert_eq!(c.machine.describe(ID), Some(prepared.clone()));
    c.writes_markers();
    let complete = TransactionDescription { state: CompleteCommit, partitions: Vec::new(), ..prepared };
    assert_eq!(c.machine.describe(ID), Some(complete));
}

/// Ids a (empty), b (ongoing since 0), c (ongoing since 1000).
fn three() -> TestCoordinator {
    let mut c = TestCoordinator::new();
    let [_, b, third] = ["a", "b", "c"].map(|id| c.init_with(id, TIMEOUT_MS, None).unwrap());
    c.adds_to("b", b, &[0]).unwrap();
    c.wait(1_000);
    c.adds_to("c", third, &[0]).unwrap();
    c.wait(1_000);
    c
}

#[track_caller]
fn check(filter: TransactionFilter, expect: &str) {
    let c = three();
    let mut ids: Vec<_> =
        c.machine.list(&filter, c.now().wall).iter().map(|l| l.transactional_id.to_string()).collect();
    ids.sort();
    assert_eq!(ids.join(" "), expect, "{filter:?}");
}

#[test]
fn list_has_the_ids_that_match_all_filters() {
    let any = TransactionFilter::default;
    check(any(), "a b c");
    check(TransactionFilter { producer_ids: vec![1_002, 1_003, 5], ..any() }, "b c");
    check(TransactionFilter { producer_ids: vec![5], ..any() }, "");
    check(TransactionFilter { states: Some(vec![Ongoing, Dead]), ..any() }, "b c");
    check(TransactionFilter { states: Some(vec![PrepareEpochFence]), ..any() }, "");
    // All names were unknown.
    check(TransactionFilter { states: Some(Vec::new()), ..any() }, "");
    check(TransactionFilter { producer_ids: vec![1_001, 1_002], states: Some(vec![Empty]), ..any() }, "a");
    // More than the duration, and ids without a transaction.
    check(TransactionFilter { min_duration_ms: Some(0), ..any() }, "a b c");
    check(TransactionFilter { min_duration_ms: Some(999), ..any() }, "a b c");
    check(TransactionFilter { min_duration_ms: Some(1_000), ..any() }, "a b");
    check(TransactionFilter { min_duration_ms: Some(2_000), ..any() }, "a");
}

#[test]
fn listed_id_has_its_producer_id_and_state() {
    let c = three();
    let listed = c.machine.list(&TransactionFilter { producer_ids: vec![1_002], ..Default::default() }, START);
    assert_eq!(listed, [ListedTransaction { transactional_id: "b".into(), producer_id: 1_002, state: Ongoing }]);
}
