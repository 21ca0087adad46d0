//! What a client uses a connection for first.

use std::sync::atomic::{AtomicU8, Ordering};

/// What a client uses a connection for, as its requests show. The order is that in which clients usually send them.
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

/// The last use, in the order of [`ConnectionUse`], that was noted so far. It is atomic only because
/// [`super::ConnectionInfo`] is shared: the requests of a connection are handled one after the other.
#[derive(Debug, Default)]
pub struct FirstUse(AtomicU8);

impl FirstUse {
    /// Notes the use that a request shows. Returns it if it is later, in the order of [`ConnectionUse`], than all uses
    /// before. After the first `JoinGroup` or `Work`, returns `None`.
    pub fn note(&self, connection_use: ConnectionUse) -> Option<NewUse> {
        let before = self.0.load(Ordering::Relaxed);
        if before >= ConnectionUse::JoinGroup as u8 || before >= connection_use as u8 {
            return None;
        }
        self.0.store(connection_use as u8, Ordering::Relaxed);
        let was = |earlier: ConnectionUse| before == earlier as u8;
        let [found_brokers, found_coordinator] = [was(ConnectionUse::FindBrokers), was(ConnectionUse::FindCoordinator)];
        Some(NewUse { connection_use, found_brokers, found_coordinator })
    }
}

/// A use that is later than all uses before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewUse {
    pub connection_use: ConnectionUse,
    /// Whether the previous use was `FindBrokers`.
    pub found_brokers: bool,
    /// Whether the previous use was `FindCoordinator`.
    pub found_coordinator: bool,
}

#[cfg(test)]
mod tests {
    use super::ConnectionUse::*;
    use super::*;

    #[test]
    fn use_is_new_once_and_never_after_join_or_work() {
        let new_uses = |uses: &[ConnectionUse]| {
            let first_use = FirstUse::default();
            let new = uses.iter().map(|one| first_use.note(*one).map(|new| (new.found_brokers, new.found_coordinator)));
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
