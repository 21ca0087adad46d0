//! Clients that are expected to join a group soon: they asked for its coordinator, or were given a member id.
//!
//! The first generation of a group without members waits for them, so that consumers that start together share the
//! partitions from the beginning. Otherwise the first would get every partition, and the others would wait until its
//! next heartbeat tells it of the rebalance. Apache Kafka has `group.initial.rebalance.delay.ms` for that, which delays
//! every group; here a group in which nobody else is expected does not wait.
//!
//! A client asks by one connection, often closes that, and joins by another one; the consumers of one program usually
//! have the same client id. So clients are counted by their client id, not identified:
//! - a connection that asks again is the same client;
//! - a connection that was opened after one that had asked was closed, and asks [`MIN_RECONNECT_DELAY`] that or later, is the
//!   same client: librdkafka asks again 50 ms after it closed its bootstrap connection, whether it has joined meanwhile or
//!   not;
//! - a join by a client id is that of one of its clients.
//!
//! A wrong guess only moves the start of a first generation, within the limits below.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::coordinator::{ConnectionId, GroupId, MemberId};

/// How long a client is expected after it asked or was given its member id. (kafka-python 2 joins 100 ms after it
/// asked.)
pub const EXPECTED_FOR: Duration = Duration::from_millis(250);

/// A connection by which a client asks sooner than this after another one was closed is another client's.
pub const MIN_RECONNECT_DELAY: Duration = Duration::from_millis(25);

/// Clients that are remembered at a time by one machine; those above that are not waited for.
const MAX_CLIENTS: usize = 256;

/// The longest names, in bytes, of group and client together that are remembered.
const MAX_NAMES: usize = 1024;

/// Clients that may join groups which have no members.
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

/// The connection by which a client asked last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LastConnection {
    Open(ConnectionId),
    /// It was closed at this time. The client goes on by one that is newer than the newest then.
    Closed {
        at: Duration,
        newest: ConnectionId,
    },
}

#[derive(Debug, PartialEq, Eq)]
enum Progress {
    /// It asked for the coordinator.
    AskedForCoordinator,
    /// It was given a member id, and has to join with it (KIP-394).
    HasMemberId(MemberId),
    /// It joined, or does something else than that. Remembered so that it can ask again without being counted twice.
    Done,
}

impl ExpectedMembers {
    /// A client asked for the group's coordinator.
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
            let is_back = match client.connection {
                LastConnection::Closed { at, newest } => newest < new && at.saturating_add(MIN_RECONNECT_DELAY) <= now,
                LastConnection::Open(_) => false,
            };
            is_back && client.client_id == *client_id
        };
        // One that has joined first: whether the others come is still to be seen.
        if let Some(client) = clients.iter_mut().filter(returned).max_by_key(|c| c.progress == Progress::Done) {
            client.connection = LastConnection::Open(new);
            return;
        }
        self.add(now, group, client_id, connection, Progress::AskedForCoordinator);
    }

    /// A client joins the group. `member_id` is what it joins with; empty if it has none.
    pub fn joins(&mut self, group: &str, member_id: &str, client_id: &str, connection: Option<ConnectionId>) {
        let Some(clients) = self.groups.get_mut(group) else { return };
        let found = match member_id.is_empty() {
            true => clients
                .iter_mut()
                .filter(|client| {
                    client.progress == Progress::AskedForCoordinator && client.is_of(client_id, connection)
                })
                .max_by_key(|client| client.uses_connection(connection)),
            false => clients.iter_mut().find(|client| client.has_member_id(member_id)),
        };
        if let Some(client) = found {
            client.progress = Progress::Done;
        }
    }

    /// The client that asked by this connection does something that members do not do before they join. (Its client id
    /// would not do: administrators and consumers often have the same, and only some of them ask.)
    pub fn not_joining(&mut self, group: &str, connection: Option<ConnectionId>) {
        let mut clients = self.groups.get_mut(group).into_iter().flatten();
        if let Some(client) = clients.find(|client| client.uses_connection(connection)) {
            client.progress = Progress::Done;
        }
    }

    /// A client that was about to join was refused to do so with this member id.
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
        let settled =
            |client: &&mut ExpectedMember| client.progress == Progress::Done && client.is_of(client_id, connection);
        match clients.iter_mut().find(settled) {
            Some(client) => (client.progress, client.until) = (progress, now.saturating_add(EXPECTED_FOR)),
            None => self.add(now, group, client_id, connection, progress),
        }
    }

    /// Nothing more comes by this connection. Its client may go on by one that is newer than the newest of now.
    pub fn connection_closed(&mut self, now: Duration, connection: ConnectionId, newest: ConnectionId) {
        for client in self.groups.values_mut().flatten() {
            if client.uses_connection(Some(connection)) {
                client.connection = LastConnection::Closed { at: now, newest };
            }
        }
    }

    /// Whether one of the clients asked by this connection.
    pub fn knows_connection(&self, connection: ConnectionId) -> bool {
        self.groups.values().flatten().any(|client| client.uses_connection(Some(connection)))
    }

    /// Until when somebody is still expected in the group; none if nobody is.
    pub fn expected_until(&self, now: Duration, group: &str) -> Option<Duration> {
        let clients = self.groups.get(group)?;
        let open = clients.iter().filter(|client| client.progress != Progress::Done && client.until > now);
        open.map(|client| client.until).max()
    }

    /// The group begins a generation: from now on it waits for nobody.
    pub fn forget(&mut self, group: &str) {
        self.groups.remove(group);
    }

    /// How many clients are remembered.
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
    /// Whether it may be the client that sent a request.
    fn is_of(&self, client_id: &str, connection: Option<ConnectionId>) -> bool {
        *self.client_id == *client_id || self.uses_connection(connection)
    }

    fn uses_connection(&self, connection: Option<ConnectionId>) -> bool {
        connection.is_some_and(|connection| self.connection == LastConnection::Open(connection))
    }

    fn has_member_id(&self, member_id: &str) -> bool {
        matches!(&self.progress, Progress::HasMemberId(id) if **id == *member_id)
    }
}
