//! Handing in the assignment, and getting it.

use super::harness::*;
use crate::coordinator::group::*;
use crate::coordinator::records::GroupRecord;

/// Two members that have just joined generation 2: the leader and the follower.
fn joined_pair() -> TestGroup {
    let mut group = TestGroup::new();
    group.joins("leader").joined("leader");
    group.joins("follower").joins("leader");
    assert_eq!(group.joined("leader").members.len(), 2);
    group.joined("follower");
    group
}

#[test]
fn followers_wait_for_the_leader() {
    let mut group = joined_pair();
    group.syncs("follower", &[]).waits("follower");
    group.syncs("leader", &[("leader", "p0"), ("follower", "p1")]);
    assert_eq!(group.assigned("leader").as_deref(), Ok("p0"));
    assert_eq!(group.assigned("follower").as_deref(), Ok("p1"));
}

#[test]
fn the_assignment_is_written_before_anyone_has_it() {
    let mut group = joined_pair();
    let before = group.log_len();
    group.syncs("leader", &[("leader", "p0"), ("follower", "p1")]);
    let records = group.records(before);
    let [GroupRecord::GroupMetadata { value: Some(written), .. }] = &records[..] else { panic!("{records:?}") };
    assert_eq!((written.generation, written.members.len()), (2, 2));
    assert!(written.members.iter().all(|member| !member.assignment.is_empty()));
    // A late follower gets its part without another record.
    assert_eq!(group.syncs("follower", &[]).assigned("follower").as_deref(), Ok("p1"));
    assert_eq!(group.log_len(), before + 1);
}

#[test]
fn who_is_left_out_is_assigned_nothing() {
    let mut group = joined_pair();
    group.syncs("leader", &[("leader", "p0")]).syncs("follower", &[]);
    assert_eq!(group.assigned("follower").as_deref(), Ok(""));
}

#[test]
fn a_follower_cannot_assign() {
    let mut group = joined_pair();
    group.syncs("follower", &[("follower", "everything")]).waits("follower");
    group.syncs("leader", &[("leader", "p0")]);
    assert_eq!(group.assigned("follower").as_deref(), Ok(""));
}

#[test]
fn a_rebalance_sends_those_who_wait_back_to_join() {
    let mut group = joined_pair();
    group.syncs("follower", &[]).waits("follower");
    group.joins("c");
    assert_eq!(group.assigned("follower"), Err(GroupError::RebalanceInProgress));
    assert_eq!(group.syncs("leader", &[]).assigned("leader"), Err(GroupError::RebalanceInProgress));
}

#[test]
fn syncs_are_checked() {
    let mut group = joined_pair();
    group.client("follower").generation = 1;
    assert_eq!(group.syncs("follower", &[]).assigned("follower"), Err(GroupError::IllegalGeneration));
    group.client("follower").generation = 2;
    group.client("follower").protocol_type = "connect".into();
    assert_eq!(group.syncs("follower", &[]).assigned("follower"), Err(GroupError::InconsistentGroupProtocol));
    group.client("follower").protocol_type = "consumer".into();
    group.client("follower").instance_id = Some("nobody".into());
    assert_eq!(group.syncs("follower", &[]).assigned("follower"), Err(GroupError::UnknownMemberId));
    assert_eq!(group.syncs("stranger", &[]).assigned("stranger"), Err(GroupError::UnknownMemberId));
}

#[test]
fn a_group_that_does_not_exist_knows_no_members() {
    let mut group = TestGroup::new();
    assert_eq!(group.syncs("a", &[]).assigned("a"), Err(GroupError::UnknownMemberId));
    assert_eq!(group.heartbeats("a"), Err(GroupError::UnknownMemberId));
}

#[test]
fn who_never_asks_for_its_assignment_is_out() {
    let mut group = joined_pair();
    group.syncs("leader", &[("leader", "p0"), ("follower", "p1")]);
    group.assigned("leader").unwrap();
    for ms in (5_000..60_000).step_by(5_000) {
        group.at(ms);
        assert_eq!(group.heartbeats("leader"), Ok(()));
        assert_eq!(group.heartbeats("follower"), Ok(()));
    }
    group.at(60_000);
    assert_eq!(group.heartbeats("leader"), Err(GroupError::RebalanceInProgress));
    assert_eq!(group.heartbeats("follower"), Err(GroupError::UnknownMemberId));
}

#[test]
fn a_leader_that_never_assigns_is_out() {
    let mut group = joined_pair();
    group.syncs("follower", &[]).waits("follower");
    for ms in (5_000..60_000).step_by(5_000) {
        assert_eq!(group.at(ms).heartbeats("leader"), Ok(()));
    }
    group.at(60_000);
    assert_eq!(group.assigned("follower"), Err(GroupError::RebalanceInProgress));
    let joined = group.joins("follower").joined("follower");
    assert_eq!((joined.generation, &joined.leader), (3, &joined.member_id));
}

#[test]
fn heartbeats_are_welcome_while_syncs_are_collected() {
    let mut group = joined_pair();
    assert_eq!(group.heartbeats("leader"), Ok(()));
    group.client("leader").generation = 1;
    assert_eq!(group.heartbeats("leader"), Err(GroupError::IllegalGeneration));
}

#[test]
fn a_second_sync_answers_the_first() {
    let mut group = joined_pair();
    group.syncs("follower", &[]);
    let first = group.client("follower").clone();
    group.syncs("follower", &[]).waits("follower");
    *group.client("follower") = first;
    assert_eq!(group.assigned("follower"), Err(GroupError::RebalanceInProgress));
}
