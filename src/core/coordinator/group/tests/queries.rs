//! Queries.

use super::harness::*;
use crate::coordinator::group::*;

#[test]
fn describe_of_a_stable_group_has_members_and_protocol() {
    let mut group = TestGroup::new();
    group.client("s").instance_id = Some("static".into());
    group.stable(&["s"]);
    let described = group.machine.describe(GROUP).unwrap();
    assert_eq!(
        (described.state, &*described.protocol_type, &*described.protocol),
        (GroupState::Stable, "consumer", "range")
    );
    let [member] = &described.members[..] else { panic!("{described:?}") };
    assert_eq!((&*member.client_id, &*member.client_host), ("s", "/127.0.0.1"));
    assert_eq!(member.instance_id.as_deref(), Some("static"));
    assert_eq!((member.metadata.clone(), &member.assignment[..]), (subscription(&["orders"]), &b"s"[..]));
}

#[test]
fn describe_during_a_rebalance_has_no_protocol() {
    let mut group = TestGroup::new();
    group.stable(&["a"]);
    group.joins("b");
    let described = group.machine.describe(GROUP).unwrap();
    assert_eq!((described.state, &*described.protocol), (GroupState::PreparingRebalance, ""));
    assert!(described.members.iter().all(|member| member.metadata.is_empty()));
}

#[test]
fn describe_of_an_unknown_group_returns_none() {
    assert_eq!(TestGroup::new().machine.describe(GROUP), None);
}

#[test]
fn list_filters_by_state_and_type() {
    let mut group = TestGroup::new();
    group.stable(&["a"]);
    group.client("admin").generation = -1;
    let check = |group: &TestGroup, states: &[&str], types: &[&str], expect: usize| {
        assert_eq!(group.machine.list(states, types).len(), expect, "{states:?} {types:?}");
    };
    check(&group, &[], &[], 1);
    check(&group, &["stable"], &[], 1);
    check(&group, &["Empty", "Stable"], &["CLASSIC"], 1);
    check(&group, &["Empty"], &[], 0);
    check(&group, &[], &["consumer"], 0);
    check(&group, &["no such state"], &[], 0);
    let listed = &group.machine.list(&["stable"], &["classic"])[0];
    assert_eq!((&*listed.group_id, &*listed.protocol_type, listed.state.name()), (GROUP, "consumer", "Stable"));
}

#[test]
fn fetch_offsets_returns_the_requested_partitions_in_order() {
    let mut group = TestGroup::new();
    group.client("admin").generation = -1;
    group.commits("admin", 4).unwrap();
    let wanted = [("payments".into(), vec![1]), ("orders".into(), vec![2, 0])];
    let fetched = group.machine.fetch_offsets(GROUP, WantedOffsets::Of(&wanted), false);
    let four = FetchedOffset { offset: 4, leader_epoch: -1, metadata: "".into() };
    assert_eq!(fetched[0], TopicOffsets { topic: "payments".into(), partitions: vec![(1, Ok(None))] });
    assert_eq!(fetched[1].partitions, [(2, Ok(None)), (0, Ok(Some(four)))]);
    assert_eq!(group.machine.fetch_offsets(GROUP, WantedOffsets::All, false).len(), 1);
    assert_eq!(group.machine.fetch_offsets("another", WantedOffsets::All, false), []);
}
