//! `ottla.group.disconnected.member.timeout.ms`: members whose connections close.

use std::time::Duration;

use super::harness::TestGroup;
use crate::coordinator::group::{ConnectionClosed, GroupConfig, GroupError, GroupReply, GroupState};

const CUT_MS: u64 = 500;
/// The clients' session timeout.
const SESSION_MS: u64 = 10_000;

/// A group whose members are removed soon after their connections close.
fn group() -> TestGroup {
    let timeout = Some(Duration::from_millis(CUT_MS));
    TestGroup::with(GroupConfig { disconnected_member_timeout: timeout, ..GroupConfig::default() })
}

fn closes(group: &mut TestGroup, connection: u64) {
    let to = group.send(ConnectionClosed { connection, newest: connection });
    assert_eq!(group.take_reply(to), Some(GroupReply::ConnectionClosed(())));
}

/// Whether a heartbeat on `connection` finds the member in the group.
fn is_member(group: &mut TestGroup, name: &str, connection: u64) -> bool {
    group.connection = Some(connection);
    group.heartbeats(name) != Err(GroupError::UnknownMemberId)
}

/// A stable group of one member, on connection 1.
fn of_one(mut group: TestGroup) -> TestGroup {
    group.connection = Some(1);
    group.stable(&["a"]);
    group
}

#[test]
fn member_that_does_not_reconnect_is_removed_after_the_timeout() {
    let mut group = of_one(group());
    closes(&mut group, 1);
    group.wait(CUT_MS - 1);
    assert_eq!(group.state(), GroupState::Stable);
    group.wait(1);
    assert_eq!(group.state(), GroupState::Empty);
}

#[test]
fn member_that_reconnects_gets_a_full_session() {
    let mut group = of_one(group());
    closes(&mut group, 1);
    group.wait(CUT_MS - 1);
    assert!(is_member(&mut group, "a", 2));
    group.wait(SESSION_MS - 1);
    assert_eq!(group.state(), GroupState::Stable);
    group.wait(1);
    assert_eq!(group.state(), GroupState::Empty);
}

#[test]
fn commit_on_another_connection_counts_as_reconnect() {
    let mut group = of_one(group());
    closes(&mut group, 1);
    group.connection = Some(2);
    assert_eq!(group.commits("a", 5), Ok(()));
    group.wait(CUT_MS * 2);
    assert_eq!(group.state(), GroupState::Stable);
}

#[test]
fn close_of_an_earlier_connection_has_no_effect() {
    let mut group = of_one(group());
    assert!(is_member(&mut group, "a", 2));
    closes(&mut group, 1);
    group.wait(CUT_MS * 2);
    assert!(is_member(&mut group, "a", 2));
}

#[test]
fn close_does_not_extend_a_session_that_ends_sooner() {
    let mut group = of_one(group());
    group.wait(SESSION_MS - 1);
    closes(&mut group, 1);
    group.wait(1);
    assert_eq!(group.state(), GroupState::Empty);
}

#[test]
fn close_has_no_effect_by_default() {
    let mut group = of_one(TestGroup::new());
    closes(&mut group, 1);
    group.wait(SESSION_MS - 1);
    assert_eq!(group.state(), GroupState::Stable);
}

#[test]
fn close_does_not_shorten_the_session_of_a_static_member() {
    let mut group = group();
    group.client("a").instance_id = Some("static".into());
    let mut group = of_one(group);
    closes(&mut group, 1);
    group.wait(SESSION_MS - 1);
    assert_eq!(group.state(), GroupState::Stable);
}

#[test]
fn rebalance_completes_after_the_timeout_of_a_killed_member() {
    let mut group = group();
    group.connection = Some(1);
    group.joins("a");
    group.joined("a");
    group.syncs("a", &[("a", "all")]);
    assert_eq!(group.assigned("a").as_deref(), Ok("all"));
    // The first member is killed while the second waits for it to join again.
    group.connection = Some(2);
    group.joins("b");
    closes(&mut group, 1);
    group.waits("b").wait(CUT_MS);
    assert_eq!(group.joined("b").members.len(), 1);
}

#[test]
fn pending_join_of_a_closed_connection_does_not_delay_the_rebalance() {
    let mut group = group();
    group.connection = Some(1);
    group.stable(&["a", "b"]);
    // The second member joins again on another connection, waits for the first, and is killed.
    group.connection = Some(2);
    group.client("b").subscribes_to(&["orders", "payments"]);
    group.sends_join("b").waits("b");
    closes(&mut group, 2);
    group.wait(CUT_MS);
    group.connection = Some(1);
    group.joins("a");
    assert_eq!(group.joined("a").members.len(), 1);
}

#[test]
fn pending_member_of_a_closed_connection_does_not_delay_the_rebalance() {
    let mut group = group();
    group.connection = Some(1);
    group.stable(&["a"]);
    // It gets a member id, and does not join with it.
    group.connection = Some(2);
    group.sends_join("b");
    group.connection = Some(1);
    group.client("a").subscribes_to(&["orders", "payments"]);
    group.sends_join("a").waits("a");
    closes(&mut group, 2);
    group.waits("a").wait(CUT_MS);
    assert_eq!(group.joined("a").members.len(), 1);
}

#[test]
fn restored_members_have_no_connection_until_their_first_request() {
    let mut group = of_one(group());
    group.crash();
    closes(&mut group, 1);
    group.wait(CUT_MS * 2);
    assert!(is_member(&mut group, "a", 1));
    closes(&mut group, 1);
    group.wait(CUT_MS);
    assert_eq!(group.state(), GroupState::Empty);
}
