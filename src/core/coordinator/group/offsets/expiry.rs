//! Offsets that nobody has used for `offsets.retention.minutes` go.
//!
//! As KIP-211 has it, time runs
//! - for a group that only keeps offsets: from the commit;
//! - for an empty group: from when it became empty;
//! - for a stable group of consumers: from the commit, for topics that nobody in it reads;
//! - for any other group: not at all.
//!
//! An offset whose client asked for a retention of its own (OffsetCommit v2-v4) expires then.

use super::OffsetStore;
use super::delete::tombstone;
use crate::coordinator::GroupId;
use crate::coordinator::group::classic::ClassicGroup;
use crate::coordinator::group::decision::Decision;
use crate::coordinator::group::queries::GroupState;
use crate::coordinator::records::CommittedOffset;
use ottla_wire::types::TimestampMs;

/// From when the retention of a group's offsets counts.
#[derive(Clone, Copy)]
enum Since {
    Commit,
    Time(TimestampMs),
    /// They don't expire as things are.
    Never,
}

impl OffsetStore {
    /// Lets what has expired go. True if the group then keeps nothing, and no open transaction may
    /// bring it something.
    pub fn expire(&self, decision: &mut Decision, id: &GroupId, group: &ClassicGroup) -> bool {
        let since = retention_start(group);
        let mut nothing_left = !self.has_open_transaction(id);
        for (topic, view) in self.topics(id) {
            let in_use = matches!(since, Since::Never) || group.is_subscribed_to(topic);
            for (partition, offset) in view.partitions() {
                if !in_use && is_expired(decision, since, offset) && !self.is_pending(id, topic, partition) {
                    tombstone(decision, id.clone(), topic.clone(), partition);
                } else {
                    nothing_left = false;
                }
            }
        }
        nothing_left
    }
}

fn retention_start(group: &ClassicGroup) -> Since {
    match (group.protocol_type(), group.state()) {
        (None, _) => Since::Commit,
        // Groups written by old versions don't say since when they are empty.
        (Some(_), GroupState::Empty) => group.since().map_or(Since::Commit, Since::Time),
        (Some(_), GroupState::Stable) if group.knows_subscriptions() => Since::Commit,
        (Some(_), _) => Since::Never,
    }
}

fn is_expired(decision: &Decision, since: Since, offset: &CommittedOffset) -> bool {
    let now = decision.now.wall;
    if let Some(expires) = offset.expire_timestamp {
        return now >= expires;
    }
    let since = match since {
        Since::Commit => offset.commit_timestamp,
        Since::Time(since) => since,
        Since::Never => return false,
    };
    let retention = i64::try_from(decision.config.offsets_retention.as_millis()).unwrap_or(i64::MAX);
    now.saturating_sub(since) >= retention
}
