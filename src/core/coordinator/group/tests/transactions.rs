//! Offsets committed in transactions.

use super::harness::*;
use crate::coordinator::Outcome;
use crate::coordinator::group::*;
use ottla_wire::types::ProducerIdEpoch;

const P1: ProducerIdEpoch = ProducerIdEpoch { producer_id: 1, epoch: 0 };
const P2: ProducerIdEpoch = ProducerIdEpoch { producer_id: 2, epoch: 0 };

fn commit_as(
    group: &mut TestGroup,
    producer: ProducerIdEpoch,
    who: (&str, i32),
    offset: i64,
) -> Result<(), GroupError> {
    let request = CommitTxnOffsets {
        group_id: GROUP.into(),
        producer,
        member_id: who.0.into(),
        instance_id: None,
        generation: who.1,
        topics: vec![topic_commit("orders", 0, offset)],
    };
    let to = group.send(GroupCommand::CommitTxnOffsets(request));
    match group.take_reply(to) {
        Some(GroupReply::CommitTxnOffsets(result)) => result.map(drop),
        other => panic!("not a reply to TxnOffsetCommit: {other:?}"),
    }
}

/// Before v3 of the API there is no member.
fn commit(group: &mut TestGroup, producer: ProducerIdEpoch, offset: i64) {
    commit_as(group, producer, ("", -1), offset).unwrap();
}

fn commit_outside_transaction(group: &mut TestGroup, offset: i64) {
    group.client("admin").generation = -1;
    group.commits("admin", offset).unwrap();
}

/// The offset for a fetch with `require_stable`.
fn stable_offset(group: &TestGroup) -> Result<Option<i64>, GroupError> {
    let wanted = [("orders".into(), vec![0])];
    let topics = group.machine.fetch_offsets(GROUP, WantedOffsets::Of(&wanted), true);
    topics[0].partitions[0].1.clone().map(|fetched| fetched.map(|fetched| fetched.offset))
}

#[test]
fn transactional_commit_is_applied_when_the_transaction_commits() {
    let mut group = TestGroup::new();
    commit(&mut group, P1, 5);
    assert_eq!(group.committed(), None);
    assert_eq!(stable_offset(&group), Err(GroupError::UnstableOffsetCommit));
    group.end_txn(P1, Outcome::Commit);
    assert_eq!((group.committed(), stable_offset(&group)), (Some(5), Ok(Some(5))));
    assert_eq!(group.crash().committed(), Some(5));
}

#[test]
fn transactional_commit_is_dropped_when_the_transaction_aborts() {
    let mut group = TestGroup::new();
    commit_outside_transaction(&mut group, 3);
    commit(&mut group, P1, 5);
    assert_eq!(group.committed(), Some(3));
    group.end_txn(P1, Outcome::Abort);
    assert_eq!(stable_offset(&group), Ok(Some(3)));
    assert_eq!(stable_offset(group.crash()), Ok(Some(3)));
}

#[test]
fn open_transaction_survives_a_restart() {
    let mut group = TestGroup::new();
    commit(&mut group, P1, 5);
    group.crash();
    assert_eq!(stable_offset(&group), Err(GroupError::UnstableOffsetCommit));
    group.end_txn(P1, Outcome::Commit);
    assert_eq!(stable_offset(&group), Ok(Some(5)));
}

#[test]
fn later_commit_wins_in_any_order_of_transaction_ends() {
    let mut group = TestGroup::new();
    commit(&mut group, P1, 5);
    commit_outside_transaction(&mut group, 9);
    group.end_txn(P1, Outcome::Commit);
    assert_eq!(group.committed(), Some(9));

    commit(&mut group, P1, 10);
    commit(&mut group, P2, 11);
    group.end_txn(P2, Outcome::Commit);
    assert_eq!(stable_offset(&group), Err(GroupError::UnstableOffsetCommit));
    group.end_txn(P1, Outcome::Commit);
    assert_eq!(group.committed(), Some(11));
    assert_eq!(group.crash().committed(), Some(11));
}

#[test]
fn transactional_commit_checks_members_but_not_the_group_state() {
    let mut group = TestGroup::new();
    assert_eq!(commit_as(&mut group, P1, ("a", 1), 5), Err(GroupError::IllegalGeneration));
    group.stable(&["a"]);
    let a = group.client("a").member_id.clone();
    assert_eq!(commit_as(&mut group, P1, (&a, 0), 5), Err(GroupError::IllegalGeneration));
    assert_eq!(commit_as(&mut group, P1, ("stranger", 1), 5), Err(GroupError::UnknownMemberId));
    assert_eq!(commit_as(&mut group, P1, (&a, 1), 5), Ok(()));
    assert_eq!(commit_as(&mut group, P1, ("", -1), 6), Ok(()));
    group.joins("a").joined("a");
    assert_eq!(commit_as(&mut group, P1, (&a, 2), 7), Ok(()));
}

#[test]
fn deleted_topic_removes_pending_offsets() {
    let mut group = TestGroup::new();
    commit(&mut group, P1, 5);
    group.all_topics_deleted();
    group.end_txn(P1, Outcome::Commit);
    assert_eq!(group.committed(), None);
    assert_eq!(group.crash().committed(), None);
}

#[test]
fn deleted_group_removes_pending_offsets() {
    let mut group = TestGroup::new();
    commit(&mut group, P1, 5);
    group.send(DeleteGroups(vec![GROUP.into()]));
    group.end_txn(P1, Outcome::Commit);
    assert_eq!((group.committed(), group.state()), (None, GroupState::Dead));
}

#[test]
fn offsets_with_open_transaction_do_not_expire() {
    let month = 30 * 24 * 60 * 60 * 1000;
    let mut group = TestGroup::new();
    commit_outside_transaction(&mut group, 3);
    commit(&mut group, P1, 5);
    assert_eq!(group.at(month).committed(), Some(3));
    group.end_txn(P1, Outcome::Abort);
    assert_eq!(group.at(month + 3_600_000).state(), GroupState::Dead);
}

#[test]
fn group_with_an_open_transaction_is_not_removed() {
    let mut group = TestGroup::new();
    commit(&mut group, P1, 5);
    group.at(3_600_000).end_txn(P1, Outcome::Commit);
    assert_eq!((group.committed(), group.state()), (Some(5), GroupState::Empty));
}

#[test]
fn transaction_end_of_another_producer_has_no_effect() {
    let mut group = TestGroup::new();
    commit(&mut group, P1, 5);
    group.end_txn(P2, Outcome::Commit);
    assert_eq!(stable_offset(&group), Err(GroupError::UnstableOffsetCommit));
}
