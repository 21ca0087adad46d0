//! Which topics the members of a consumer group read, which partitions they have, and which they are assigned.
//!
//! All that the coordinator reads in what members tell their leader and get from it: the start of the consumer
//! protocol's subscription (ConsumerProtocolSubscription.json: version i16, the topics as an array of strings; after the
//! user data, from version 1 on, the partitions that the member owns, in the cooperative protocol) and that of its
//! assignment (ConsumerProtocolAssignment.json: version i16, the partitions of each topic).

use std::collections::BTreeSet;

use super::ClassicGroup;

impl ClassicGroup {
    /// The topics that the members subscribed to; none if the group is not one of consumers, has
    /// not chosen a protocol, or a subscription cannot be read.
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
            read_topics(&member.metadata(self.protocol.as_ref()), &mut topics)?;
        }
        Some(topics)
    }
}

/// Partitions by topic.
pub(super) type Partitions = BTreeSet<(Box<str>, i32)>;

/// The partitions that a member has while it joins again; none if the bytes are no subscription, or an older one.
pub(super) fn owned_partitions(subscription: &[u8]) -> Option<Partitions> {
    let mut fields = Fields(subscription);
    if fields.i16()? < 1 {
        return None;
    }
    for _ in 0..fields.count()? {
        fields.string()?;
    }
    let user_data = usize::try_from(fields.i32()?).unwrap_or(0);
    fields.bytes(user_data)?;
    fields.partitions()
}

/// The partitions that a member is assigned; none if the bytes are no assignment. No bytes are an empty one.
pub(super) fn assigned_partitions(assignment: &[u8]) -> Option<Partitions> {
    let mut fields = Fields(assignment);
    if assignment.is_empty() {
        return Some(Partitions::new());
    }
    if fields.i16()? < 0 { None } else { fields.partitions() }
}

/// Adds the topics of one subscription; none if the bytes are no subscription.
fn read_topics(subscription: &[u8], into: &mut BTreeSet<Box<str>>) -> Option<()> {
    let mut fields = Fields(subscription);
    if fields.i16()? < 0 {
        return None;
    }
    for _ in 0..fields.count()? {
        into.insert(fields.string()?.into());
    }
    Some(())
}

/// What has not been read yet. Each read is none where the bytes are not of that kind.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn i16(&mut self) -> Option<i16> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(i16::from_be_bytes(*number))
    }

    fn i32(&mut self) -> Option<i32> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(i32::from_be_bytes(*number))
    }

    /// The length of an array.
    fn count(&mut self) -> Option<u32> {
        u32::try_from(self.i32()?).ok()
    }

    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    fn string(&mut self) -> Option<&'a str> {
        let length = usize::try_from(self.i16()?).ok()?;
        std::str::from_utf8(self.bytes(length)?).ok()
    }

    fn partitions(&mut self) -> Option<Partitions> {
        let mut partitions = Partitions::new();
        for _ in 0..self.count()? {
            let topic = self.string()?;
            for _ in 0..self.count()? {
                partitions.insert((topic.into(), self.i32()?));
            }
        }
        Some(partitions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(subscription: &[u8], expect: Option<&[&str]>) {
        let mut topics = BTreeSet::new();
        let found = read_topics(subscription, &mut topics).map(|()| topics);
        assert_eq!(found, expect.map(|topics| topics.iter().map(|&t| t.into()).collect()));
    }

    #[test]
    fn topics_are_read_from_every_version() {
        check(b"\0\0\0\0\0\x01\0\x06orders\xff\xff\xff\xff", Some(&["orders"]));
        check(b"\0\x03\0\0\0\x02\0\x01b\0\x01a\xff\xff\xff\xff\0\0\0\0\xff\xff\xff\xff\xff\xff", Some(&["a", "b"]));
        check(b"\x7f\xff\0\0\0\0", Some(&[]));
    }

    fn partitions(of: &[(&str, i32)]) -> Partitions {
        of.iter().map(|&(topic, partition)| (topic.into(), partition)).collect()
    }

    #[test]
    fn owned_partitions_are_read_from_version_1_on() {
        let owned = b"\0\x01\0\0\0\x01\0\x01t\0\0\0\x02xy\0\0\0\x01\0\x01t\0\0\0\x02\0\0\0\0\0\0\0\x03";
        assert_eq!(owned_partitions(owned), Some(partitions(&[("t", 0), ("t", 3)])));
        assert_eq!(owned_partitions(b"\0\x01\0\0\0\0\xff\xff\xff\xff\0\0\0\0"), Some(Partitions::new()));
        assert_eq!(owned_partitions(b"\0\0\0\0\0\0\xff\xff\xff\xff"), None);
        assert_eq!(owned_partitions(b"\0\x01\0\0\0\0\xff\xff\xff\xff"), None);
        assert_eq!(owned_partitions(&owned[..owned.len() - 1]), None);
    }

    #[test]
    fn assigned_partitions_are_read() {
        let assigned = b"\0\0\0\0\0\x01\0\x01t\0\0\0\x01\0\0\0\x07\xff\xff\xff\xff";
        assert_eq!(assigned_partitions(assigned), Some(partitions(&[("t", 7)])));
        assert_eq!(assigned_partitions(b""), Some(Partitions::new()));
        assert_eq!(assigned_partitions(b"\xff\xff\0\0\0\0"), None);
        assert_eq!(assigned_partitions(b"\0\0\x7f\xff\xff\xff"), None);
    }

    #[test]
    fn other_bytes_are_no_subscription() {
        check(b"", None);
        check(b"\xff\xff\0\0\0\0", None);
        check(b"\0\0\x7f\xff\xff\xff", None);
        check(b"\0\0\xff\xff\xff\xff", None);
        check(b"\0\0\0\0\0\x01\0\x07orders", None);
        check(b"\0\0\0\0\0\x01\0\x01\xff", None);
    }
}
