//! The sticky assignor: balanced, and with as few partitions changing hands as that allows.
//!
//! Balanced means that no member could take a partition from one that has two or more than it. What the outcome is
//! beyond that differs from Java's, which only the leader of a group would notice.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::assignors::{Candidate, Shares, partitions_of};
use ottla_wire::types::{InOrder as _, TopicName, TopicPartition, sort_by, sort_by_key};

/// Shares partitions out among `candidates`, which are in their order of precedence.
pub fn assign(candidates: &[&Candidate], partitions: &BTreeMap<TopicName, i32>, mut shares: Shares) -> Shares {
    let mut free: BTreeSet<TopicPartition> =
        partitions.iter().flat_map(|(topic, count)| partitions_of(topic, *count)).in_order();
    for (partition, owner) in owners(candidates) {
        if free.remove(&partition) {
            shares.entry(owner.to_owned()).or_default().push(partition);
        }
    }
    for partition in free {
        if let Some(reader) = least_loaded(candidates, &shares, &partition) {
            shares.entry(reader.to_owned()).or_default().push(partition);
        }
    }
    balance(candidates, &mut shares);
    shares.values_mut().for_each(|share| sort_by(share, Ord::cmp));
    shares
}

/// Takes out what another member still reads: it has to give that up first, and gets everybody to join again then
/// (KIP-429).
pub fn hold_back(candidates: &[&Candidate], mut shares: Shares) -> Shares {
    let owners = owners(candidates);
    for (id, share) in &mut shares {
        share.retain(|partition| owners.get(partition).is_none_or(|owner| owner == id));
    }
    shares
}

/// Who has which partition. Of two that say so, the one of the later generation has; in the same one, neither.
fn owners<'a>(candidates: &[&'a Candidate]) -> BTreeMap<TopicPartition, &'a str> {
    let mut claims: HashMap<&TopicPartition, (i32, Option<&'a str>)> = HashMap::new();
    for candidate in candidates {
        let owned = candidate.owned.iter().filter(|partition| candidate.topics.contains(&partition.topic));
        for partition in owned {
            let claim = claims.entry(partition).or_insert((i32::MIN, None));
            match candidate.generation.cmp(&claim.0) {
                std::cmp::Ordering::Greater => *claim = (candidate.generation, Some(&candidate.id)),
                std::cmp::Ordering::Equal => claim.1 = None,
                std::cmp::Ordering::Less => {}
            }
        }
    }
    claims.into_iter().filter_map(|(partition, (_, owner))| Some((partition.clone(), owner?))).in_order()
}

fn load(shares: &Shares, candidate: &Candidate) -> usize {
    shares.get(&candidate.id).map_or(0, Vec::len)
}

/// The reader of a partition's topic that has least; the first of several.
fn least_loaded<'a>(candidates: &[&'a Candidate], shares: &Shares, partition: &TopicPartition) -> Option<&'a str> {
    let readers = candidates.iter().filter(|candidate| candidate.topics.contains(&partition.topic));
    readers.min_by_key(|candidate| load(shares, candidate)).map(|candidate| candidate.id.as_str())
}

/// Moves one partition at a time from who has at least two more to who has least. Each move makes the sum of squares of
/// the loads smaller, so it ends.
fn balance(candidates: &[&Candidate], shares: &mut Shares) {
    while let Some((from, at, to)) = next_move(candidates, shares) {
        let Some(share) = shares.get_mut(&from).filter(|share| at < share.len()) else { return };
        let partition = share.remove(at);
        shares.entry(to).or_default().push(partition);
    }
}

fn next_move(candidates: &[&Candidate], shares: &Shares) -> Option<(String, usize, String)> {
    let mut loaded: Vec<_> = candidates.iter().map(|candidate| (load(shares, candidate), *candidate)).collect();
    sort_by_key(&mut loaded, |(load, _)| std::cmp::Reverse(*load));
    for (load_here, candidate) in loaded {
        // From the end, so that what a member has had longest stays.
        let share = shares.get(&candidate.id).map_or(&[][..], Vec::as_slice);
        for (at, partition) in share.iter().enumerate().rev() {
            let Some(reader) = least_loaded(candidates, shares, partition) else { continue };
            if shares.get(reader).map_or(0, Vec::len) + 2 <= load_here {
                return Some((candidate.id.clone(), at, reader.to_owned()));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::assignors::Assignor;
    use super::super::assignors::tests::{candidate, topics, written};
    use super::*;

    fn owning(id: &str, reads: &[&str], owned: &[(&str, i32)], generation: i32) -> Candidate {
        let owned = owned.iter().map(|(topic, partition)| TopicPartition::new(*topic, *partition)).collect();
        Candidate { owned, generation, ..candidate(id, reads) }
    }

    #[track_caller]
    fn check(candidates: &[Candidate], counts: &[(&str, i32)], sticky: &str, cooperative: &str) {
        let topics = topics(counts);
        assert_eq!(written(&Assignor::Sticky.assign(candidates, &topics)), sticky);
        assert_eq!(written(&Assignor::CooperativeSticky.assign(candidates, &topics)), cooperative);
    }

    #[test]
    fn new_members_share_evenly() {
        let expect = "a=t-0 t-2; b=t-1 t-3";
        check(&[candidate("a", &["t"]), candidate("b", &["t"])], &[("t", 4)], expect, expect);
    }

    #[test]
    fn a_newcomer_gets_what_is_too_much() {
        let candidates = [owning("a", &["t"], &[("t", 0), ("t", 1), ("t", 2), ("t", 3)], 5), candidate("b", &["t"])];
        // What a still reads, b gets only when a has given it up.
        check(&candidates, &[("t", 4)], "a=t-0 t-1; b=t-2 t-3", "a=t-0 t-1; b=");
    }

    #[test]
    fn what_a_leaver_had_is_shared_out() {
        let candidates = [owning("a", &["t"], &[("t", 2)], 5), owning("b", &["t"], &[("t", 1)], 5)];
        let expect = "a=t-0 t-2; b=t-1";
        check(&candidates, &[("t", 3)], expect, expect);
    }

    #[test]
    fn a_stale_claim_does_not_count() {
        let candidates = [owning("a", &["t"], &[("t", 0)], 5), owning("b", &["t"], &[("t", 0)], 6)];
        check(&candidates, &[("t", 1)], "a=; b=t-0", "a=; b=t-0");
        let candidates = [owning("a", &["t"], &[("t", 0)], 6), owning("b", &["t"], &[("t", 0)], 6)];
        check(&candidates, &[("t", 1)], "a=t-0; b=", "a=t-0; b=");
    }

    #[test]
    fn members_get_only_what_they_read() {
        let candidates = [owning("a", &["u"], &[("t", 0), ("u", 0)], 5), candidate("b", &["t", "u"])];
        let expect = "a=u-0 u-1; b=t-0 u-2";
        check(&candidates, &[("t", 1), ("u", 3)], expect, expect);
    }

    #[test]
    fn a_deleted_partition_is_nobodys() {
        let candidates = [owning("a", &["t"], &[("t", 0), ("t", 7)], 5)];
        check(&candidates, &[("t", 1)], "a=t-0", "a=t-0");
    }
}
