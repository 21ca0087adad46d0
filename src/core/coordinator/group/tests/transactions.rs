//! Offsets committed in a transaction count when it ends.

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
    let to = group.ask(GroupCommand::CommitTxnOffsets(request));
    match group.answer(to) {
        Some(GroupReply::CommitTxnOffsets(result)) => result.map(drop),
        other => panic!("not an answer to TxnOffsetCommit: {other:?}"),
    }
}

/// Before v3 of the API no member is named.
fn commit(group: &mut TestGroup, producer: ProducerIdEpoch, offset: i64) {
    commit_as(group, producer, ("", -1), offset).unwrap();
}

fn plainly(group: &mut TestGroup, offset: i64) {
    group.client("admin").generation = -1;
    group.commits("admin", offset).unwrap();
}

/// What a consumer of committed offsets only is refused.
fn stable_offset(group: &TestGroup) -> Result<Option<i64>, GroupError> {
    let wanted = [("orders".into(), vec![0])];
    let topics = group.machine.fetch_offsets(GROUP, WantedOffsets::Of(&wanted), true);
    topics[0].partitions[0].1.clone().map(|fetched| fetched.map(|fetched| fetched.offset))
}

#[test]
fn a_commit_counts_when_its_transaction_does() {
    let mut group = TestGroup::new();
    commit(&mut group, P1, 5);
    assert_eq!(group.committed(), None);
    assert_eq!(stable_offset(&group), Err(GroupError::UnstableOffsetCommit));
    group.end_txn(P1, Outcome::Commit);
    assert_eq!((group.committed(), stable_offset(&group)), (Some(5), Ok(Some(5))));
    assert_eq!(group.crash().committed(), Some(5));
}

#[test]
fn an_aborted_commit_never_was() {
    let mut group = TestGroup::new();
    plainly(&mut group, 3);
    commit(&mut group, P1, 5);
    assert_eq!(group.committed(), Some(3));
    group.end_txn(P1, Outcome::Abort);
    assert_eq!(stable_offset(&group), Ok(Some(3)));
    assert_eq!(stable_offset(group.crash()), Ok(Some(3)));
}

#[test]
fn an_open_transaction_survives_a_restart() {
    let mut group = TestGroup::new();
    commit(&mut group, P1, 5);
    group.crash();
    assert_eq!(stable_offset(&group), Err(GroupError::UnstableOffsetCommit));
    group.end_txn(P1, Outcome::Commit);
    assert_eq!(stable_offset(&group), Ok(Some(5)));
}

#[test]
fn the_later_commit_counts_whenever_transactions_end() {
    let mut group = TestGroup::new();
    commit(&mut group, P1, 5);
    plainly(&mut group, 9);
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
fn members_are_checked_but_the_groups_state_is_not() {
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
fn a_deleted_topic_takes_pending_offsets_along() {
    let mut group = TestGroup::new();
    commit(&mut group, P1, 5);
    group.ask(GroupCommand::TopicsDeleted(vec!["orders".into()]));
    group.end_txn(P1, Outcome::Commit);
    assert_eq!(group.committed(), None);
    assert_eq!(group.crash().committed(), None);
}

#[test]
fn a_deleted_group_takes_pending_offsets_along() {
    let mut group = TestGroup::new();
    commit(&mut group, P1, 5);
    group.ask(GroupCommand::DeleteGroups(vec![GROUP.into()]));
    group.end_txn(P1, Outcome::Commit);
    assert_eq!((group.committed(), group.state()), (None, GroupState::Dead));
}

#[test]
fn offsets_that_a_transaction_may_change_do_not_expire() {
    let month = 30 * 24 * 60 * 60 * 1000;
    let mut group = TestGroup::new();
    plainly(&mut group, 3);
    commit(&mut group, P1, 5);
    assert_eq!(group.at(month).committed(), Some(3));
    group.end_txn(P1, Outcome::Abort);
    assert_eq!(group.at(month + 3_600_000).state(), GroupState::Dead);
}

#[test]
fn a_group_with_an_open_transaction_is_not_forgotten() {
    let mut group = TestGroup::new();
    commit(&mut group, P1, 5);
    group.at(3_600_000).end_txn(P1, Outcome::Commit);
    assert_eq!((group.committed(), group.state()), (Some(5), GroupState::Empty));
}

#[test]
fn an_unknown_producers_end_changes_nothing() {
    let mut group = TestGroup::new();
    commit(&mut group, P1, 5);
    group.end_txn(P2, Outcome::Commit);
    assert_eq!(stable_offset(&group), Err(GroupError::UnstableOffsetCommit));
}
