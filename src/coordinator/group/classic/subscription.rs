//! Which topics the members of a consumer group read.
//!
//! The one thing the coordinator reads in what members tell their leader: the start of the
//! consumer protocol's subscription (ConsumerProtocolSubscription.json), which every version of it
//! has: version i16, then the topics as an array of strings.

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

/// Adds the topics of one subscription; none if the bytes are no subscription.
fn read_topics(subscription: &[u8], into: &mut BTreeSet<Box<str>>) -> Option<()> {
    let (version, rest) = subscription.split_first_chunk()?;
    if i16::from_be_bytes(*version) < 0 {
        return None;
    }
    let (count, mut rest) = rest.split_first_chunk()?;
    for _ in 0..u32::try_from(i32::from_be_bytes(*count)).ok()? {
        let (length, after) = rest.split_first_chunk()?;
        let length = usize::try_from(i16::from_be_bytes(*length)).ok()?;
        let (name, after) = after.split_at_checked(length)?;
        into.insert(std::str::from_utf8(name).ok()?.into());
        rest = after;
    }
    Some(())
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
