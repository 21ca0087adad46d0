//! The cooperative protocol: partitions are revoked in one generation and assigned to another member in the next.

use bytes::Bytes;

use super::harness::*;
use crate::coordinator::group::*;

/// How long a sync is delayed by members that revoke partitions.
const WAIT_MS: u64 = 200;

/// A subscription to `orders` of a member that owns these partitions.
fn owning(partitions: &[i32]) -> Bytes {
    let mut bytes = vec![0, 1];
    bytes.extend_from_slice(&subscription(&["orders"])[2..]);
    bytes.extend(partitions_of_orders(partitions));
    bytes.into()
}

/// An assignment of these partitions of `orders`, as text: all of its bytes are ASCII.
fn assignment(partitions: &[i32]) -> String {
    let mut bytes = vec![0, 0];
    bytes.extend(partitions_of_orders(partitions));
    String::from_utf8(bytes).unwrap()
}

fn partitions_of_orders(partitions: &[i32]) -> Vec<u8> {
    let mut bytes = 1i32.to_be_bytes().to_vec();
    bytes.extend(b"\0\x06orders");
    bytes.extend((partitions.len() as i32).to_be_bytes());
    bytes.extend(partitions.iter().flat_map(|partition| partition.to_be_bytes()));
    bytes
}

fn owns(group: &mut TestGroup, name: &str, partitions: &[i32]) {
    group.client(name).protocols = vec![Protocol { name: "cooperative-sticky".into(), metadata: owning(partitions) }];
}

/// Two members own partitions 0 and 1, and 2. A third has joined, and all are in the next generation.
fn third_member_joined(protocol_type: &str) -> TestGroup {
    let mut group = TestGroup::new();
    for name in ["a", "b", "c"] {
        group.client(name).protocol_type = protocol_type.into();
        owns(&mut group, name, &[]);
    }
    group.stable(&["a", "b"]);
    owns(&mut group, "a", &[0, 1]);
    owns(&mut group, "b", &[2]);
    for name in ["c", "a", "b"] {
        group.joins(name);
    }
    for name in ["a", "b", "c"] {
        group.joined(name);
    }
    group
}

fn leader(group: &mut TestGroup) -> String {
    let leader = group.machine.groups[GROUP].classic.to_metadata().leader;
    let is_leader = |name: &&str| Some(&group.client(name).member_id) == leader.as_ref();
    ["a", "b", "c"].into_iter().find(is_leader).unwrap().to_owned()
}

/// Sends SyncGroup of one follower, of the leader with the assignments, and of the other follower.
fn sync_all(group: &mut TestGroup, parts: &[(&str, &[i32])]) {
    let leader = leader(group);
    let parts: Vec<(&str, String)> = parts.iter().map(|(name, partitions)| (*name, assignment(partitions))).collect();
    let parts: Vec<(&str, &str)> = parts.iter().map(|(name, part)| (*name, part.as_str())).collect();
    let mut followers = ["a", "b", "c"].into_iter().filter(|name| *name != leader);
    group.syncs(followers.next().unwrap(), &[]).syncs(&leader, &parts).syncs(followers.next().unwrap(), &[]);
}

#[test]
fn syncs_are_delayed_until_the_revoking_member_rejoins() {
    let mut group = third_member_joined("consumer");
    sync_all(&mut group, &[("a", &[0]), ("b", &[2]), ("c", &[])]);
    assert_eq!(group.assigned("a"), Ok(assignment(&[0])));
    group.wait(WAIT_MS - 1).waits("b").waits("c");
    owns(&mut group, "a", &[0]);
    group.joins("a");
    for name in ["b", "c"] {
        assert_eq!(group.assigned(name), Err(GroupError::RebalanceInProgress));
        group.joins(name);
    }
    for name in ["a", "b", "c"] {
        assert_eq!(group.joined(name).generation, 4);
    }
    // No member has to revoke partitions now.
    sync_all(&mut group, &[("a", &[0]), ("b", &[2]), ("c", &[1])]);
    assert_eq!(group.assigned("a"), Ok(assignment(&[0])));
    assert_eq!(group.assigned("b"), Ok(assignment(&[2])));
    assert_eq!(group.assigned("c"), Ok(assignment(&[1])));
}

#[test]
fn delayed_syncs_get_their_assignment_after_the_maximum_delay() {
    let mut group = third_member_joined("consumer");
    sync_all(&mut group, &[("a", &[0]), ("b", &[2]), ("c", &[3])]);
    assert_eq!(group.assigned("a"), Ok(assignment(&[0])));
    group.wait(WAIT_MS - 1).waits("b").waits("c").wait(1);
    assert_eq!(group.assigned("b"), Ok(assignment(&[2])));
    assert_eq!(group.assigned("c"), Ok(assignment(&[3])));
    // Their sessions start now; the session of the revoking member started before.
    group.wait(9_700);
    assert_eq!(group.heartbeats("a"), Ok(()));
    group.wait(299);
    assert_eq!(group.heartbeats("b"), Ok(()));
}

#[test]
fn repeated_delayed_sync_gets_the_assignment() {
    let mut group = third_member_joined("consumer");
    sync_all(&mut group, &[("a", &[0]), ("b", &[2]), ("c", &[3])]);
    group.syncs("b", &[]).wait(WAIT_MS);
    assert_eq!(group.assigned("b"), Ok(assignment(&[2])));
}

#[test]
fn syncs_are_not_delayed_without_revocation() {
    let mut group = third_member_joined("consumer");
    sync_all(&mut group, &[("a", &[0, 1]), ("b", &[2, 3]), ("c", &[])]);
    for (name, partitions) in [("a", &[0, 1][..]), ("b", &[2, 3]), ("c", &[])] {
        assert_eq!(group.assigned(name), Ok(assignment(partitions)));
    }
}

#[test]
fn syncs_of_other_protocol_types_are_not_delayed() {
    let mut group = third_member_joined("connect");
    sync_all(&mut group, &[("a", &[0]), ("b", &[2]), ("c", &[])]);
    assert_eq!(group.assigned("b"), Ok(assignment(&[2])));
    assert_eq!(group.assigned("c"), Ok(assignment(&[])));
}

#[test]
fn leave_of_the_revoking_member_rejects_delayed_syncs() {
    let mut group = third_member_joined("consumer");
    sync_all(&mut group, &[("a", &[0]), ("b", &[2]), ("c", &[])]);
    assert_eq!(group.leaves("a"), Ok(()));
    assert_eq!(group.assigned("b"), Err(GroupError::RebalanceInProgress));
    assert_eq!(group.assigned("c"), Err(GroupError::RebalanceInProgress));
}
