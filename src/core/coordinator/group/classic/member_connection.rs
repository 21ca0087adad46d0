//! The connection of a member's last request, and the end of its session after that connection closes.
//!
//! With `ottla.group.disconnected.member.timeout.ms` (off by default) a killed client is removed from its group after
//! that time instead of its session timeout. Kafka has no such setting, and ignores closed connections.
//!
//! Static members are not affected: they may be away for a session timeout without a rebalance (KIP-345), and a client
//! with the same instance id replaces them at once.

use std::time::Duration;

use super::ClassicGroup;
use crate::coordinator::group::decision::{Decision, Timer};
use crate::coordinator::{ConnectionId, MemberId};

/// The state of the connection of a member's last request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MemberConnection {
    /// The member has sent no request since the broker started.
    Unknown,
    Open(ConnectionId),
    /// The connection is closed.
    Closed,
}

impl MemberConnection {
    /// The connection of the current request.
    pub fn of(decision: &Decision) -> MemberConnection {
        decision.connection.map_or(MemberConnection::Unknown, MemberConnection::Open)
    }
}

impl ClassicGroup {
    /// Records that the member sent the current request.
    pub(super) fn update_connection(&mut self, decision: &Decision, member_id: &str) {
        if let Some(member) = self.members.get_mut(member_id) {
            member.connection = MemberConnection::of(decision);
        }
    }

    /// Shortens the sessions of members whose last request came on this connection to `wait`.
    pub fn connection_closed(&mut self, decision: &mut Decision, connection: ConnectionId, wait: Duration) {
        let pending = self
            .pending_join_members
            .iter()
            .filter(|(_, known)| **known == MemberConnection::Open(connection))
            .map(|(id, _)| id);
        let mut disconnected: Vec<MemberId> = pending.cloned().collect();
        for member in self.members.values_mut() {
            if member.connection == MemberConnection::Open(connection) && member.instance_id.is_none() {
                member.connection = MemberConnection::Closed;
                disconnected.push(member.id.clone());
            }
        }
        for member_id in disconnected {
            decision.bring_timer_forward(&self.id, Timer::Session(member_id), wait);
        }
    }
}
