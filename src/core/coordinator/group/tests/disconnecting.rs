//! `ottla.group.disconnected.member.timeout.ms`: members whose connections close.

use std::time::Duration;

use super::harness::TestGroup;
use crate::coordinator::group::{GroupCommand, GroupConfig, GroupError, GroupReply, GroupState};

const CUT_MS: u64 = 500;
/// The clients' session timeout.
const SESSION_MS: u64 = 10_000;

/// A group in which members go soon after their connections.
fn group() -> TestGroup {
    let timeout = Some(Duration::from_millis(CUT_MS));
    TestGroup::with(GroupConfig { disconnected_member_timeout: timeout, ..GroupConfig::default() })
}

fn closes(group: &mut TestGroup, connection: u64) {
    let to = group.ask(GroupCommand::ConnectionClosed { connection, newest: connection });
    assert_eq!(group.answer(to), Some(GroupReply::ConnectionClosed));
}

/// Whether the member is one, as a heartbeat by `connection` finds.
fn is_member(group: &mut TestGroup, name: &str, connection: u64) -> bool {
    group.connection = Some(connection);
    group.heartbeats(name) != Err(GroupError::UnknownMemberId)
}

/// A stable group of one, by connection 1.
fn of_one(mut group: TestGroup) -> TestGroup {
    group.connection = Some(1);
    group.stable(&["a"]);
    group
}

#[test]
fn who_does_not_come_back_goes() {
    let mut group = of_one(group());
    closes(&mut group, 1);
    group.wait(CUT_MS - 1);
    assert_eq!(group.state(), GroupState::Stable);
    group.wait(1);
    assert_eq!(group.state(), GroupState::Empty);
}

#[test]
fn who_comes_back_stays_for_a_whole_session() {
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
fn a_commit_is_coming_back_too() {
    let mut group = of_one(group());
    closes(&mut group, 1);
    group.connection = Some(2);
    assert_eq!(group.commits("a", 5), Ok(()));
    group.wait(CUT_MS * 2);
    assert_eq!(group.state(), GroupState::Stable);
}

#[test]
fn a_connection_left_behind_does_not_count() {
    let mut group = of_one(group());
    assert!(is_member(&mut group, "a", 2));
    closes(&mut group, 1);
    group.wait(CUT_MS * 2);
    assert!(is_member(&mut group, "a", 2));
}

#[test]
fn a_session_that_ends_sooner_is_not_prolonged() {
    let mut group = of_one(group());
    group.wait(SESSION_MS - 1);
    closes(&mut group, 1);
    group.wait(1);
    assert_eq!(group.state(), GroupState::Empty);
}

#[test]
fn it_is_off_by_default() {
    let mut group = of_one(TestGroup::new());
    closes(&mut group, 1);
    group.wait(SESSION_MS - 1);
    assert_eq!(group.state(), GroupState::Stable);
}

#[test]
fn static_members_keep_their_session() {
    let mut group = group();
    group.client("a").instance_id = Some("static".into());
    let mut group = of_one(group);
    closes(&mut group, 1);
    group.wait(SESSION_MS - 1);
    assert_eq!(group.state(), GroupState::Stable);
}

#[test]
fn the_others_get_the_partitions_soon() {
    let mut group = group();
    group.connection = Some(1);
    group.joins("a");
    group.joined("a");
    group.syncs("a", &[("a", "all")]);
    assert_eq!(group.assigned("a").as_deref(), Ok("all"));
    // While the second waits for the first to join again, the first is killed.
    group.connection = Some(2);
    group.joins("b");
    closes(&mut group, 1);
    group.waits("b").wait(CUT_MS);
    assert_eq!(group.joined("b").members.len(), 1);
}

#[test]
fn a_join_that_nobody_waits_for_holds_nobody_up() {
    let mut group = group();
    group.connection = Some(1);
    group.stable(&["a", "b"]);
    // The second's connection is another; it joins again, waits for the first, and is killed.
    group.connection = Some(2);
    group.client("b").reads(&["orders", "payments"]);
    group.asks_to_join("b").waits("b");
    closes(&mut group, 2);
    group.wait(CUT_MS);
    group.connection = Some(1);
    group.joins("a");
    assert_eq!(group.joined("a").members.len(), 1);
}

#[test]
fn an_id_that_was_given_out_to_a_closed_connection_holds_nobody_up() {
    let mut group = group();
    group.connection = Some(1);
    group.stable(&["a"]);
    // Told its id, and never back with it.
    group.connection = Some(2);
    group.asks_to_join("b");
    group.connection = Some(1);
    group.client("a").reads(&["orders", "payments"]);
    group.asks_to_join("a").waits("a");
    closes(&mut group, 2);
    group.waits("a").wait(CUT_MS);
    assert_eq!(group.joined("a").members.len(), 1);
}

#[test]
fn what_a_restart_finds_has_no_connections() {
    let mut group = of_one(group());
    group.crash();
    closes(&mut group, 1);
    group.wait(CUT_MS * 2);
    assert!(is_member(&mut group, "a", 1));
    closes(&mut group, 1);
    group.wait(CUT_MS);
    assert_eq!(group.state(), GroupState::Empty);
}
