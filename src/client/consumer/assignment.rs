//! The input and output of assignors: members, and the partitions assigned to them. Pure.

use std::collections::BTreeMap;

use ottla_wire::types::{TopicName, TopicPartition};

/// A member of the group, with its subscription, as the group's leader gets it from JoinGroup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscribedMember {
    pub id: String,
    pub instance_id: Option<String>,
    pub topics: Vec<TopicName>,
    /// The partitions that the member owns from an earlier generation.
    pub owned: Vec<TopicPartition>,
    /// The generation in which these partitions were assigned to it; -1 if unknown.
    pub generation: i32,
}

/// The assigned partitions by member id; every member has an entry.
pub type Assignments = BTreeMap<String, Vec<TopicPartition>>;

/// All partitions of a topic, in ascending order.
pub fn partitions_of(topic: &TopicName, count: i32) -> impl Iterator<Item = TopicPartition> + use<> {
    let topic = topic.clone();
    (0..count).map(move |partition| TopicPartition::new(topic.clone(), partition))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn subscribed_member(id: &str, topics: &[&str]) -> SubscribedMember {
        let topics = topics.iter().map(|topic| TopicName::from(*topic)).collect();
        SubscribedMember { id: id.to_owned(), topics, generation: -1, ..SubscribedMember::default() }
    }

    pub fn topics(counts: &[(&str, i32)]) -> BTreeMap<TopicName, i32> {
        counts.iter().map(|(topic, count)| (TopicName::from(*topic), *count)).collect()
    }

    /// Formats assignments as `member=topic-0 topic-1; member=…`.
    pub fn formatted(assignments: &Assignments) -> String {
        let one = |(id, partitions): (&String, &Vec<TopicPartition>)| {
            let partitions: Vec<_> = partitions.iter().map(TopicPartition::to_string).collect();
            format!("{id}={}", partitions.join(" "))
        };
        assignments.iter().map(one).collect::<Vec<_>>().join("; ")
    }
}
