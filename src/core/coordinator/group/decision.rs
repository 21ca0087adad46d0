//! The context of one decision.

use std::sync::Arc;
use std::time::Duration;

use super::command::GroupReply;
use super::config::GroupConfig;
use super::counts::GroupCounts;
use super::expected::ExpectedMembers;
use super::timers::Timers;
use crate::coordinator::records::GroupRecord;
use crate::coordinator::{ConnectionId, Effects, GroupId, MemberId, NoAction, ReplyTo};
use crate::log_windows::LogWindows;
use ottla_wire::types::Now;

/// The timers of a group.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The end of the join phase, or of the initial wait of a new group.
    Join,
    /// The end of the time in which members must send SyncGroup.
    Sync,
    /// The end of the wait for members that revoke partitions and join again.
    Revocation,
    /// The end of a member's session, or of the time in which a new member must join with its id.
    Session(MemberId),
}

/// The kinds of log lines about members that are limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum MemberLine {
    FirstOfGroup,
    Removal,
}

/// Time, settings, timers and expected members for one decision, and its effects so far.
pub(super) struct Decision<'a> {
    pub now: Now,
    /// The connection of the current request; `None` if the broker itself sent it.
    pub connection: Option<ConnectionId>,
    pub config: &'a GroupConfig,
    pub counts: &'a GroupCounts,
    pub timers: &'a mut Timers<(GroupId, Timer)>,
    pub expected: &'a mut ExpectedMembers,
    /// Until when further clients are expected to connect, according to the current JoinGroup.
    pub others_expected_until: Option<Duration>,
    /// Rate limit of log lines about members, by kind and client host.
    pub member_lines: &'a mut LogWindows<(MemberLine, Arc<str>)>,
    pub effects: Effects<GroupRecord, GroupReply, NoAction>,
}

impl Decision<'_> {
    pub fn reply(&mut self, to: ReplyTo, reply: GroupReply) {
        self.effects.replies.push((to, reply));
    }

    /// How many of the records, from an index on, are about committed offsets.
    pub fn offsets_since(&self, from: usize) -> usize {
        let records = self.effects.records.get(from..).unwrap_or_default();
        records.iter().filter(|record| matches!(record, GroupRecord::OffsetCommit { .. })).count()
    }

    pub fn record(&mut self, record: GroupRecord) {
        self.effects.records.push(record);
    }

    pub fn set_timer(&mut self, group: &GroupId, timer: Timer, after: Duration) {
        self.set_timer_at(group, timer, self.now.monotonic.saturating_add(after));
    }

    /// Sets a timer to `due`, in monotonic time.
    pub fn set_timer_at(&mut self, group: &GroupId, timer: Timer, due: Duration) {
        self.timers.set((group.clone(), timer), due);
    }

    /// Sets a timer to `after` from now, unless it is due earlier.
    pub fn bring_timer_forward(&mut self, group: &GroupId, timer: Timer, after: Duration) {
        self.timers.bring_forward((group.clone(), timer), self.now.monotonic.saturating_add(after));
    }

    pub fn cancel_timer(&mut self, group: &GroupId, timer: Timer) {
        self.timers.cancel(&(group.clone(), timer));
    }
}
