//! From one generation to the next.

use super::harness::*;
use crate::coordinator::group::*;

#[test]
fn a_newcomer_makes_everyone_join_again() {
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
fn who_does_not_join_in_time_is_out() {
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
fn the_longest_rebalance_timeout_counts() {
    let mut group = TestGroup::new();
    group.client("a").session_timeout_ms = 300_000;
    group.client("a").rebalance_timeout_ms = 90_000;
    group.stable(&["a"]);
    group.joins("b").at(89_999).waits("b").at(90_000);
    assert_eq!(group.joined("b").generation, 2);
}

#[test]
fn a_member_that_dies_is_found_out_by_its_silence() {
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
fn the_last_one_out_leaves_an_empty_group() {
    let mut group = TestGroup::new();
    group.stable(&["a"]);
    assert_eq!(group.at(10_000).state(), GroupState::Empty);
    assert_eq!(group.generation(), 2);
    assert_eq!(group.crash().generation(), 2);
    assert_eq!(group.heartbeats("a"), Err(GroupError::UnknownMemberId));
}

#[test]
fn who_waits_for_an_answer_does_not_time_out() {
    let mut group = TestGroup::new();
    group.client("b").rebalance_timeout_ms = 60_000;
    group.client("b").session_timeout_ms = 300_000;
    group.stable(&["a", "b"]);
    // b takes its time; a's session would have ended long before.
    group.joins("a").at(30_000).waits("a").joins("b");
    assert_eq!((group.joined("a").generation, group.joined("b").generation), (3, 3));
    group.at(39_000);
    assert_eq!(group.heartbeats("a"), Ok(()));
}

#[test]
fn a_new_member_whose_join_is_parked_is_given_five_minutes() {
    let mut group = TestGroup::new();
    for name in ["a", "b"] {
        group.client(name).rebalance_timeout_ms = 1_000_000;
        group.client(name).session_timeout_ms = 1_000_000;
    }
    group.stable(&["a"]);
    group.joins("b").at(299_999).waits("b");
    let refused = group.at(300_000).not_joined("b");
    assert_eq!((refused.error, &*refused.member_id), (GroupError::UnknownMemberId, ""));
    // a is asked to join again all the same.
    assert_eq!(group.joins("a").joined("a").members.len(), 1);
}

#[test]
fn a_follower_that_joins_again_unchanged_disturbs_nobody() {
    let mut group = TestGroup::new();
    group.stable(&["leader", "follower"]);
    let joined = group.joins("follower").joined("follower");
    assert_eq!((joined.generation, joined.members.len()), (2, 0));
    assert_eq!(group.syncs("follower", &[]).assigned("follower").as_deref(), Ok("follower"));
    assert_eq!(group.heartbeats("leader"), Ok(()));
}

#[test]
fn a_follower_that_changed_its_mind_makes_a_rebalance() {
    let mut group = TestGroup::new();
    group.stable(&["leader", "follower"]);
    group.client("follower").reads(&["orders", "payments"]);
    group.joins("follower").waits("follower");
    assert_eq!(group.state(), GroupState::PreparingRebalance);
}

#[test]
fn the_leader_can_always_ask_for_a_rebalance() {
    let mut group = TestGroup::new();
    group.stable(&["leader", "follower"]);
    group.joins("leader").waits("leader");
    assert_eq!(group.heartbeats("follower"), Err(GroupError::RebalanceInProgress));
}

#[test]
fn a_join_whose_answer_was_lost_is_answered_again() {
    let mut group = TestGroup::new();
    group.joins("a").joined("a");
    let again = group.joins("a").joined("a");
    assert_eq!((again.generation, again.members.len()), (1, 1));
    assert_eq!(group.state(), GroupState::CompletingRebalance);
}

#[test]
fn a_leader_that_is_late_is_replaced() {
    let mut group = TestGroup::new();
    for name in ["leader", "follower"] {
        group.client(name).session_timeout_ms = 300_000;
    }
    group.stable(&["leader", "follower"]);
    group.client("follower").reads(&["payments"]);
    group.joins("follower").at(60_000);
    let joined = group.joined("follower");
    assert_eq!((&joined.leader, joined.members.len()), (&joined.member_id, 1));
    assert_eq!(group.heartbeats("leader"), Err(GroupError::UnknownMemberId));
}

/// Incremental rebalancing is the clients' affair: two rebalances in a row, and members that keep
/// what they have while they join.
#[test]
fn cooperative_members_give_up_partitions_in_two_rounds() {
    let mut group = TestGroup::new();
    for name in ["a", "b"] {
        group.client(name).speaks(&["cooperative-sticky"]);
    }
    group.joins("a").joined("a");
    group.syncs("a", &[("a", "p0 p1")]);
    assert_eq!(group.assigned("a").as_deref(), Ok("p0 p1"));

    // First round: a keeps p0 and is to give up p1; b gets nothing yet.
    group.joins("b").joins("a").joined("a");
    group.joined("b");
    assert_eq!(group.commits("a", 10), Err(GroupError::RebalanceInProgress));
    group.syncs("b", &[]).waits("b").syncs("a", &[("a", "p0")]);
    assert_eq!((group.assigned("a").as_deref(), group.assigned("b").as_deref()), (Ok("p0"), Ok("")));
    assert_eq!(group.commits("a", 10), Ok(()));

    // Second round: a has revoked p1 and joins again, b gets it.
    group.client("a").reads(&["orders", "revoked"]);
    group.joins("a").joins("b").joined("a");
    group.joined("b");
    for name in ["a", "b"] {
        let assignments: &[_] = if name == "a" { &[("a", "p0"), ("b", "p1")] } else { &[] };
        group.syncs(name, assignments);
    }
    assert_eq!((group.assigned("a").as_deref(), group.assigned("b").as_deref()), (Ok("p0"), Ok("p1")));
    assert_eq!(group.generation(), 3);
}
