//! A consumer's membership in its group, as the classic protocol has it. Pure: told what came, it says what follows.
//!
//! Eager members give everything up before they join again; cooperative ones (KIP-429) keep what they have until the
//! leader says otherwise, and then join once more. A consumer is cooperative if all of its assignors are.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::ConsumerError;
use super::assignors::{Assignor, Candidate, Shares};
use ottla_wire::codec::{self, Str};
use ottla_wire::protocol::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, TopicPartition as Partitions,
};
use ottla_wire::types::{ErrorCode, InOrder as _, TopicName, TopicPartition};

/// The consumer protocol's version that is written.
const VERSION: i16 = 3;
/// "In no generation".
pub const NO_GENERATION: i32 = -1;

#[derive(Debug)]
pub struct Membership {
    assignors: Vec<Assignor>,
    /// Empty until the coordinator has given one.
    pub member_id: String,
    pub generation: i32,
    must_join: bool,
    owned: BTreeSet<TopicPartition>,
}

/// What an error code means for the membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// The same again in a while.
    Again,
    /// The same again, once it is known who coordinates.
    FindCoordinator,
    /// A rebalance is on; what is owned is owned until then.
    Rejoin,
    /// The group goes on without this member: what it owned is lost, and it has to join anew.
    Lost,
    /// Nothing that trying again would mend.
    Fatal,
}

/// What a new assignment changes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Change {
    pub revoked: Vec<TopicPartition>,
    pub assigned: Vec<TopicPartition>,
}

impl Consequence {
    /// What follows from a refused join, sync, heartbeat or commit.
    pub fn of(code: ErrorCode) -> Consequence {
        match code {
            ErrorCode::RebalanceInProgress => Consequence::Rejoin,
            ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration => Consequence::Lost,
            ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable => Consequence::FindCoordinator,
            ErrorCode::FencedInstanceId => Consequence::Fatal,
            code if code.is_retriable() => Consequence::Again,
            _ => Consequence::Fatal,
        }
    }
}

impl Membership {
    pub fn new(assignors: &[Assignor]) -> Membership {
        Membership {
            assignors: assignors.to_vec(),
            member_id: String::new(),
            generation: NO_GENERATION,
            must_join: true,
            owned: BTreeSet::new(),
        }
    }

    pub fn must_join(&self) -> bool {
        self.must_join
    }

    pub fn is_in_group(&self) -> bool {
        self.generation != NO_GENERATION
    }

    /// The topics changed, or a rebalance is on.
    pub fn rejoin(&mut self) {
        self.must_join = true;
    }

    /// Starts to join; returns what has to be given up before that. If it fails, [`Membership::rejoin`].
    pub fn give_up_before_joining(&mut self, topics: &BTreeSet<TopicName>) -> Vec<TopicPartition> {
        self.must_join = false;
        let cooperative = self.is_cooperative();
        let (kept, given_up) =
            std::mem::take(&mut self.owned).into_iter().partition(|it| cooperative && topics.contains(&it.topic));
        self.owned = kept;
        Vec::from_iter::<BTreeSet<_>>(given_up)
    }

    /// The group goes on without this member; returns what it owned. One of an old generation keeps its id.
    pub fn lose(&mut self, code: ErrorCode) -> Vec<TopicPartition> {
        if code == ErrorCode::UnknownMemberId {
            self.member_id.clear();
        }
        self.generation = NO_GENERATION;
        self.must_join = true;
        std::mem::take(&mut self.owned).into_iter().collect()
    }

    /// By assignor, what the leader is told.
    pub fn protocols(&self, topics: &BTreeSet<TopicName>) -> Result<Vec<(String, Bytes)>, ConsumerError> {
        let subscription = |assignor: &Assignor| ConsumerProtocolSubscription {
            topics: topics.iter().map(|topic| Str::from(&**topic)).collect(),
            // Where sticky assignors of older consumers look for it.
            user_data: assignor.is_cooperative().then(|| Bytes::copy_from_slice(&self.generation.to_be_bytes())),
            owned_partitions: by_topic(&self.owned),
            generation_id: self.generation,
            rack_id: None,
        };
        let written = |assignor: &Assignor| {
            let bytes = codec::write_prefixed(VERSION, &subscription(assignor), VERSION);
            Ok((assignor.name().to_owned(), bytes.map_err(|error| unreadable("subscription", &error))?))
        };
        self.assignors.iter().map(written).collect()
    }

    /// The coordinator took this member into a generation.
    pub fn joined(&mut self, member_id: &str, generation: i32) {
        member_id.clone_into(&mut self.member_id);
        self.generation = generation;
    }

    /// The leader's word. A cooperative member that has to give something up joins again after that.
    pub fn assigned(&mut self, partitions: BTreeSet<TopicPartition>) -> Change {
        let change = Change {
            revoked: self.owned.difference(&partitions).cloned().collect(),
            assigned: partitions.difference(&self.owned).cloned().collect(),
        };
        self.must_join |= !change.revoked.is_empty();
        self.owned = partitions;
        change
    }

    fn is_cooperative(&self) -> bool {
        self.assignors.iter().all(|assignor| assignor.is_cooperative())
    }
}

/// A member as it told its leader.
pub fn candidate(id: &str, instance_id: Option<&str>, told: &Bytes) -> Result<Candidate, ConsumerError> {
    let subscription: ConsumerProtocolSubscription = read(told, "subscription")?;
    Ok(Candidate {
        id: id.to_owned(),
        instance_id: instance_id.map(str::to_owned),
        topics: subscription.topics.iter().map(|topic| TopicName::from(&**topic)).collect(),
        owned: flat(&subscription.owned_partitions).collect(),
        generation: subscription.generation_id,
    })
}

/// What the leader hands in.
pub fn assignments(shares: &Shares) -> Result<Vec<(String, Bytes)>, ConsumerError> {
    let written = |(id, share): (&String, &Vec<TopicPartition>)| {
        let assignment = ConsumerProtocolAssignment { assigned_partitions: by_topic(share), user_data: None };
        let bytes = codec::write_prefixed(VERSION, &assignment, VERSION);
        Ok((id.clone(), bytes.map_err(|error| unreadable("assignment", &error))?))
    };
    shares.iter().map(written).collect()
}

/// What a member is told; no bytes are no partitions.
pub fn assignment(told: &Bytes) -> Result<BTreeSet<TopicPartition>, ConsumerError> {
    if told.is_empty() {
        return Ok(BTreeSet::new());
    }
    let assignment: ConsumerProtocolAssignment = read(told, "assignment")?;
    Ok(flat(&assignment.assigned_partitions).in_order())
}

/// Reads a message of any version: newer ones only append.
fn read<M: codec::Message>(told: &Bytes, what: &'static str) -> Result<M, ConsumerError> {
    let mut reader = codec::Reader::new(told.clone());
    let version = codec::read_prefix(&mut reader).map_err(|error| unreadable(what, &error))?;
    M::read(&mut reader, version.min(VERSION)).map_err(|error| unreadable(what, &error))
}

fn unreadable(what: &'static str, why: &impl ToString) -> ConsumerError {
    ConsumerError::Protocol { what, why: why.to_string() }
}

fn by_topic<'a>(partitions: impl IntoIterator<Item = &'a TopicPartition>) -> Vec<Partitions> {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for partition in partitions {
        topics.entry(&partition.topic).or_default().push(partition.partition);
    }
    topics.into_iter().map(|(topic, partitions)| Partitions { topic: Str::from(topic), partitions }).collect()
}

fn flat(topics: &[Partitions]) -> impl Iterator<Item = TopicPartition> + '_ {
    topics.iter().flat_map(|topic| {
        let name = TopicName::from(&*topic.topic);
        topic.partitions.iter().map(move |partition| TopicPartition::new(name.clone(), *partition))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(partitions: &[i32]) -> BTreeSet<TopicPartition> {
        partitions.iter().map(|partition| TopicPartition::new("t", *partition)).collect()
    }

    fn list(partitions: &[i32]) -> Vec<TopicPartition> {
        set(partitions).into_iter().collect()
    }

    fn topics() -> BTreeSet<TopicName> {
        BTreeSet::from(["t".into()])
    }

    #[test]
    fn eager_members_give_everything_up() {
        let mut member = Membership::new(&[Assignor::Range, Assignor::CooperativeSticky]);
        assert!(member.must_join());
        assert_eq!(member.give_up_before_joining(&topics()), []);
        member.joined("m", 1);
        assert_eq!(member.assigned(set(&[0, 1])), Change { revoked: vec![], assigned: list(&[0, 1]) });
        assert!(!member.must_join());
        member.rejoin();
        assert_eq!(member.give_up_before_joining(&topics()), list(&[0, 1]));
        assert_eq!(member.assigned(set(&[1])), Change { revoked: vec![], assigned: list(&[1]) });
        assert!(!member.must_join());
    }

    #[test]
    fn cooperative_members_give_up_what_they_must_and_join_again() {
        let mut member = Membership::new(&[Assignor::CooperativeSticky]);
        member.joined("m", 1);
        member.assigned(set(&[0, 1]));
        assert_eq!(member.give_up_before_joining(&topics()), []);
        assert_eq!(member.assigned(set(&[1])), Change { revoked: list(&[0]), assigned: vec![] });
        assert!(member.must_join());
        assert_eq!(member.give_up_before_joining(&topics()), []);
        assert_eq!(member.assigned(set(&[1])), Change::default());
        assert!(!member.must_join());
        assert_eq!(member.give_up_before_joining(&BTreeSet::new()), list(&[1]));
    }

    #[test]
    fn topics_that_change_while_it_joins_make_it_join_again() {
        let mut member = Membership::new(&[Assignor::Range]);
        member.give_up_before_joining(&topics());
        member.rejoin();
        member.joined("m", 1);
        member.assigned(set(&[0]));
        assert!(member.must_join());
    }

    #[test]
    fn a_lost_member_joins_anew() {
        let check = |code, id| {
            let mut member = Membership::new(&[Assignor::Range]);
            member.joined("m", 1);
            member.assigned(set(&[0]));
            assert_eq!(Consequence::of(code), Consequence::Lost);
            assert_eq!(member.lose(code), list(&[0]));
            assert_eq!((member.member_id.as_str(), member.is_in_group(), member.must_join()), (id, false, true));
        };
        check(ErrorCode::UnknownMemberId, "");
        check(ErrorCode::IllegalGeneration, "m");
    }

    #[test]
    fn codes() {
        let check = |code, expect| assert_eq!(Consequence::of(code), expect);
        check(ErrorCode::RebalanceInProgress, Consequence::Rejoin);
        check(ErrorCode::NotCoordinator, Consequence::FindCoordinator);
        check(ErrorCode::CoordinatorLoadInProgress, Consequence::Again);
        check(ErrorCode::FencedInstanceId, Consequence::Fatal);
        check(ErrorCode::InconsistentGroupProtocol, Consequence::Fatal);
    }

    #[test]
    fn what_members_and_leaders_tell_comes_back() {
        let mut member = Membership::new(&[Assignor::Range, Assignor::CooperativeSticky]);
        member.joined("m", 7);
        member.assigned(set(&[2, 3]));
        for (_, told) in member.protocols(&topics()).unwrap() {
            let read = candidate("m", Some("i"), &told).unwrap();
            assert_eq!((read.topics, read.owned, read.generation), (vec!["t".into()], list(&[2, 3]), 7));
        }
        let shares = Shares::from([("m".to_owned(), list(&[0, 5]))]);
        let [(id, told)] = &assignments(&shares).unwrap()[..] else { panic!("one member") };
        assert_eq!((id.as_str(), assignment(told).unwrap()), ("m", set(&[0, 5])));
        assert_eq!(assignment(&Bytes::new()).unwrap(), set(&[]));
        assert!(assignment(&Bytes::from_static(b"\0\x01\0")).is_err());
        // A version to come is read as the newest known.
        assert!(assignment(&Bytes::from_static(b"\0\x09\0\0\0\0\xff\xff\xff\xff")).is_ok());
    }
}
