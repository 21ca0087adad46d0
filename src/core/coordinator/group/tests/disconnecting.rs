//! `ottla.group.disconnected.member.timeout.ms`: members whose connections close.

use std::time::Duration;

use super::harness::World;
use crate::coordinator::group::{GroupCommand, GroupConfig, GroupError, GroupReply, GroupState};

const CUT_MS: u64 = 500;
/// The clients' session timeout.
const SESSION_MS: u64 = 10_000;

/// A world in which members go soon after their connections.
fn world() -> World {
    let timeout = Some(Duration::from_millis(CUT_MS));
    World::with(GroupConfig { disconnected_member_timeout: timeout, ..GroupConfig::default() })
}

fn closes(world: &mut World, connection: u64) {
    let to = world.ask(GroupCommand::ConnectionClosed { connection, newest: connection });
    assert_eq!(world.answer(to), Some(GroupReply::ConnectionClosed));
}

/// Whether the member is one, as a heartbeat by `connection` finds.
fn is_member(world: &mut World, name: &str, connection: u64) -> bool {
    world.connection = Some(connection);
    world.heartbeats(name) != Err(GroupError::UnknownMemberId)
}

/// A stable group of one, by connection 1.
fn of_one(mut world: World) -> World {
    world.connection = Some(1);
    world.stable(&["a"]);
    world
}

#[test]
fn who_does_not_come_back_goes() {
    let mut world = of_one(world());
    closes(&mut world, 1);
    world.wait(CUT_MS - 1);
    assert_eq!(world.state(), GroupState::Stable);
    world.wait(1);
    assert_eq!(world.state(), GroupState::Empty);
}

#[test]
fn who_comes_back_stays_for_a_whole_session() {
    let mut world = of_one(world());
    closes(&mut world, 1);
    world.wait(CUT_MS - 1);
    assert!(is_member(&mut world, "a", 2));
    world.wait(SESSION_MS - 1);
    assert_eq!(world.state(), GroupState::Stable);
    world.wait(1);
    assert_eq!(world.state(), GroupState::Empty);
}

#[test]
fn a_commit_is_coming_back_too() {
    let mut world = of_one(world());
    closes(&mut world, 1);
    world.connection = Some(2);
    assert_eq!(world.commits("a", 5), Ok(()));
    world.wait(CUT_MS * 2);
    assert_eq!(world.state(), GroupState::Stable);
}

#[test]
fn a_connection_left_behind_does_not_count() {
    let mut world = of_one(world());
    assert!(is_member(&mut world, "a", 2));
    closes(&mut world, 1);
    world.wait(CUT_MS * 2);
    assert!(is_member(&mut world, "a", 2));
}

#[test]
fn a_session_that_ends_sooner_is_not_prolonged() {
    let mut world = of_one(world());
    world.wait(SESSION_MS - 1);
    closes(&mut world, 1);
    world.wait(1);
    assert_eq!(world.state(), GroupState::Empty);
}

#[test]
fn it_is_off_by_default() {
    let mut world = of_one(World::new());
    closes(&mut world, 1);
    world.wait(SESSION_MS - 1);
    assert_eq!(world.state(), GroupState::Stable);
}

#[test]
fn static_members_keep_their_session() {
    let mut world = world();
    world.client("a").instance_id = Some("static".into());
    let mut world = of_one(world);
    closes(&mut world, 1);
    world.wait(SESSION_MS - 1);
    assert_eq!(world.state(), GroupState::Stable);
}

#[test]
fn the_others_get_the_partitions_soon() {
    let mut world = world();
    world.connection = Some(1);
    world.joins("a");
    world.joined("a");
    world.syncs("a", &[("a", "all")]);
    assert_eq!(world.assigned("a").as_deref(), Ok("all"));
    // While the second waits for the first to join again, the first is killed.
    world.connection = Some(2);
    world.joins("b");
    closes(&mut world, 1);
    world.waits("b").wait(CUT_MS);
    assert_eq!(world.joined("b").members.len(), 1);
}

#[test]
fn a_join_that_nobody_waits_for_holds_nobody_up() {
    let mut world = world();
    world.connection = Some(1);
    world.stable(&["a", "b"]);
    // The second's connection is another; it joins again, waits for the first, and is killed.
    world.connection = Some(2);
    world.client("b").reads(&["orders", "payments"]);
    world.asks_to_join("b").waits("b");
    closes(&mut world, 2);
    world.wait(CUT_MS);
    world.connection = Some(1);
    world.joins("a");
    assert_eq!(world.joined("a").members.len(), 1);
}

#[test]
fn an_id_that_was_given_out_to_a_closed_connection_holds_nobody_up() {
    let mut world = world();
    world.connection = Some(1);
    world.stable(&["a"]);
    // Told its id, and never back with it.
    world.connection = Some(2);
    world.asks_to_join("b");
    world.connection = Some(1);
    world.client("a").reads(&["orders", "payments"]);
    world.asks_to_join("a").waits("a");
    closes(&mut world, 2);
    world.waits("a").wait(CUT_MS);
    assert_eq!(world.joined("a").members.len(), 1);
}

#[test]
fn what_a_restart_finds_has_no_connections() {
    let mut world = of_one(world());
    world.crash();
    closes(&mut world, 1);
    world.wait(CUT_MS * 2);
    assert!(is_member(&mut world, "a", 1));
    closes(&mut world, 1);
    world.wait(CUT_MS);
    assert_eq!(world.state(), GroupState::Empty);
}
