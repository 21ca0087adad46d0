//! The partition assignors, which the group's leader runs. Pure.
//!
//! Range and round-robin return the same assignments as Java's `RangeAssignor` and `RoundRobinAssignor`, except that
//! racks are ignored. The sticky assignors are in `sticky`.

use std::collections::BTreeMap;

use super::assignment::{Assignments, SubscribedMember, partitions_of};
use super::sticky;
use ottla_wire::types::{InOrder as _, TopicName, sort_by_key};

/// A partition assignment strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assignor {
    Range,
    RoundRobin,
    Sticky,
    CooperativeSticky,
}

impl Assignor {
    const ALL: [Assignor; 4] = [Assignor::Range, Assignor::RoundRobin, Assignor::Sticky, Assignor::CooperativeSticky];

    /// Returns the assignor for a Java class name with its package.
    pub fn from_class(class: &str) -> Option<Assignor> {
        let class = class.strip_prefix("org.apache.kafka.clients.consumer.")?;
        match class {
            "RangeAssignor" => Some(Assignor::Range),
            "RoundRobinAssignor" => Some(Assignor::RoundRobin),
            "StickyAssignor" => Some(Assignor::Sticky),
            "CooperativeStickyAssignor" => Some(Assignor::CooperativeSticky),
            _ => None,
        }
    }

    /// Returns the name in the group protocol.
    pub fn name(self) -> &'static str {
        match self {
            Assignor::Range => "range",
            Assignor::RoundRobin => "roundrobin",
            Assignor::Sticky => "sticky",
            Assignor::CooperativeSticky => "cooperative-sticky",
        }
    }

    /// Returns the assignor with this name in the group protocol.
    pub fn from_name(name: &str) -> Option<Assignor> {
        Assignor::ALL.into_iter().find(|assignor| assignor.name() == name)
    }

    /// Whether members keep reading their partitions while they rejoin (KIP-429).
    pub fn is_cooperative(self) -> bool {
        self == Assignor::CooperativeSticky
    }

    /// Assigns the partitions of these topics to the members. `partitions` maps a topic to its number of partitions.
    pub fn assign(self, members: &[SubscribedMember], partitions: &BTreeMap<TopicName, i32>) -> Assignments {
        let mut members: Vec<&SubscribedMember> = members.iter().collect();
        // Static members first, by instance id, so that they keep their position when their member ids change.
        sort_by_key(&mut members, |member| {
            (member.instance_id.is_none(), member.instance_id.as_deref(), member.id.as_str())
        });
        let assignments = members.iter().map(|member| (member.id.clone(), Vec::new())).in_order();
        match self {
            Assignor::Range => range(&members, partitions, assignments),
            Assignor::RoundRobin => round_robin(&members, partitions, assignments),
            Assignor::Sticky => sticky::assign(&members, partitions, assignments),
            Assignor::CooperativeSticky => {
                let assignments = sticky::assign(&members, partitions, assignments);
                sticky::withhold_owned(&members, assignments)
            }
        }
    }
}

/// Assigns each topic's partitions in contiguous ranges; the first members get one more if they don't divide evenly.
fn range(
    members: &[&SubscribedMember],
    partitions: &BTreeMap<TopicName, i32>,
    mut assignments: Assignments,
) -> Assignments {
    for (topic, count) in partitions {
        let subscribers: Vec<_> = members.iter().filter(|member| member.topics.contains(topic)).collect();
        let Ok(number) = i32::try_from(subscribers.len()) else { continue };
        if number == 0 {
            continue;
        }
        let (each, remainder) = (count / number, count % number);
        let mut all = partitions_of(topic, *count);
        for (subscriber, position) in subscribers.iter().zip(0..) {
            let quota = usize::try_from(each + i32::from(position < remainder)).unwrap_or(0);
            assignments.entry(subscriber.id.clone()).or_default().extend(all.by_ref().take(quota));
        }
    }
    assignments
}

/// Assigns each partition to the next member that subscribes to its topic.
fn round_robin(
    members: &[&SubscribedMember],
    partitions: &BTreeMap<TopicName, i32>,
    mut assignments: Assignments,
) -> Assignments {
    let mut next = members.iter().cycle();
    for (topic, count) in partitions {
        if !members.iter().any(|member| member.topics.contains(topic)) {
            continue;
        }
        for partition in partitions_of(topic, *count) {
            if let Some(subscriber) = next.find(|member| member.topics.contains(topic)) {
                assignments.entry(subscriber.id.clone()).or_default().push(partition);
            }
        }
    }
    assignments
}

#[cfg(test)]
mod tests {
    use super::super::assignment::tests::{formatted, subscribed_member, topics};
    use super::*;

    #[track_caller]
    fn check(assignor: Assignor, members: &[SubscribedMember], counts: &[(&str, i32)], expect: &str) {
        assert_eq!(formatted(&assignor.assign(members, &topics(counts))), expect);
    }

    #[test]
    fn range_assignor_splits_each_topic_into_contiguous_ranges() {
        let two = [subscribed_member("b", &["t", "u"]), subscribed_member("a", &["t", "u"])];
        check(Assignor::Range, &two, &[("t", 3), ("u", 3)], "a=t-0 t-1 u-0 u-1; b=t-2 u-2");
        check(Assignor::Range, &two, &[("t", 1)], "a=t-0; b=");
        check(Assignor::Range, &two, &[("v", 2)], "a=; b=");
        let uneven = [subscribed_member("a", &["t"]), subscribed_member("b", &["t", "u"])];
        check(Assignor::Range, &uneven, &[("t", 2), ("u", 2)], "a=t-0; b=t-1 u-0 u-1");
    }

    #[test]
    fn round_robin_assignor_cycles_over_subscribed_members() {
        let two = [subscribed_member("a", &["t", "u"]), subscribed_member("b", &["t", "u"])];
        check(Assignor::RoundRobin, &two, &[("t", 3), ("u", 3)], "a=t-0 t-2 u-1; b=t-1 u-0 u-2");
        let uneven = [subscribed_member("a", &["t"]), subscribed_member("b", &["t", "u"])];
        check(Assignor::RoundRobin, &uneven, &[("t", 1), ("u", 2), ("v", 1)], "a=t-0; b=u-0 u-1");
    }

    #[test]
    fn static_members_are_assigned_first() {
        let static_member = SubscribedMember { instance_id: Some("z".to_owned()), ..subscribed_member("y", &["t"]) };
        check(Assignor::Range, &[subscribed_member("a", &["t"]), static_member], &[("t", 1)], "a=; y=t-0");
    }

    #[test]
    fn assignor_names_round_trip_and_classes_need_their_package() {
        for assignor in Assignor::ALL {
            assert_eq!(Assignor::from_name(assignor.name()), Some(assignor));
        }
        assert_eq!(Assignor::from_class("org.apache.kafka.clients.consumer.StickyAssignor"), Some(Assignor::Sticky));
        assert_eq!(Assignor::from_class("StickyAssignor"), None);
    }
}
