//! Rebalances.

use super::harness::*;
use crate::coordinator::group::*;

#[test]
fn new_member_causes_a_rebalance() {
    let mut group = TestGroup::new();
    group.stable(&["a"]);
    group.joins("b").waits("b");
    assert_eq!(group.heartbeats("a"), Err(GroupError::RebalanceInProgress));

    group.joins("a");
    let (a, b) = (group.joined("a"), group.joined("b"));
    assert_eq!((a.generation, b.generation), (2, 2));
    assert_eq!(a.leader, b.leader);
    assert_eq!((a.members.len(), b.members.len()), (2, 0));
}

#[test]
fn member_that_does_not_rejoin_in_time_is_removed() {
    let mut group = TestGroup::new();
    group.client("a").session_timeout_ms = 300_000;
    group.stable(&["a"]);
    group.joins("b").at(59_999).waits("b");
    let b = group.at(60_000).joined("b");
    assert_eq!((b.generation, b.members.len()), (2, 1));
    assert_eq!(b.leader, b.member_id);
    assert_eq!(group.heartbeats("a"), Err(GroupError::UnknownMemberId));
}

#[test]
fn rebalance_waits_for_the_longest_rebalance_timeout() {
    let mut group = TestGroup::new();
    group.client("a").session_timeout_ms = 300_000;
    group.client("a").rebalance_timeout_ms = 90_000;
    group.stable(&["a"]);
    group.joins("b").at(89_999).waits("b").at(90_000);
    assert_eq!(group.joined("b").generation, 2);
}

#[test]
fn member_without_heartbeats_is_removed_after_its_session() {
    let mut group = TestGroup::new();
    group.stable(&["a", "b"]);
    for ms in [5_000, 9_000] {
        assert_eq!(group.at(ms).heartbeats("a"), Ok(()));
    }
    group.at(10_000);
    assert_eq!(group.heartbeats("a"), Err(GroupError::RebalanceInProgress));
    assert_eq!(group.joins("a").joined("a").members.len(), 1);
}

#[test]
fn session_end_of_the_last_member_writes_an_empty_group() {
    let mut group = TestGroup::new();
    group.stable(&["a"]);
    assert_eq!(group.at(10_000).state(), GroupState::Empty);
    assert_eq!(group.generation(), 2);
    assert_eq!(group.crash().generation(), 2);
    assert_eq!(group.heartbeats("a"), Err(GroupError::UnknownMemberId));
}

#[test]
fn session_of_a_member_with_pending_join_does_not_expire() {
    let mut group = TestGroup::new();
    group.client("b").rebalance_timeout_ms = 60_000;
    group.client("b").session_timeout_ms = 300_000;
    group.stable(&["a", "b"]);
    // b joins late, after the end of a's session timeout.
    group.joins("a").at(30_000).waits("a").joins("b");
    assert_eq!((group.joined("a").generation, group.joined("b").generation), (3, 3));
    group.at(39_000);
    assert_eq!(group.heartbeats("a"), Ok(()));
}

#[test]
fn pending_join_of_a_new_member_expires_after_five_minutes() {
    let mut group = TestGroup::new();
    for name in ["a", "b"] {
        group.client(name).rebalance_timeout_ms = 1_000_000;
        group.client(name).session_timeout_ms = 1_000_000;
    }
    group.stable(&["a"]);
    group.joins("b").at(299_999).waits("b");
    let refused = group.at(300_000).join_error("b");
    assert_eq!((refused.error, &*refused.member_id), (GroupError::UnknownMemberId, ""));
    // a has to join again anyway.
    assert_eq!(group.joins("a").joined("a").members.len(), 1);
}

#[test]
fn rejoin_of_an_unchanged_follower_causes_no_rebalance() {
    let mut group = TestGroup::new();
    group.stable(&["leader", "follower"]);
    let joined = group.joins("follower").joined("follower");
    assert_eq!((joined.generation, joined.members.len()), (2, 0));
    assert_eq!(group.syncs("follower", &[]).assigned("follower").as_deref(), Ok("follower"));
    assert_eq!(group.heartbeats("leader"), Ok(()));
}

#[test]
fn rejoin_with_another_subscription_causes_a_rebalance() {
    let mut group = TestGroup::new();
    group.stable(&["leader", "follower"]);
    group.client("follower").subscribes_to(&["orders", "payments"]);
    group.joins("follower").waits("follower");
    assert_eq!(group.state(), GroupState::PreparingRebalance);
}

#[test]
fn rejoin_of_the_leader_causes_a_rebalance() {
    let mut group = TestGroup::new();
    group.stable(&["leader", "follower"]);
    group.joins("leader").waits("leader");
    assert_eq!(group.heartbeats("follower"), Err(GroupError::RebalanceInProgress));
}

#[test]
fn repeated_join_while_syncs_are_collected_returns_the_same_generation() {
    let mut group = TestGroup::new();
    group.joins("a").joined("a");
    let again = group.joins("a").joined("a");
    assert_eq!((again.generation, again.members.len()), (1, 1));
    assert_eq!(group.state(), GroupState::CompletingRebalance);
}

#[test]
fn leader_that_does_not_rejoin_is_replaced() {
    let mut group = TestGroup::new();
    for name in ["leader", "follower"] {
        group.client(name).session_timeout_ms = 300_000;
    }
    group.stable(&["leader", "follower"]);
    group.client("follower").subscribes_to(&["payments"]);
    group.joins("follower").at(60_000);
    let joined = group.joined("follower");
    assert_eq!((&joined.leader, joined.members.len()), (&joined.member_id, 1));
    assert_eq!(group.heartbeats("leader"), Err(GroupError::UnknownMemberId));
}

/// Cooperative rebalancing is done by the clients: with two rebalances, and members that keep their partitions during
/// them.
#[test]
fn cooperative_members_move_a_partition_in_two_rebalances() {
    let mut group = TestGroup::new();
    for name in ["a", "b"] {
        group.client(name).supports(&["cooperative-sticky"]);
    }
    group.joins("a").joined("a");
    group.syncs("a", &[("a", "p0 p1")]);
    assert_eq!(group.assigned("a").as_deref(), Ok("p0 p1"));

    // First rebalance: a keeps p0 and must revoke p1, b gets nothing yet.
    group.joins("b").joins("a").joined("a");
    group.joined("b");
    assert_eq!(group.commits("a", 10), Err(GroupError::RebalanceInProgress));
    group.syncs("b", &[]).waits("b").syncs("a", &[("a", "p0")]);
    assert_eq!((group.assigned("a").as_deref(), group.assigned("b").as_deref()), (Ok("p0"), Ok("")));
    assert_eq!(group.commits("a", 10), Ok(()));

    // Second rebalance: a has revoked p1 and joins again, b gets p1.
    group.client("a").subscribes_to(&["orders", "revoked"]);
    group.joins("a").joins("b").joined("a");
    group.joined("b");
    for name in ["a", "b"] {
        let assignments: &[_] = if name == "a" { &[("a", "p0"), ("b", "p1")] } else { &[] };
        group.syncs(name, assignments);
    }
    assert_eq!((group.assigned("a").as_deref(), group.assigned("b").as_deref()), (Ok("p0"), Ok("p1")));
    assert_eq!(group.generation(), 3);
}
