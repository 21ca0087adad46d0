//! LeaveGroup.

use super::harness::*;
use crate::coordinator::group::*;

#[test]
fn leave_of_a_member_causes_a_rebalance() {
    let mut group = TestGroup::new();
    group.stable(&["a", "b"]);
    assert_eq!(group.leaves("a"), Ok(()));
    assert_eq!(group.heartbeats("b"), Err(GroupError::RebalanceInProgress));
    assert_eq!(group.joins("b").joined("b").members.len(), 1);
    assert_eq!(group.leaves("a"), Err(GroupError::UnknownMemberId));
}

#[test]
fn leave_of_the_last_member_makes_the_group_empty_also_after_a_crash() {
    let mut group = TestGroup::new();
    group.stable(&["a"]);
    assert_eq!(group.leaves("a"), Ok(()));
    assert_eq!((group.state(), group.generation()), (GroupState::Empty, 2));
    assert_eq!(group.crash().state(), GroupState::Empty);
}

#[test]
fn leave_of_several_members_causes_one_rebalance() {
    let mut group = TestGroup::new();
    group.client("s").instance_id = Some("static".into());
    group.stable(&["a", "b", "s"]);
    let (a, b) = (group.client("a").member_id.clone(), group.client("b").member_id.clone());
    let left = group.leave(vec![(&a, None), ("", Some("static")), ("stranger", None), ("", Some("nobody"))]);
    assert_eq!(left, [Ok(()), Ok(()), Err(GroupError::UnknownMemberId), Err(GroupError::UnknownMemberId)]);
    assert_eq!(group.state(), GroupState::PreparingRebalance);
    assert_eq!(group.joins("b").joined("b").members.len(), 1);
    assert_eq!(group.client("b").member_id, b);
}

#[test]
fn leave_with_the_instance_id_of_another_member_is_fenced() {
    let mut group = TestGroup::new();
    group.client("s").instance_id = Some("static".into());
    group.stable(&["s", "a"]);
    let a = group.client("a").member_id.clone();
    assert_eq!(group.leave(vec![(&a, Some("static"))]), [Err(GroupError::FencedInstanceId)]);
    assert_eq!(group.state(), GroupState::Stable);
}

#[test]
fn pending_join_of_a_leaving_member_returns_unknown_member_id() {
    let mut group = TestGroup::new();
    group.stable(&["a", "b"]);
    group.joins("c").waits("c");
    let c = group.machine.groups[GROUP].classic.to_metadata().members;
    let c = c.into_iter().find(|member| member.member_id.starts_with("c-")).unwrap().member_id;
    assert_eq!(group.leave(vec![(&c, None)]), [Ok(())]);
    assert_eq!(group.join_error("c").error, GroupError::UnknownMemberId);
}

#[test]
fn pending_sync_of_a_leaving_member_returns_unknown_member_id() {
    let mut group = TestGroup::new();
    group.client("s").instance_id = Some("static".into());
    group.joins("a").joined("a");
    group.joins("s").joins("a").joined("a");
    group.joined("s");
    group.syncs("s", &[]).waits("s").leave(vec![("", Some("static"))]);
    assert_eq!(group.assigned("s"), Err(GroupError::UnknownMemberId));
}

#[test]
fn leave_of_a_pending_member_causes_no_rebalance() {
    let mut group = TestGroup::new();
    group.stable(&["a"]);
    let pending = group.sends_join("b").join_error("b").member_id;
    assert_eq!(group.leave(vec![(&pending, None)]), [Ok(())]);
    assert_eq!(group.state(), GroupState::Stable);
}

#[test]
fn leave_during_a_rebalance_completes_it() {
    let mut group = TestGroup::new();
    group.stable(&["a", "b"]);
    group.joins("a").waits("a");
    group.leaves("b").unwrap();
    assert_eq!(group.joined("a").members.len(), 1);
}

#[test]
fn leave_of_an_unknown_group_returns_unknown_member_id() {
    let mut group = TestGroup::new();
    assert_eq!(group.leave(vec![("a", None)]), [Err(GroupError::UnknownMemberId)]);
}
