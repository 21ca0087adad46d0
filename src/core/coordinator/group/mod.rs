//! Groups and their committed offsets: a pure machine over one partition of `__consumer_offsets`.
//!
//! A group's life has two halves. What a restart must find again, its last settled generation and
//! its offsets, is in the log: records alone change it, through `replay`. What goes on between two
//! records, parked joins and syncs, tentative members, sessions, is soft: `handle` changes it, and
//! a crash ends it. Members then find their group as it last settled, and go on with their
//! heartbeats or, if it had begun to rebalance, join again.
//!
//! Code map: `command` and `queries` are what can be asked; `classic` is the protocol in which
//! one member assigns for all; `offsets` keeps what groups have read; `turn` is the context of
//! one decision and `timers` the deadlines; `expected` counts who is about to join. The consumer protocol of KIP-848, in which the
//! coordinator assigns, is not here yet: it is to stand beside `classic`, and `Group` to hold
//! either.
//!
//! Invariants:
//! - A command is answered exactly once, however its group goes on.
//! - A stable or empty group is exactly what was last written of it.
//! - If records could not be appended, memory is ahead of the log: the machine must be thrown away
//!   and recovered.

mod classic;
mod command;
mod config;
mod error;
mod expected;
mod machine;
mod offsets;
mod partition;
mod queries;
mod timers;
mod turn;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

pub use self::command::{
    CommitOffsets, CommitTxnOffsets, DeleteOffsets, GroupClient, GroupCommand, GroupReply, GroupRequest, Heartbeat,
    JoinGroup, JoinRefused, Joined, JoinedMember, LeaveGroup, LeavingMember, MemberLeft, PartitionCommit, Protocol,
    SyncGroup, Synced, TopicCommits, TopicResults,
};
pub use self::config::GroupConfig;
pub use self::error::GroupError;
pub use self::expected::{EXPECTED_FOR, RETURNS_AFTER};
pub use self::partition::partition_for;
pub use self::queries::{
    FetchedOffset, GroupDescription, GroupState, GroupType, ListedGroup, MemberDescription, TopicOffsets, WantedOffsets,
};

use self::classic::ClassicGroup;
use self::expected::ExpectedMembers;
use self::offsets::OffsetStore;
use self::timers::Timers;
use self::turn::{MemberLine, Timer};
use super::GroupId;
use super::records::GroupMetadata;
use crate::log_windows::Windows;

/// The groups of one partition of `__consumer_offsets`. Cheap while it has none.
#[derive(Debug)]
pub struct GroupMachine {
    config: Arc<GroupConfig>,
    groups: HashMap<GroupId, Group>,
    offsets: OffsetStore,
    timers: Timers<(GroupId, Timer)>,
    /// Who is about to join a group without members.
    expected: ExpectedMembers,
    /// Log lines about members that were removed, by their hosts.
    member_lines: Windows<(MemberLine, Arc<str>)>,
    /// When to look for expired offsets next; none before recovery.
    next_expiry: Option<Duration>,
}

/// One group.
#[derive(Debug)]
struct Group {
    /// What a restart would find: the group as it was last written; none if it only keeps offsets.
    durable: Option<Arc<GroupMetadata>>,
    /// The group as it is.
    classic: ClassicGroup,
}
