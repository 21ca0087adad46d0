//! Members that are known across restarts (KIP-345).

use super::harness::*;
use crate::coordinator::group::*;

/// A stable group of the static member `s` and the dynamic member `d`.
fn stable_pair() -> TestGroup {
    let mut group = TestGroup::new();
    group.client("s").instance_id = Some("static".into());
    group.stable(&["s", "d"]);
    group
}

/// The process behind `name` starts anew, and has forgotten its member id.
fn restarts(group: &mut TestGroup, name: &str) {
    group.client(name).member_id = "".into();
    group.client(name).generation = -1;
}

#[test]
fn a_static_member_joins_in_one_step() {
    let mut group = TestGroup::new();
    group.client("s").instance_id = Some("static".into());
    let joined = group.asks_to_join("s").joined("s");
    assert!(joined.member_id.starts_with("static-"), "{}", joined.member_id);
    assert_eq!(joined.members[0].instance_id.as_deref(), Some("static"));
}

#[test]
fn a_static_member_comes_back_without_a_rebalance() {
    let mut group = stable_pair();
    let old_id = group.client("s").member_id.clone();
    restarts(&mut group, "s");
    let joined = group.joins("s").joined("s");
    assert_eq!(joined.generation, 2);
    assert_ne!(joined.member_id, old_id);
    assert_eq!(group.syncs("s", &[]).assigned("s").as_deref(), Ok("s"));
    assert_eq!(group.heartbeats("d"), Ok(()));

    // The change is in the log.
    group.crash();
    assert_eq!(group.heartbeats("s"), Ok(()));
    group.client("s").member_id = old_id;
    assert_eq!(group.heartbeats("s"), Err(GroupError::FencedInstanceId));
}

#[test]
fn a_static_leader_that_comes_back_is_told_not_to_assign() {
    let mut group = TestGroup::new();
    group.client("s").instance_id = Some("static".into());
    group.stable(&["s"]);
    restarts(&mut group, "s");
    let joined = group.joins("s").joined("s");
    assert_eq!((joined.skip_assignment, joined.members.len()), (true, 1));
    assert_eq!(joined.leader, joined.member_id);
}

#[test]
fn an_old_static_leader_that_comes_back_does_not_see_that_it_leads() {
    let mut group = TestGroup::new();
    group.client("s").instance_id = Some("static".into());
    group.client("s").can_skip_assignment = false;
    group.stable(&["s"]);
    let old_id = group.client("s").member_id.clone();
    restarts(&mut group, "s");
    let joined = group.joins("s").joined("s");
    assert_eq!((joined.leader, joined.skip_assignment, joined.members.len()), (old_id, false, 0));
}

#[test]
fn a_static_member_that_comes_back_with_other_protocols_makes_a_rebalance() {
    let mut group = TestGroup::new();
    group.client("s").instance_id = Some("static".into());
    group.client("s").speaks(&["range", "sticky"]);
    group.stable(&["s"]);
    restarts(&mut group, "s");
    group.client("s").speaks(&["sticky", "range"]);
    assert_eq!(group.joins("s").joined("s").generation, 2);
}

#[test]
fn a_static_member_that_comes_back_while_syncs_are_collected_makes_a_rebalance() {
    let mut group = TestGroup::new();
    group.client("s").instance_id = Some("static".into());
    group.joins("s").joined("s");
    group.joins("d").joins("s").joined("s");
    group.joined("d");
    group.syncs("d", &[]);
    restarts(&mut group, "s");
    group.joins("s").waits("s");
    assert_eq!(group.assigned("d"), Err(GroupError::RebalanceInProgress));
}

#[test]
fn the_one_that_was_replaced_is_fenced_whatever_it_asks() {
    let mut group = stable_pair();
    group.client("twin").instance_id = Some("static".into());
    group.joins("twin").joined("twin");
    assert_eq!(group.heartbeats("s"), Err(GroupError::FencedInstanceId));
    assert_eq!(group.commits("s", 5), Err(GroupError::FencedInstanceId));
    assert_eq!(group.syncs("s", &[]).assigned("s"), Err(GroupError::FencedInstanceId));
    assert_eq!(group.asks_to_join("s").not_joined("s").error, GroupError::FencedInstanceId);
}

#[test]
fn a_parked_sync_is_fenced_by_the_twin() {
    let mut group = TestGroup::new();
    group.client("s").instance_id = Some("static".into());
    group.client("twin").instance_id = Some("static".into());
    group.joins("d").joined("d");
    group.joins("s").joins("d").joined("d");
    group.joined("s");
    group.syncs("s", &[]).waits("s").joins("twin");
    assert_eq!(group.assigned("s"), Err(GroupError::FencedInstanceId));
}

#[test]
fn a_parked_join_is_fenced_by_the_twin() {
    let mut group = stable_pair();
    group.joins("s").waits("s");
    group.client("twin").instance_id = Some("static".into());
    let s = group.client("s").member_id.clone();
    group.joins("twin").waits("twin");
    let refused = group.not_joined("s");
    assert_eq!((refused.error, refused.member_id), (GroupError::FencedInstanceId, s));
}

#[test]
fn a_static_member_keeps_its_place_while_it_is_away() {
    let mut group = TestGroup::new();
    group.client("s").instance_id = Some("static".into());
    group.client("s").session_timeout_ms = 600_000;
    group.stable(&["s", "d"]);
    group.client("d").reads(&["payments"]);
    // d joins again, s does not: after the rebalance timeout the generation goes on with both.
    group.joins("d").at(60_000);
    let d = group.joined("d");
    assert_eq!((d.generation, d.members.len()), (3, 2));
    assert_eq!(d.leader, d.member_id);
}

#[test]
fn a_group_of_absent_static_members_waits_for_their_sessions() {
    let mut group = stable_pair();
    group.leaves("d").unwrap();
    for ms in [5_000, 9_000] {
        // s never joins again, but it lives.
        assert_eq!(group.at(ms).heartbeats("s"), Err(GroupError::RebalanceInProgress));
    }
    group.at(18_999);
    assert_eq!(group.state(), GroupState::PreparingRebalance);
    assert_eq!(group.at(19_000).state(), GroupState::Empty);
}

#[test]
fn an_instance_id_goes_with_its_member_id() {
    let mut group = stable_pair();
    group.client("d").instance_id = Some("static".into());
    assert_eq!(group.heartbeats("d"), Err(GroupError::FencedInstanceId));
    group.client("d").instance_id = Some("another".into());
    assert_eq!(group.heartbeats("d"), Err(GroupError::UnknownMemberId));
    assert_eq!(group.commits("d", 1), Err(GroupError::UnknownMemberId));
}

#[test]
fn a_tentative_member_cannot_become_static() {
    let mut group = TestGroup::new();
    let refused = group.asks_to_join("a").not_joined("a");
    group.client("a").member_id = refused.member_id;
    group.client("a").instance_id = Some("static".into());
    assert_eq!(group.asks_to_join("a").not_joined("a").error, GroupError::UnknownMemberId);
}
