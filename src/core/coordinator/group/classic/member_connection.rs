//! The connection that a member was last heard on, and what follows when it closes.
//!
//! `ottla.group.disconnected.member.timeout.ms`, off by default: a client that is killed leaves its group within that
//! time, not when its session ends. Kafka has nothing like it, and takes no notice of connections.
//!
//! Static members are left alone. That they may be gone for a session's length without a rebalance is what they are
//! for (KIP-345), and who comes back in a member's name takes its place at once anyway.

use std::time::Duration;

use super::ClassicGroup;
use crate::coordinator::group::decision::{Decision, Timer};
use crate::coordinator::{ConnectionId, MemberId};

/// What is known of a member's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MemberConnection {
    /// It was not heard since the broker started.
    Unknown,
    Open(ConnectionId),
    /// The one it was last heard on is closed.
    Closed,
}

impl MemberConnection {
    /// As the request under way has it.
    pub fn of(decision: &Decision) -> MemberConnection {
        decision.connection.map_or(MemberConnection::Unknown, MemberConnection::Open)
    }
}

impl ClassicGroup {
    /// The member was heard.
    pub(super) fn update_connection(&mut self, decision: &Decision, member_id: &str) {
        if let Some(member) = self.members.get_mut(member_id) {
            member.connection = MemberConnection::of(decision);
        }
    }

    /// Cuts the sessions of those who were last heard on this connection to `wait`, unless they come back on another.
    pub fn connection_closed(&mut self, decision: &mut Decision, connection: ConnectionId, wait: Duration) {
        let tentative = self
            .pending_join_members
            .iter()
            .filter(|(_, known)| **known == MemberConnection::Open(connection))
            .map(|(id, _)| id);
        let mut gone: Vec<MemberId> = tentative.cloned().collect();
        for member in self.members.values_mut() {
            if member.connection == MemberConnection::Open(connection) && member.instance_id.is_none() {
                member.connection = MemberConnection::Closed;
                gone.push(member.id.clone());
            }
        }
        for member_id in gone {
            decision.bring_timer_forward(&self.id, Timer::Session(member_id), wait);
        }
    }
}
