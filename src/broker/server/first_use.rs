//! What a client uses a connection for at first.

use std::sync::atomic::{AtomicU8, Ordering};

/// What a request shows of its connection's use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum ConnectionUse {
    /// Nothing yet: every connection begins with it.
    Handshake = 1,
    /// The client asks for the brokers, and for no topic. It may close the connection when it knows them.
    FindBrokers,
    /// The client asks for a group's coordinator.
    FindCoordinator,
    /// The client joins a group: members have a connection of their own for that, besides the one they asked by.
    JoinGroup,
    /// Anything else: it is a connection to work with.
    Work,
}

/// The furthest use that was noted. (Requests of a connection come one after the other; it is atomic because the
/// connection's information is shared.)
#[derive(Debug, Default)]
pub struct FirstUse(AtomicU8);

impl FirstUse {
    /// Notes what a request shows, and returns a use that goes further than those before. None does after the first join
    /// or work.
    pub fn note(&self, connection_use: ConnectionUse) -> Option<NewUse> {
        let before = self.0.load(Ordering::Relaxed);
        if before >= ConnectionUse::JoinGroup as u8 || before >= connection_use as u8 {
            return None;
        }
        self.0.store(connection_use as u8, Ordering::Relaxed);
        let was = |earlier: ConnectionUse| before == earlier as u8;
        let [found_brokers, had_asked] = [was(ConnectionUse::FindBrokers), was(ConnectionUse::FindCoordinator)];
        Some(NewUse { connection_use, found_brokers, had_asked })
    }
}

/// A use that goes further than those before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewUse {
    pub connection_use: ConnectionUse,
    /// The use before was that the client asked for the brokers.
    pub found_brokers: bool,
    /// The use before was that the client asked for a coordinator.
    pub had_asked: bool,
}

#[cfg(test)]
mod tests {
    use super::ConnectionUse::*;
    use super::*;

    #[test]
    fn each_use_is_new_once_and_none_after_a_join_or_work() {
        let new_uses = |uses: &[ConnectionUse]| {
            let first_use = FirstUse::default();
            let new = uses.iter().map(|one| first_use.note(*one).map(|new| (new.found_brokers, new.had_asked)));
            new.collect::<Vec<_>>()
        };
        const NEW: Option<(bool, bool)> = Some((false, false));
        assert_eq!(new_uses(&[Handshake, Handshake, FindCoordinator]), [NEW, None, NEW]);
        assert_eq!(new_uses(&[FindBrokers, FindCoordinator, Work]), [NEW, Some((true, false)), Some((false, true))]);
        assert_eq!(new_uses(&[FindCoordinator, FindBrokers, Handshake]), [NEW, None, None]);
        assert_eq!(new_uses(&[Handshake, JoinGroup, Work]), [NEW, NEW, None]);
        assert_eq!(new_uses(&[Work, JoinGroup, FindCoordinator]), [NEW, None, None]);
    }
}
