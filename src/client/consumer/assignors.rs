//! Who reads which partitions: what a group's leader decides. Pure.
//!
//! Range and round-robin give what Java's `RangeAssignor` and `RoundRobinAssignor` give, member by member; racks, which
//! one machine has none of, are left out. The sticky one (see `sticky`) keeps what members have as far as balance lets it.

use std::collections::BTreeMap;

use super::sticky;
use ottla_wire::types::{InOrder as _, TopicName, TopicPartition, sort_by_key};

/// A way to share partitions out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assignor {
    Range,
    RoundRobin,
    Sticky,
    CooperativeSticky,
}

/// A member as its leader sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Candidate {
    pub id: String,
    pub instance_id: Option<String>,
    pub topics: Vec<TopicName>,
    /// What it has from the generation before.
    pub owned: Vec<TopicPartition>,
    /// The generation in which it got them; -1 if it didn't say.
    pub generation: i32,
}

/// By member id, the partitions it gets; every candidate has an entry.
pub type Shares = BTreeMap<String, Vec<TopicPartition>>;

impl Assignor {
    const ALL: [Assignor; 4] = [Assignor::Range, Assignor::RoundRobin, Assignor::Sticky, Assignor::CooperativeSticky];

    /// The one that Java's class of this name is, with its package.
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

    /// Its name in the group protocol.
    pub fn name(self) -> &'static str {
        match self {
            Assignor::Range => "range",
            Assignor::RoundRobin => "roundrobin",
            Assignor::Sticky => "sticky",
            Assignor::CooperativeSticky => "cooperative-sticky",
        }
    }

    /// The one of that name in the group protocol.
    pub fn from_name(name: &str) -> Option<Assignor> {
        Assignor::ALL.into_iter().find(|assignor| assignor.name() == name)
    }

    /// Whether members keep reading what they have while they join again (KIP-429).
    pub fn is_cooperative(self) -> bool {
        self == Assignor::CooperativeSticky
    }

    /// Shares the partitions of these topics (a topic's number of them) out.
    pub fn assign(self, candidates: &[Candidate], partitions: &BTreeMap<TopicName, i32>) -> Shares {
        let mut candidates: Vec<&Candidate> = candidates.iter().collect();
        // Static members first, by their names, so that they keep their places when their ids change.
        sort_by_key(&mut candidates, |candidate| {
            (candidate.instance_id.is_none(), candidate.instance_id.as_deref(), candidate.id.as_str())
        });
        let shares = candidates.iter().map(|candidate| (candidate.id.clone(), Vec::new())).in_order();
        match self {
            Assignor::Range => range(&candidates, partitions, shares),
            Assignor::RoundRobin => round_robin(&candidates, partitions, shares),
            Assignor::Sticky => sticky::assign(&candidates, partitions, shares),
            Assignor::CooperativeSticky => {
                let shares = sticky::assign(&candidates, partitions, shares);
                sticky::hold_back(&candidates, shares)
            }
        }
    }
}

/// All partitions, in order.
pub fn partitions_of(topic: &TopicName, count: i32) -> impl Iterator<Item = TopicPartition> + use<> {
    let topic = topic.clone();
    (0..count).map(move |partition| TopicPartition::new(topic.clone(), partition))
}

/// Topic by topic, a range for each member that reads it; the first ones get one more if it doesn't come out even.
fn range(candidates: &[&Candidate], partitions: &BTreeMap<TopicName, i32>, mut shares: Shares) -> Shares {
    for (topic, count) in partitions {
        let readers: Vec<_> = candidates.iter().filter(|candidate| candidate.topics.contains(topic)).collect();
        let Ok(number) = i32::try_from(readers.len()) else { continue };
        if number == 0 {
            continue;
        }
        let (each, more) = (count / number, count % number);
        let mut all = partitions_of(topic, *count);
        for (reader, place) in readers.iter().zip(0..) {
            let quota = usize::try_from(each + i32::from(place < more)).unwrap_or(0);
            shares.entry(reader.id.clone()).or_default().extend(all.by_ref().take(quota));
        }
    }
    shares
}

/// Partition by partition, the next member that reads the topic.
fn round_robin(candidates: &[&Candidate], partitions: &BTreeMap<TopicName, i32>, mut shares: Shares) -> Shares {
    let mut turn = candidates.iter().cycle();
    for (topic, count) in partitions {
        if !candidates.iter().any(|candidate| candidate.topics.contains(topic)) {
            continue;
        }
        for partition in partitions_of(topic, *count) {
            if let Some(reader) = turn.find(|candidate| candidate.topics.contains(topic)) {
                shares.entry(reader.id.clone()).or_default().push(partition);
            }
        }
    }
    shares
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn candidate(id: &str, topics: &[&str]) -> Candidate {
        let topics = topics.iter().map(|topic| TopicName::from(*topic)).collect();
        Candidate { id: id.to_owned(), topics, generation: -1, ..Candidate::default() }
    }

    pub fn topics(counts: &[(&str, i32)]) -> BTreeMap<TopicName, i32> {
        counts.iter().map(|(topic, count)| (TopicName::from(*topic), *count)).collect()
    }

    /// `member=topic-0 topic-1; member=…`
    pub fn written(shares: &Shares) -> String {
        let one = |(id, share): (&String, &Vec<TopicPartition>)| {
            let share: Vec<_> = share.iter().map(TopicPartition::to_string).collect();
            format!("{id}={}", share.join(" "))
        };
        shares.iter().map(one).collect::<Vec<_>>().join("; ")
    }

    #[track_caller]
    fn check(assignor: Assignor, candidates: &[Candidate], counts: &[(&str, i32)], expect: &str) {
        assert_eq!(written(&assignor.assign(candidates, &topics(counts))), expect);
    }

    #[test]
    fn ranges() {
        let two = [candidate("b", &["t", "u"]), candidate("a", &["t", "u"])];
        check(Assignor::Range, &two, &[("t", 3), ("u", 3)], "a=t-0 t-1 u-0 u-1; b=t-2 u-2");
        check(Assignor::Range, &two, &[("t", 1)], "a=t-0; b=");
        check(Assignor::Range, &two, &[("v", 2)], "a=; b=");
        let uneven = [candidate("a", &["t"]), candidate("b", &["t", "u"])];
        check(Assignor::Range, &uneven, &[("t", 2), ("u", 2)], "a=t-0; b=t-1 u-0 u-1");
    }

    #[test]
    fn round_robins() {
        let two = [candidate("a", &["t", "u"]), candidate("b", &["t", "u"])];
        check(Assignor::RoundRobin, &two, &[("t", 3), ("u", 3)], "a=t-0 t-2 u-1; b=t-1 u-0 u-2");
        let uneven = [candidate("a", &["t"]), candidate("b", &["t", "u"])];
        check(Assignor::RoundRobin, &uneven, &[("t", 1), ("u", 2), ("v", 1)], "a=t-0; b=u-0 u-1");
    }

    #[test]
    fn static_members_come_first() {
        let named = Candidate { instance_id: Some("z".to_owned()), ..candidate("y", &["t"]) };
        check(Assignor::Range, &[candidate("a", &["t"]), named], &[("t", 1)], "a=; y=t-0");
    }

    #[test]
    fn names() {
        for assignor in Assignor::ALL {
            assert_eq!(Assignor::from_name(assignor.name()), Some(assignor));
        }
        assert_eq!(Assignor::from_class("org.apache.kafka.clients.consumer.StickyAssignor"), Some(Assignor::Sticky));
        assert_eq!(Assignor::from_class("StickyAssignor"), None);
    }
}
