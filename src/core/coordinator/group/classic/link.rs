//! The connection that a member was last heard on, and what follows when it closes.
//!
//! `ottla.group.disconnected.member.timeout.ms`, off by default: a client that is killed leaves its group within that
//! time, not when its session ends. Kafka has nothing like it, and takes no notice of connections.
//!
//! Static members are left alone. That they may be gone for a session's length without a rebalance is what they are
//! for (KIP-345), and who comes back in a member's name takes its place at once anyway.

use std::time::Duration;

use super::ClassicGroup;
use crate::coordinator::group::turn::{Timer, Turn};
use crate::coordinator::{ConnectionId, MemberId};

/// What is known of a member's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    /// It was not heard since the broker started.
    Unknown,
    On(ConnectionId),
    /// The one it was last heard on is closed.
    Closed,
}

impl Link {
    /// As the request under way has it.
    pub fn of(turn: &Turn) -> Link {
        turn.connection.map_or(Link::Unknown, Link::On)
    }
}

impl ClassicGroup {
    /// The member was heard.
    pub(super) fn heard(&mut self, turn: &Turn, member_id: &str) {
        if let Some(member) = self.members.get_mut(member_id) {
            member.link = Link::of(turn);
        }
    }

    /// Cuts the sessions of those who were last heard on this connection to `wait`, unless they come back on another.
    pub fn connection_closed(&mut self, turn: &mut Turn, connection: ConnectionId, wait: Duration) {
        let tentative = self.tentative.iter().filter(|(_, link)| **link == Link::On(connection)).map(|(id, _)| id);
        let mut gone: Vec<MemberId> = tentative.cloned().collect();
        for member in self.members.values_mut() {
            if member.link == Link::On(connection) && member.instance_id.is_none() {
                member.link = Link::Closed;
                gone.push(member.id.clone());
            }
        }
        for member_id in gone {
            turn.bring_timer_forward(&self.id, Timer::Session(member_id), wait);
        }
    }
}
