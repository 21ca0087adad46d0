//! JoinGroup, and the start of the first generation.

use std::time::Duration;

use super::harness::*;
use crate::coordinator::group::*;

#[test]
fn dynamic_member_joins_in_two_steps() {
    let mut group = TestGroup::new();
    let refused = group.sends_join("a").join_error("a");
    assert_eq!(refused.error, GroupError::MemberIdRequired);
    assert!(refused.member_id.starts_with("a-"), "{}", refused.member_id);
    assert_eq!(refused.member_id.len(), "a-".len() + 36);

    group.client("a").member_id = refused.member_id.clone();
    let joined = group.sends_join("a").joined("a");
    assert_eq!((joined.generation, &joined.leader), (1, &refused.member_id));
    assert_eq!(joined.members.len(), 1);
    assert_eq!(joined.protocol.as_deref(), Some("range"));
    assert_eq!(joined.members[0].metadata, subscription(&["orders"]));
}

#[test]
fn client_without_member_id_required_joins_in_one_step() {
    let mut group = TestGroup::new();
    group.client("a").member_id_required = false;
    assert_eq!(group.sends_join("a").joined("a").generation, 1);
}

#[test]
fn first_join_writes_the_empty_group() {
    let mut group = TestGroup::new();
    group.sends_join("a");
    assert_eq!(group.log_len(), 1);
    assert_eq!(group.crash().state(), GroupState::Empty);
}

#[test]
fn rejected_first_join_creates_no_group() {
    let mut group = TestGroup::new();
    group.client("a").supports(&[]);
    assert_eq!(group.sends_join("a").join_error("a").error, GroupError::InconsistentGroupProtocol);
    assert_eq!((group.state(), group.log_len()), (GroupState::Dead, 0));
}

#[test]
fn join_with_unassigned_member_id_returns_unknown_member_id() {
    let mut group = TestGroup::new();
    group.client("a").member_id = "made-up".into();
    let refused = group.sends_join("a").join_error("a");
    assert_eq!((refused.error, &*refused.member_id), (GroupError::UnknownMemberId, "made-up"));
    group.stable(&["b"]);
    assert_eq!(group.sends_join("a").join_error("a").error, GroupError::UnknownMemberId);
}

#[test]
fn session_timeout_outside_the_bounds_is_rejected() {
    let mut group = TestGroup::new();
    for (timeout, allowed) in [(-1, false), (5_999, false), (6_000, true), (1_800_000, true), (1_800_001, false)] {
        group.client("a").session_timeout_ms = timeout;
        let refused = group.sends_join("a").join_error("a");
        let expect = if allowed { GroupError::MemberIdRequired } else { GroupError::InvalidSessionTimeout };
        assert_eq!(refused.error, expect, "{timeout} ms");
    }
}

#[test]
fn join_without_common_protocol_is_rejected() {
    let mut group = TestGroup::new();
    group.client("a").supports(&["range", "sticky"]);
    group.stable(&["a"]);

    group.client("b").supports(&["roundrobin"]);
    assert_eq!(group.sends_join("b").join_error("b").error, GroupError::InconsistentGroupProtocol);
    group.client("b").supports(&["sticky"]);
    group.client("b").protocol_type = "connect".into();
    assert_eq!(group.sends_join("b").join_error("b").error, GroupError::InconsistentGroupProtocol);

    group.client("b").protocol_type = "consumer".into();
    group.joins("b").waits("b").joins("a");
    assert_eq!(group.joined("b").protocol.as_deref(), Some("sticky"));
}

#[test]
fn protocol_preferred_by_most_members_is_selected() {
    let mut group = TestGroup::new();
    group.client("a").supports(&["range", "sticky"]);
    group.client("b").supports(&["sticky", "range"]);
    group.client("c").supports(&["sticky", "range", "roundrobin"]);
    group.stable(&["a", "b", "c"]);
    assert_eq!(group.machine.describe(GROUP).map(|g| g.protocol).as_deref(), Some("sticky"));
}

#[test]
fn join_of_a_full_group_returns_group_max_size_reached() {
    let mut group = TestGroup::with(GroupConfig { max_size: 2, ..GroupConfig::default() });
    group.stable(&["a", "b"]);
    let refused = group.joins("c").join_error("c");
    assert_eq!((refused.error, &*refused.member_id), (GroupError::GroupMaxSizeReached, ""));
    assert_eq!(group.state(), GroupState::Stable);
}

#[test]
fn group_above_max_size_rejects_the_last_members_to_rejoin() {
    let mut group = TestGroup::new();
    group.stable(&["a", "b", "c"]);
    group.config.max_size = 2;
    group.crash();
    assert_eq!(group.state(), GroupState::PreparingRebalance);
    group.joins("a").waits("a").joins("b").waits("b").joins("c");
    assert_eq!(group.join_error("c").error, GroupError::GroupMaxSizeReached);
    assert_eq!((group.joined("a").generation, group.joined("b").generation), (3, 3));
}

#[test]
fn empty_group_waits_for_initial_rebalance_delay() {
    let delay = Duration::from_secs(3);
    let mut group = TestGroup::with(GroupConfig { initial_rebalance_delay: Some(delay), ..GroupConfig::default() });
    group.joins("a").at(2_999).waits("a");
    group.joins("b").waits("b");
    // The new member extends the wait.
    group.at(5_999).waits("a").waits("b");
    group.at(6_000);
    assert_eq!((group.joined("a").generation, group.joined("b").generation), (1, 1));
}

#[test]
fn new_members_extend_the_initial_delay_up_to_the_rebalance_timeout() {
    let delay = Duration::from_secs(3);
    let mut group = TestGroup::with(GroupConfig { initial_rebalance_delay: Some(delay), ..GroupConfig::default() });
    group.client("a").rebalance_timeout_ms = 7_000;
    group.joins("a");
    for (ms, name) in [(2_000, "b"), (5_000, "c"), (6_500, "d")] {
        group.client(name).rebalance_timeout_ms = 7_000;
        group.at(ms).joins(name);
    }
    group.at(6_999).waits("a");
    assert_eq!(group.at(7_000).joined("a").members.len(), 4);
}

#[test]
fn pending_member_is_removed_after_its_session_timeout() {
    let mut group = TestGroup::new();
    let refused = group.sends_join("a").join_error("a");
    group.client("a").member_id = refused.member_id;
    group.at(10_001);
    assert_eq!(group.sends_join("a").join_error("a").error, GroupError::UnknownMemberId);
}

#[test]
fn rebalance_waits_for_pending_member_until_its_session_timeout() {
    let mut group = TestGroup::new();
    group.stable(&["a"]);
    group.sends_join("b");
    group.joins("a").waits("a").at(10_000);
    assert_eq!(group.joined("a").generation, 2);
}

#[test]
fn second_join_rejects_the_pending_first() {
    let mut group = TestGroup::new();
    group.stable(&["a", "b"]);
    group.joins("a").waits("a");
    let mut again = group.client("a").clone();
    group.joins("a").waits("a");
    std::mem::swap(group.client("a"), &mut again);
    assert_eq!(group.join_error("a").error, GroupError::RebalanceInProgress);
    *group.client("a") = again;
    group.joins("b");
    assert_eq!(group.joined("a").generation, 3);
}

#[test]
fn empty_group_id_returns_invalid_group_id() {
    let mut group = TestGroup::new();
    let heartbeat = Heartbeat { group_id: "".into(), member_id: "a".into(), instance_id: None, generation: 1 };
    let to = group.send(GroupCommand::Heartbeat(heartbeat));
    assert_eq!(group.take_reply(to), Some(GroupReply::Heartbeat(Err(GroupError::InvalidGroupId))));
}

#[test]
fn member_id_of_a_long_client_id_is_truncated() {
    let mut group = TestGroup::new();
    let name = "ü".repeat(16_370);
    group.joins(&name).joined(&name);
    group.syncs(&name, &[]);
    assert_eq!(group.state(), GroupState::Stable);
}

#[test]
fn group_of_500_members_forms_one_generation() {
    let mut group = TestGroup::new();
    let names: Vec<String> = (0..500).map(|i| format!("member-{i:03}")).collect();
    for name in &names {
        group.joins(name);
    }
    // The first member formed the first generation alone. Now all have joined.
    group.joined("member-000");
    group.joins("member-000");
    assert_eq!(group.joined("member-000").members.len(), 500);
    assert!(names[1..].iter().all(|name| group.joined(name).generation == 2));
}
