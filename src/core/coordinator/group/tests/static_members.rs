//! Static members (KIP-345).

use super::harness::*;
use crate::coordinator::group::*;

/// A stable group of the static member `s` and the dynamic member `d`.
fn stable_pair() -> TestGroup {
    let mut group = TestGroup::new();
    group.client("s").instance_id = Some("static".into());
    group.stable(&["s", "d"]);
    group
}

/// Restarts the client `name`, which loses its member id.
fn restarts(group: &mut TestGroup, name: &str) {
    group.client(name).member_id = "".into();
    group.client(name).generation = -1;
}

#[test]
fn static_member_joins_in_one_step() {
    let mut group = TestGroup::new();
    group.client("s").instance_id = Some("static".into());
    let joined = group.sends_join("s").joined("s");
    assert!(joined.member_id.starts_with("static-"), "{}", joined.member_id);
    assert_eq!(joined.members[0].instance_id.as_deref(), Some("static"));
}

#[test]
fn restart_of_a_static_member_causes_no_rebalance() {
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
fn restarted_static_leader_gets_skip_assignment() {
    let mut group = TestGroup::new();
    group.client("s").instance_id = Some("static".into());
    group.stable(&["s"]);
    restarts(&mut group, "s");
    let joined = group.joins("s").joined("s");
    assert_eq!((joined.skip_assignment, joined.members.len()), (true, 1));
    assert_eq!(joined.leader, joined.member_id);
}

#[test]
fn restarted_static_leader_without_skip_assignment_sees_the_old_leader_id() {
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
fn restart_of_a_static_member_with_other_protocols_causes_a_rebalance() {
    let mut group = TestGroup::new();
    group.client("s").instance_id = Some("static".into());
    group.client("s").supports(&["range", "sticky"]);
    group.stable(&["s"]);
    restarts(&mut group, "s");
    group.client("s").supports(&["sticky", "range"]);
    assert_eq!(group.joins("s").joined("s").generation, 2);
}

#[test]
fn restart_of_a_static_member_while_syncs_are_collected_causes_a_rebalance() {
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
fn requests_of_a_replaced_static_member_return_fenced_instance_id() {
    let mut group = stable_pair();
    group.client("twin").instance_id = Some("static".into());
    group.joins("twin").joined("twin");
    assert_eq!(group.heartbeats("s"), Err(GroupError::FencedInstanceId));
    assert_eq!(group.commits("s", 5), Err(GroupError::FencedInstanceId));
    assert_eq!(group.syncs("s", &[]).assigned("s"), Err(GroupError::FencedInstanceId));
    assert_eq!(group.sends_join("s").join_error("s").error, GroupError::FencedInstanceId);
}

#[test]
fn pending_sync_of_a_replaced_static_member_is_fenced() {
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
fn pending_join_of_a_replaced_static_member_is_fenced() {
    let mut group = stable_pair();
    group.joins("s").waits("s");
    group.client("twin").instance_id = Some("static".into());
    let s = group.client("s").member_id.clone();
    group.joins("twin").waits("twin");
    let refused = group.join_error("s");
    assert_eq!((refused.error, refused.member_id), (GroupError::FencedInstanceId, s));
}

#[test]
fn static_member_that_does_not_rejoin_stays_in_the_group() {
    let mut group = TestGroup::new();
    group.client("s").instance_id = Some("static".into());
    group.client("s").session_timeout_ms = 600_000;
    group.stable(&["s", "d"]);
    group.client("d").subscribes_to(&["payments"]);
    // d joins again, s does not. After the rebalance timeout the next generation has both.
    group.joins("d").at(60_000);
    let d = group.joined("d");
    assert_eq!((d.generation, d.members.len()), (3, 2));
    assert_eq!(d.leader, d.member_id);
}

#[test]
fn group_of_absent_static_members_waits_until_their_sessions_expire() {
    let mut group = stable_pair();
    group.leaves("d").unwrap();
    for ms in [5_000, 9_000] {
        // s does not join again, but sends heartbeats.
        assert_eq!(group.at(ms).heartbeats("s"), Err(GroupError::RebalanceInProgress));
    }
    group.at(18_999);
    assert_eq!(group.state(), GroupState::PreparingRebalance);
    assert_eq!(group.at(19_000).state(), GroupState::Empty);
}

#[test]
fn request_with_the_instance_id_of_another_member_is_rejected() {
    let mut group = stable_pair();
    group.client("d").instance_id = Some("static".into());
    assert_eq!(group.heartbeats("d"), Err(GroupError::FencedInstanceId));
    group.client("d").instance_id = Some("another".into());
    assert_eq!(group.heartbeats("d"), Err(GroupError::UnknownMemberId));
    assert_eq!(group.commits("d", 1), Err(GroupError::UnknownMemberId));
}

#[test]
fn pending_member_that_joins_with_an_instance_id_is_rejected() {
    let mut group = TestGroup::new();
    let refused = group.sends_join("a").join_error("a");
    group.client("a").member_id = refused.member_id;
    group.client("a").instance_id = Some("static".into());
    assert_eq!(group.sends_join("a").join_error("a").error, GroupError::UnknownMemberId);
}
