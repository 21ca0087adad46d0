//! The state of a consumer's membership in its group, under the classic protocol. Pure.
//!
//! Eager members revoke all partitions before they rejoin; cooperative members (KIP-429) keep theirs until the new
//! assignment takes some away, and then rejoin once more. A consumer is cooperative if all of its assignors are.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::ConsumerError;
use super::assignment::{Assignments, SubscribedMember};
use super::assignors::Assignor;
use ottla_wire::codec::{self, Str};
use ottla_wire::protocol::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, TopicPartition as Partitions,
};
use ottla_wire::types::{ErrorCode, InOrder as _, TopicName, TopicPartition};

/// The version of the consumer protocol that is written.
const VERSION: i16 = 3;
/// The generation of a consumer that is not a member.
pub const NO_GENERATION: i32 = -1;

#[derive(Debug)]
pub struct Membership {
    assignors: Vec<Assignor>,
    /// Empty until the coordinator has assigned one.
    pub member_id: String,
    pub generation: i32,
    must_join: bool,
    owned: BTreeSet<TopicPartition>,
}

/// What an error code means for the membership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// Retry after a backoff.
    Retry,
    /// Find the coordinator again, then retry.
    FindCoordinator,
    /// A rebalance is in progress: rejoin. The partitions stay assigned until then.
    Rejoin,
    /// The member was removed from its generation: its partitions are lost, and it has to join as new.
    MembershipLost,
    /// Retrying does not help.
    Fatal,
}

/// The difference between the previous and the new assignment.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Change {
    pub revoked: Vec<TopicPartition>,
    pub assigned: Vec<TopicPartition>,
}

impl Consequence {
    /// Classifies the error code of a join, sync, heartbeat or commit.
    pub fn of(code: ErrorCode) -> Consequence {
        match code {
            ErrorCode::RebalanceInProgress => Consequence::Rejoin,
            ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration => Consequence::MembershipLost,
            ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable => Consequence::FindCoordinator,
            ErrorCode::FencedInstanceId => Consequence::Fatal,
            code if code.is_retriable() => Consequence::Retry,
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

    /// Requests a rejoin: the topics changed, or a rebalance is in progress.
    pub fn rejoin(&mut self) {
        self.must_join = true;
    }

    /// Starts a join; returns the partitions to revoke first. If the join fails, call [`Membership::rejoin`].
    pub fn revoke_before_joining(&mut self, topics: &BTreeSet<TopicName>) -> Vec<TopicPartition> {
        self.must_join = false;
        let cooperative = self.is_cooperative();
        let (kept, revoked) =
            std::mem::take(&mut self.owned).into_iter().partition(|it| cooperative && topics.contains(&it.topic));
        self.owned = kept;
        Vec::from_iter::<BTreeSet<_>>(revoked)
    }

    /// Leaves the generation after the coordinator rejected the member; returns the partitions that it owned. The
    /// member id stays valid if only the generation was rejected.
    pub fn lose_membership(&mut self, code: ErrorCode) -> Vec<TopicPartition> {
        if code == ErrorCode::UnknownMemberId {
            self.member_id.clear();
        }
        self.generation = NO_GENERATION;
        self.must_join = true;
        std::mem::take(&mut self.owned).into_iter().collect()
    }

    /// Encodes this member's subscription for each assignor.
    pub fn protocols(&self, topics: &BTreeSet<TopicName>) -> Result<Vec<(String, Bytes)>, ConsumerError> {
        let subscription = |assignor: &Assignor| ConsumerProtocolSubscription {
            topics: topics.iter().map(|topic| Str::from(&**topic)).collect(),
            // Sticky assignors of older consumers read the generation from here.
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

    /// Records that the coordinator added this member to a generation.
    pub fn joined(&mut self, member_id: &str, generation: i32) {
        member_id.clone_into(&mut self.member_id);
        self.generation = generation;
    }

    /// Applies a new assignment. A cooperative member that has to revoke partitions rejoins after that.
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

/// Decodes a member's subscription.
pub fn decode_subscription(
    id: &str,
    instance_id: Option<&str>,
    metadata: &Bytes,
) -> Result<SubscribedMember, ConsumerError> {
    let subscription: ConsumerProtocolSubscription = read(metadata, "subscription")?;
    Ok(SubscribedMember {
        id: id.to_owned(),
        instance_id: instance_id.map(str::to_owned),
        topics: subscription.topics.iter().map(|topic| TopicName::from(&**topic)).collect(),
        owned: flatten(&subscription.owned_partitions).collect(),
        generation: subscription.generation_id,
    })
}

/// Encodes the leader's assignments for SyncGroup.
pub fn encode_assignments(assignments: &Assignments) -> Result<Vec<(String, Bytes)>, ConsumerError> {
    let written = |(id, partitions): (&String, &Vec<TopicPartition>)| {
        let assignment = ConsumerProtocolAssignment { assigned_partitions: by_topic(partitions), user_data: None };
        let bytes = codec::write_prefixed(VERSION, &assignment, VERSION);
        Ok((id.clone(), bytes.map_err(|error| unreadable("assignment", &error))?))
    };
    assignments.iter().map(written).collect()
}

/// Decodes a member's assignment; no bytes mean no partitions.
pub fn decode_assignment(bytes: &Bytes) -> Result<BTreeSet<TopicPartition>, ConsumerError> {
    if bytes.is_empty() {
        return Ok(BTreeSet::new());
    }
    let assignment: ConsumerProtocolAssignment = read(bytes, "assignment")?;
    Ok(flatten(&assignment.assigned_partitions).in_order())
}

/// Decodes a message of any version: newer versions only append fields.
fn read<M: codec::Message>(bytes: &Bytes, what: &'static str) -> Result<M, ConsumerError> {
    let mut reader = codec::Reader::new(bytes.clone());
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

fn flatten(topics: &[Partitions]) -> impl Iterator<Item = TopicPartition> + '_ {
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
    fn eager_member_revokes_all_partitions_before_rejoining() {
        let mut member = Membership::new(&[Assignor::Range, Assignor::CooperativeSticky]);
        assert!(member.must_join());
        assert_eq!(member.revoke_before_joining(&topics()), []);
        member.joined("m", 1);
        assert_eq!(member.assigned(set(&[0, 1])), Change { revoked: vec![], assigned: list(&[0, 1]) });
        assert!(!member.must_join());
        member.rejoin();
        assert_eq!(member.revoke_before_joining(&topics()), list(&[0, 1]));
        assert_eq!(member.assigned(set(&[1])), Change { revoked: vec![], assigned: list(&[1]) });
        assert!(!member.must_join());
    }

    #[test]
    fn cooperative_member_revokes_only_reassigned_partitions_and_rejoins() {
        let mut member = Membership::new(&[Assignor::CooperativeSticky]);
        member.joined("m", 1);
        member.assigned(set(&[0, 1]));
        assert_eq!(member.revoke_before_joining(&topics()), []);
        assert_eq!(member.assigned(set(&[1])), Change { revoked: list(&[0]), assigned: vec![] });
        assert!(member.must_join());
        assert_eq!(member.revoke_before_joining(&topics()), []);
        assert_eq!(member.assigned(set(&[1])), Change::default());
        assert!(!member.must_join());
        assert_eq!(member.revoke_before_joining(&BTreeSet::new()), list(&[1]));
    }

    #[test]
    fn topic_change_during_a_join_causes_another_join() {
        let mut member = Membership::new(&[Assignor::Range]);
        member.revoke_before_joining(&topics());
        member.rejoin();
        member.joined("m", 1);
        member.assigned(set(&[0]));
        assert!(member.must_join());
    }

    #[test]
    fn member_with_rejected_id_or_generation_loses_partitions_and_rejoins() {
        let check = |code, id| {
            let mut member = Membership::new(&[Assignor::Range]);
            member.joined("m", 1);
            member.assigned(set(&[0]));
            assert_eq!(Consequence::of(code), Consequence::MembershipLost);
            assert_eq!(member.lose_membership(code), list(&[0]));
            assert_eq!((member.member_id.as_str(), member.is_in_group(), member.must_join()), (id, false, true));
        };
        check(ErrorCode::UnknownMemberId, "");
        check(ErrorCode::IllegalGeneration, "m");
    }

    #[test]
    fn error_codes_map_to_consequences() {
        let check = |code, expect| assert_eq!(Consequence::of(code), expect);
        check(ErrorCode::RebalanceInProgress, Consequence::Rejoin);
        check(ErrorCode::NotCoordinator, Consequence::FindCoordinator);
        check(ErrorCode::CoordinatorLoadInProgress, Consequence::Retry);
        check(ErrorCode::FencedInstanceId, Consequence::Fatal);
        check(ErrorCode::InconsistentGroupProtocol, Consequence::Fatal);
    }

    #[test]
    fn subscriptions_and_assignments_round_trip() {
        let mut member = Membership::new(&[Assignor::Range, Assignor::CooperativeSticky]);
        member.joined("m", 7);
        member.assigned(set(&[2, 3]));
        for (_, bytes) in member.protocols(&topics()).unwrap() {
            let read = decode_subscription("m", Some("i"), &bytes).unwrap();
            assert_eq!((read.topics, read.owned, read.generation), (vec!["t".into()], list(&[2, 3]), 7));
        }
        let assignments = Assignments::from([("m".to_owned(), list(&[0, 5]))]);
        let [(id, bytes)] = &encode_assignments(&assignments).unwrap()[..] else { panic!("one member") };
        assert_eq!((id.as_str(), decode_assignment(bytes).unwrap()), ("m", set(&[0, 5])));
        assert_eq!(decode_assignment(&Bytes::new()).unwrap(), set(&[]));
        assert!(decode_assignment(&Bytes::from_static(b"\0\x01\0")).is_err());
        // A future version is read as the newest known one.
        assert!(decode_assignment(&Bytes::from_static(b"\0\x09\0\0\0\0\xff\xff\xff\xff")).is_ok());
    }
}
