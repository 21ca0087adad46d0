//! Expiry of offsets after `offsets.retention.minutes` (KIP-211).
//!
//! The retention time starts
//! - for a group without protocol type: with the commit;
//! - for an empty group: when it became empty;
//! - for a stable group of consumers: with the commit, for topics that no member subscribes to;
//! - for other groups: never.
//!
//! If the client requested a retention time (OffsetCommit v2-v4), the offset expires after that time.

use super::OffsetStore;
use super::delete::tombstone;
use crate::coordinator::GroupId;
use crate::coordinator::group::classic::ClassicGroup;
use crate::coordinator::group::decision::Decision;
use crate::coordinator::group::queries::GroupState;
use crate::coordinator::records::CommittedOffset;
use ottla_wire::types::TimestampMs;

/// The start of the retention time of a group's offsets.
#[derive(Clone, Copy)]
enum Since {
    Commit,
    Time(TimestampMs),
    /// The offsets do not expire.
    Never,
}

impl OffsetStore {
    /// Deletes expired offsets. True if the group then has no offsets and no open transaction.
    pub fn expire(&self, decision: &mut Decision, id: &GroupId, group: &ClassicGroup) -> bool {
        let since = retention_start(group);
        let mut is_empty = !self.has_open_transaction(id);
        for (topic, view) in self.topics(id) {
            let in_use = matches!(since, Since::Never) || group.is_subscribed_to(topic);
            for (partition, offset) in view.partitions() {
                if !in_use && is_expired(decision, since, offset) && !self.is_pending(id, topic, partition) {
                    tombstone(decision, id.clone(), topic.clone(), partition);
                } else {
                    is_empty = false;
                }
            }
        }
        is_empty
    }
}

fn retention_start(group: &ClassicGroup) -> Since {
    match (group.protocol_type(), group.state()) {
        (None, _) => Since::Commit,
        // Records of old versions do not have the time at which the group became empty.
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
