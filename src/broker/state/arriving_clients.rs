//! Clients that have connected and whose purpose is not known yet.
//!
//! Consumers of one program that start together connect within milliseconds, and the fastest of them joins its group
//! before the others have requested the coordinator. Also, librdkafka closes its bootstrap connection when it knows the
//! brokers, often before it has requested a coordinator, and connects again 50 ms later. So the first member of a group
//! waits for the clients with its client id that have not done more yet: they may be consumers of the same group.
//!
//! Clients are counted by client id, not identified. A client is no longer expected when it sends another request on
//! its connection, or, after it closed its bootstrap connection, on a newer one. (If it requested the brokers on the
//! newer one before, that counts only after librdkafka's reconnect delay.) A wrong guess only delays the first
//! generation of a group, by `ARRIVES_WITHIN` at most.

use std::sync::Arc;
use std::time::Duration;

use ottla_core::coordinator::ConnectionId;
use ottla_core::coordinator::group::MIN_RECONNECT_DELAY;

/// How long a client is expected, after it connected and after it closed its bootstrap connection.
const ARRIVES_WITHIN: Duration = Duration::from_millis(80);

/// Clients that are remembered at a time. No group waits for further ones.
const MAX_ARRIVING: usize = 256;

/// The longest client id, in bytes, that is remembered.
const MAX_CLIENT_ID: usize = 255;

/// Clients that are expected to send more requests. Times are monotonic.
#[derive(Debug, Default)]
pub struct ArrivingClients {
    clients: Vec<ArrivingClient>,
}

#[derive(Debug)]
struct ArrivingClient {
    client_id: Arc<str>,
    connection: Connection,
    /// Whether it has requested a coordinator. Then its group is known, and the group itself waits for it.
    has_asked: bool,
    /// When it is no longer expected.
    until: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Connection {
    Open(ConnectionId),
    /// The bootstrap connection was closed. The client's next connection has a higher id than `newest`, the newest one
    /// at that time.
    Closed {
        at: Duration,
        newest: ConnectionId,
    },
}

/// A request that shows the purpose of a client.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    pub client_id: &'a str,
    pub connection: ConnectionId,
    /// Whether the client requested the brokers on this connection before.
    pub found_brokers: bool,
}

impl ArrivingClients {
    /// Notes that a client opened a connection.
    pub fn connected(&mut self, now: Duration, client_id: &str, connection: ConnectionId) {
        self.clients.retain(|client| client.until > now);
        if self.clients.len() < MAX_ARRIVING && client_id.len() <= MAX_CLIENT_ID {
            self.clients.push(ArrivingClient {
                client_id: client_id.into(),
                connection: Connection::Open(connection),
                has_asked: false,
                until: now.saturating_add(ARRIVES_WITHIN),
            });
        }
    }

    /// Notes that a client requested a coordinator.
    pub fn asked(&mut self, now: Duration, arrival: Arrival) {
        if let Some(client) = self.clients.iter_mut().find(|client| client.is_open(arrival.connection)) {
            client.has_asked = true;
        }
        self.returned(now, arrival);
    }

    /// Notes that the client of a connection joins a group.
    pub fn joins(&mut self, connection: ConnectionId) {
        self.clients.retain(|client| !client.is_open(connection));
    }

    /// Notes another request of a client. `found_coordinator`: the client requested a coordinator on this connection
    /// before.
    pub fn works(&mut self, now: Duration, arrival: Arrival, found_coordinator: bool) {
        self.clients.retain(|client| !client.is_open(arrival.connection));
        if !found_coordinator {
            self.returned(now, arrival);
        }
    }

    /// Notes that a connection was closed. `newest` is the newest connection at this time.
    pub fn closed(&mut self, now: Duration, connection: ConnectionId, newest: ConnectionId) {
        if let Some(client) = self.clients.iter_mut().find(|client| client.is_open(connection)) {
            client.connection = Connection::Closed { at: now, newest };
            client.until = now.saturating_add(ARRIVES_WITHIN);
        }
    }

    /// Until when clients with this id are expected that have not requested a coordinator. `None` if there are none.
    pub fn expected_until(&self, now: Duration, client_id: &str) -> Option<Duration> {
        let expected = |client: &&ArrivingClient| !client.has_asked && client.until > now && client.has_id(client_id);
        self.clients.iter().filter(expected).map(|client| client.until).max()
    }

    /// Removes a client with this id that closed its bootstrap connection, if this connection may be its next one.
    /// Clients that had requested a coordinator are removed first: it is better to wait too long for the others than
    /// too briefly.
    fn returned(&mut self, now: Duration, Arrival { client_id, connection, found_brokers }: Arrival) {
        let reconnect_delay = if found_brokers { MIN_RECONNECT_DELAY } else { Duration::ZERO };
        let may_be_this = |client: &ArrivingClient| match client.connection {
            Connection::Closed { at, newest } => {
                newest < connection && at.saturating_add(reconnect_delay) <= now && client.has_id(client_id)
            }
            Connection::Open(_) => false,
        };
        let found = self.clients.iter().enumerate().filter(|(_, client)| may_be_this(client));
        if let Some((at, _)) = found.max_by_key(|(_, client)| client.has_asked) {
            self.clients.remove(at);
        }
    }
}

impl ArrivingClient {
    fn is_open(&self, connection: ConnectionId) -> bool {
        self.connection == Connection::Open(connection)
    }

    fn has_id(&self, client_id: &str) -> bool {
        *self.client_id == *client_id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "rdkafka";

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn arrival(connection: ConnectionId) -> Arrival<'static> {
        Arrival { client_id: ID, connection, found_brokers: true }
    }

    /// A client opens and closes its bootstrap connection, with or without a request for a coordinator.
    fn bootstraps(clients: &mut ArrivingClients, at: u64, connection: ConnectionId, asks: bool) {
        clients.connected(ms(at), ID, connection);
        if asks {
            clients.asked(ms(at), arrival(connection));
        }
        clients.closed(ms(at), connection, connection);
    }

    fn expected(clients: &ArrivingClients, at: u64) -> Option<Duration> {
        clients.expected_until(ms(at), ID)
    }

    #[test]
    fn single_consumer_is_not_expected_when_it_joins() {
        for asks in [false, true] {
            let mut clients = ArrivingClients::default();
            bootstraps(&mut clients, 0, 1, asks);
            if asks {
                assert_eq!(expected(&clients, 3), None, "it has requested a coordinator");
            }
            clients.connected(ms(51), ID, 2);
            clients.asked(ms(51), arrival(2));
            clients.connected(ms(51), ID, 3);
            clients.joins(3);
            assert_eq!(expected(&clients, 52), None, "requested on the bootstrap connection: {asks}");
        }
    }

    #[test]
    fn single_consumer_that_does_not_request_the_brokers_again_may_return_at_once() {
        let mut clients = ArrivingClients::default();
        bootstraps(&mut clients, 0, 1, false);
        clients.connected(ms(1), ID, 2);
        clients.asked(ms(1), Arrival { found_brokers: false, ..arrival(2) });
        assert_eq!(expected(&clients, 2), None);
    }

    #[test]
    fn client_is_expected_from_connection_until_it_requests_a_coordinator() {
        let mut clients = ArrivingClients::default();
        bootstraps(&mut clients, 0, 1, true);
        clients.connected(ms(2), ID, 2);
        clients.connected(ms(2), "another", 3);
        assert_eq!(expected(&clients, 5), Some(ms(82)));
        clients.asked(ms(5), arrival(2));
        assert_eq!(expected(&clients, 6), None);
    }

    #[test]
    fn client_that_closed_its_bootstrap_connection_is_expected_until_it_uses_a_newer_one() {
        let mut clients = ArrivingClients::default();
        bootstraps(&mut clients, 0, 5, false);
        clients.works(ms(50), arrival(5), false);
        clients.works(ms(50), Arrival { client_id: "another", ..arrival(6) }, false);
        clients.works(ms(50), arrival(7), true);
        clients.works(ms(24), arrival(8), false);
        assert_eq!(expected(&clients, 50), Some(ms(80)));
        clients.works(ms(50), arrival(9), false);
        assert_eq!(expected(&clients, 50), None);
    }

    #[test]
    fn each_new_connection_counts_for_one_client() {
        let mut clients = ArrivingClients::default();
        for (at, connection, asks) in [(0, 1, false), (3, 2, true), (7, 3, false)] {
            bootstraps(&mut clients, at, connection, asks);
        }
        for connection in [4, 5] {
            clients.connected(ms(52), ID, connection);
            clients.asked(ms(52), arrival(connection));
        }
        assert!(expected(&clients, 55).is_some());
        clients.works(ms(57), arrival(6), false);
        assert_eq!(expected(&clients, 57), None);
    }

    #[test]
    fn client_is_not_expected_after_its_time() {
        let mut clients = ArrivingClients::default();
        clients.connected(ms(0), ID, 1);
        assert_eq!(expected(&clients, 79), Some(ms(80)));
        assert_eq!(expected(&clients, 80), None);
    }

    #[test]
    fn number_and_size_of_remembered_clients_are_bounded() {
        let mut clients = ArrivingClients::default();
        clients.connected(ms(0), &"x".repeat(MAX_CLIENT_ID + 1), 1);
        assert_eq!(clients.clients.len(), 0);
        for connection in 0..2 * MAX_ARRIVING as u64 {
            clients.connected(ms(0), ID, connection);
        }
        assert_eq!(clients.clients.len(), MAX_ARRIVING);
        clients.connected(ms(80), ID, 1);
        assert_eq!(clients.clients.len(), 1);
    }
}
