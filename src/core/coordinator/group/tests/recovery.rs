//! What is left after kill -9.

use std::sync::Arc;
use std::time::Duration;

use super::harness::*;
use crate::coordinator::Machine;
use crate::coordinator::group::*;
use ottla_wire::types::Now;

#[test]
fn members_of_a_stable_group_go_on_as_if_nothing_had_happened() {
    let mut group = TestGroup::new();
    group.client("s").instance_id = Some("static".into());
    group.stable(&["a", "s"]);
    group.commits("a", 5).unwrap();
    let before = group.machine.describe(GROUP);

    group.crash();
    assert_eq!(group.machine.describe(GROUP), before);
    for name in ["a", "s"] {
        assert_eq!(group.heartbeats(name), Ok(()));
        assert_eq!(group.syncs(name, &[]).assigned(name).as_deref(), Ok(name));
    }
    assert_eq!(group.commits("a", 6), Ok(()));
    assert_eq!((group.generation(), group.committed()), (2, Some(6)));
}

#[test]
fn sessions_start_anew() {
    let mut group = TestGroup::new();
    group.stable(&["a", "b"]);
    group.at(9_000).crash();
    assert_eq!(group.at(18_999).state(), GroupState::Stable);
    assert_eq!(group.heartbeats("b"), Ok(()));
    group.at(19_000);
    assert_eq!(group.state(), GroupState::PreparingRebalance);
    assert_eq!(group.heartbeats("a"), Err(GroupError::UnknownMemberId));
}

#[test]
fn a_rebalance_that_a_crash_ended_begins_again() {
    let mut group = TestGroup::new();
    group.stable(&["a"]);
    group.joins("b").joins("a").joined("a");
    group.joined("b");
    group.crash();
    // The group is as it last settled: a is in it, b never was.
    assert_eq!((group.state(), group.generation()), (GroupState::Stable, 1));
    assert_eq!(group.heartbeats("a"), Err(GroupError::IllegalGeneration));
    assert_eq!(group.asks_to_join("b").not_joined("b").error, GroupError::UnknownMemberId);
    assert_eq!(group.joins("a").joined("a").generation, 2);
}

#[test]
fn a_returning_group_counts_on() {
    let mut group = TestGroup::new();
    group.stable(&["a", "b"]);
    group.leaves("a").unwrap();
    // That a left was not written yet; its session ends once more.
    group.crash();
    assert_eq!(group.leaves("b"), Ok(()));
    assert_eq!(group.at(10_000).state(), GroupState::Empty);
    assert_eq!(group.generation(), 3);
    assert_eq!(group.crash().joins("c").joined("c").generation, 4);
}

#[test]
fn a_machine_without_groups_wants_nothing() {
    let mut machine = GroupMachine::new(Arc::new(GroupConfig::default()));
    machine.recovered(Now { monotonic: Duration::ZERO, wall: START });
    assert_eq!(machine.poll_timeout(), None);
    assert!(std::mem::size_of::<GroupMachine>() < 512);
}
