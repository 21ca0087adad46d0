//! One decision in the making: what every part of the machine needs at hand while it decides.

use std::sync::Arc;
use std::time::Duration;

use super::command::GroupReply;
use super::config::GroupConfig;
use super::expected::ExpectedMembers;
use super::timers::Timers;
use crate::coordinator::records::GroupRecord;
use crate::coordinator::{ConnectionId, Effects, GroupId, MemberId, ReplyTo};
use crate::log_windows::Windows;
use ottla_wire::types::Now;

/// What a group waits for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Timer {
    /// Members to join again, or more members to come to a new group.
    Join,
    /// Members to ask for their assignment.
    Sync,
    /// Members to give up partitions and join again.
    Revocation,
    /// A sign of life of this member, or its second join while it is tentative.
    Session(MemberId),
}

/// What a log line tells of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum MemberLine {
    FirstOfGroup,
    Removal,
}

/// The time, the settings, the timers, who is expected, and the effects so far.
pub(super) struct Turn<'a> {
    pub now: Now,
    /// What the request under way came by; none in the broker's own name.
    pub connection: Option<ConnectionId>,
    pub config: &'a GroupConfig,
    pub timers: &'a mut Timers<(GroupId, Timer)>,
    pub expected: &'a mut ExpectedMembers,
    /// Until when further clients may come that the request under way, a join, knows of.
    pub others_expected_until: Option<Duration>,
    /// Log lines about members, by what they tell and the members' hosts.
    pub member_lines: &'a mut Windows<(MemberLine, Arc<str>)>,
    pub effects: Effects<GroupRecord, GroupReply>,
}

impl Turn<'_> {
    pub fn reply(&mut self, to: ReplyTo, reply: GroupReply) {
        self.effects.replies.push((to, reply));
    }

    pub fn record(&mut self, record: GroupRecord) {
        self.effects.records.push(record);
    }

    pub fn set_timer(&mut self, group: &GroupId, timer: Timer, after: Duration) {
        self.set_timer_at(group, timer, self.now.monotonic.saturating_add(after));
    }

    /// Has the timer act at `due`, on the monotonic clock.
    pub fn set_timer_at(&mut self, group: &GroupId, timer: Timer, due: Duration) {
        self.timers.set((group.clone(), timer), due);
    }

    /// Has the timer act `after` now at the latest.
    pub fn bring_timer_forward(&mut self, group: &GroupId, timer: Timer, after: Duration) {
        self.timers.bring_forward((group.clone(), timer), self.now.monotonic.saturating_add(after));
    }

    pub fn cancel_timer(&mut self, group: &GroupId, timer: Timer) {
        self.timers.cancel(&(group.clone(), timer));
    }
}
