//! What a client uses a connection for first.

use std::sync::atomic::{AtomicU8, Ordering};

/// The use of a connection that a request shows, from the first requests of a client to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum ConnectionUse {
    /// ApiVersions, which starts every connection.
    Handshake = 1,
    /// The client requests the brokers and no topic. It may close the connection after the response.
    FindBrokers,
    /// The client requests a group's coordinator.
    FindCoordinator,
    /// The client joins a group. Members use a connection of their own for that, not the one of FindCoordinator.
    JoinGroup,
    /// All other requests.
    Work,
}

/// The furthest use that was noted. It is atomic only because [`super::ConnectionInfo`] is shared: the requests of a
/// connection are handled one after the other.
#[derive(Debug, Default)]
pub struct FirstUse(AtomicU8);

impl FirstUse {
    /// Notes the use that a request shows. Returns it if it goes further than those before; after the first `JoinGroup`
    /// or `Work` it never does.
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
    /// Whether the previous use was `FindBrokers`.
    pub found_brokers: bool,
    /// Whether the previous use was `FindCoordinator`.
    pub had_asked: bool,
}

#[cfg(test)]
mod tests {
    use super::ConnectionUse::*;
    use super::*;

    #[test]
    fn use_is_new_once_and_never_after_join_or_work() {
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
