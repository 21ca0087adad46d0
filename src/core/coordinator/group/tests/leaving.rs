//! Saying goodbye.

use super::harness::*;
use crate::coordinator::group::*;

#[test]
fn a_member_that_leaves_makes_the_others_share() {
    let mut group = TestGroup::new();
    group.stable(&["a", "b"]);
    assert_eq!(group.leaves("a"), Ok(()));
    assert_eq!(group.heartbeats("b"), Err(GroupError::RebalanceInProgress));
    assert_eq!(group.joins("b").joined("b").members.len(), 1);
    assert_eq!(group.leaves("a"), Err(GroupError::UnknownMemberId));
}

#[test]
fn when_the_last_one_leaves_the_group_is_empty_and_written_so() {
    let mut group = TestGroup::new();
    group.stable(&["a"]);
    assert_eq!(group.leaves("a"), Ok(()));
    assert_eq!((group.state(), group.generation()), (GroupState::Empty, 2));
    assert_eq!(group.crash().state(), GroupState::Empty);
}

#[test]
fn several_leave_in_one_rebalance() {
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
fn a_static_member_leaves_under_its_own_name_only() {
    let mut group = TestGroup::new();
    group.client("s").instance_id = Some("static".into());
    group.stable(&["s", "a"]);
    let a = group.client("a").member_id.clone();
    assert_eq!(group.leave(vec![(&a, Some("static"))]), [Err(GroupError::FencedInstanceId)]);
    assert_eq!(group.state(), GroupState::Stable);
}

#[test]
fn whoever_waits_in_a_leaving_members_name_is_told() {
    let mut group = TestGroup::new();
    group.stable(&["a", "b"]);
    group.joins("c").waits("c");
    let c = group.machine.groups[GROUP].classic.to_metadata().members;
    let c = c.into_iter().find(|member| member.member_id.starts_with("c-")).unwrap().member_id;
    assert_eq!(group.leave(vec![(&c, None)]), [Ok(())]);
    assert_eq!(group.not_joined("c").error, GroupError::UnknownMemberId);
}

#[test]
fn a_sync_parked_in_a_leaving_members_name_is_answered() {
    let mut group = TestGroup::new();
    group.client("s").instance_id = Some("static".into());
    group.joins("a").joined("a");
    group.joins("s").joins("a").joined("a");
    group.joined("s");
    group.syncs("s", &[]).waits("s").leave(vec![("", Some("static"))]);
    assert_eq!(group.assigned("s"), Err(GroupError::UnknownMemberId));
}

#[test]
fn a_tentative_member_that_leaves_disturbs_nobody() {
    let mut group = TestGroup::new();
    group.stable(&["a"]);
    let tentative = group.asks_to_join("b").not_joined("b").member_id;
    assert_eq!(group.leave(vec![(&tentative, None)]), [Ok(())]);
    assert_eq!(group.state(), GroupState::Stable);
}

#[test]
fn leaving_lets_the_others_go_on() {
    let mut group = TestGroup::new();
    group.stable(&["a", "b"]);
    group.joins("a").waits("a");
    group.leaves("b").unwrap();
    assert_eq!(group.joined("a").members.len(), 1);
}

#[test]
fn a_group_that_does_not_exist_has_no_one_to_leave() {
    let mut group = TestGroup::new();
    assert_eq!(group.leave(vec![("a", None)]), [Err(GroupError::UnknownMemberId)]);
}
