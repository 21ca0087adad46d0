//! Groups and their committed offsets: a pure state machine over one partition of `__consumer_offsets`.
//!
//! The state of a group has two parts. The durable part (the last stable or empty generation, and the offsets) is in
//! the log, and changes only in `replay`. The volatile part (pending joins and syncs, new members, sessions) changes in
//! `handle`, and a crash loses it. After a crash members find the last stable or empty generation. They continue with
//! their heartbeats, or join again if the group was rebalancing.
//!
//! Modules: `command` and `queries` are the interface; `classic` is the protocol in which one member assigns partitions
//! to all members; `offsets` stores committed offsets; `decision` is the context of one decision; `timers` has the
//! deadlines; `expected` tracks clients that are expected to join. The consumer protocol (KIP-848), in which the
//! coordinator assigns, is not implemented yet.
//!
//! Invariants:
//! - Each command gets exactly one reply.
//! - A stable or empty group is equal to its last record.
//! - If records could not be appended, memory is ahead of the log: the machine must be dropped and recovered.

mod classic;
mod command;
mod config;
mod counts;
mod decision;
mod error;
mod expected;
mod machine;
mod offsets;
mod partition;
mod queries;
mod timers;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

pub use self::command::{
    CommitOffsets, CommitTxnOffsets, ConnectionClosed, CoordinatorFound, DeleteGroups, DeleteOffsets, GroupClient,
    GroupCommand, GroupReply, GroupRequest, Heartbeat, JoinGroup, JoinRefused, Joined, JoinedMember, LeaveGroup,
    LeavingMember, MemberLeft, NotJoining, PartitionCommit, Protocol, Sent, SyncGroup, Synced, TopicCommits,
    TopicResults,
};
pub use self::config::GroupConfig;
pub use self::counts::GroupCounts;
pub use self::error::GroupError;
pub use self::expected::{EXPECTED_FOR, MIN_RECONNECT_DELAY};
pub use self::partition::partition_for;
pub use self::queries::{
    FetchedOffset, GroupDescription, GroupState, GroupType, ListedGroup, MemberDescription, TopicOffsets, WantedOffsets,
};

use self::classic::ClassicGroup;
use self::decision::{MemberLine, Timer};
use self::expected::ExpectedMembers;
use self::offsets::OffsetStore;
use self::timers::Timers;
use super::GroupId;
use super::records::GroupMetadata;
use crate::log_windows::LogWindows;

/// The groups of one partition of `__consumer_offsets`. It needs little memory while it has no groups.
#[derive(Debug)]
pub struct GroupMachine {
    config: Arc<GroupConfig>,
    counts: Arc<GroupCounts>,
    groups: HashMap<GroupId, Group>,
    offsets: OffsetStore,
    timers: Timers<(GroupId, Timer)>,
    /// Clients that are expected to join groups without members.
    expected: ExpectedMembers,
    /// Rate limit of log lines about members, by kind and client host.
    member_lines: LogWindows<(MemberLine, Arc<str>)>,
    /// When to check for expired offsets next; `None` before recovery.
    next_expiry: Option<Duration>,
}

/// One group.
#[derive(Debug)]
struct Group {
    /// The last record of the group; `None` if it only has offsets.
    durable: Option<Arc<GroupMetadata>>,
    /// The current state of the group.
    classic: ClassicGroup,
}
