//! Commits, expiry and deletion of offsets.

use super::harness::*;
use crate::coordinator::group::*;
use crate::coordinator::records::GroupRecord;

const HOUR: u64 = 60 * 60 * 1000;
const DAY: u64 = 24 * HOUR;

/// A commit from outside the group.
fn simple(topics: Vec<TopicCommits>) -> CommitOffsets {
    CommitOffsets {
        group_id: GROUP.into(),
        member_id: "".into(),
        instance_id: None,
        generation: -1,
        retention_ms: None,
        knows_group_id_not_found: true,
        topics,
    }
}

fn delete_offsets(group: &mut TestGroup, topic: &str) -> Result<(), GroupError> {
    let command = DeleteOffsets { group_id: GROUP.into(), topics: vec![(topic.into(), vec![0])] };
    let to = group.send(GroupCommand::DeleteOffsets(command));
    match group.take_reply(to) {
        Some(GroupReply::DeleteOffsets(result)) => result.and_then(|topics| topics[0].partitions[0].1),
        other => panic!("not a reply to OffsetDelete: {other:?}"),
    }
}

fn delete_group(group: &mut TestGroup) -> Result<(), GroupError> {
    let to = group.send(DeleteGroups(vec![GROUP.into()]));
    match group.take_reply(to) {
        Some(GroupReply::DeleteGroups(results)) => results[0].1,
        other => panic!("not a reply to DeleteGroups: {other:?}"),
    }
}

#[test]
fn committed_offset_survives_a_restart() {
    let mut group = TestGroup::new();
    group.stable(&["a"]);
    assert_eq!(group.commits("a", 7), Ok(()));
    assert_eq!(group.commits("a", 9), Ok(()));
    assert_eq!(group.committed(), Some(9));
    assert_eq!(group.crash().committed(), Some(9));
    assert_eq!(group.commits("a", 11), Ok(()));
}

#[test]
fn commit_with_wrong_member_or_generation_is_rejected() {
    let mut group = TestGroup::new();
    group.stable(&["a"]);
    assert_eq!(group.commits("stranger", 1), Err(GroupError::UnknownMemberId));
    group.client("a").generation = 0;
    assert_eq!(group.commits("a", 1), Err(GroupError::IllegalGeneration));
    group.client("a").generation = -1;
    assert_eq!(group.commits("a", 1), Err(GroupError::IllegalGeneration));
    assert_eq!(group.committed(), None);
}

#[test]
fn commit_to_an_unknown_group_returns_an_error_that_the_client_supports() {
    for (knows, error) in [(true, GroupError::GroupIdNotFound), (false, GroupError::IllegalGeneration)] {
        let request = CommitOffsets {
            member_id: "a".into(),
            generation: 3,
            knows_group_id_not_found: knows,
            ..simple(vec![topic_commit("orders", 0, 1)])
        };
        assert_eq!(TestGroup::new().commit(request), Err(error));
    }
}

#[test]
fn commit_extends_the_session() {
    let mut group = TestGroup::new();
    group.stable(&["a"]);
    for ms in [9_000, 18_000, 27_000] {
        assert_eq!(group.at(ms).commits("a", ms as i64), Ok(()));
    }
    assert_eq!(group.at(36_999).state(), GroupState::Stable);
    assert_eq!(group.at(37_000).state(), GroupState::Empty);
}

#[test]
fn commit_is_accepted_while_joins_are_collected_and_rejected_while_syncs_are() {
    let mut group = TestGroup::new();
    group.stable(&["a"]);
    group.joins("b");
    assert_eq!(group.commits("a", 5), Ok(()));
    group.joins("a").joined("a");
    assert_eq!(group.commits("a", 6), Err(GroupError::RebalanceInProgress));
}

#[test]
fn commit_without_member_is_accepted_only_for_an_empty_group() {
    let mut group = TestGroup::new();
    assert_eq!(group.commit(simple(vec![topic_commit("orders", 0, 3)])), Ok(()));
    assert_eq!((group.committed(), group.state()), (Some(3), GroupState::Empty));
    group.stable(&["a"]);
    assert_eq!(group.commit(simple(vec![topic_commit("orders", 0, 4)])), Err(GroupError::UnknownMemberId));
    group.leaves("a").unwrap();
    assert_eq!(group.commit(simple(vec![topic_commit("orders", 0, 5)])), Ok(()));
}

#[test]
fn offset_metadata_above_the_limit_is_rejected_per_partition() {
    let mut group = TestGroup::new();
    let mut topic = topic_commit("orders", 0, 1);
    // Kafka counts UTF-16 units: this is 2 × 2,048.
    topic.partitions[0].metadata = Some("🦀".repeat(2_048).into());
    let mut long = topic.partitions[0].clone();
    (long.partition, long.metadata) = (1, Some("x".repeat(4_097).into()));
    topic.partitions.push(long);
    let to = group.send(GroupCommand::CommitOffsets(simple(vec![topic])));
    let results = vec![(0, Ok(())), (1, Err(GroupError::OffsetMetadataTooLarge))];
    let expect = TopicResults { topic: "orders".into(), partitions: results };
    assert_eq!(group.take_reply(to), Some(GroupReply::CommitOffsets(Ok(vec![expect]))));
    assert_eq!((group.committed_of("orders", 0), group.committed_of("orders", 1)), (Some(1), None));
}

#[test]
fn commit_stores_leader_epoch_metadata_and_timestamp() {
    let mut group = TestGroup::new();
    let mut topic = topic_commit("orders", 0, 1);
    topic.partitions[0].leader_epoch = 4;
    topic.partitions[0].metadata = Some("note".into());
    topic.partitions[0].timestamp = Some(START - 5);
    group.commit(simple(vec![topic])).unwrap();
    let fetched = group.crash().machine.fetch_offsets(GROUP, WantedOffsets::All, true);
    let expect = FetchedOffset { offset: 1, leader_epoch: 4, metadata: "note".into() };
    assert_eq!(fetched[0].partitions, [(0, Ok(Some(expect)))]);
    let records = group.records(0);
    let [GroupRecord::OffsetCommit { value: Some(value), .. }] = &records[..] else { panic!("{records:?}") };
    assert_eq!(value.commit_timestamp, START - 5);
}

#[test]
fn offsets_of_a_group_without_members_expire_after_their_commit() {
    let mut group = TestGroup::new();
    group.commit(simple(vec![topic_commit("orders", 0, 1)])).unwrap();
    group.at(DAY).commit(simple(vec![topic_commit("payments", 0, 2)])).unwrap();
    group.at(7 * DAY - 1);
    assert_eq!(group.committed(), Some(1));
    group.at(7 * DAY + HOUR);
    assert_eq!((group.committed(), group.committed_of("payments", 0)), (None, Some(2)));
    assert_eq!(group.at(8 * DAY + HOUR).state(), GroupState::Dead);
    assert_eq!(group.crash().state(), GroupState::Dead);
}

#[test]
fn offsets_of_an_empty_group_expire_after_it_became_empty() {
    let mut group = TestGroup::new();
    group.stable(&["a"]);
    group.commits("a", 1).unwrap();
    while group.now().monotonic.as_millis() < u128::from(10 * DAY) {
        group.client("a").session_timeout_ms = 1_800_000;
        group.joins("a").joined("a");
        group.syncs("a", &[]).assigned("a").unwrap();
        group.wait(HOUR / 4).heartbeats("a").unwrap();
    }
    // After ten days a member still subscribes to the topic.
    assert_eq!(group.committed(), Some(1));
    group.leaves("a").unwrap();
    assert_eq!(group.wait(7 * DAY - HOUR).committed(), Some(1));
    assert_eq!(group.wait(2 * HOUR).committed(), None);
    assert_eq!(group.state(), GroupState::Dead);
}

#[test]
fn offsets_of_subscribed_topics_of_a_stable_group_do_not_expire() {
    let mut group = TestGroup::new();
    group.client("a").session_timeout_ms = 1_800_000;
    group.stable(&["a"]);
    let both = vec![topic_commit("orders", 0, 1), topic_commit("abandoned", 0, 2)];
    let client = group.client("a").clone();
    let request = CommitOffsets { member_id: client.member_id, generation: client.generation, ..simple(both) };
    group.commit(request).unwrap();
    while group.now().monotonic.as_millis() < u128::from(7 * DAY + HOUR) {
        group.wait(HOUR / 4).heartbeats("a").unwrap();
    }
    assert_eq!((group.committed_of("orders", 0), group.committed_of("abandoned", 0)), (Some(1), None));
}

#[test]
fn offset_with_requested_retention_expires_after_it() {
    let mut group = TestGroup::new();
    let request = CommitOffsets { retention_ms: Some(HOUR as i64), ..simple(vec![topic_commit("orders", 0, 1)]) };
    group.commit(request).unwrap();
    assert_eq!(group.at(HOUR - 1).committed(), Some(1));
    assert_eq!(group.crash().at(HOUR - 1).committed(), Some(1));
    assert_eq!(group.at(2 * HOUR).committed(), None);
}

#[test]
fn delete_offsets_of_a_subscribed_topic_is_rejected() {
    let mut group = TestGroup::new();
    assert_eq!(delete_offsets(&mut group, "orders"), Err(GroupError::GroupIdNotFound));
    group.commit(simple(vec![topic_commit("orders", 0, 1), topic_commit("payments", 0, 2)])).unwrap();
    group.stable(&["a"]);
    assert_eq!(delete_offsets(&mut group, "orders"), Err(GroupError::GroupSubscribedToTopic));
    assert_eq!(delete_offsets(&mut group, "payments"), Ok(()));
    // Deletion of an unknown offset succeeds.
    assert_eq!(delete_offsets(&mut group, "payments"), Ok(()));
    group.leaves("a").unwrap();
    assert_eq!(delete_offsets(&mut group, "orders"), Ok(()));
    assert_eq!((group.committed_of("orders", 0), group.committed_of("payments", 0)), (None, None));
    assert_eq!(group.crash().committed(), None);
}

#[test]
fn delete_offsets_of_a_group_of_other_protocol_type_is_rejected() {
    let mut group = TestGroup::new();
    group.client("a").protocol_type = "connect".into();
    group.stable(&["a"]);
    assert_eq!(delete_offsets(&mut group, "orders"), Err(GroupError::NonEmptyGroup));
}

#[test]
fn delete_offsets_with_malformed_subscription_is_rejected() {
    let mut group = TestGroup::new();
    group.client("a").protocols[0].metadata = "?".into();
    group.stable(&["a"]);
    assert_eq!(delete_offsets(&mut group, "orders"), Err(GroupError::GroupSubscribedToTopic));
}

#[test]
fn delete_group_is_accepted_only_without_members() {
    let mut group = TestGroup::new();
    assert_eq!(delete_group(&mut group), Err(GroupError::GroupIdNotFound));
    group.stable(&["a"]);
    group.commits("a", 1).unwrap();
    assert_eq!(delete_group(&mut group), Err(GroupError::NonEmptyGroup));
    group.leaves("a").unwrap();
    assert_eq!(delete_group(&mut group), Ok(()));
    assert_eq!((group.state(), group.committed()), (GroupState::Dead, None));
    assert_eq!((group.crash().state(), group.committed()), (GroupState::Dead, None));
    // The group id can be used again, and starts with generation 1.
    group.client("a").member_id = "".into();
    assert_eq!(group.joins("a").joined("a").generation, 1);
}

#[test]
fn deleted_topic_removes_its_offsets() {
    let mut group = TestGroup::new();
    group.stable(&["a"]);
    group.commits("a", 1).unwrap();
    assert_eq!(group.machine.topics_with_offsets().len(), 1);
    group.all_topics_deleted();
    assert_eq!((group.committed(), group.state()), (None, GroupState::Stable));
    assert_eq!(group.crash().committed(), None);
    assert!(group.machine.topics_with_offsets().is_empty());
}

#[test]
fn empty_group_without_offsets_is_removed() {
    let mut group = TestGroup::new();
    group.stable(&["a"]);
    group.leaves("a").unwrap();
    assert_eq!(group.at(HOUR).state(), GroupState::Dead);
}
