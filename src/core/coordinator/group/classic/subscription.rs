//! The topics that members of a consumer group subscribe to, the partitions that they own, and the ones assigned to
//! them.
//!
//! The coordinator reads only these parts of the consumer protocol's subscription (ConsumerProtocolSubscription.json:
//! version i16, topics, user data, and from version 1 on the owned partitions) and assignment
//! (ConsumerProtocolAssignment.json: version i16, the partitions of each topic). It ignores the bytes after them, so
//! they may be malformed or of a newer version.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::ClassicGroup;
use ottla_wire::codec::{Reader, Str};

/// Partitions by topic.
pub(super) type Partitions = BTreeSet<(Box<str>, i32)>;

impl ClassicGroup {
    /// The topics that the members subscribe to. `None` if the group is not a group of consumers, has not chosen a
    /// protocol, or has a member whose subscription cannot be read.
    pub(super) fn compute_subscribed(&self) -> Option<BTreeSet<Box<str>>> {
        if !self.is_consumer() {
            return None;
        }
        if self.members.is_empty() {
            return Some(BTreeSet::new());
        }
        self.protocol.as_ref()?;
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            topics.extend(subscribed_topics(member.metadata(self.protocol.as_ref()))?);
        }
        Some(topics)
    }
}

/// Reads the topics of a subscription; `None` if it is malformed.
fn subscribed_topics(subscription: Bytes) -> Option<BTreeSet<Box<str>>> {
    let mut r = Reader::new(subscription);
    if r.i16().ok()? < 0 { None } else { topics(&mut r) }
}

/// Reads the partitions that a member owns when it joins again; `None` if the subscription is malformed or of version
/// 0.
pub(super) fn owned_partitions(subscription: Bytes) -> Option<Partitions> {
    let mut r = Reader::new(subscription);
    if r.i16().ok()? < 1 {
        return None;
    }
    topics(&mut r)?;
    let user_data = r.length().ok()?.unwrap_or(0);
    r.bytes(user_data).ok()?;
    partitions(&mut r)
}

/// Reads the partitions that a member is assigned; `None` if the assignment is malformed. An assignment of no bytes is
/// empty.
pub(super) fn assigned_partitions(assignment: Bytes) -> Option<Partitions> {
    if assignment.is_empty() {
        return Some(Partitions::new());
    }
    let mut r = Reader::new(assignment);
    if r.i16().ok()? < 0 { None } else { partitions(&mut r) }
}

fn topics(r: &mut Reader) -> Option<BTreeSet<Box<str>>> {
    let count = r.length().ok()??;
    (0..count).map(|_| Some((&*topic(r)?).into())).collect()
}

fn partitions(r: &mut Reader) -> Option<Partitions> {
    let mut partitions = Partitions::new();
    for _ in 0..r.length().ok()?? {
        let topic = topic(r)?;
        for _ in 0..r.length().ok()?? {
            partitions.insert(((&*topic).into(), r.i32().ok()?));
        }
    }
    Some(partitions)
}

/// Reads a topic's name. [`Reader::text`] would replace bytes that are not UTF-8.
fn topic(r: &mut Reader) -> Option<Str> {
    let length = r.string_length().ok()??;
    Str::try_from(r.bytes(length).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(subscription: &'static [u8], expect: Option<&[&str]>) {
        let found = subscribed_topics(Bytes::from_static(subscription));
        assert_eq!(found, expect.map(|topics| topics.iter().map(|&t| t.into()).collect()));
    }

    #[test]
    fn subscribed_topics_are_read_from_every_version() {
        check(b"\0\0\0\0\0\x01\0\x06orders\xff\xff\xff\xff", Some(&["orders"]));
        check(b"\0\x03\0\0\0\x02\0\x01b\0\x01a\xff\xff\xff\xff\0\0\0\0\xff\xff\xff\xff\xff\xff", Some(&["a", "b"]));
        check(b"\x7f\xff\0\0\0\0", Some(&[]));
    }

    fn owned(subscription: &'static [u8]) -> Option<Partitions> {
        owned_partitions(Bytes::from_static(subscription))
    }

    fn assigned(assignment: &'static [u8]) -> Option<Partitions> {
        assigned_partitions(Bytes::from_static(assignment))
    }

    fn expected(partitions: &[(&str, i32)]) -> Partitions {
        partitions.iter().map(|&(topic, partition)| (topic.into(), partition)).collect()
    }

    #[test]
    fn owned_partitions_are_read_from_version_1_on() {
        let full = b"\0\x01\0\0\0\x01\0\x01t\0\0\0\x02xy\0\0\0\x01\0\x01t\0\0\0\x02\0\0\0\0\0\0\0\x03";
        assert_eq!(owned(full), Some(expected(&[("t", 0), ("t", 3)])));
        assert_eq!(owned(b"\0\x01\0\0\0\0\xff\xff\xff\xff\0\0\0\0"), Some(Partitions::new()));
        assert_eq!(owned(b"\0\0\0\0\0\0\xff\xff\xff\xff"), None);
        assert_eq!(owned(b"\0\x01\0\0\0\0\xff\xff\xff\xff"), None);
        assert_eq!(owned(&full[..full.len() - 1]), None);
    }

    #[test]
    fn assigned_partitions_are_read_unless_malformed() {
        let one = b"\0\0\0\0\0\x01\0\x01t\0\0\0\x01\0\0\0\x07\xff\xff\xff\xff";
        assert_eq!(assigned(one), Some(expected(&[("t", 7)])));
        assert_eq!(assigned(b""), Some(Partitions::new()));
        assert_eq!(assigned(b"\xff\xff\0\0\0\0"), None);
        assert_eq!(assigned(b"\0\0\x7f\xff\xff\xff"), None);
    }

    #[test]
    fn malformed_subscription_has_no_topics() {
        check(b"", None);
        check(b"\xff\xff\0\0\0\0", None);
        check(b"\0\0\x7f\xff\xff\xff", None);
        check(b"\0\0\xff\xff\xff\xff", None);
        check(b"\0\0\0\0\0\x01\0\x07orders", None);
        check(b"\0\0\0\0\0\x01\0\x01\xff", None);
    }
}
