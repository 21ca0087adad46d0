//! The wait of the first generation for clients that requested the coordinator and have not joined yet.

use std::time::Duration;

use super::harness::*;
use crate::coordinator::ConnectionId;
use crate::coordinator::StateMachine as _;
use crate::coordinator::group::*;

/// The client id of the consumers.
const CLIENT_ID: &str = "rdkafka";
/// How long a client is expected after it requested the coordinator.
const EXPECTED_MS: u64 = 250;
/// How long a group waits after a join.
const WAIT_MS: u64 = 100;
/// How long it waits in total.
const MAX_MS: u64 = 400;

/// Requests the coordinator on this connection.
fn requests_coordinator_as(group: &mut TestGroup, client_id: &str, connection: ConnectionId) {
    group.connection = Some(connection);
    let client = GroupClient { group_id: GROUP.into(), client_id: client_id.into() };
    let to = group.send(CoordinatorFound(client));
    assert_eq!(group.take_reply(to), Some(GroupReply::CoordinatorFound(())));
}

fn requests_coordinator(group: &mut TestGroup, connection: ConnectionId) {
    requests_coordinator_as(group, CLIENT_ID, connection);
}

/// Closes the connection while `newest` is the newest one.
fn closes(group: &mut TestGroup, connection: ConnectionId, newest: ConnectionId) {
    group.send(ConnectionClosed { connection, newest });
}

/// Joins on this connection.
fn joins<'a>(group: &'a mut TestGroup, name: &str, connection: ConnectionId) -> &'a mut TestGroup {
    group.connection = Some(connection);
    group.client(name).client_id = CLIENT_ID.into();
    group.joins(name)
}

/// Joins on this connection, and checks that the client forms the first generation alone and at once.
#[track_caller]
fn joins_at_once(group: &mut TestGroup, name: &str, connection: ConnectionId) {
    let joined = joins(group, name, connection).joined(name);
    assert_eq!((joined.generation, joined.members.len()), (1, 1));
}

/// The number of tracked clients.
fn tracked_clients(group: &TestGroup) -> usize {
    group.machine.expected.len()
}

#[test]
fn single_consumer_does_not_wait() {
    let mut group = TestGroup::new();
    requests_coordinator(&mut group, 1);
    joins_at_once(&mut group, "a", 2);
}

#[test]
fn single_consumer_that_requested_the_coordinator_twice_does_not_wait() {
    let mut group = TestGroup::new();
    requests_coordinator(&mut group, 1);
    requests_coordinator(&mut group, 1);
    joins_at_once(&mut group, "a", 2);
}

#[test]
fn single_consumer_that_requested_the_coordinator_again_after_reconnect_does_not_wait() {
    let mut group = TestGroup::new();
    requests_coordinator(&mut group, 1);
    closes(&mut group, 1, 1);
    group.wait(50);
    requests_coordinator(&mut group, 2);
    joins_at_once(&mut group, "a", 3);
}

#[test]
fn single_consumer_that_joins_on_the_same_connection_does_not_wait() {
    let mut group = TestGroup::new();
    requests_coordinator_as(&mut group, "another name", 1);
    joins_at_once(&mut group, "a", 1);
}

#[test]
fn consumer_that_requests_the_coordinator_after_joining_is_not_expected_again() {
    let mut group = TestGroup::new();
    requests_coordinator(&mut group, 1);
    requests_coordinator(&mut group, 2);
    closes(&mut group, 1, 2);
    joins(&mut group, "a", 3).waits("a");
    // It opens its second connection only now. The group waits only for the other client.
    requests_coordinator(&mut group, 4);
    group.wait(50).waits("a");
    joins(&mut group, "b", 5).wait(WAIT_MS);
    assert_eq!(group.joined("a").generation, 1);
    assert_eq!(tracked_clients(&group), 0);
}

#[test]
fn consumers_that_start_together_are_in_the_first_generation() {
    for two_steps in [true, false] {
        let mut group = TestGroup::new();
        for name in ["a", "b", "c"] {
            group.client(name).member_id_required = two_steps;
        }
        requests_coordinator(&mut group, 1);
        requests_coordinator(&mut group, 2);
        joins(&mut group, "a", 11).wait(20).waits("a");
        // The third client requests the coordinator after the second has joined.
        joins(&mut group, "b", 12).wait(50).waits("a").waits("b");
        requests_coordinator(&mut group, 3);
        joins(&mut group, "c", 13).wait(WAIT_MS - 1).waits("a").waits("b").waits("c");
        group.wait(1);
        let generations = ["a", "b", "c"].map(|name| group.joined(name).generation);
        assert_eq!(generations, [1, 1, 1]);
    }
}

#[test]
fn group_waits_for_client_that_got_a_member_id() {
    let mut group = TestGroup::new();
    group.connection = Some(2);
    let refused = group.sends_join("b").join_error("b");
    assert_eq!(refused.error, GroupError::MemberIdRequired);
    joins(&mut group, "a", 1).wait(WAIT_MS - 1).waits("a");
    group.client("b").member_id = refused.member_id;
    group.sends_join("b").wait(WAIT_MS);
    assert_eq!((group.joined("a").generation, group.joined("b").generation), (1, 1));
}

#[test]
fn client_that_never_joins_delays_a_single_consumer_by_the_limit_at_most() {
    let mut group = TestGroup::new();
    requests_coordinator_as(&mut group, "admin", 9);
    requests_coordinator(&mut group, 1);
    joins(&mut group, "a", 2).wait(WAIT_MS - 1).waits("a");
    assert_eq!(group.wait(1).joined("a").members.len(), 1);
}

#[test]
fn client_with_repeated_requests_delays_a_single_consumer_by_the_limit_at_most() {
    let mut group = TestGroup::new();
    joins_after(&mut group, 0);
    for connection in 10..(10 + WAIT_MS / 10) {
        requests_coordinator_as(&mut group, "admin", connection);
        group.waits("a").wait(10);
    }
    assert_eq!(group.joined("a").members.len(), 1);

    /// Joins `ms` after the request of an administrator.
    fn joins_after(group: &mut TestGroup, ms: u64) {
        requests_coordinator_as(group, "admin", 9);
        group.wait(ms);
        joins(group, "a", 2);
    }
}

#[test]
fn client_is_expected_for_a_limited_time() {
    let mut group = TestGroup::new();
    requests_coordinator_as(&mut group, "admin", 9);
    group.wait(EXPECTED_MS - 30);
    joins(&mut group, "a", 1).wait(29).waits("a");
    assert_eq!(group.wait(1).joined("a").members.len(), 1);

    let mut group = TestGroup::new();
    requests_coordinator_as(&mut group, "admin", 9);
    group.wait(EXPECTED_MS);
    joins_at_once(&mut group, "a", 1);
}

#[test]
fn client_with_requests_of_non_members_is_not_expected() {
    let not_joining = |group: &mut TestGroup, connection| {
        group.connection = Some(connection);
        group.send(NotJoining(GROUP.into()));
    };
    let mut group = TestGroup::new();
    requests_coordinator(&mut group, 9);
    not_joining(&mut group, 9);
    joins_at_once(&mut group, "a", 1);

    // Also if the request arrives while the group waits for the client.
    let mut group = TestGroup::new();
    requests_coordinator(&mut group, 9);
    requests_coordinator(&mut group, 1);
    joins(&mut group, "a", 2).waits("a");
    not_joining(&mut group, 9);
    assert_eq!(group.joined("a").members.len(), 1);
}

#[test]
fn request_of_a_non_member_on_another_connection_has_no_effect() {
    let mut group = TestGroup::new();
    requests_coordinator(&mut group, 1);
    requests_coordinator(&mut group, 2);
    joins(&mut group, "a", 3).waits("a");
    group.connection = Some(9);
    group.send(NotJoining(GROUP.into()));
    group.waits("a");
}

#[test]
fn client_whose_join_is_rejected_is_no_longer_expected() {
    let mut group = TestGroup::new();
    requests_coordinator(&mut group, 1);
    requests_coordinator(&mut group, 2);
    joins(&mut group, "a", 11).waits("a");
    group.client("b").supports(&["roundrobin"]);
    joins(&mut group, "b", 12);
    assert_eq!(group.join_error("b").error, GroupError::InconsistentGroupProtocol);
    assert_eq!(group.joined("a").members.len(), 1);
}

#[test]
fn new_members_extend_the_wait_up_to_its_limit() {
    let mut group = TestGroup::new();
    requests_coordinator(&mut group, 1);
    requests_coordinator(&mut group, 2);
    let names: Vec<String> = (0..10).map(|n| format!("member-{n}")).collect();
    for (name, connection) in names.iter().zip(11..) {
        joins(&mut group, name, connection).waits(name);
        if group.now().monotonic + Duration::from_millis(90) >= Duration::from_millis(MAX_MS) {
            break;
        }
        group.wait(90);
    }
    group.at(MAX_MS - 1).waits(&names[0]);
    assert_eq!(group.at(MAX_MS).joined(&names[0]).generation, 1);
}

#[test]
fn request_on_a_connection_that_was_open_before_counts_as_another_client() {
    let mut group = TestGroup::new();
    requests_coordinator(&mut group, 1);
    // The second connection was opened before the first closed; its request comes after that.
    closes(&mut group, 1, 2);
    requests_coordinator(&mut group, 2);
    joins(&mut group, "a", 3).waits("a");
}

#[test]
fn client_that_disconnected_is_still_expected() {
    let mut group = TestGroup::new();
    requests_coordinator(&mut group, 1);
    requests_coordinator(&mut group, 2);
    closes(&mut group, 1, 2);
    closes(&mut group, 2, 2);
    joins(&mut group, "a", 3).waits("a");
    joins(&mut group, "b", 4).wait(WAIT_MS);
    assert_eq!((group.joined("a").generation, group.joined("b").generation), (1, 1));
}

#[test]
fn leave_during_the_wait_empties_the_group() {
    let mut group = TestGroup::new();
    requests_coordinator(&mut group, 1);
    requests_coordinator(&mut group, 2);
    joins(&mut group, "a", 3).waits("a");
    let member_id = group.machine.describe(GROUP).unwrap().members[0].member_id.clone();
    assert_eq!(group.leave(vec![(&member_id, None)]), [Ok(())]);
    assert_eq!(group.join_error("a").error, GroupError::UnknownMemberId);
    assert_eq!(group.wait(WAIT_MS).state(), GroupState::Empty);
    joins(&mut group, "b", 4);
    assert_eq!(group.joined("b").members.len(), 1);
}

#[test]
fn configured_initial_delay_replaces_the_wait() {
    for (delay, waits_until) in [(0, 0), (3_000, 3_000)] {
        let delay = Some(Duration::from_millis(delay));
        let mut group = TestGroup::with(GroupConfig { initial_rebalance_delay: delay, ..GroupConfig::default() });
        requests_coordinator(&mut group, 1);
        requests_coordinator(&mut group, 2);
        joins(&mut group, "a", 3);
        if waits_until > 0 {
            group.at(waits_until - 1).waits("a");
        }
        assert_eq!(group.at(waits_until).joined("a").members.len(), 1);
        assert_eq!(tracked_clients(&group), 0);
    }
}

#[test]
fn group_that_lost_its_members_waits_too() {
    let mut group = TestGroup::new();
    group.stable(&["z"]);
    assert_eq!(group.leaves("z"), Ok(()));
    assert_eq!(group.state(), GroupState::Empty);
    for restarts in [false, true] {
        if restarts {
            group.crash();
        }
        group.client("a").member_id = "".into();
        requests_coordinator(&mut group, 1);
        requests_coordinator(&mut group, 2);
        joins(&mut group, "a", 3).wait(WAIT_MS - 1).waits("a").wait(1);
        assert_eq!(group.joined("a").members.len(), 1);
        assert_eq!(group.leaves("a"), Ok(()));
    }
}

#[test]
fn group_with_members_tracks_no_clients() {
    let mut group = TestGroup::new();
    group.stable(&["a"]);
    requests_coordinator(&mut group, 1);
    assert_eq!(tracked_clients(&group), 0);
}

#[test]
fn coordinator_request_sets_no_timer() {
    let mut group = TestGroup::new();
    let before = group.machine.poll_timeout();
    requests_coordinator(&mut group, 1);
    assert_eq!(group.machine.poll_timeout(), before);
}

#[test]
fn tracked_clients_are_bounded_in_number_and_time() {
    let mut group = TestGroup::new();
    for connection in 0..10_000 {
        let client = GroupClient { group_id: format!("group-{connection}").into(), client_id: CLIENT_ID.into() };
        group.connection = Some(connection);
        group.send(CoordinatorFound(client));
    }
    assert_eq!(tracked_clients(&group), 256);
    group.wait(EXPECTED_MS);
    requests_coordinator_as(&mut group, &"x".repeat(10_000), 1);
    assert_eq!(tracked_clients(&group), 0);
    requests_coordinator(&mut group, 2);
    assert_eq!(tracked_clients(&group), 1);
}

#[test]
fn first_member_waits_for_clients_that_are_about_to_connect() {
    let mut group = TestGroup::new();
    requests_coordinator(&mut group, 1);
    group.others_expected_until = Some(Duration::from_millis(40));
    joins(&mut group, "a", 2).wait(39).waits("a");
    // One of them requests the coordinator of this group.
    requests_coordinator(&mut group, 3);
    group.wait(20).waits("a");
    group.others_expected_until = None;
    joins(&mut group, "b", 4).wait(WAIT_MS);
    assert_eq!((group.joined("a").members.len(), group.joined("b").generation), (2, 1));
}

#[test]
fn first_member_waits_only_until_clients_are_expected_to_connect() {
    let mut group = TestGroup::new();
    requests_coordinator(&mut group, 1);
    group.others_expected_until = Some(Duration::from_millis(40));
    joins(&mut group, "a", 2).wait(39).waits("a").wait(1);
    assert_eq!(group.joined("a").generation, 1);
}

#[test]
fn request_right_after_another_connection_closed_counts_as_another_client() {
    let mut group = TestGroup::new();
    requests_coordinator(&mut group, 1);
    closes(&mut group, 1, 1);
    group.wait(24);
    requests_coordinator(&mut group, 2);
    joins(&mut group, "a", 3).waits("a");
}
