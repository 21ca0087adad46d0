//! Clients that are expected to join a group soon: they requested its coordinator, or got a member id.
//!
//! The first generation of a group without members waits for them, so that consumers that start together share the
//! partitions from the beginning. Otherwise the first consumer would get every partition, and the others would wait
//! until its next heartbeat, which starts a rebalance. For that Apache Kafka has `group.initial.rebalance.delay.ms`,
//! which delays every group; here a group does not wait if no other client is expected.
//!
//! A client often requests the coordinator on one connection, closes it and joins on another one. The consumers of one
//! program usually have the same client id. So clients are not identified, but counted by client id:
//! - Several requests on one connection are from the same client.
//! - A request on a new connection is from the same client as an earlier one, if the connection was opened after the
//!   earlier connection had closed, and the request is sent [`MIN_RECONNECT_DELAY`] or more after that. (librdkafka
//!   requests the coordinator again 50 ms after it closed its bootstrap connection, even if it has already joined.)
//! - A join with a client id is from one of the clients with that id.
//!
//! A wrong guess only moves the start of a first generation, within the limits below.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::coordinator::{ConnectionId, GroupId, MemberId};

/// How long a client is expected after it requested the coordinator or got its member id. (kafka-python 2 joins after
/// 100 ms.)
pub const EXPECTED_FOR: Duration = Duration::from_millis(250);

/// The minimum time between the end of a client's connection and its next request for the coordinator. A request before
/// that is from another client.
pub const MIN_RECONNECT_DELAY: Duration = Duration::from_millis(25);

/// The maximum number of clients that one machine tracks. It does not wait for further ones.
const MAX_CLIENTS: usize = 256;

/// The maximum length of group id and client id together, in bytes, of a tracked client.
const MAX_NAMES: usize = 1024;

/// Clients that may join groups without members.
#[derive(Debug, Default)]
pub(super) struct ExpectedMembers {
    groups: HashMap<GroupId, Vec<ExpectedMember>>,
}

#[derive(Debug)]
struct ExpectedMember {
    client_id: Arc<str>,
    connection: LastConnection,
    progress: Progress,
    until: Duration,
}

/// The connection on which a client last requested the coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LastConnection {
    Open(ConnectionId),
    /// The connection closed at this time. The client's next connection will be newer than `newest`.
    Closed {
        at: Duration,
        newest: ConnectionId,
    },
}

#[derive(Debug, PartialEq, Eq)]
enum Progress {
    /// It is expected to join.
    CoordinatorRequested,
    /// It got a member id, and must join with it (KIP-394).
    HasMemberId(MemberId),
    /// It joined, or does not want to join. It is tracked, so that its further requests do not count as another client.
    Done,
}

impl ExpectedMembers {
    /// Tracks a client that requested the group's coordinator.
    pub fn coordinator_requested(
        &mut self,
        now: Duration,
        group: &GroupId,
        client_id: &Arc<str>,
        connection: Option<ConnectionId>,
    ) {
        self.remove_expired(now);
        let clients = self.groups.get_mut(group).map(Vec::as_mut_slice).unwrap_or_default();
        if clients.iter().any(|client| client.uses_connection(connection)) {
            return;
        }
        let Some(new) = connection else { return };
        let returned = |client: &&mut ExpectedMember| {
            let may_have_reconnected = match client.connection {
                LastConnection::Closed { at, newest } => newest < new && at.saturating_add(MIN_RECONNECT_DELAY) <= now,
                LastConnection::Open(_) => false,
            };
            may_have_reconnected && client.client_id == *client_id
        };
        // Prefer a client that is done: the others are still expected.
        if let Some(client) = clients.iter_mut().filter(returned).max_by_key(|c| c.progress == Progress::Done) {
            client.connection = LastConnection::Open(new);
            return;
        }
        self.add(now, group, client_id, connection, Progress::CoordinatorRequested);
    }

    /// Marks the client of a join as done. `member_id` is empty if it has none.
    pub fn joins(&mut self, group: &str, member_id: &str, client_id: &str, connection: Option<ConnectionId>) {
        let Some(clients) = self.groups.get_mut(group) else { return };
        let found = match member_id.is_empty() {
            true => clients
                .iter_mut()
                .filter(|client| {
                    client.progress == Progress::CoordinatorRequested && client.may_be(client_id, connection)
                })
                .max_by_key(|client| client.uses_connection(connection)),
            false => clients.iter_mut().find(|client| client.has_member_id(member_id)),
        };
        if let Some(client) = found {
            client.progress = Progress::Done;
        }
    }

    /// Marks the client that requested the coordinator on this connection as done, as it sent a request that members do
    /// not send before they join. (The client id cannot identify it: administrators and consumers often have the same.)
    pub fn not_joining(&mut self, group: &str, connection: Option<ConnectionId>) {
        let mut clients = self.groups.get_mut(group).into_iter().flatten();
        if let Some(client) = clients.find(|client| client.uses_connection(connection)) {
            client.progress = Progress::Done;
        }
    }

    /// Expects the client to join with this member id.
    pub fn member_id_assigned(
        &mut self,
        now: Duration,
        group: &GroupId,
        member_id: &MemberId,
        client_id: &Arc<str>,
        connection: Option<ConnectionId>,
    ) {
        let progress = Progress::HasMemberId(member_id.clone());
        let clients = self.groups.get_mut(group).map(Vec::as_mut_slice).unwrap_or_default();
        let done =
            |client: &&mut ExpectedMember| client.progress == Progress::Done && client.may_be(client_id, connection);
        match clients.iter_mut().find(done) {
            Some(client) => (client.progress, client.until) = (progress, now.saturating_add(EXPECTED_FOR)),
            None => self.add(now, group, client_id, connection, progress),
        }
    }

    /// Records that a connection closed. Its client may use a connection that is newer than `newest`.
    pub fn connection_closed(&mut self, now: Duration, connection: ConnectionId, newest: ConnectionId) {
        for client in self.groups.values_mut().flatten() {
            if client.uses_connection(Some(connection)) {
                client.connection = LastConnection::Closed { at: now, newest };
            }
        }
    }

    /// Whether one of the clients requested the coordinator on this connection.
    pub fn knows_connection(&self, connection: ConnectionId) -> bool {
        self.groups.values().flatten().any(|client| client.uses_connection(Some(connection)))
    }

    /// Until when clients are expected to join the group; `None` if there are none.
    pub fn expected_until(&self, now: Duration, group: &str) -> Option<Duration> {
        let clients = self.groups.get(group)?;
        let open = clients.iter().filter(|client| client.progress != Progress::Done && client.until > now);
        open.map(|client| client.until).max()
    }

    /// Forgets the clients of a group that begins a generation.
    pub fn forget(&mut self, group: &str) {
        self.groups.remove(group);
    }

    /// The number of tracked clients.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.groups.values().map(Vec::len).sum()
    }

    fn add(
        &mut self,
        now: Duration,
        group: &GroupId,
        client_id: &Arc<str>,
        connection: Option<ConnectionId>,
        progress: Progress,
    ) {
        let is_full = self.groups.values().map(Vec::len).sum::<usize>() >= MAX_CLIENTS;
        if is_full || group.len() + client_id.len() > MAX_NAMES {
            return;
        }
        let until = now.saturating_add(EXPECTED_FOR);
        let connection = connection.map_or(LastConnection::Closed { at: now, newest: 0 }, LastConnection::Open);
        let client = ExpectedMember { client_id: client_id.clone(), connection, progress, until };
        self.groups.entry(group.clone()).or_default().push(client);
    }

    fn remove_expired(&mut self, now: Duration) {
        self.groups.retain(|_, clients| {
            clients.retain(|client| client.until > now);
            !clients.is_empty()
        });
    }
}

impl ExpectedMember {
    /// Whether this may be the client that sent a request.
    fn may_be(&self, client_id: &str, connection: Option<ConnectionId>) -> bool {
        *self.client_id == *client_id || self.uses_connection(connection)
    }

    fn uses_connection(&self, connection: Option<ConnectionId>) -> bool {
        connection.is_some_and(|connection| self.connection == LastConnection::Open(connection))
    }

    fn has_member_id(&self, member_id: &str) -> bool {
        matches!(&self.progress, Progress::HasMemberId(id) if **id == *member_id)
    }
}
