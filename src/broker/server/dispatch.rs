//! The interface between connections and handlers: a request frame in, an [`Outcome`] out.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use ottla_core::security::session::SaslSession;
use parking_lot::Mutex;

use super::excerpt::Excerpts;
use super::exchange::Exchange;
use super::figures::{CountedConnection, ListenerFigures};
use super::first_use::FirstUse;
use ottla_core::security::Principal;

/// Handles request frames. One instance serves all connections of all listeners.
pub trait Dispatch: Send + Sync + 'static {
    /// Handles one request: `frame` is its header and body, without the size prefix.
    ///
    /// Called for the requests of a connection in the order of their arrival, and for the next one after this call has
    /// returned. Work that depends on this order is done in the call; work that may wait becomes an
    /// [`Outcome::Parked`]. The call must not block for longer than an append to the page cache takes.
    ///
    /// `frame` is an allocation of its own, which counts towards the request memory budget until the reply is sent.
    /// Data that outlives the request must be copied out of it.
    fn dispatch(&self, connection: &Arc<ConnectionInfo>, frame: Bytes) -> Outcome;

    /// What [`Exchange::excerpts`] will have of a request that is about to be dispatched, and how much of its reply. Must be
    /// cheap.
    fn excerpts(&self, connection: &ConnectionInfo, frame: &[u8]) -> Option<Arc<Excerpts>> {
        let _ = (connection, frame);
        None
    }

    /// How often mapped memory has become unreadable since the process began. After a change, the connection calls
    /// [`Dispatch::is_intact`] before it sends more. Must be cheap.
    fn faults(&self) -> u64 {
        0
    }

    /// Whether a part of a reply still has the content that it had when the reply was made.
    fn is_intact(&self, chunk: &[u8]) -> bool {
        let _ = chunk;
        true
    }

    /// Notes that the kernel could not read a part of a reply, or a part that was sent in the same call (EFAULT). If it
    /// belongs to a mapped file, the file was truncated or its disk fails.
    fn on_unreadable(&self, chunk: &[u8]) {
        let _ = chunk;
    }

    /// Notes that a request is done: its reply was sent, or it has none, or the connection is closed before. Called once
    /// for each call of [`Dispatch::dispatch`] that returned, and never after [`Dispatch::on_disconnect`]. In which order
    /// is not defined; [`Exchange::number`] counts the calls of `dispatch` for the connection. Must not block.
    fn on_done(&self, connection: &Arc<ConnectionInfo>, exchange: &Exchange) {
        let _ = (connection, exchange);
    }

    /// Notes that a connection has ended and that its parked futures were dropped. Called once for each connection.
    fn on_disconnect(&self, connection: &Arc<ConnectionInfo>) {
        let _ = connection;
    }
}

/// One whole response frame, and what happens to its connection.
#[derive(Debug, Default)]
pub struct Reply {
    /// The frame with the 4-byte size prefix. If it is empty, nothing is sent.
    pub chunks: Vec<Bytes>,
    pub then: Then,
}

/// What happens to a connection because of a reply.
#[derive(Debug, Default)]
pub enum Then {
    #[default]
    Continue,
    /// Nothing is read from the connection for this time, from when the reply is known (throttling).
    Mute(Duration),
    /// The connection is closed after the reply was sent.
    Close(CloseReason),
}

impl From<Vec<Bytes>> for Reply {
    fn from(chunks: Vec<Bytes>) -> Reply {
        Reply { chunks, then: Then::Continue }
    }
}

/// A reply that is not known yet.
///
/// Polled when all earlier replies of its connection are known. Dropped, finished or not, when the connection ends.
pub type ParkedReply = Pin<Box<dyn Future<Output = Result<Reply, CloseReason>> + Send>>;

/// The outcome of a request.
pub enum Outcome {
    /// The reply is known.
    Ready(Reply),
    /// The reply follows later. Replies are still sent in the order of the requests.
    Parked(ParkedReply),
    /// The request has no response in the protocol (Produce with acks 0).
    NoReply,
    /// The connection cannot continue: it is closed after the earlier replies are sent.
    Close(CloseReason),
}

/// The reason why the broker closed a connection, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseReason {
    kind: &'static str,
    why: Cow<'static, str>,
}

impl CloseReason {
    /// Creates a reason. Log lines are limited for each peer and kind; `kind` is in the plural, such as "connections
    /// closed for a bad request".
    pub fn new(kind: &'static str, why: impl Into<Cow<'static, str>>) -> CloseReason {
        CloseReason { kind, why: why.into() }
    }

    /// The kind of log line.
    pub fn kind(&self) -> &'static str {
        self.kind
    }
}

impl<T: Into<Cow<'static, str>>> From<T> for CloseReason {
    fn from(why: T) -> Self {
        CloseReason::new("connections closed", why)
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

/// A connection's addresses, its listener, and its client.
#[derive(Debug)]
pub struct ConnectionInfo {
    /// Unique while the broker runs.
    pub id: u64,
    /// The client's address; IPv4 peers of a dual-stack socket are shown as IPv4.
    pub peer: SocketAddr,
    /// The address that the client connected to. The default advertised address is made from it.
    pub local: SocketAddr,
    /// The listener's name, such as `PLAINTEXT`.
    pub listener: Arc<str>,
    /// The client, as its certificate names it.
    pub principal: Principal,
    /// What the client uses the connection for first.
    pub first_use: FirstUse,
    /// The state of SASL; `None` if the listener does not demand it.
    pub sasl: Option<Mutex<SaslSession>>,
    counted: CountedConnection,
    client_software: OnceLock<ClientSoftware>,
}

/// The name and version of the client software in ApiVersions v3 and above (KIP-511).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSoftware {
    pub name: String,
    pub version: String,
}

impl ConnectionInfo {
    pub fn new(id: u64, peer: SocketAddr, local: SocketAddr, listener: Arc<str>) -> Self {
        let (first_use, client_software) = (FirstUse::default(), OnceLock::new());
        let principal = Principal::anonymous();
        let counted = CountedConnection::new(Arc::default());
        ConnectionInfo { id, peer, local, listener, principal, first_use, sasl: None, counted, client_software }
    }

    /// Counts the connection and its requests in the figures of its listener.
    pub(super) fn counted_in(self, listener: Arc<ListenerFigures>) -> Self {
        ConnectionInfo { counted: CountedConnection::new(listener), ..self }
    }

    /// The figures of the connection's listener.
    pub fn figures(&self) -> &ListenerFigures {
        self.counted.listener()
    }

    /// Demands that the client authenticates with SASL before its first request.
    pub fn with_sasl(self) -> Self {
        ConnectionInfo { sasl: Some(Mutex::default()), ..self }
    }

    /// Whether the client has to authenticate before its next request.
    pub fn is_authenticating(&self) -> bool {
        self.sasl.as_ref().is_some_and(|sasl| sasl.lock().identity().is_none())
    }

    /// Sets the client's principal.
    pub fn with_principal(self, principal: Principal) -> Self {
        ConnectionInfo { principal, ..self }
    }

    /// The client software, if an ApiVersions request named it.
    pub fn client_software(&self) -> Option<&ClientSoftware> {
        self.client_software.get()
    }

    /// Sets the client software, unless it is set.
    pub fn set_client_software(&self, name: &str, version: &str) {
        let _ = self.client_software.set(ClientSoftware { name: name.to_owned(), version: version.to_owned() });
    }
}

impl fmt::Display for ConnectionInfo {
    /// Formats the connection for the log: `127.0.0.1:40112 on PLAINTEXT (librdkafka 2.3.0)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.peer, self.listener)?;
        match self.client_software() {
            Some(client) => write!(f, " ({} {})", client.name, client.version),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_with_client_software_is_formatted_with_the_first_one() {
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let info = ConnectionInfo::new(7, address(40112), address(9092), "PLAINTEXT".into());
        assert_eq!(info.to_string(), "127.0.0.1:40112 on PLAINTEXT");
        info.set_client_software("librdkafka", "2.3.0");
        info.set_client_software("other", "1");
        assert_eq!(info.to_string(), "127.0.0.1:40112 on PLAINTEXT (librdkafka 2.3.0)");
    }
}
