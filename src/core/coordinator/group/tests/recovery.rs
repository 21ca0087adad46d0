//! Recovery after a crash.

use std::sync::Arc;
use std::time::Duration;

use super::harness::*;
use crate::coordinator::StateMachine;
use crate::coordinator::group::*;
use ottla_wire::types::Now;

#[test]
fn stable_group_continues_after_a_crash() {
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
fn sessions_restart_after_a_crash() {
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
fn group_after_a_crash_during_a_rebalance_has_its_last_stable_generation() {
    let mut group = TestGroup::new();
    group.stable(&["a"]);
    group.joins("b").joins("a").joined("a");
    group.joined("b");
    group.crash();
    // The last stable generation has only a.
    assert_eq!((group.state(), group.generation()), (GroupState::Stable, 1));
    assert_eq!(group.heartbeats("a"), Err(GroupError::IllegalGeneration));
    assert_eq!(group.sends_join("b").join_error("b").error, GroupError::UnknownMemberId);
    assert_eq!(group.joins("a").joined("a").generation, 2);
}

#[test]
fn generations_continue_after_a_crash() {
    let mut group = TestGroup::new();
    group.stable(&["a", "b"]);
    group.leaves("a").unwrap();
    // The leave of a was not written, so its session expires again.
    group.crash();
    assert_eq!(group.leaves("b"), Ok(()));
    assert_eq!(group.at(10_000).state(), GroupState::Empty);
    assert_eq!(group.generation(), 3);
    assert_eq!(group.crash().joins("c").joined("c").generation, 4);
}

#[test]
fn machine_without_groups_has_no_timer() {
    let mut machine = GroupMachine::new(Arc::new(GroupConfig::default()));
    assert!(machine.recovered(Now { monotonic: Duration::ZERO, wall: START }).records.is_empty());
    assert_eq!(machine.poll_timeout(), None);
    assert!(std::mem::size_of::<GroupMachine>() < 512);
}
