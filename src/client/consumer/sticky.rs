//! The sticky assignor: a balanced assignment that moves as few partitions as possible.
//!
//! Balanced means: if a member could read a partition of another member, the other has at most one partition more.
//! Among balanced assignments the choice may differ from Java's `StickyAssignor`.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::assignment::{Assignments, SubscribedMember, partitions_of};
use ottla_wire::types::{InOrder as _, TopicName, TopicPartition, sort_by, sort_by_key};

/// Assigns partitions to `members`, which are sorted by precedence.
pub fn assign(
    members: &[&SubscribedMember],
    partitions: &BTreeMap<TopicName, i32>,
    mut assignments: Assignments,
) -> Assignments {
    let mut unassigned: BTreeSet<TopicPartition> =
        partitions.iter().flat_map(|(topic, count)| partitions_of(topic, *count)).in_order();
    for (partition, owner) in owners(members) {
        if unassigned.remove(&partition) {
            assignments.entry(owner.to_owned()).or_default().push(partition);
        }
    }
    for partition in unassigned {
        if let Some(subscriber) = least_loaded(members, &assignments, &partition) {
            assignments.entry(subscriber.to_owned()).or_default().push(partition);
        }
    }
    balance(members, &mut assignments);
    assignments.values_mut().for_each(|partitions| sort_by(partitions, Ord::cmp));
    assignments
}

/// Removes partitions that another member still owns: that member must revoke them first, which triggers another
/// rebalance (KIP-429).
pub fn withhold_owned(members: &[&SubscribedMember], mut assignments: Assignments) -> Assignments {
    let owners = owners(members);
    for (id, partitions) in &mut assignments {
        partitions.retain(|partition| owners.get(partition).is_none_or(|owner| owner == id));
    }
    assignments
}

/// The owner of each partition. If two members claim one, the later generation wins; in the same generation, neither.
fn owners<'a>(members: &[&'a SubscribedMember]) -> BTreeMap<TopicPartition, &'a str> {
    let mut claims: HashMap<&TopicPartition, (i32, Option<&'a str>)> = HashMap::new();
    for member in members {
        let owned = member.owned.iter().filter(|partition| member.topics.contains(&partition.topic));
        for partition in owned {
            let claim = claims.entry(partition).or_insert((i32::MIN, None));
            match member.generation.cmp(&claim.0) {
                std::cmp::Ordering::Greater => *claim = (member.generation, Some(&member.id)),
                std::cmp::Ordering::Equal => claim.1 = None,
                std::cmp::Ordering::Less => {}
            }
        }
    }
    claims.into_iter().filter_map(|(partition, (_, owner))| Some((partition.clone(), owner?))).in_order()
}

fn load(assignments: &Assignments, member: &SubscribedMember) -> usize {
    assignments.get(&member.id).map_or(0, Vec::len)
}

/// The subscriber of the partition's topic with the fewest partitions; the first one if several have as few.
fn least_loaded<'a>(
    members: &[&'a SubscribedMember],
    assignments: &Assignments,
    partition: &TopicPartition,
) -> Option<&'a str> {
    let subscribers = members.iter().filter(|member| member.topics.contains(&partition.topic));
    subscribers.min_by_key(|member| load(assignments, member)).map(|member| member.id.as_str())
}

/// Moves one partition at a time from a member that has at least two more to the one that has fewest. Each move makes
/// the sum of the squared loads smaller, so the loop ends.
fn balance(members: &[&SubscribedMember], assignments: &mut Assignments) {
    while let Some((from, at, to)) = next_move(members, assignments) {
        let Some(owned) = assignments.get_mut(&from).filter(|owned| at < owned.len()) else { return };
        let partition = owned.remove(at);
        assignments.entry(to).or_default().push(partition);
    }
}

fn next_move(members: &[&SubscribedMember], assignments: &Assignments) -> Option<(String, usize, String)> {
    let mut loaded: Vec<_> = members.iter().map(|member| (load(assignments, member), *member)).collect();
    sort_by_key(&mut loaded, |(load, _)| std::cmp::Reverse(*load));
    for (load_here, member) in loaded {
        // From the end, so that the partitions that a member has owned longest stay.
        let owned = assignments.get(&member.id).map_or(&[][..], Vec::as_slice);
        for (at, partition) in owned.iter().enumerate().rev() {
            let Some(subscriber) = least_loaded(members, assignments, partition) else { continue };
            if assignments.get(subscriber).map_or(0, Vec::len) + 2 <= load_here {
                return Some((member.id.clone(), at, subscriber.to_owned()));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::assignment::tests::{formatted, subscribed_member, topics};
    use super::*;

    fn owning(id: &str, reads: &[&str], owned: &[(&str, i32)], generation: i32) -> SubscribedMember {
        let owned = owned.iter().map(|(topic, partition)| TopicPartition::new(*topic, *partition)).collect();
        SubscribedMember { owned, generation, ..subscribed_member(id, reads) }
    }

    #[track_caller]
    fn check(members: &[SubscribedMember], counts: &[(&str, i32)], sticky: &str, cooperative: &str) {
        let members: Vec<&SubscribedMember> = members.iter().collect();
        let none = members.iter().map(|member| (member.id.clone(), Vec::new())).in_order();
        let assignments = assign(&members, &topics(counts), none);
        assert_eq!(formatted(&assignments), sticky);
        assert_eq!(formatted(&withhold_owned(&members, assignments)), cooperative);
    }

    #[test]
    fn new_members_get_equal_numbers_of_partitions() {
        let expect = "a=t-0 t-2; b=t-1 t-3";
        check(&[subscribed_member("a", &["t"]), subscribed_member("b", &["t"])], &[("t", 4)], expect, expect);
    }

    #[test]
    fn new_member_gets_surplus_partitions_once_they_are_revoked() {
        let members =
            [owning("a", &["t"], &[("t", 0), ("t", 1), ("t", 2), ("t", 3)], 5), subscribed_member("b", &["t"])];
        // Cooperative: b gets the partitions only after a has revoked them.
        check(&members, &[("t", 4)], "a=t-0 t-1; b=t-2 t-3", "a=t-0 t-1; b=");
    }

    #[test]
    fn partitions_of_a_departed_member_are_reassigned() {
        let members = [owning("a", &["t"], &[("t", 2)], 5), owning("b", &["t"], &[("t", 1)], 5)];
        let expect = "a=t-0 t-2; b=t-1";
        check(&members, &[("t", 3)], expect, expect);
    }

    #[test]
    fn ownership_claim_of_an_older_generation_is_ignored() {
        let members = [owning("a", &["t"], &[("t", 0)], 5), owning("b", &["t"], &[("t", 0)], 6)];
        check(&members, &[("t", 1)], "a=; b=t-0", "a=; b=t-0");
        let members = [owning("a", &["t"], &[("t", 0)], 6), owning("b", &["t"], &[("t", 0)], 6)];
        check(&members, &[("t", 1)], "a=t-0; b=", "a=t-0; b=");
    }

    #[test]
    fn members_get_only_partitions_of_subscribed_topics() {
        let members = [owning("a", &["u"], &[("t", 0), ("u", 0)], 5), subscribed_member("b", &["t", "u"])];
        let expect = "a=u-0 u-1; b=t-0 u-2";
        check(&members, &[("t", 1), ("u", 3)], expect, expect);
    }

    #[test]
    fn deleted_partition_is_not_assigned() {
        let members = [owning("a", &["t"], &[("t", 0), ("t", 7)], 5)];
        check(&members, &[("t", 1)], "a=t-0", "a=t-0");
    }
}
