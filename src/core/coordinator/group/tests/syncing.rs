//! SyncGroup.

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
fn syncs_of_followers_wait_for_the_leader() {
    let mut group = joined_pair();
    group.syncs("follower", &[]).waits("follower");
    group.syncs("leader", &[("leader", "p0"), ("follower", "p1")]);
    assert_eq!(group.assigned("leader").as_deref(), Ok("p0"));
    assert_eq!(group.assigned("follower").as_deref(), Ok("p1"));
}

#[test]
fn sync_of_the_leader_writes_the_assignment_once() {
    let mut group = joined_pair();
    let before = group.log_len();
    group.syncs("leader", &[("leader", "p0"), ("follower", "p1")]);
    let records = group.records(before);
    let [GroupRecord::GroupMetadata { value: Some(written), .. }] = &records[..] else { panic!("{records:?}") };
    assert_eq!((written.generation, written.members.len()), (2, 2));
    assert!(written.members.iter().all(|member| !member.assignment.is_empty()));
    // A late follower gets its assignment without another record.
    assert_eq!(group.syncs("follower", &[]).assigned("follower").as_deref(), Ok("p1"));
    assert_eq!(group.log_len(), before + 1);
}

#[test]
fn member_without_assignment_gets_an_empty_one() {
    let mut group = joined_pair();
    group.syncs("leader", &[("leader", "p0")]).syncs("follower", &[]);
    assert_eq!(group.assigned("follower").as_deref(), Ok(""));
}

#[test]
fn assignments_of_a_follower_are_ignored() {
    let mut group = joined_pair();
    group.syncs("follower", &[("follower", "everything")]).waits("follower");
    group.syncs("leader", &[("leader", "p0")]);
    assert_eq!(group.assigned("follower").as_deref(), Ok(""));
}

#[test]
fn rebalance_rejects_pending_syncs() {
    let mut group = joined_pair();
    group.syncs("follower", &[]).waits("follower");
    group.joins("c");
    assert_eq!(group.assigned("follower"), Err(GroupError::RebalanceInProgress));
    assert_eq!(group.syncs("leader", &[]).assigned("leader"), Err(GroupError::RebalanceInProgress));
}

#[test]
fn sync_with_wrong_member_generation_or_protocol_is_rejected() {
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
fn requests_to_an_unknown_group_return_unknown_member_id() {
    let mut group = TestGroup::new();
    assert_eq!(group.syncs("a", &[]).assigned("a"), Err(GroupError::UnknownMemberId));
    assert_eq!(group.heartbeats("a"), Err(GroupError::UnknownMemberId));
}

#[test]
fn follower_that_does_not_sync_in_time_is_removed() {
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
fn leader_that_does_not_sync_in_time_is_removed() {
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
fn heartbeats_are_accepted_while_syncs_are_collected() {
    let mut group = joined_pair();
    assert_eq!(group.heartbeats("leader"), Ok(()));
    group.client("leader").generation = 1;
    assert_eq!(group.heartbeats("leader"), Err(GroupError::IllegalGeneration));
}

#[test]
fn second_sync_rejects_the_pending_first() {
    let mut group = joined_pair();
    group.syncs("follower", &[]);
    let first = group.client("follower").clone();
    group.syncs("follower", &[]).waits("follower");
    *group.client("follower") = first;
    assert_eq!(group.assigned("follower"), Err(GroupError::RebalanceInProgress));
}
