//! The seam between the socket and what answers it: a frame goes in, an [`Outcome`] comes out.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::first_use::FirstUse;

/// Answers request frames. One instance serves every connection of every listener.
pub trait Dispatch: Send + Sync + 'static {
    /// Handles one request: `frame` is its header and body, without the size prefix.
    ///
    /// Called in the order the requests of a connection arrived, and for the next one only after this
    /// call returned: whatever must happen in that order happens in here, whatever may wait goes into
    /// an [`Outcome::Parked`]. Must not block for longer than an append to the page cache takes.
    ///
    /// `frame` is an allocation of its own that is counted against the request memory budget until
    /// the reply has left: what outlives the request should be copied out of it.
    fn dispatch(&self, connection: &Arc<ConnectionInfo>, frame: Bytes) -> Outcome;

    /// How often memory that replies are made of has become unreadable since the process began; a change has
    /// [`Dispatch::is_intact`] asked before more is sent. Must be cheap.
    fn faults(&self) -> u64 {
        0
    }

    /// Whether a part of a reply still holds what it held when the reply was made.
    fn is_intact(&self, chunk: &[u8]) -> bool {
        let _ = chunk;
        true
    }

    /// The system could not read a part of a reply, or one sent with it (EFAULT): if it is of a mapped file, that was
    /// cut, or its disk fails.
    fn on_unreadable(&self, chunk: &[u8]) {
        let _ = chunk;
    }

    /// The connection has ended and its parked futures were dropped. Called once.
    fn on_disconnect(&self, connection: &Arc<ConnectionInfo>) {
        let _ = connection;
    }
}

/// One whole response frame in chunks, 4-byte size prefix included. Empty means that nothing is sent.
pub type Reply = Vec<Bytes>;

/// A reply that is still to come.
///
/// First polled when every earlier reply of its connection is known, and dropped, finished or not, as
/// soon as the connection ends.
pub type ParkedReply = Pin<Box<dyn Future<Output = Result<Reply, CloseReason>> + Send>>;

/// What becomes of a request.
pub enum Outcome {
    /// Answered already.
    Ready(Reply),
    /// Answered later; replies still leave in the order of their requests.
    Parked(ParkedReply),
    /// The protocol gives this request no response (Produce with acks 0).
    NoReply,
    /// The connection cannot go on: earlier replies are sent, then it is closed.
    Close(CloseReason),
}

/// Why the broker ended a connection, as the log line says it.
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

    /// Such connections, in the plural.
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

/// Who is at the other end, and through which socket it came.
#[derive(Debug)]
pub struct ConnectionInfo {
    /// Unique while the broker runs.
    pub id: u64,
    /// The client's address; IPv4 peers of a dual-stack socket are shown as IPv4.
    pub peer: SocketAddr,
    /// The address the client reached us at, of which a default advertised address is made.
    pub local: SocketAddr,
    /// The listener's name, such as `PLAINTEXT`.
    pub listener: Arc<str>,
    /// What the client uses it for at first.
    pub first_use: FirstUse,
    client_software: OnceLock<ClientSoftware>,
}

/// What a client says it is in ApiVersions v3 and above (KIP-511).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSoftware {
    pub name: String,
    pub version: String,
}

impl ConnectionInfo {
    pub fn new(id: u64, peer: SocketAddr, local: SocketAddr, listener: Arc<str>) -> Self {
        let (first_use, client_software) = (FirstUse::default(), OnceLock::new());
        ConnectionInfo { id, peer, local, listener, first_use, client_software }
    }

    /// What the client said it is, once it has.
    pub fn client_software(&self) -> Option<&ClientSoftware> {
        self.client_software.get()
    }

    /// Remembers what the client said it is; the first word counts.
    pub fn set_client_software(&self, name: &str, version: &str) {
        let _ = self.client_software.set(ClientSoftware { name: name.to_owned(), version: version.to_owned() });
    }
}

impl fmt::Display for ConnectionInfo {
    /// As log lines name a connection: `127.0.0.1:40112 on PLAINTEXT (librdkafka 2.3.0)`.
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
    fn a_connection_names_itself_for_the_log() {
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let info = ConnectionInfo::new(7, address(40112), address(9092), "PLAINTEXT".into());
        assert_eq!(info.to_string(), "127.0.0.1:40112 on PLAINTEXT");
        info.set_client_software("librdkafka", "2.3.0");
        info.set_client_software("impostor", "1");
        assert_eq!(info.to_string(), "127.0.0.1:40112 on PLAINTEXT (librdkafka 2.3.0)");
    }
}
